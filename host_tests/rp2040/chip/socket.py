"""Sockets in memory, for a chip whose firmware has none: ``connect()`` reaches who listens here.

They behave as MicroPython's: ``readinto()`` and ``write()`` give None where they would block, and
whoever closes with bytes unread resets the other end. Where a poll finds nothing, ``idle()`` is
called if it is set, so that a program of blocking calls can play both ends. To measure one end
alone, feed its socket: then all that happens here is C and machine code, and allocates nothing.
"""

import io
from errno import ECONNREFUSED, ECONNRESET

import micropython
from micropython import const

AF_INET = 2
SOCK_STREAM = 1
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 4

SIZE = 2048  # bytes under way to an end, as in a W5500

_POLL = const(3)  # a request to ioctl(), and its flags
_IN = const(1)
_OUT = const(4)

idle = None
_listening = {}


def getaddrinfo(host, port, family=0, kind=0, protocol=0, flags=0):
    return [(AF_INET, SOCK_STREAM, 0, "", (host, port))]


@micropython.viper
def _copy(target: ptr8, at: int, source: ptr8, start: int, n: int):  # noqa: F821
    for i in range(n):
        target[at + i] = source[start + i]


class socket(io.IOBase):
    _port = None
    _waiting = ()  # those who connected and are not accepted yet
    _peer = None
    _ended = False  # the other end sends nothing more
    _broken = False
    _closed = False
    _fed: tuple = ()  # what stands in for its methods: see feed()

    def __init__(self, *kind):
        self._buffer = b""
        self._start = self._end = 0  # what was not read yet

    def setblocking(self, flag):
        pass

    def setsockopt(self, *option):
        pass

    def bind(self, address):
        self._port = address[1]

    def listen(self, backlog=0):
        waiting = self._waiting = []
        _listening[self._port] = self

        # Cheap, as a server looks here each time that it waits for a client.
        @micropython.native
        def ioctl(request, flags):
            if request == _POLL and not waiting and idle:
                wait()
            return flags & _IN if waiting else 0

        self.ioctl = ioctl

    def connect(self, address):
        if address[1] not in _listening:
            raise OSError(ECONNREFUSED)
        other = socket()
        self._pair(other)
        other._pair(self)
        _listening[address[1]]._waiting.append(other)

    def _pair(self, peer):
        self._peer = peer
        self._buffer = bytearray(SIZE)

    def accept(self):
        return self._waiting.pop(0), ("10.0.0.1", 50000)

    def feed(self, data, endless=False):
        """Cut it from its other end: from now on ``data`` can be read after each write.

        If ``endless``, it can be read again and again. What is written goes nowhere. An
        ``end_feed()`` ends the stream.
        """
        if not self._fed:
            self.cut()
            self._become_fed()
        self._refill(data, endless)

    def _become_fed(self):
        stream = None
        size = left = 0
        endless = ended = False
        # Functions in place of methods, for a name of theirs is found at once.

        @micropython.native
        def readinto(buffer, n=-1):
            nonlocal left
            if left == 0:
                if ended:
                    return 0
                if not endless:
                    return None
                stream.seek(0)
                left = size
            n = stream.readinto(buffer, n) if n >= 0 else stream.readinto(buffer)
            left -= n
            return n

        @micropython.native
        def write(data, at=0, n=-1):
            nonlocal left
            if left != size and not endless:
                stream.seek(0)
                left = size
            return n if n >= 0 else len(data) - at

        @micropython.native
        def ioctl(request, flags):
            if request != _POLL:
                return 0
            return flags & (_IN | _OUT if left or endless or ended else _OUT)

        def refill(data, again):
            nonlocal stream, size, left, endless
            stream = io.BytesIO(data)
            size = left = len(data)
            endless = again

        def end_feed():
            nonlocal size, left, endless, ended
            size = left = 0
            endless = False
            ended = True

        self.readinto = readinto
        self.write = write
        self.ioctl = ioctl
        self._refill = refill
        self.end_feed = end_feed
        self._fed = (readinto, write)  # for a library that has kept the methods

    def cut(self):
        """Let go what it has of its other end; the memory goes as well."""
        self._peer = None
        self._buffer = b""
        self._start = self._end = 0

    def readinto(self, buffer, n=-1):
        if self._fed:
            return self._fed[0](buffer, n)
        left = self._end - self._start
        if not left:
            if self._broken:
                raise OSError(ECONNRESET)
            return 0 if self._ended else None
        if n < 0:
            n = len(buffer)
        n = min(n, left)
        _copy(buffer, 0, self._buffer, self._start, n)
        self._start += n
        return n

    def read(self, n=-1):
        data = bytearray(SIZE if n < 0 else n)
        count = self.readinto(data)
        return count if count is None else bytes(data[:count])

    recv = read

    def write(self, data, at=0, n=-1):
        if self._fed:
            return self._fed[1](data, at, n)
        peer = self._peer
        if self._broken or peer is None or peer._closed:
            raise OSError(ECONNRESET)
        if peer._start == peer._end:
            peer._start = peer._end = 0
        if n < 0:
            n = len(data) - at
        n = min(n, SIZE - peer._end)
        if not n:
            return None
        _copy(peer._buffer, peer._end, data, at, n)
        peer._end += n
        return n

    send = write

    def ioctl(self, request, flags):
        if request != _POLL:
            return 0
        ready = self._ready() & flags
        if not ready and idle:
            wait()
            ready = self._ready() & flags
        return ready

    def _ready(self):
        ready = 0
        if self._waiting or self._start < self._end or self._ended or self._broken:
            ready = _IN
        peer = self._peer
        if peer is None or peer._closed or peer._end < SIZE or peer._start == peer._end:
            ready |= _OUT
        return ready

    def close(self):
        if self._closed:
            return
        self._closed = True
        if self._peer:
            self._peer._ended = True
            self._peer._broken = self._start < self._end
        if self._waiting != ():
            del _listening[self._port]


def wait():
    """Let the other end go on."""
    global idle
    other, idle = idle, None  # what it waits for itself, nobody else can bring
    try:
        other()
    finally:
        idle = other
