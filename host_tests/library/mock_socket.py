"""What a peer sends, as bytes, and a socket whose every read and write can be made to fail.

``Network`` takes the place of sockets, of ``poll()`` and of the library's clock, so that a test
decides when a call blocks, fails, or times out, and a wait that nothing could end raises ``Hang``.
"""

import base64
import errno
import hashlib
import itertools
import select
import socket
import struct
import types

from microws import _cpython, listener

KEY = b"\x12\xb4\x56\xf8"  # of every masked frame here
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload=b"", masked=False, fin=True, rsv=0):
    """A frame as RFC 6455 §5.2 has it, with the shortest length."""
    n = len(payload)
    first = bytes((0x80 * fin | rsv << 4 | opcode,))
    mask = 0x80 * masked
    if n < 126:
        first += struct.pack(">B", mask | n)
    elif n < 65536:
        first += struct.pack(">BH", mask | 126, n)
    else:
        first += struct.pack(">BQ", mask | 127, n)
    if masked:
        first += KEY
        payload = xor(payload, KEY)
    return first + payload


def close_frame(code, reason="", masked=False):
    return frame(CLOSE, struct.pack(">H", code) + reason.encode(), masked)


def xor(data, key):
    return bytes(byte ^ k for byte, k in zip(data, itertools.cycle(key), strict=False))


def frames(data):
    """All frames in ``data`` as ``(opcode, fin, payload)``, and whether they are masked.

    What is cut short or not as §5.2 wants it fails the test.
    """
    found = []
    masks = set()
    at = 0
    while at < len(data):
        byte0, byte1 = data[at : at + 2]
        assert not byte0 & 0x70
        at += 2
        n = byte1 & 0x7F
        if n > 125:
            size = 2 if n == 126 else 8
            n = int.from_bytes(data[at : at + size], "big")
            assert n > (125 if size == 2 else 65535)
            at += size
        masks.add(byte1 >> 7)
        key = bytes(4)
        if byte1 & 0x80:
            key = data[at : at + 4]
            at += 4
        payload = data[at : at + n]
        assert len(payload) == n, "cut short"
        found.append((byte0 & 15, byte0 >> 7, xor(payload, key)))
        at += n
    assert len(masks) < 2, "both masked and not"
    return found, masks == {1}


def request(*lines):
    """A client's opening handshake."""
    return "\r\n".join(
        (
            "GET /path HTTP/1.1",
            "Host: here",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *lines,
            "\r\n",
        )
    ).encode()


def response(asked):
    """A server's answer to the request ``asked``."""
    key = asked.partition(b"Sec-WebSocket-Key: ")[2][:24]
    accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n"
    )


class Hang(BaseException):
    """The code under test would wait, or go on, for ever. No code catches it by mistake."""


class MockSocket:
    """A connected, non-blocking socket as CPython's.

    ``peer(sock)`` is called after each write and may append to ``sock.incoming`` (bytes, or None
    for the end of the stream). ``step`` bounds what one read or write moves. ``faults`` maps the
    number of a call of ``recv_into`` or ``send``, counted from 0, to an ``errno`` for that call
    and, but for EAGAIN, all after it; or to 0 for the end of the stream.
    """

    def __init__(self, network, peer=None, incoming=b"", step=1 << 30, faults=()):
        self.network = network
        self.peer = peer
        self.incoming = bytearray(incoming)
        self.ended = False
        self.step = step
        self.faults = dict(faults)
        self.calls = 0
        self.ends_read = 0
        self.written = bytearray()
        self.closed = False
        self.broken = None

    # What a test's peer does

    def say(self, data):
        assert not self.ended
        self.incoming += data

    def end(self):
        self.ended = True

    # What the library calls

    def _call(self):
        assert not self.closed, "used after close()"
        self.network.tick()
        fault = self.faults.get(self.calls)
        self.calls += 1
        if fault == 0:
            self.ended = True
            self.incoming.clear()
        elif fault == errno.EAGAIN:
            raise BlockingIOError(fault, "fault")
        elif fault is not None:
            self.broken = fault
        if self.broken is not None:
            raise OSError(self.broken, "fault")  # Python chooses the subclass by the number

    def recv_into(self, buffer, n):
        self._call()
        assert 0 < n <= len(buffer)
        n = min(n, self.step, len(self.incoming))
        if n == 0 and not self.ended:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        memoryview(buffer)[:n] = self.incoming[:n]
        del self.incoming[:n]
        if n == 0:
            # Once to learn of it, and once more by whoever waits for the peer to hang up.
            self.ends_read += 1
            assert self.ends_read < 3, "reads on after the end of the stream"
        return n

    def send(self, data):
        self._call()
        assert len(data) > 0
        n = min(len(data), self.step)
        self.written += data[:n]
        if self.peer:
            self.peer(self)
        return n

    def setblocking(self, flag):
        assert flag is False

    def setsockopt(self, level, option, value):
        pass

    def getsockopt(self, level, option):
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        return 0

    def connect(self, address):
        self.network.connected.append(address)
        raise BlockingIOError(errno.EINPROGRESS, "in progress")

    def fileno(self):
        return 99

    def close(self):
        self.closed = True

    def ready(self, direction):
        if direction == select.POLLOUT:
            return True
        return bool(self.incoming) or self.ended or self.broken is not None


class MockListener:
    """A listening socket that gives ``clients``, in turn, or raises those that are errors."""

    def __init__(self, clients):
        self.clients = list(clients)
        self.closed = False

    def setsockopt(self, level, option, value):
        pass

    def bind(self, address):
        self.address = address

    def listen(self, backlog):
        pass

    def setblocking(self, flag):
        assert flag is False

    def getsockname(self):
        return self.address[0], self.address[1] or 54321

    def accept(self):
        client = self.clients.pop(0)
        if isinstance(client, OSError):
            raise client
        return client, ("192.0.2.7", 50000)

    def close(self):
        self.closed = True

    def ready(self, direction):
        return bool(self.clients)


class _Poller:
    def __init__(self, network):
        self._network = network
        self._watched = None

    def register(self, sock, direction):
        self._watched = getattr(sock, "socket", sock), direction

    def poll(self, timeout_ms):
        sock, direction = self._watched
        self._network.tick()
        if sock.ready(direction):
            return [(99, direction)]
        if timeout_ms < 0:
            raise Hang("waits for what never comes")
        self._network.clock += timeout_ms
        return []


class Network:
    """Puts itself in the place of sockets, poll and clock; ``sockets`` are made in that order.

    Each call takes a millisecond of its clock, and ``patience`` calls are all a test has.
    """

    def __init__(self, monkeypatch, addresses=1):
        self.sockets = []
        self.connected = []
        self.clock = 0
        self.patience = 20000
        clock = types.SimpleNamespace(monotonic=lambda: self.clock / 1000)
        monkeypatch.setattr(_cpython, "time", clock)
        monkeypatch.setattr(listener, "sleep", self.sleep)
        monkeypatch.setattr(select, "poll", lambda: _Poller(self))
        monkeypatch.setattr(socket, "socket", lambda *args: self.sockets.pop(0))
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *asked: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", asked[:2])] * addresses,
        )

    def sleep(self, seconds):
        self.tick()
        self.clock += int(seconds * 1000)

    def tick(self):
        self.clock += 1
        self.patience -= 1
        if self.patience < 0:
            raise Hang("goes on and on")
