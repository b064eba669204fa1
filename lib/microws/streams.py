"""A connection as a stream of bytes, for a protocol on top of it, as MQTT is.

Bytes go in binary messages, small writes gathered, and come in binary messages, wherever these
begin and end. ``ws.stream()`` makes one. Errors are ``OSError``, as those of sockets.
"""

import io
from errno import ECONNRESET, EINVAL

from .compat import const
from .core import READ, WRITE
from .errors import ConnectionClosed, Timeout, WebSocketError

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from ._types import Readable, Writable
    from .aio_connection import WebSocket as AsyncWebSocket
    from .blocking import WebSocket

_POLL = const(3)  # requests of ioctl(), as in MicroPython's py/stream.h
_CLOSE = const(4)
_HUNG_UP = const(16)


class Incoming:
    """What has come and is not read yet."""

    def __init__(self) -> None:
        self._came = b""
        self._at = 0  # what of it is read
        self._ended = False

    def _put(self, message: "str | bytes") -> None:
        if isinstance(message, str):
            raise WebSocketError("text in a stream of bytes")
        self._came = self._came[self._at :] + message if self._left() else message
        self._at = 0

    def _left(self) -> int:
        return len(self._came) - self._at

    def _take(self, n: int) -> bytes:
        data = self._came[self._at : self._at + n] if n >= 0 else self._came[self._at :]
        self._at += len(data)
        return data

    def _end(self, error: WebSocketError) -> None:
        """Note the end; ``OSError`` where it was no clean one."""
        if isinstance(error, ConnectionClosed) and error.code in (1000, 1001, 1005):
            self._ended = True
        else:
            raise reset(error)


def reset(error: WebSocketError) -> OSError:
    return OSError(ECONNRESET, str(error))


class Stream(io.IOBase, Incoming):  # MicroPython looks in the first for what poll() needs
    """The blocking front's; it has the methods that MicroPython's sockets have, and poll().

    At most ``buffer_size`` bytes of small writes are gathered. They go, as one message, when
    there is no room for more, with ``flush()``, and before anything is waited for: by a read or
    poll(). A program that writes and then reads nothing for long calls ``flush()``.
    """

    def __init__(self, ws: "WebSocket", buffer_size: int) -> None:
        Incoming.__init__(self)
        self._ws = ws
        self._out = bytearray(buffer_size)
        self._used = 0
        self._timeout: float | None = None

    def settimeout(self, timeout: "float | None") -> None:
        """A read that waits longer raises ``Timeout``; 0 is as ``setblocking(False)``."""
        self._timeout = timeout

    def setblocking(self, flag: bool) -> None:
        """Without blocking, a read gives None where nothing has come."""
        self._timeout = None if flag else 0

    def _wait(self, n: int, timeout: "float | None") -> None:
        """Have ``n`` bytes, or the end; ``Timeout`` keeps what came."""
        while self._left() < n and not self._ended:
            self.flush()
            try:
                self._put(self._ws.recv(timeout))
            except WebSocketError as error:
                if not isinstance(error, ConnectionClosed):
                    self._ws.close(1003)
                self._end(error)

    def read(self, n: int = -1) -> "bytes | None":
        """``n`` bytes, less at the end; all up to the end without ``n``."""
        try:
            self._wait(n if n >= 0 else 1 << 29, self._timeout)
        except Timeout:
            if self._timeout != 0:
                raise
            if n and not self._left():
                return None
        return self._take(n)

    def readinto(self, buffer: "Writable", n: "int | None" = None) -> "int | None":
        """Put what is there, at least a byte and at most ``n``, into ``buffer``; 0 at the end."""
        try:
            self._wait(1, self._timeout)
        except Timeout:
            if self._timeout != 0:
                raise
            return None
        data = self._take(len(buffer) if n is None else min(n, len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: "str | Readable", *part: int) -> int:
        """Write ``data``, or ``n`` bytes of it, from its start or from ``at`` on: ``data, at, n``.

        Gives their number.
        """
        piece = memoryview(data.encode() if isinstance(data, str) else data)
        if part:
            at = part[0] if len(part) > 1 else 0
            piece = piece[at : at + part[-1]]
        n = len(piece)
        if self._used + n > len(self._out):
            self.flush()
        if n > len(self._out):
            self._send(piece)
        else:
            self._out[self._used : self._used + n] = piece
            self._used += n
        return n

    def flush(self) -> None:
        """Send what is gathered."""
        n = self._used
        if n:
            self._used = 0
            self._send(memoryview(self._out)[:n])

    def _send(self, data: memoryview) -> None:
        try:
            self._ws.send(data)
        except WebSocketError as error:
            raise reset(error)

    def close(self) -> None:
        """Send what is gathered, and close the connection."""
        try:
            self.flush()
        except OSError:
            pass
        self._ws.close()

    def ioctl(self, request: int, arg: int) -> int:
        """What ``select.poll()`` of MicroPython asks of an object."""
        if request == _POLL:
            ready = arg & WRITE
            try:
                if arg & READ:
                    self._wait(1, 0)
                    ready |= READ
            except Timeout:
                pass
            except OSError:
                ready |= _HUNG_UP
            return ready
        if request == _CLOSE:
            self.close()
            return 0
        return -EINVAL


class AsyncStream(Incoming):
    """That of asyncio, with the methods of MicroPython's ``asyncio.Stream``.

    What is written is gathered, and goes as one message by ``drain()`` or before a read waits.
    """

    def __init__(self, ws: "AsyncWebSocket") -> None:
        super().__init__()
        self._ws = ws
        self._out = bytearray()

    async def _wait(self, n: int) -> None:
        while self._left() < n and not self._ended:
            await self.drain()
            try:
                self._put(await self._ws.recv())
            except WebSocketError as error:
                if not isinstance(error, ConnectionClosed):
                    await self._ws.close(1003)
                self._end(error)

    async def read(self, n: int = -1) -> bytes:
        """At least a byte and at most ``n``; all up to the end without ``n``; b"" at the end."""
        await self._wait(min(n, 1) if n >= 0 else 1 << 29)
        return self._take(n)

    async def readinto(self, buffer: "Writable") -> int:
        """Put what is there, at least a byte, into ``buffer``; 0 at the end."""
        data = await self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    async def readexactly(self, n: int) -> bytes:
        """``n`` bytes; ``EOFError`` where the end comes before. Cancelled, it loses nothing."""
        await self._wait(n)
        if self._left() < n:
            raise EOFError
        return self._take(n)

    async def readline(self) -> bytes:
        """A line with its end; less at the end of all."""
        while True:
            at = self._came.find(b"\n", self._at)
            if at >= 0 or self._ended:
                return self._take(at + 1 - self._at if at >= 0 else -1)
            await self._wait(self._left() + 1)

    def write(self, data: "Readable") -> None:
        """Gather ``data``, to be sent by ``drain()``."""
        self._out += data

    async def drain(self) -> None:
        """Send what is gathered."""
        out = self._out
        if out:
            self._out = bytearray()
            try:
                await self._ws.send(out)
            except WebSocketError as error:
                raise reset(error)

    def close(self) -> None:
        """Nothing yet: see ``wait_closed()``."""

    async def wait_closed(self) -> None:
        """Send what is gathered, and close the connection."""
        try:
            await self.drain()
        except OSError:
            pass
        await self._ws.close()
