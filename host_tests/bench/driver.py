"""Count what an echo through the driver of a W5500 takes on an emulated RP2040: see bare_metal.py.

The other end of the connection is in here, in the emulated time: the same run gives the same
figures. It sends the next message a while after an answer, as a peer on a cable does.
"""

import asyncio
from types import SimpleNamespace

from host_tests.rp2040 import w5500
from host_tests.rp2040.file_system import file_system, library, programs
from host_tests.rp2040.pico import make_device
from host_tests.support.paths import TOP
from host_tests.w5500 import chip as model

HERE = TOP / "host_tests" / "bench"
PATIENCE = 600  # seconds
FRONTS = ("blocking", "asynchronous")
STEPS = 6
WARM = 50  # echoes: those in which the program on the chip counts its heap
COUNTED = 50
SIZE = 125  # bytes
REQUEST = "\r\n".join((
    "GET / HTTP/1.1", "Host: 10.0.0.7", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "",
)).encode()  # fmt: skip
FRAME = bytes((0x82, 0x80 | SIZE)) + bytes(4 + SIZE)
CLOSE = bytes((0x88, 0x82)) + bytes(4) + b"\x03\xe8"
ANSWER = 2 + SIZE  # bytes
STEP = 100_000  # ns of emulated time between two looks at the world
PAUSE = 1_000_000  # ns from an answer to the next message
LATENCY = 0.0002  # seconds to the peer's ACK


class Peer:
    """A client: a socket, as the chip takes one."""

    def __init__(self, bench):
        self._bench = bench
        self._out = REQUEST
        self._due = 0
        self._seen = b""
        self._is_open = False
        self._echoes = 0
        self.first = self.last = None  # what had been counted

    def setblocking(self, flag):
        pass

    def setsockopt(self, *option):
        pass

    def close(self):
        pass

    def recv(self, n):
        if not self._out or self._bench.nanos() < self._due:
            raise BlockingIOError(model.errno.EAGAIN, "nothing yet")
        data, self._out = self._out[:n], self._out[n:]
        return data

    def send(self, data):
        self._seen += data
        if not self._is_open and b"\r\n\r\n" in self._seen:
            self._is_open = True
            self._seen = b""
            self._say(FRAME)
        elif self._is_open and len(self._seen) >= ANSWER:
            self._seen = self._seen[ANSWER:]
            self._echoes += 1
            if self._echoes == WARM:
                self.first = self._bench.count()
            elif self._echoes == WARM + COUNTED:
                self.last = self._bench.count()
            self._say(CLOSE if self.last else FRAME)
        return len(data)

    def _say(self, data):
        self._out = data
        self._due = self._bench.nanos() + PAUSE


class Chip(model.Chip):
    """One that has one peer, and no network."""

    def __init__(self, bench):
        self._bench = bench
        self.peer = None
        super().__init__()
        self.latency = LATENCY

    def listen(self, port):
        if not self._bench.listening_at:
            self._bench.listening_at = self._bench.nanos()

    def pump(self):
        for channel in self.channels:
            if channel.state == model.LISTENING and self.peer is None:
                self.peer = Peer(self._bench)
                channel.take(self.peer)
        super().pump()


class Bench(w5500.W5500):
    """The chip on the Pico's pins; what is counted."""

    listening_at = 0  # ns since the Pico was turned on

    def attach(self, rp2040):
        self._rp2040 = rp2040
        self.chip = Chip(self)
        model.time = SimpleNamespace(time=lambda: self.nanos() / 1e9)
        super().attach(rp2040)
        self._look = rp2040.clock.create_alarm(self._on_look)
        self._look.schedule(STEP)

    def _on_look(self):
        if self.chip.position < 0:
            self.chip.pump()
            self._set_int()
        self._look.schedule(STEP)

    def nanos(self):
        return self._rp2040.clock.nanos

    def count(self):
        """Cycles that the processor worked, SPI transactions, and their bytes."""
        return self._rp2040.core.cycles, self.chip.frames, self.chip.bytes


def files(main=None):
    everything = sorted((HERE / "bare").glob("*.py"))
    groups = [
        ("lib/microws", library(TOP / "lib" / "microws"), True),
        ("lib/w5500", library(TOP / "lib" / "w5500"), True),
        ("lib", [*programs(), *everything], True),
    ]
    return file_system(*groups, *([("", [main], False)] if main else []))


async def echoes(image, front, has_int):
    """Cycles, SPI transactions and bytes of an echo, and its heap."""
    bench = Bench({})
    device = make_device(bench, files=image)
    await device.astart()
    code = f"import through_driver; through_driver.{front}({has_int})"
    output, errors = await device.aexec(code, timeout=PATIENCE)
    device.stop()
    peer = bench.chip.peer
    if errors or bench.chip.offences or peer is None or peer.last is None:
        raise SystemExit(f"{output.decode()}{errors.decode()}{bench.chip.offences}")
    figures = [(last - first) / COUNTED for first, last in zip(peer.first, peer.last, strict=True)]
    return [*figures, int(output.decode().split("|")[1])]


async def start(folder, front):
    """Milliseconds from power on to where it listens, on the chip's own clock."""
    main = folder / "main.py"
    main.write_text(f"import through_driver\nthrough_driver.{front}(True)\n")
    bench = Bench({})
    device = make_device(bench, files=files(main))
    task = asyncio.ensure_future(device.astart())
    while not bench.listening_at:
        await asyncio.sleep(0.01)
    task.cancel()
    device.stop()
    return bench.listening_at / 1e6


def table(folder, progress):
    """What the README has of it; ``folder`` is for a file, ``progress`` takes a text."""
    image = files()
    lines = [
        "| through the driver, W5500 on SPI | echo, cycles | SPI transactions | SPI bytes "
        "| heap, bytes | power on to listening, ms |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for front in FRONTS:
        progress(f"{front}, to listening")
        ms = asyncio.run(start(folder, front))
        for has_int in True, False:
            wiring = "INT wired" if has_int else "no INT"
            progress(f"{front}, {wiring}")
            cycles, frames, size, heap = asyncio.run(echoes(image, front, has_int))
            name = front.replace("asynchronous", "asyncio")
            last = f"{ms:,.0f}" if has_int else ""
            lines.append(
                f"| {name} server, echo of {SIZE} B, {wiring} | {cycles:,.0f} | {frames:.1f} "
                f"| {size:,.0f} | {heap} | {last} |"
            )
    return "\n".join(lines)
