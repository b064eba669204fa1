"""A socket whose every read and write can be made to fail.

``Network`` takes the place of sockets, of ``poll()`` and of the library's clock, so that a test
decides when a call blocks, fails, or times out, and a wait that nothing could end raises ``Hang``.
"""

import errno
import select
import socket
import types

from microws import _cpython, listener


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
        direction &= select.POLLIN | select.POLLOUT
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
