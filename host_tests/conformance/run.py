"""Run the Autobahn test suite against the library, as a server and as a client, on each Python.

Started by ``run.sh``, which sets up what this needs. Without options: the core groups, every
combination of side, Python and front. Exits with 0 when all is as EXPECTED and the table as the
README says, with 1 when not.
"""

import argparse
import contextlib
import fnmatch
import functools
import hashlib
import itertools
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
BIN = TOP / ".cache" / "bin"
CACHE = TOP / ".cache" / "conformance"
REPORTS = CACHE / "reports"
README = HERE / "README.md"
SUITE = [str(CACHE / "python2"), str(HERE / "suite.py"), str(CACHE / "site")]

# --- what is run, and what is expected -----------------------------------------------------------

CORE = ("1", "2", "3", "4", "5", "6", "7", "10")

# The first pattern that a case matches tells its behaviour. Its closing must be OK as well, or
# informational where the behaviour is.
EXPECTED = (
    ("7.1.6", "INFORMATIONAL"),
    ("7.13.*", "INFORMATIONAL"),
    ("*", "OK"),
)

# Cases with compression. Every set of parameters that the suite offers or accepts is one that the
# library accepts, so none of them is declined.
COMPRESSED = ("12.*", "13.*")

# Cases with messages of 64 KiB to 16 MiB. Where the heap does not take them whole, they are
# echoed by pieces. They go with wider bounds than the library's own.
LARGE = ("1.[12].[678]", "10.1.1", "9.*", *COMPRESSED)
BOUNDS = {"max_size": 1 << 16, "max_fragments": 1 << 10}
LARGE_BOUNDS = {"max_size": 1 << 24, "max_fragments": 1 << 17}


# A compressed message is collected before it is inflated, so in a heap of 128 KiB these find no
# room: from 16 KiB on what hardly gets smaller (a picture, a PDF), from 32 KiB on a book, and of
# HTML some of 128 KiB.
NO_ROOM = (
    *("12.[25].[789]", "12.[25].1[02-8]"),
    *("12.3.[89]", "12.3.1[03-8]"),
    "12.4.1[5-8]",
)


class Vm(NamedTuple):
    """How one Python is started, the size of its heap, if that takes LARGE messages whole, and
    what is left out.
    """

    command: list
    heap: str
    whole: bool
    left_out: tuple

    def start(self, compressed):
        """Its command. MicroPython searches a large heap for long at each allocation, and it is
        the 16 MiB of group 9 that want one.
        """
        if not self.heap:
            return self.command
        heap = "8m" if compressed and self.whole else self.heap
        return [*self.command, "-X", "heapsize=" + heap]


VMS = {
    "cpython": Vm([sys.executable], "", True, ()),
    "micropython64": Vm([str(BIN / "micropython64")], "256m", True, ()),
    "micropython32": Vm([str(BIN / "micropython32")], "128k", False, NO_ROOM),
}
SIDES = ("server", "client")
FRONTS = ("blocking", "asyncio")

# --- one run -------------------------------------------------------------------------------------


class Stuck(Exception):
    """A program ended or fell silent too early; the text says which."""


class Chunk(NamedTuple):
    """Cases for one process of the suite, which keeps all it saw: large ones go apart."""

    name: str
    cases: tuple
    large: bool

    @property
    def compressed(self):
        return matches(self.cases[0], COMPRESSED)

    @property
    def patience(self):
        """Seconds without any news after which a program hangs: more than a case takes."""
        return 150.0 if self.large else 30.0


def matches(case, patterns):
    return any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)


class Combination(NamedTuple):
    side: str
    vm: str
    front: str

    def __str__(self):
        return " ".join(self)


class Programs:
    """The processes that run now, so that all of them can be ended at any time."""

    def __init__(self):
        self._running = set()
        self._lock = threading.Lock()
        self.closed = False

    def start(self, command, **options):
        with self._lock:
            if self.closed:
                raise Stuck("interrupted")
            # In a session of its own: Ctrl-C comes to this program, which ends the others.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, start_new_session=True, **options
            )
            self._running.add(process)
        return process

    def end(self, process):
        process.kill()
        process.wait()
        process.stdin.close()
        with self._lock:
            self._running.discard(process)

    def end_all(self):
        with self._lock:
            self.closed = True
            for process in self._running:
                process.kill()


programs = Programs()


class Program:
    """A process whose stdout comes line by line into a queue, as ``(program, line)``.

    At its end ``(program, None)`` comes. ``with`` ends the process, if nothing else did.
    """

    def __init__(self, name, command, news, log, env=None):
        self.name = name
        self._log = open(log, "wb")  # noqa: SIM115  its end is the process's
        self.process = programs.start(command, stdout=subprocess.PIPE, stderr=self._log, env=env)
        self._news = news
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._news.put((self, line))
        self._news.put((self, None))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        programs.end(self.process)
        self._reader.join()
        self.process.stdout.close()
        self._log.close()


