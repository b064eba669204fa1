"""Ctrl-C, wherever it strikes: the connection is over with 1006, and no peer is accused of it."""

import contextlib
import errno
import itertools
import os
import random
import signal
import socket
import sys
import threading
import time

import microws
import pytest
from microws import blocking, core, loops
from microws.errors import ConnectionClosed

from host_tests.library.endpoints import PROGRAMS
from host_tests.library.mock_socket import MockListener, MockSocket, Network
from host_tests.library.test_fronts import Peer
from host_tests.support.interpreters import PATIENCE, Interpreter
from host_tests.support.ports import free_port
from host_tests.support.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
    frames,
    request,
    xor,
)

SIDES = pytest.mark.parametrize("side", ["client", "server"])
BIG = bytes(range(256)) * 3


class Struck(MockSocket):
    """One of whose calls, a wait among them, is struck by Ctrl-C: before it, or after it."""

    strike = None  # the number of the call
    after = False
    struck = ""  # the call
    number = 0

    def _strike(self, name, call, *args):
        mine = self.number == self.strike
        self.number += 1
        if mine:
            self.struck = name
            if not self.after:
                raise KeyboardInterrupt
        try:
            return call(*args)
        finally:
            if mine:
                raise KeyboardInterrupt

    def recv_into(self, buffer, n):
        return self._strike("read", super().recv_into, buffer, n)

    def send(self, data):
        return self._strike("write", super().send, data)

    def ready(self, direction):
        return self._strike("wait", super().ready, direction)


def messages(masked):
    return b"".join(
        (
            frame(TEXT, b"greeting", masked),
            frame(PING, b"p", masked),
            frame(TEXT, "é".encode()[:1], masked, False),
            frame(0, "é€".encode()[1:], masked),
            frame(BINARY, BIG, masked),
        )
    )


def opened(network, side, step):
    # Every other call finds the network busy, and so goes to a wait.
    faults = dict.fromkeys(range(0, 4000, 2), errno.EAGAIN)
    sock = Struck(network, Peer(side), b"", step, faults)
    sock.peer.data = messages(side == "server")
    if side == "client":
        network.sockets.append(sock)
        return microws.connect("ws://192.0.2.1/"), sock
    sock.incoming += request()
    network.sockets.append(MockListener([sock]))
    return microws.listen("0.0.0.0", 0).accept(), sock


def talk(ws):
    """What a program does when Ctrl-C strikes; the messages that came."""
    got = []
    got.append(ws.recv())
    ws.send("text é")
    got.append(ws.recv())
    buffer = bytearray(1000)
    got.append(bytes(buffer[: ws.recv_into(buffer)]))
    ws.send(BIG)
    ws.ping(b"mine")
    return got


SENT = [
    (TEXT, 1, "text é".encode()),
    (BINARY, 1, BIG),
    (PING, 1, b"mine"),
]


def sent_by(sock):
    """The frames that went out, and the beginning of one that is cut short."""
    return whole_frames(bytes(sock.written[sock.peer.head :]))


def whole_frames(data):
    for end in range(len(data), -1, -1):
        try:
            return frames(data[:end])[0], data[end:]
        except (AssertionError, ValueError):
            pass  # cut short
    raise AssertionError


def check_sent(sock):
    """All that went out is what ``talk`` sent, as far as it went, and at most a Close of 1001."""
    found, rest = sent_by(sock)
    if found and found[-1][0] == CLOSE:
        assert rest == b""
        assert found.pop()[2] == b"\x03\xe9"
    found = [f for f in found if f[0] != PONG]
    assert found == SENT[: len(found)]
    if len(rest) > 1:
        # Nothing may stand within it.
        size = 2 if rest[1] & 0x7F < 126 else 4
        key = bytes(4)
        if rest[1] & 0x80:
            key = rest[size : size + 4]
            size += 4
        begun = xor(rest[size:], key or bytes(4))
        opcode, _, payload = (PONG, 1, b"p") if rest[0] & 15 == PONG else SENT[len(found)]
        assert rest[0] == 0x80 | opcode
        assert payload.startswith(begun)


