"""Measure microws beside bare TCP, MicroPython's C module and other libraries, in one run.

Each contender is a program in vm/ that runs on the interpreter to be measured and tells its own
CPU time, wall time and heap; ``peer`` is the other end of its connections. The contenders of one
work follow each other, round after round, so that a busy moment strikes all of them.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from host_tests.bench import goals, peer, report
from host_tests.support import wire
from host_tests.support.paths import BIN, TOP
from host_tests.support.ports import free_port

HERE = TOP / "host_tests" / "bench"
CACHE = TOP / ".cache" / "bench"
# What stands between these in a README is made here; the first one has the table's name.
MARKS = ("<!-- made by host_tests/bench/run.sh: %s -->", "<!-- made until here -->")
INTERPRETERS = ("micropython32", "micropython64", "cpython")
# A board's heap, as small as every contender fits in. In the 1 MiB that MicroPython takes on a
# computer what is measured is its allocator: from the first free block on it walks over all that
# was used since the last collection, for every object of more than one block.
BOARD = 192  # KiB, twice that on 64 bits
# Many clients and large messages do not fit in that; few clients get the same as many.
LARGE = 1024
# Room for all that a peer throws away, where heap is counted, with the collector off, and for
# connections in a burst, of which some let go late.
HUGE = 65536

PEERS = ("peer_microdot", "peer_chumicro", "peer_uhttp")
SERVERS = (
    "raw",
    "c_websocket",
    "blocking_into",
    "blocking",
    "stream",
    "asynchronous_into",
    "asynchronous",
    *PEERS,
    "peer_websockets",
)
CLIENTS = (
    "raw",
    "blocking_into",
    "blocking",
    "stream",
    "asynchronous_into",
    "asynchronous",
    "peer_chumicro",
    "peer_async_client",
    "peer_websockets",
)
MANY = ("stream", "asynchronous", *PEERS)
# What works with bytes in the caller's buffer; the others echo text as str.
BYTES = ("raw", "c_websocket", "blocking_into", "stream", "asynchronous_into")
UNFRAMED = ("raw", "stream")
ONLY_MICROPYTHON = ("c_websocket", "peer_async_client")
ONLY_CPYTHON = ("peer_websockets",)
# The C module knows no 64-bit lengths; the other loses what a full socket does not take at once.
NOT_LARGE = {"recv": ("c_websocket",), "send": ("c_websocket", "peer_async_client")}


@dataclass(frozen=True)
class Case:
    """One work: ``clients`` connections, of which the first ``active`` are busy."""

    work: str
    role: str
    size: int = 0
    clients: int = 1
    active: int = 1
    contenders: tuple = ()


def cases() -> list[Case]:
    found = []
    for role, contenders in ("server", SERVERS), ("client", CLIENTS):
        for size in 16, 125, 1024:
            found.append(Case("echo", role, size, contenders=contenders))
        for work in "send", "recv":
            for size in (4096, 65536) if work == "send" else (125, 4096, 65536):
                able = [c for c in contenders if size < 65536 or c not in NOT_LARGE[work]]
                found.append(Case(work, role, size, contenders=tuple(able)))
        able = [c for c in contenders if c in ("blocking", "asynchronous", *PEERS)]
        found.append(Case("handshake", role, contenders=tuple(able)))
    for clients, active in (1, 1), (8, 1), (8, 8), (64, 1), (64, 64):
        found.append(Case("crowd", "server", 125, clients, active, MANY))
    found.append(Case("broadcast", "server", 125, 8, 8, MANY))
    found.append(Case("idle", "server", 0, 8, 0, ("blocking", *MANY)))
    found.append(Case("sha1", "none", contenders=("hashlib", "microws")))
    found.append(Case("utf8", "none", 4096, contenders=("str", "microws")))
    found.append(Case("object", "none", 125, contenders=("str",)))
    found.append(Case("mask", "none", 4096, contenders=("loop", "microws")))
    return found


@dataclass
class Result:
    """What one contender took for a message of one work, each of the rounds in a list."""

    interpreter: str
    work: str
    role: str
    size: int
    clients: int
    active: int
    contender: str
    wall_us: list = field(default_factory=list)
    cpu_us: list = field(default_factory=list)
    heap: "float | None" = None
    live: "int | None" = None  # bytes in use before the first message that counts


def command(interpreter: str, case: Case, heap: bool) -> list[str]:
    if interpreter == "cpython":
        return [sys.executable, "-B"]
    size = LARGE if case.work == "crowd" or case.size > 4096 else BOARD
    if heap or case.work == "handshake":
        size = HUGE
    if interpreter == "micropython64":
        size *= 2
    return [str(BIN / interpreter), "-X", f"heapsize={size}k"]


def environment(top: Path) -> dict[str, str]:
    path = [str(HERE / "vm"), str(top / "lib"), str(CACHE / "peers")]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MICROPY"))}
    return env | {"PYTHONPATH": ":".join(path), "MICROPYPATH": ":".join([".frozen", *path])}


def measure(
    interpreter: str,
    case: Case,
    contender: str,
    warm: int,
    count: int,
    heap: bool = False,
    top: Path = TOP,
) -> list[float]:
    """Let a contender do its work once: CPU and wall time (µs), heap, and heap before it.

    The library is the one of the project at ``top``.
    """
    listener = None
    port = free_port()
    if case.role == "client":
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(30)
        port = listener.getsockname()[1]
    program, work = contender, case.work
    if case.role == "none":
        program, work = "micro", f"{case.work} {contender}"
    process = subprocess.Popen(
        [
            *command(interpreter, case, heap),
            str(HERE / "vm" / f"{program}.py"),
            case.role,
            work,
            *(str(n) for n in (port, case.size, case.clients, warm, count, int(heap))),
        ],
        env=environment(top),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with contextlib.ExitStack() as stack:
        if listener:
            stack.enter_context(listener)
        try:
            converse(case, contender, listener, port, process, (warm, count), stack)
            line = process.stdout.readline()
            if not line[:1].isdigit():
                raise peer.Failed(line)
            return [float(part) for part in line.split()]
        except (OSError, peer.Failed) as error:
            process.kill()
            output = process.stdout.read()
            what = f"{contender} on {interpreter}, {case.work} as {case.role}, {case.size} bytes"
            raise SystemExit(f"{what}: {error}\n{output}") from None
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def converse(case, contender, listener, port, process, counts, stack) -> None:
    """The computer's end of a work."""
    if case.role == "none":
        return
    framed = contender not in UNFRAMED
    is_text = contender not in BYTES and case.size <= 1024
    opcode = wire.TEXT if is_text else wire.BINARY
    # What the programs send themselves.
    payload = (b"\0" if opcode == wire.BINARY else b"x") * case.size

    def connection() -> peer.Link:
        if listener:
            sock = listener.accept()[0]
            stack.callback(sock.close)
            if framed:
                peer.open_server(sock)
        else:
            sock = peer.connect(port, lambda: process.poll() is None)
            stack.callback(sock.close)
            if framed and contender != "c_websocket":
                peer.open_client(sock, port)
        return peer.Link(sock, client=listener is None, framed=framed)

    if case.work == "handshake":
        for _ in range(sum(counts)):
            link = connection()
            if not listener:
                link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\0" * 8)
            link.sock.close()
        return
    links = [connection() for _ in range(case.clients)]
    link = links[-1]
    for count in counts:
        if case.work == "echo":
            (link.answer_echo if listener else link.start_echo)(payload, opcode, count)
        elif case.work == "send":
            link.swallow(payload, opcode, count)
        elif case.work == "recv":
            link.pour(payload, opcode, count)
        elif case.work == "crowd":
            peer.crowd(links, case.active, payload, count)
        elif case.work == "broadcast":
            peer.hear_broadcasts(links, payload, count)