def environment():
    """What any of the Pythons needs to find the library, and nothing of the caller's settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MICROPY"))}
    env["PYTHONPATH"] = str(TOP / "lib")
    env["PYTHONUNBUFFERED"] = "1"
    env["MICROPYPATH"] = f".frozen:{TOP / 'lib'}"
    return env


def hashes(paths):
    return [(path, hashlib.sha256(Path(path).read_bytes()).hexdigest()) for path in sorted(paths)]


@functools.cache
def identity(vm):
    """What tells this Python from others: its version, its program and the libraries of that."""
    code = "import sys; print(sys.version); print(open('/proc/self/maps').read())"
    told = subprocess.check_output([*VMS[vm].command, "-c", code], env=environment(), text=True)
    return told.splitlines()[0], hashes(set(re.findall("r-xp .*? (/.*)", told)))


def free_port():
    """A port for a program that cannot tell which one it got, as on MicroPython."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Run:
    """One chunk of cases against one combination. ``results``: what the suite told, by case."""

    def __init__(self, combination, chunk, pieces):
        self.combination = combination
        left_out = VMS[combination.vm].left_out
        cases = tuple(case for case in chunk.cases if not matches(case, left_out))
        self.left_out = len(chunk.cases) - len(cases)
        self.chunk = chunk._replace(cases=cases)
        self.pieces = pieces or (chunk.large and not VMS[combination.vm].whole)
        self.folder = REPORTS / "-".join(combination) / chunk.name
        self.results = {}
        self.troubles = []  # what went wrong beside the cases
        self.seconds = 0.0
        self.before = ""  # where an earlier run has found the results: a word on that
        self._news = queue.SimpleQueue()

    def _key(self):
        """A hash of all that the outcome depends on; what begins with a dot is an editor's."""
        library = TOP / "lib" / "microws"
        sources = [*library.glob("[!.]*.py"), *HERE.glob("[!.]*.py"), HERE / "run.sh"]
        same = (
            *(self.combination, self.chunk, self.pieces, identity(self.combination.vm)),
            hashes([*sources, *HERE.glob("requirements-*.txt")]),
        )
        return hashlib.sha256(repr(same).encode()).hexdigest()

    def __call__(self, go_on):
        """Run it, unless ``go_on`` and an earlier run has found all as expected."""
        key, found = self._key(), self.folder / "outcome.json"
        # No such file, or what a power cut has left of it: it is run anew.
        with contextlib.suppress(OSError, ValueError):
            outcome = json.loads(found.read_bytes())
            if go_on and outcome["key"] == key:
                self.results, self.seconds = outcome["results"], outcome["seconds"]
                self.before = ", found before"
                return self
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        started = time.monotonic()
        try:
            if self.combination.side == "server":
                self._test_server()
            else:
                self._test_client()
        except Stuck as trouble:
            self.troubles.append(str(trouble))
        self.seconds = time.monotonic() - started
        log = self.folder / "echo.log"
        if log.exists() and log.stat().st_size:
            last = log.read_text("utf-8", "replace").splitlines()[-1]
            self.troubles.append(f"the echo program said: {last}\n    {log.relative_to(TOP)}")
        # With another key the code was changed meanwhile.
        if not (any(differences(self)) or programs.closed) and self._key() == key:
            outcome = {"key": key, "seconds": self.seconds, "results": self.results}
            new = self.folder / "outcome.new"
            new.write_text(json.dumps(outcome))
            os.replace(new, found)  # a kill leaves all of it or nothing
        return self

    def _echo(self, *target):
        side, vm, front = self.combination
        bounds = LARGE_BOUNDS if self.chunk.large else BOUNDS
        numbers = [bounds["max_size"], bounds["max_fragments"], *target]
        mode = "pieces" if self.pieces else "whole"
        compression = "deflate" if self.chunk.compressed else "none"
        return Program(
            f"echo_{side}.py",
            [
                *VMS[vm].start(self.chunk.compressed),
                str(HERE / f"echo_{side}.py"),
                *(front, mode, compression),
                *map(str, numbers),
            ],
            self._news,
            self.folder / "echo.log",
            environment(),
        )

    def _suite(self, **more):
        spec = {
            "side": self.combination.side,
            "cases": self.chunk.cases,
            "outdir": str(self.folder),
            **more,
        }
        path = self.folder / "spec.json"
        path.write_text(json.dumps(spec))
        return Program("suite.py", [*SUITE, str(path)], self._news, self.folder / "suite.log")

    def _next(self, *awaited):
        """``(program, line)`` of the next news; only the awaited programs may end."""
        try:
            program, line = self._news.get(timeout=self.chunk.patience)
        except queue.Empty:
            raise Stuck(
                f"nothing happened for {self.chunk.patience:g} s after {self._last()}"
            ) from None
        if line is None and program not in awaited:
            status = program.process.wait()
            raise Stuck(f"{program.name} ended with status {status} after {self._last()}")
        return program, line

    def _last(self):
        return f"case {list(self.results)[-1]}" if self.results else "its start"

    def _take(self, line):
        result = json.loads(line)
        self.results[result["id"]] = result

    def _test_server(self):
        port = free_port()
        with self._echo(port) as echo:
            self._next()  # it listens
            with self._suite(url=f"ws://127.0.0.1:{port}") as suite:
                while True:
                    program, line = self._next(suite)
                    if line is None:
                        break
                    if program is suite:
                        self._take(line)
                if echo.process.poll() is not None:
                    raise Stuck(f"echo_server.py ended with status {echo.process.wait()}")

    def _test_client(self):
        with self._suite() as suite:
            port = int(self._next()[1])
            cases = len(self.chunk.cases)
            with self._echo(port, cases) as echo:
                try:
                    while True:
                        program, line = self._next(echo)
                        if program is suite:
                            self._take(line)
                        elif line is None:
                            break
                finally:
                    # At the end of its input the suite writes what reports it has, and ends.
                    suite.process.stdin.close()
                if echo.process.wait():
                    self.troubles.append(f"echo_client.py ended with status {echo.process.wait()}")
            while (news := self._next(suite))[1] is not None:
                self._take(news[1])