@SIDES
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [40, 1 << 30])
def test_it_strikes_a_call_of_the_socket(monkeypatch, side, step, after):
    struck = set()
    for at in itertools.count():
        network = Network(monkeypatch)
        ws, sock = opened(network, side, step)
        sock.after = after
        sock.strike = sock.number + at
        try:
            talk(ws)
        except KeyboardInterrupt:
            pass
        else:
            break
        assert ws.close_code == 1006
        for use, *args in ((ws.recv,), (ws.ping,), (ws.send, "x"), (ws.recv_into, bytearray(9))):
            with pytest.raises(ConnectionClosed) as caught:
                use(*args)
            assert (caught.value.code, caught.value.reason) == (1006, "")
        start = network.clock
        ws.close(1001)
        assert sock.closed
        # Where no Close could go, none is waited for.
        assert sock.struck != "write" or network.clock - start < 100  # by the mock's clock
        check_sent(sock)
        # What was struck while it sent a frame says no more, lest a Close stand within it.
        assert (sent_by(sock)[0][-1:] == [(CLOSE, 1, b"\x03\xe9")]) == (sock.struck != "write")
        struck.add(sock.struck)
    assert struck == {"read", "write", "wait"}


@SIDES
def test_it_strikes_between_two_lines(monkeypatch, side):
    """Here it need not end the connection; but nothing is damaged, and nobody accused."""
    files = {module.__file__ for module in (blocking, core, loops)}
    ended = 0
    for at in itertools.count():
        network = Network(monkeypatch)
        ws, sock = opened(network, side, 200)
        left = at
        line = None

        def trace(frame, event, _):
            nonlocal left, line
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                if left == 0:
                    sys.settrace(None)
                    left = -1
                    line = frame.f_code.co_name, frame.f_lineno
                    raise KeyboardInterrupt
                left -= 1
            return trace

        before = sys.gettrace()  # what measures the coverage
        try:
            sys.settrace(trace)
            talk(ws)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.settrace(before)
        rest = [b"greeting", "é€".encode(), BIG]
        try:
            for _ in range(4):
                message = ws.recv(1)
                message = message.encode() if isinstance(message, str) else message
                assert message in rest, line
                del rest[: rest.index(message) + 1]
        except (ConnectionClosed, microws.Timeout) as error:
            assert error.errno if isinstance(error, OSError) else error.code == 1006, line  # noqa: PT017
            ended += isinstance(error, ConnectionClosed)
        ws.close(1001)
        assert sock.closed, line
        check_sent(sock)
    assert at > 100
    assert ended > 50


# On MicroPython, where it leaps out of whatever runs

FLOOD = b"".join(
    (
        frame(TEXT, "aé€😀 ".encode() * 20, True),
        frame(BINARY, bytes(range(256)), True),
        frame(TEXT, "é".encode()[:1], True, False),
        frame(PING, b"p", True),
        frame(0, "é€".encode()[1:], True),
        frame(BINARY, b"short", True),
    )
)
ENDED = "ConnectionClosed(1006)"
CLOSED = close_frame(1001)


def flood(sock, over):
    with contextlib.suppress(OSError):
        while not over.is_set():
            sock.sendall(FLOOD * 20)


def heard(sock):
    """All that the program sends until it ends the connection, or closes it."""
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while not data.endswith(CLOSED) and (part := sock.recv(65536)):
            data += part
    return data


def ending(data):
    """The last frames in ``data``, of which it has many."""
    at = 0
    while at + 4 <= len(data):
        begin = at
        size = data[at + 1]
        at += 2
        if size == 126:
            size = data[at] << 8 | data[at + 1]
            at += 2
        at += size
    return data[begin:]


@pytest.mark.parametrize("name", ["micropython64", "micropython32"])
def test_it_strikes_under_a_flood(start, name):
    port = free_port()
    interpreter = Interpreter(name, "-X", "heapsize=16m")
    process = start(interpreter.command(PROGRAMS / "interrupted.py", port))
    process.wait_for("listening")
    chance = random.Random(13)
    closed = ended = 0
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(request())
            over = threading.Event()
            flooding = threading.Thread(target=flood, args=(sock, over))
            flooding.start()
            process.wait_for("open")
            time.sleep(chance.random() * 0.03)  # anywhere
            os.kill(process.pid, signal.SIGINT)
            data = heard(sock)
            over.set()
            flooding.join()
        struck = process.wait_for("")
        # Where it strikes between two calls of the library, nothing has happened.
        assert struck in (f"struck {ENDED} {ENDED} 1006", "struck nothing nothing None")
        ended += ENDED in struck
        assert process.wait_for("") == "closed"
        head, _, data = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        last = ending(data)
        if last[:1] == CLOSED[:1]:
            assert last == CLOSED  # and no other: the peer has done nothing wrong
            closed += 1
    assert ended > 30
    assert closed > 10