def footprint(interpreter: str) -> dict[str, int]:
    """Bytes of heap that each compiled module takes, in the order of loading."""
    arch = {"micropython32": "x86", "micropython64": "x64"}[interpreter]
    goals.compile_library(TOP / "lib" / "microws", arch, CACHE / arch)
    output = subprocess.run(
        [BIN / interpreter, HERE / "vm" / "footprint.py"],
        env={"MICROPYPATH": f".frozen:{CACHE / arch}"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {name: int(size) for name, size in map(str.split, output.splitlines())}


def heap_per_message(
    interpreter: str, case: Case, contender: str, top: Path = TOP
) -> "tuple[float, int]":
    """Bytes of heap for a message, and those in use before the first one that counts."""
    messages = 32 if case.size <= 4096 else 8
    # A connection gets what it keeps with the first message that a read cuts.
    warm = max(3, case.clients, 2 * messages)
    figures = measure(interpreter, case, contender, warm, messages, heap=True, top=top)
    return figures[2] / messages, int(figures[3])


def core_figures(top: Path, name: str, progress) -> "tuple[dict, dict]":
    """What the goals of the core ask for, of the project at ``top``; and why some are missing."""
    library = top / "lib" / "microws"
    progress(f"{name}: programs")
    found: dict = goals.footprints(library, CACHE / "programs")
    found["lines"] = sum(len(s.read_text().splitlines()) for s in goals.sources(library))
    for contender in "blocking_into", "asynchronous_into":
        progress(f"{name}: heap per message, {contender}")
        found[f"message {contender}"] = max(
            heap_per_message(report.GOALS_ON, Case("echo", role, 125), contender, top)[0]
            for role in ("server", "client")
        )
    for contender in "blocking", "asynchronous":
        case = Case("idle", "server", 0, 8, 0)
        figures = measure(report.GOALS_ON, case, contender, 1, 1, top=top)
        found[f"idle {contender}"] = int(figures[3])
    why = {}
    progress(f"{name}: the smallest heap")
    try:
        found["smallest heap"] = goals.smallest_heap(top)
    except goals.NotMeasured as reason:
        why["smallest heap"] = str(reason)
    found |= goals.cycles(library, lambda text: progress(f"{name}: {text}"))
    return found, why


def core_goals(progress) -> list:
    """The goals of the core, before and after."""
    new, why = core_figures(TOP, "now", progress)
    old: dict = {}
    try:
        old, why_old = core_figures(goals.before(), "before", progress)
        why = why_old | why
    except goals.NotMeasured as reason:
        why["before"] = str(reason)
    stream = heap_per_message(report.GOALS_ON, Case("recv", "client", 125), "stream")[0]
    return goals.table(old, new, stream, why)


def replace_tables(path: Path, **tables: str) -> None:
    """Put each of ``tables`` into the place that a README keeps for it."""
    text = path.read_text()
    for name, table in tables.items():
        before, mark, rest = text.partition(MARKS[0] % name)
        _, end, after = rest.partition(MARKS[1])
        if not end:
            raise SystemExit(f"{path} has no place for the table {name}")
        text = f"{before}{mark}\n\n{table}\n\n{end}{after}"
    path.write_text(text)


def has(interpreter: str, contender: str) -> bool:
    """Whether there is such a contender on this interpreter."""
    return contender not in (ONLY_MICROPYTHON if interpreter == "cpython" else ONLY_CPYTHON)


def run(interpreters, chosen, rounds: int, seconds: float, progress) -> list[Result]:
    results = []
    for interpreter in interpreters:
        for case in chosen:
            progress(f"{interpreter}: {case.work}, {case.role}, {case.size} B, {case.clients}")
            row = [
                Result(
                    interpreter, case.work, case.role, case.size, case.clients, case.active, name
                )
                for name in case.contenders
                if has(interpreter, name)
            ]
            results += row
            if case.work == "idle":
                for result in row:
                    result.live = int(measure(interpreter, case, result.contender, 1, 1)[3])
                continue
            counts = {}
            for result in row:
                name = result.contender
                warm = max(3, case.clients)
                wall = measure(interpreter, case, name, warm, 4 * warm)[1]
                wanted = seconds * 1e6 / (wall / (4 * warm) + 1)
                # The first messages are the slow ones: try again with what they promise.
                tried = max(4, int(wanted / 5))
                wall = measure(interpreter, case, name, warm, tried)[1]
                counts[name] = max(8, int(seconds * 1e6 * tried / (wall + 1)))
                if interpreter != "cpython":
                    result.heap, result.live = heap_per_message(interpreter, case, name)
            for _ in range(rounds):
                for result in row:
                    count = counts[result.contender]
                    cpu, wall, _, _ = measure(
                        interpreter, case, result.contender, max(3, case.clients), count
                    )
                    result.wall_us.append(wall / count)
                    result.cpu_us.append(cpu / count)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="host_tests/bench/run.sh",
        description="Measure microws beside bare TCP, MicroPython's C module and other libraries.",
    )
    parser.add_argument("--quick", action="store_true", help="a short try, and rough")
    parser.add_argument("--goals", action="store_true", help="only the goals, met or missed")
    parser.add_argument("--only", metavar="TEXT", help="only works with TEXT in WORK-ROLE-SIZE")
    parser.add_argument("--on", choices=INTERPRETERS, action="append", help="only this one")
    parser.add_argument("--rounds", type=int, help="of each work (default: 5)")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (2 if arguments.quick else 5)
    interpreters = arguments.on or INTERPRETERS
    chosen = cases()
    if arguments.goals:
        interpreters = [report.GOALS_ON]
        chosen = [case for case in chosen if report.is_for_goals(case)]
    if arguments.only:
        chosen = [c for c in chosen if arguments.only in f"{c.work}-{c.role}-{c.size}"]

    def progress(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    if hasattr(os, "sched_setaffinity"):
        # One core for both ends. To wake another one for each message takes more CPU time than
        # the message, now more and now less.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    results = run(interpreters, chosen, rounds, 0.06 if arguments.quick else 0.12, progress)
    # The READMEs' figures are those of a whole run.
    part = arguments.quick or arguments.only or arguments.on
    whole = not (part or arguments.goals)
    core = [] if part else core_goals(progress)
    progress("")
    folder = HERE if whole else CACHE
    data = {"results": [asdict(r) for r in results], "goals": [asdict(g) for g in core]}
    (folder / "results.json").write_text(json.dumps(data, indent=1) + "\n")
    if not arguments.goals:
        print(report.table(results))
        picture = report.picture(results)
        if picture:
            (folder / "results.svg").write_text(picture)
    if part and not arguments.goals:
        return 0
    beside = report.goals(results)
    print(report.goals_table(beside))
    print(report.core_table(core))
    if whole:
        sizes = goals.compile_library(TOP / "lib" / "microws", "xtensawin", CACHE / "xtensawin")
        replace_tables(TOP / "lib" / "README.md", goals=report.goals_markdown(beside))
        replace_tables(
            HERE / "README.md",
            crowds=report.columns_markdown(results, report.CROWDS),
            others=report.columns_markdown(results, report.OTHERS),
            loops=report.loops_markdown(results),
            modules=report.modules_markdown(sizes, footprint(report.GOALS_ON)),
        )
    if core:
        replace_tables(HERE / "README.md", goals=report.core_markdown(core))
    met = all(goal.met for goal in beside) and all(goal.is_met for goal in core)
    return int(arguments.goals and not met)


if __name__ == "__main__":
    sys.exit(main())