# --- what came out -------------------------------------------------------------------------------

# How the table names what the suite calls a behaviour; all others have failed.
NAMES = {
    "OK": "OK",
    "NON-STRICT": "non-strict",
    "INFORMATIONAL": "informational",
    "UNIMPLEMENTED": "unimplemented",
}
COLUMNS = ("OK", "non-strict", "failed", "informational", "unimplemented")


def expected(case):
    return next(behavior for pattern, behavior in EXPECTED if fnmatch.fnmatchcase(case, pattern))


def as_expected(case, result):
    wanted = expected(case)
    closing = wanted if wanted == "INFORMATIONAL" else "OK"
    return (result["behavior"], result["behaviorClose"]) == (wanted, closing)


def in_order(case):
    return [int(part) for part in case.split(".")]


def group_of(case):
    return case.partition(".")[0]


def rows(combinations, runs):
    """A table: its head, then a row for each combination, with a column for each group."""
    groups = sorted({group_of(case) for run in runs for case in run.chunk.cases}, key=int)
    yield ["side", "Python", "front", *groups, *COLUMNS, "unclean close", "no room"]
    for combination in combinations:
        mine = [run for run in runs if run.combination == combination]
        behaviors, by_group, unclean = Counter(), Counter(), 0
        sizes = Counter(group_of(case) for run in mine for case in run.chunk.cases)
        for run in mine:
            for case in run.chunk.cases:
                result = run.results.get(case)
                behavior = NAMES.get(result["behavior"], "failed") if result else "failed"
                behaviors[behavior] += 1
                by_group[group_of(case)] += behavior in ("OK", "informational")
                if result and result["behaviorClose"] not in ("OK", "INFORMATIONAL"):
                    unclean += 1
        cells = [f"{by_group[group]}/{sizes[group]}" for group in groups]
        counts = [str(behaviors[column]) for column in COLUMNS]
        left_out = str(sum(run.left_out for run in mine))
        yield [*combination, *cells, *counts, str(unclean), left_out]


def markdown(table):
    """The table's lines, as they stand in the README."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def claims(lines):
    """What tables as of markdown() say: a cell's text by combination and group."""
    head = []
    found = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] == "side":
            head = cells
        elif cells[0] in SIDES:
            combination = Combination(*cells[:3])
            for name, text in zip(head[3:], cells[3:], strict=True):
                if name.isdecimal():
                    found[combination, name] = text
    return found


def differences(run):
    """What is not as expected in the run: a text for each case, and for each other trouble."""
    missing = [case for case in run.chunk.cases if case not in run.results]
    if missing:
        yield (
            f"{run.combination}: no result for {len(missing)} cases,"
            f" {missing[0]} to {missing[-1]}\n"
            f"    {(run.folder / 'suite.log').relative_to(TOP)}"
        )
    for case in run.chunk.cases:
        result = run.results.get(case)
        if result and not as_expected(case, result):
            report = (run.folder / result["report"]).relative_to(TOP)
            behaviors = f"{result['behavior']}, closing {result['behaviorClose']}"
            yield (
                f"{run.combination} {case}: {behaviors} (expected {expected(case)})\n"
                f"    {result['result']} {result['resultClose']}\n    {report}"
            )
    for trouble in run.troubles:
        yield f"{run.combination}, {run.chunk.name}: {trouble}"


