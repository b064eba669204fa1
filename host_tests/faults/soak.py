"""Both roles for as long as wanted, with faults at random: nothing is lost, and nothing piles up.

The peer numbers its messages, and a Pong that answers the Ping after one acknowledges it: the
board had taken the message before it saw that Ping.
"""

import collections
import random
import re
import signal
import time

from host_tests.faults.network_faults import ALLOWED
from host_tests.faults.rig import Differs
from host_tests.support.wire import TEXT, switching_protocols

WARM = 60  # seconds: what is there then must be there at the end
HEAP = 0.01  # by which the heap may differ
KEEPALIVE = 3  # seconds
LATEST = 10  # values that are on their way to a client at a time: those of a second
PROBES = 3
PROBE = r"^probe (\d+)"
TOO_MANY = r"received (\d+) more messages, too many to show"  # in one second, for the log


class Soak:
    """One role, and what becomes of it."""

    def __init__(self, scene, seed):
        self.random = random.Random(f"{scene.role} {seed}")
        self.scene = scene
        scene.keepalive = KEEPALIVE
        self.listener = scene.listen() if scene.role == "client" else None
        self.sockets = 1 if scene.role == "client" else 2  # of the board with one connection
        self.wire = None
        self.number = 0
        self.acknowledged = set()
        self.faults = collections.Counter()
        self._last_sample = 0
        kinds = (CLIENT if scene.role == "client" else SERVER) + BOTH
        self._kinds = self.random.sample(kinds, len(kinds))  # each once, then at random

    def run(self, seconds):
        """Live for so long; what came of it in words."""
        began = time.monotonic()
        scene = self.scene
        scene.power_on(probe=10, hurry=True)
        for kind in self._kinds:
            self._play(kind)
        while time.monotonic() - began < min(WARM, seconds / 10):
            self._play(self.random.choice(self._kinds))
        before = self._measure()
        while time.monotonic() - began < seconds:
            self._play(self.random.choice(self._kinds))
        after = self._measure()
        self._check_messages()
        self._check(before, after)
        return (
            f"{sum(self.faults.values())} faults, {len(self.acknowledged)} messages acknowledged, "
            f"each arrived once; heap {before}, then {after} bytes"
        )

    def _play(self, kind):
        self.working()
        for _ in range(self.random.randint(1, 3)):
            self.exchange()
        self.faults[kind.__name__] += 1
        kind(self)

    # The connection

    def working(self):
        """A connection on which a message was acknowledged just now."""
        end = time.monotonic() + self.scene.patience
        while time.monotonic() < end:
            try:
                if self.wire is None:
                    self.wire = self.connect()
                self.exchange()
                return self.wire
            except (Differs, OSError):
                self.drop()
        raise Differs(f"no connection any more, after {dict(self.faults)}")

    def connect(self):
        if self.listener:
            return self.scene.accept(self.listener).accept()
        return self.scene.call()

    def drop(self):
        if self.wire:
            self.scene.forget(self.wire)
            samples = [self._last_sample, *self.wire.samples]
            if samples != sorted(set(samples)):
                raise Differs(f"values that came twice or too late: {samples}")
            self._last_sample = samples[-1]
            self.wire = None

    def exchange(self, pieces=1):
        """One message, in so many fragments, and its acknowledgement."""
        wire = self.wire
        self.number += 1
        text = f"m{self.number}." + "x" * self.random.choice((0, 10, 300))
        self.send_pieces(wire, text.encode(), pieces)
        number = str(self.number).encode()
        wire.ping(number)
        wire.until(lambda: number in wire.pongs, "an acknowledgement", 5)
        self.acknowledged.add(self.number)

    @staticmethod
    def send_pieces(wire, data, pieces):
        size = -(-len(data) // pieces)
        for i in range(pieces):
            piece = data[i * size : (i + 1) * size]
            wire.raw(wire.frame(0 if i else TEXT, piece, i == pieces - 1))

    # What is left at the end

    def _measure(self):
        """The board's heap with one fresh connection and nothing else."""
        self.drop()
        self.working()
        board = self.scene.board
        end = time.monotonic() + self.scene.patience
        # Of connections whose end the link swallowed, the board's keepalive has to find out.
        while board.sockets() != self.sockets:
            if time.monotonic() > end:
                raise Differs(f"{board.sockets()} sockets for one connection, {dict(self.faults)}")
            time.sleep(0.2)
            self.working()
        have = board.count(PROBE)
        board.until(lambda: board.count(PROBE) >= have + PROBES, "the board's heap")
        probes = [re.search(PROBE, line) for line in board.lines]
        return min([int(probe[1]) for probe in probes if probe][-PROBES:])

    def _check_messages(self):
        arrived = collections.Counter()
        only_counted = 0
        for line in self.scene.board.lines:
            if match := re.search(r"received m(\d+)\.", line):
                arrived[int(match[1])] += 1
            elif match := re.search(TOO_MANY, line):
                only_counted += int(match[1])
        lost = [number for number in self.acknowledged if not arrived[number]]
        twice = [number for number, count in arrived.items() if count > 1]
        if len(lost) > only_counted or twice:
            raise Differs(
                f"acknowledged and not on the log, which counts {only_counted} without showing "
                f"them: {lost}; arrived twice: {twice}"
            )

    def _check(self, before, after):
        board = self.scene.board
        if board.resets:
            raise Differs(f"the board was reset {board.resets} times")
        if abs(after - before) > HEAP * before:
            raise Differs(f"heap {before}, then {after} bytes, {dict(self.faults)}")


# --- faults --------------------------------------------------------------------------------------


def reset(soak):
    soak.wire.reset()


def hang_up(soak):
    soak.wire.hang_up()


def close(soak):
    soak.wire.close(soak.random.choice(ALLOWED))
    soak.wire.wait_end()


def half_a_frame(soak):
    frame = soak.wire.frame(TEXT, b"half a message, half a message")
    soak.wire.raw(frame[: soak.random.randint(1, len(frame) - 1)])
    soak.wire.reset()


def broken_rule(soak):
    wire = soak.wire
    frames = {
        1002: wire.frame(3, b"no such opcode"),
        1007: wire.frame(TEXT, b"\xff\xfe"),
        1009: wire.frame(TEXT, b"x" * 10000),
    }
    code = soak.random.choice(list(frames))
    wire.raw(frames[code])
    if wire.wait_end() not in (code, "reset"):
        raise Differs(f"{wire.end} where {code} is right")


def fragments(soak):
    soak.exchange(soak.random.randint(2, 9))


def pings(soak):
    for i in range(50):
        soak.wire.ping(b"flood %d" % i)
    soak.exchange()


def dropped_briefly(soak):
    soak.scene.link.drop()
    time.sleep(soak.random.uniform(0.1, 0.5))
    soak.scene.link.restore()


def dropped_for_long(soak):
    soak.scene.board.skip()
    soak.scene.link.drop()
    soak.scene.board.wait("closed with code 1006")
    soak.scene.link.restore()
    soak.drop()


def board_stands_still(soak):
    process = soak.scene.board.process
    process.send_signal(signal.SIGSTOP)
    time.sleep(soak.random.uniform(0.1, 1))
    process.send_signal(signal.SIGCONT)


def address_changes(soak):
    soak.scene.board.skip()
    soak.scene.board.lease("0.0.0.0")
    soak.scene.link.move()
    soak.scene.board.lease(soak.scene.link.there)
    soak.drop()
    if soak.listener is None:
        soak.scene.board.wait("listening on")


def no_server(soak):
    soak.scene.board.skip()
    soak.drop()
    soak.listener.close()
    soak.scene.board.wait("connection refused")
    soak.listener = soak.scene.listen()


def refused(soak):
    soak.drop()
    wire = soak.scene.accept(soak.listener)
    wire.head()
    answers = (b"HTTP/1.1 503 Busy\r\n\r\n", switching_protocols(b"A" * 27 + b"="), b"\0\1\2", b"")
    wire.raw(soak.random.choice(answers))
    soak.scene.forget(wire)


def no_client(soak):
    requests = (b"", b"GET", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"x" * 5000)
    for _ in range(3):
        wire = soak.scene.dial()
        wire.raw(soak.random.choice(requests))
        soak.scene.forget(wire)


def too_many(soak):
    wires = []
    for _ in range(10):
        wires.append(soak.scene.dial())
        wires[-1].raw(wires[-1].request(soak.scene.address[0]))
    answers = [answer(wire) for wire in wires]
    for wire in wires:
        soak.scene.forget(wire)
    if "503" not in answers or answers.count("101") > 8:
        raise Differs(f"{answers} for 10 clients")


def answer(wire):
    """The status that came; whoever reads it late may see the end of the connection first."""
    try:
        return wire.head().split()[1]
    except ConnectionResetError:
        return "reset"


def crowd(soak):
    """Every place is taken, and connections come that come to nothing."""
    scene = soak.scene
    clients = [soak.wire, *[scene.call() for _ in range(7)]]
    nothing = []
    for said in (b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n", b"", b"", b"", b""):
        nothing.append(scene.dial())
        nothing[-1].raw(said)
    scene.board.skip()
    for _ in range(soak.random.randint(10, 30)):
        number = int(scene.board.wait(r"sent pin0:(\d+) to 8 clients")[1])
        for wire in clients:
            if wire.samples and wire.samples[-1] < number - LATEST:
                raise Differs(f"{wire.samples[-1]} came last when the board sent {number}")
    for wire in nothing + clients[1:]:
        scene.forget(wire)


BOTH = (
    reset,
    hang_up,
    close,
    half_a_frame,
    broken_rule,
    fragments,
    pings,
    dropped_briefly,
    dropped_for_long,
    board_stands_still,
    address_changes,
)
CLIENT = (no_server, refused)
SERVER = (no_client, too_many, crowd)
