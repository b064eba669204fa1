"""Play faults against both roles of the board's program, and tell what happened.

Started by run.sh, which sets up what this needs.
"""

import argparse
import random
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from host_tests.faults import board_faults  # noqa: F401  (it adds to FAULTS)
from host_tests.faults.network_faults import FAULTS
from host_tests.faults.rig import IP, Differs, Scene, command
from host_tests.faults.soak import Soak

JOBS = 10  # most of a fault is waiting


class Case(NamedTuple):
    fault: str
    role: str
    must: str
    play: Callable


def play(number, case, folder, quick):
    """What happened, and whether that is what must."""
    scene = None
    try:
        scene = Scene(case.role, number, folder, quick)
        return case.play(scene), True
    except Differs as difference:
        return str(difference), False
    except Exception:
        return "this program failed: " + traceback.format_exc(), False
    finally:
        if scene is not None:
            scene.end()
            said = "\n".join(scene.board.lines if scene.board else ())
            (folder / "log").write_text(said, encoding="utf-8")


def table(rows):
    """The lines of a Markdown table."""
    rows = [("fault", "role", "what must happen", "what happened", ""), *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def chosen_cases(parser, args):
    if args.soak:
        seed = random.randrange(1 << 32) if args.seed is None else args.seed
        print(f"seed {seed}", flush=True)
        must = "messages arrive once; heap and sockets in the end as in the beginning"

        def play(scene):
            return Soak(scene, seed).run(args.soak)

        cases = [Case(f"soak, {args.soak:g} s", role, must, play) for role in ("client", "server")]
    else:
        cases = [Case(*case, *FAULTS[case]) for case in FAULTS]
    for name in args.names:
        if not any(name in case.fault for case in cases):
            parser.error(f"no such fault: {name}; --list shows them")
    return [
        case
        for case in cases
        if (not args.names or any(name in case.fault for name in args.names))
        and args.role in (None, case.role)
    ]


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only faults with that in them")
    parser.add_argument("--list", action="store_true", help="the faults")
    parser.add_argument("--role", choices=("client", "server"), help="only against this one")
    parser.add_argument("--quick", action="store_true", help="shorter times, as in the tests")
    parser.add_argument(
        "--soak", type=float, metavar="SECONDS", help="faults at random instead, for so long"
    )
    parser.add_argument("--seed", type=int, help="of --soak; it prints the one it takes")
    parser.add_argument(
        "--lines", type=int, default=15, metavar="N", help="of the log where something failed"
    )
    folder = Path(sys.argv.pop(1))  # for what is needed meanwhile
    args = parser.parse_args(namespace=argparse.Namespace(folder=folder))
    return args, chosen_cases(parser, args)


def run(cases, args):
    """Play them, several at a time; a row of the table for each."""
    pool = ThreadPoolExecutor(JOBS)
    futures = []
    for number, case in enumerate(cases):
        own = args.folder / str(number)
        own.mkdir()
        futures.append((own, case, pool.submit(play, number, case, own, args.quick)))
    for own, case, future in futures:
        told, good = future.result()
        mark = "ok" if good else "FAILED"
        print(f"{case.fault}, {case.role}: {told}: {mark}", flush=True)
        if not good:
            log = (own / "log").read_text(encoding="utf-8").splitlines()
            for line in log[-args.lines :]:
                print("    " + line[:110], flush=True)
        yield case.fault, case.role, case.must, told.splitlines()[-1], mark


def main():
    args, cases = arguments()
    if args.list:
        for case in cases:
            print(f"{case.fault}, {case.role}: {case.must}")
        return 0
    command(IP, "link", "set", "lo", "up")
    rows = list(run(cases, args))
    print("", *table(rows), "", sep="\n")
    bad = sum(row[-1] != "ok" for row in rows)
    print(f"{bad} not as they must be." if bad else "All as it must be.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