# --- the command ---------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh",
        description="Run the Autobahn test suite against the library. Without options: "
        f"the core groups ({', '.join(CORE)}), every side, Python and front.",
        epilog=f"Reports: {REPORTS.relative_to(TOP)}/SIDE-PYTHON-FRONT/GROUP/index.html, .json",
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="CI's run: --vm micropython32")
    extent.add_argument("--full", action="store_true", help="all cases of the suite")
    extent.add_argument("--cases", nargs="+", metavar="PATTERN", help="such as '9.*' 6.4.1")
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--vm", choices=VMS)
    parser.add_argument("--front", choices=FRONTS)
    parser.add_argument("--pieces", action="store_true", help="echo every message by pieces")
    text = "run only what no earlier run of the same code has found as expected"
    parser.add_argument("--continue", dest="go_on", action="store_true", help=text)
    # Most of a run is waiting: for the suite's pauses, and for its peer to close.
    parser.add_argument(
        "--jobs", type=int, default=2 * (os.cpu_count() or 1), metavar="N", help="runs at a time"
    )
    chosen = parser.parse_args()
    if chosen.jobs < 1:
        parser.error("--jobs: 1 or more is wanted")
    if chosen.quick:
        chosen.vm = chosen.vm or "micropython32"
    listed = subprocess.run([*SUITE, "list"], check=True, capture_output=True).stdout
    catalogue = sorted(json.loads(listed), key=in_order)
    patterns = chosen.cases or (["*"] if chosen.full else [f"{group}.*" for group in CORE])
    cases = []
    for pattern in patterns:
        found = fnmatch.filter(catalogue, pattern)
        if not found:
            parser.error(f"--cases: the suite has no case {pattern!r}")
        cases.extend(found)
    # A part of a group is no reason to doubt what the README says of all of it.
    missing = {group_of(case) for case in set(catalogue) - set(cases)}
    whole = {group_of(case) for case in cases} - missing
    return chosen, sorted(set(cases), key=in_order), whole


def chunks(cases):
    """Split cases: of the core groups the large ones and group 6, which has most of them, apart;
    each part of the other groups apart.
    """

    def key(case):
        group, part = case.split(".")[:2]
        large = matches(case, LARGE)
        if group not in CORE:
            return large, f"{group}.{part}"
        return large, "core-large" if large else "core-6" if group == "6" else "core"

    for (large, name), members in itertools.groupby(sorted(cases, key=key), key):
        yield Chunk(name, tuple(members), large)


def main():
    chosen, cases, whole = arguments()
    combinations = [
        Combination(side, vm, front)
        for vm in VMS
        for side in SIDES
        for front in FRONTS
        if side == (chosen.side or side)
        and vm == (chosen.vm or vm)
        and front == (chosen.front or front)
    ]
    runs = [
        Run(combination, chunk, chosen.pieces)
        for chunk in chunks(cases)
        for combination in combinations
    ]
    print(f"{len(cases)} cases in {len(combinations)} combinations", flush=True)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        try:
            # Not in the order of the runs' start, but of the table.
            wanted = [run for run in runs if run.chunk.cases]
            for run in pool.map(lambda run: run(chosen.go_on), wanted):
                bad = len(list(differences(run)))
                verdict = f"{bad} NOT AS EXPECTED" if bad else "as expected"
                seconds = f"{run.seconds:.1f} s{run.before}"
                print(f"{run.combination}, {run.chunk.name}: {verdict}, {seconds}", flush=True)
        except BaseException:
            programs.end_all()
            pool.shutdown(cancel_futures=True)
            raise
    lines = markdown(list(rows(combinations, runs)))
    (REPORTS / "table.md").write_text("\n".join(lines) + "\n")
    print("", *lines, "", sep="\n")
    bad = [line for run in runs for line in differences(run)]
    claimed = claims(README.read_text("utf-8").splitlines())
    for cell, text in claims(lines).items():
        if cell[1] in whole and text != claimed.get(cell):
            bad.append(f"{cell[0]}, group {cell[1]}: {text}, the README says {claimed.get(cell)}")
    for line in bad:
        print(line)
    print(f"{len(bad)} not as expected" if bad else "All as expected.")
    return 1 if bad else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    print("Interrupted. To go on, run it again with --continue.", file=sys.stderr)
    sys.exit(130)
