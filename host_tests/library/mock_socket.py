"""A socket whose every read and write can be made to fail.

``Network`` takes the place of sockets, of ``poll()``, of asyncio's selector and of the clock, so
that a test decides when a call blocks, fails, or times out, and a wait that nothing could end
raises ``Hang``. Its ``connect()`` and ``listen()`` are those of either front, and what they give
is used as the blocking front is: where it is asyncio's, each call runs the event loop to its end.
"""

import asyncio
import contextlib
import errno
import math
import select
import selectors
import socket
import types
import weakref

import microws
from microws import _cpython, aio, listener


class Hang(BaseException):
    """The code under test would wait, or go on, for ever. No code catches it by mistake."""


_numbered = weakref.WeakValueDictionary()


class _Numbered:
    """Something with a number, which is no open file's."""

    def fileno(self):
        number = id(self)
        _numbered[number] = self
        return number


class MockSocket(_Numbered):
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
        self.full = False  # whether writes block
        self.step = step
        self.faults = dict(faults)
        self.calls = 0
        self.ends_read = 0
        self.written = bytearray()
        self.options = {}
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
        if self.full:
            raise BlockingIOError(errno.EAGAIN, "the peer takes nothing")
        n = min(len(data), self.step)
        self.written += data[:n]
        if self.peer:
            self.peer(self)
        return n

    def setblocking(self, flag):
        assert flag is False

    def setsockopt(self, level, option, value):
        assert not self.written, "too late"
        self.options[level, option] = value

    def getsockopt(self, level, option):
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        return 0

    def connect(self, address):
        self.network.connected.append(address)
        raise BlockingIOError(errno.EINPROGRESS, "in progress")

    def close(self):
        self.closed = True

    def ready(self, direction):
        if direction == select.POLLOUT:
            return not self.full
        return bool(self.incoming) or self.ended or self.broken is not None


class MockListener(_Numbered):
    """A listening socket that gives ``clients``, in turn, or raises those that are errors."""

    def __init__(self, clients):
        self.clients = list(clients)
        self.options = {}
        self.closed = False

    def setsockopt(self, level, option, value):
        assert not hasattr(self, "address"), "too late"
        self.options[level, option] = value

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


class _Selector(selectors.BaseSelector):
    """What asyncio's event loop waits with."""

    def __init__(self, network):
        self._network = network
        self._keys = {}

    def register(self, fileobj, events, data=None):
        self._keys[fileobj] = key = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj):
        return self._keys.pop(fileobj)

    def get_map(self):
        return self._keys

    def select(self, timeout=None):
        self._network.tick()
        if timeout is not None and timeout <= 0:
            return []  # tasks are ready: what the peer does can wait until none is
        found = []
        for key in self._keys.values():
            sock = _numbered.get(key.fd)
            if sock is None:
                continue  # the loop's own, to be woken by signals
            assert not sock.closed, "waited for after close()"
            ready = 0
            if key.events & selectors.EVENT_READ and sock.ready(select.POLLIN):
                ready |= selectors.EVENT_READ
            if key.events & selectors.EVENT_WRITE and sock.ready(select.POLLOUT):
                ready |= selectors.EVENT_WRITE
            if ready:
                found.append((key, ready))
        if not found:
            if timeout is None:
                raise Hang("waits for what never comes")
            self._network.clock += math.ceil(timeout * 1000)
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, network):
        self._network = network
        super().__init__(_Selector(network))

    def time(self):
        return self._network.clock / 1000


class _Blocking:
    """The blocking front."""

    connect = staticmethod(microws.connect)
    listen = staticmethod(microws.listen)

    def __init__(self, network):
        pass

    def run(self, function):
        return function()

    def end(self):
        pass


class _Asyncio:
    """The asyncio front, as if it blocked."""

    def __init__(self, network):
        self._loop = _Loop(network)
        self._ends = []

    def run(self, function, *args):
        """What ``function``, asynchronous, gives once it is done."""

        async def call():
            return await function(*args)

        return self._loop.run_until_complete(call())

    def connect(self, url, **options):
        # Without keepalive, a wait that nothing ends is one.
        options.setdefault("keepalive_timeout", None)
        return _Connection(self, self.run(lambda: aio.connect(url, **options)))

    def listen(self, host, port, **options):
        options.setdefault("keepalive_timeout", None)
        server = _Server(self, host, port, options)
        self._ends.append(server.leave)
        return server

    def end(self):
        """Let go of what still runs."""
        for leave in self._ends:
            leave()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(Hang):
            self.run(lambda: asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()


class _Connection:
    """An asyncio connection with the face of a blocking one."""

    def __init__(self, front, ws):
        self._front = front
        self._ws = ws

    def __getattr__(self, name):
        found = getattr(self._ws, name)
        if name not in ("close", "ping", "recv", "recv_into", "send"):
            return found
        return lambda *args: self._front.run(found, *args)

    def recv_streaming(self, buffer=None):
        pieces = self._ws.recv_streaming(buffer)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self._front.run(pieces.__anext__)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._front.run(self._ws.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class _Server:
    """An asyncio server with the face of a blocking listener."""

    def __init__(self, front, host, port, options):
        self._front = front
        self._came = asyncio.Queue()
        self._left = asyncio.Event()
        self.server = front.run(lambda: aio.serve(self._handle, host, port, **options))
        self.port = self.server.port

    async def _handle(self, ws):
        self._came.put_nowait(ws)
        await self._left.wait()

    def accept(self, timeout=None):
        try:
            ws = self._front.run(asyncio.wait_for, self._came.get(), timeout)
        except TimeoutError:
            raise microws.Timeout("no client") from None
        return _Connection(self._front, ws)

    def leave(self):
        """Have the handlers return."""
        self._left.set()


FRONTS = {"blocking": _Blocking, "asyncio": _Asyncio}


class Network:
    """Puts itself in the place of sockets, waits and clock; ``sockets`` are made in that order.

    Each call takes a millisecond of its clock, and ``patience`` calls are all a test has.
    ``end()`` when it is done.
    """

    def __init__(self, monkeypatch, front="blocking"):
        self.sockets = []
        self.connected = []
        self.addresses = 1  # that a name has
        self.clock = 0
        self.patience = 20000
        self._front = FRONTS[front](self)  # before it has no real sockets any more
        self.connect = self._front.connect
        self.listen = self._front.listen
        self.run = self._front.run
        self.end = self._front.end
        clock = types.SimpleNamespace(monotonic=lambda: self.clock / 1000)
        monkeypatch.setattr(_cpython, "time", clock)
        monkeypatch.setattr(listener, "sleep", self.sleep)
        monkeypatch.setattr(select, "poll", lambda: _Poller(self))
        monkeypatch.setattr(socket, "socket", lambda *args: self.sockets.pop(0))
        monkeypatch.setattr(socket, "getaddrinfo", self.resolve)

    def resolve(self, host, port, *hints):
        assert hints == (0, socket.SOCK_STREAM)
        family = socket.AF_INET, socket.SOCK_STREAM, 6, ""
        return [(*family, (host, port))] * self.addresses

    def sleep(self, seconds):
        self.tick()
        self.clock += int(seconds * 1000)

    def tick(self):
        self.clock += 1
        self.patience -= 1
        if self.patience < 0:
            raise Hang("goes on and on")
