"""WebSocket over asyncio, for a program that does several things at a time."""

import asyncio

from ._compat import MICROPYTHON, READ, WRITE, const, ticks_diff, ticks_ms
from .errors import ConnectionClosed, Timeout, WebSocketError
from .handshake import ClientHandshake
from .protocol import NO_BUFFER, Protocol
from .transport import Connection, milliseconds, new_extension, pieces

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
    from typing import Any


# As in protocol.py: a board cannot import a private constant.
_CLOSING = const(2)
_ENDED = const(4)
_MESSAGE = const(1)
_NOTHING = const(0)
_OPEN = const(1)

# What _read() does with a message.
_TAKE = const(0)
_LEAVE = const(1)
_PIECE = const(2)

if MICROPYTHON:
    from asyncio import core  # type: ignore[attr-defined]

    _ONCE = (None,)  # awaited, it gives way once
    _RESERVE = const(256)
    _reserve: Any = bytearray(_RESERVE)

    def _is_queued(sock: "Any", i: int) -> bool:
        """Whether the queue took the socket although it ran out of memory.

        It may have left half an entry, at which the next poll would crash (a comment in
        extmod/modselect.c says so). Out of the reserve that one is made whole.
        """
        queue = core._io_queue
        if id(sock) not in queue.map:
            return False
        queue.poller.register(sock, WRITE if i else READ)
        core.cur_task.data = queue
        return True

    class Waiting:
        """Waiting for a socket; asyncio here has streams only, whose queue serves any socket.

        Cancelling a task that waits in one direction makes that queue forget the other one
        too (IOQueue.remove), and closing a socket wakes nobody: then the other task is cancelled
        and, as it finds True in its place in ``_waiting``, goes on as if its socket were ready.
        """

        def __init__(self, sock: "Any") -> None:
            self._sock = sock
            self._waiting: list = [None, None]

        def _ready(self, direction: int) -> "Any":
            i = 0 if direction == READ else 1
            try:
                yield from self._queue(i)
            except asyncio.CancelledError:
                if not self._is_woken(i):
                    raise
            self._waiting[i] = None

        def _queue(self, i: int) -> "Any":
            """To be awaited at once, as ``_ready()`` does; no coroutine, as messages come here."""
            global _reserve
            if _reserve is None:
                _reserve = bytearray(_RESERVE)
            self._waiting[i] = core.cur_task
            try:
                core._io_queue._enqueue(self._sock, i)
            except MemoryError:
                _reserve = None
                if not _is_queued(self._sock, i):
                    self._waiting[i] = None
                    raise
            return _ONCE

        def _is_woken(self, i: int) -> bool:
            """Whether it was ``_wake()`` that cancelled the task that waited."""
            if self._waiting[i] is True:
                return True
            self._waiting[i] = None
            self._wake(1 - i)
            return False

        def _wake(self, i: int) -> None:
            task = self._waiting[i]
            if task:
                self._waiting[i] = True
                if task is not True:
                    task.cancel()

else:
    from ._cpython import Waiting


async def within(coroutine: "Coroutine[Any, Any, Any]", timeout: "float | None") -> "Any":
    """What ``coroutine`` gives, or ``Timeout`` where it takes over ``timeout`` seconds."""
    if timeout is None:
        return await coroutine
    task = asyncio.create_task(coroutine)
    try:
        return await asyncio.wait_for(task, timeout)
    except asyncio.TimeoutError:
        raise Timeout("timed out") from None
    except MemoryError:
        task.cancel()  # wait_for() may have left it to itself
        raise


class connect:
    """Open a connection: ``ws = await connect(url)`` or ``async with connect(url) as ws``.

    While a task receives, a silent peer is sent a Ping now and then, and one from which not a
    byte came for ``keepalive_timeout`` seconds (None: no limit) counts as lost: code 1006.
    ``resolve`` is called as ``socket.getaddrinfo()`` is, and in its place.
    The other arguments and the errors are those of ``microws.connect()``.
    """

    def __init__(
        self,
        url: str,
        timeout: "float | None" = 10,
        headers: "Iterable[tuple[str, str]]" = (),
        subprotocols: "Iterable[str]" = (),
        ssl: "Any" = None,
        close_timeout: float = 10,
        keepalive_timeout: "float | None" = 40,
        compression: "str | int | None" = None,
        resolve: "Callable[..., Any] | None" = None,
        **limits: int,
    ) -> None:
        handshake = ClientHandshake(url, headers, subprotocols, new_extension(compression))
        protocol = Protocol(handshake, True, **limits)
        self._ws = WebSocket(protocol, close_timeout)
        self._ssl = ssl
        self._resolve = resolve
        milliseconds(keepalive_timeout)  # a wrong one
        self._ws._keepalive_timeout = keepalive_timeout
        self._timeout = timeout

    async def __aenter__(self) -> "WebSocket":
        ws = self._ws
        try:
            await ws._run(ws._connect(self._ssl, self._resolve), self._timeout)
        except BaseException:
            ws._shut()
            raise
        return ws

    async def __aexit__(self, *exc: "Any") -> None:
        await self._ws.close()

    def __await__(self) -> "Generator[Any, None, WebSocket]":
        return self.__aenter__().__await__()

    def __iter__(self) -> "Any":
        # MicroPython's await asks for an iterator.
        return self.__aenter__()


def serve(
    handler: "Callable[[Any], Awaitable[None]]", host: str, port: int, **options: "Any"
) -> "Awaitable[Any]":
    """Listen for clients: see ``aio_server.serve()``, which a client need not load."""
    from .aio_server import serve

    return serve(handler, host, port, **options)


class WebSocket(Waiting, Connection):
    """An open connection; ``connect()`` and ``serve()`` make it.

    One task at a time may receive (another gets ``WebSocketError``); any number may send.
    Asynchronous iteration gives messages and ends at a clean close. The other errors are those of
    the blocking ``microws.WebSocket``.
    """

    _event = _NOTHING  # what the protocol gave and nobody has taken yet
    _receiving = False
    _heard: "Any" = 0  # when the last byte came, or somebody began to receive
    _freed: "Any" = None  # set, for those who wait, when a frame or a message has gone
    _ended: "Any" = None
    _keeper: "Any" = None
    _asked: "Any" = None  # what _heard was at the last Ping of the keepalive
    _silence = 0  # milliseconds for which the last call heard nothing before it gave up

    def __init__(self, protocol: Protocol, close_timeout: float, sock: "Any" = None) -> None:
        Waiting.__init__(self, sock)
        Connection.__init__(self, protocol, close_timeout, sock)
        self._writing = False  # a frame is on its way out
        self._fragmenting = False  # a message that goes in fragments is
        self._keepalive_timeout: float | None = None

    async def send(self, message: "Any", text: "bool | None" = None) -> None:
        """Send a message: str as text, bytes-like as binary (§5.6); ``text`` chooses otherwise.

        An iterable, or asynchronous iterable, of these goes as one message in fragments, which
        may be larger than memory. Returns when all of it is handed to the network.
        """
        data = self._payload(message, text)
        if data is None:
            if hasattr(message, "__aiter__"):
                await self._send_pieces(message, None, text)
            else:
                await self._send_pieces(None, pieces(message), text)
            return
        opcode = self._opcode
        if self._writing or self._fragmenting:
            await self._turn(True)
        self._protocol.send_message(opcode, data)
        if not self._write():
            try:
                await self._flush()
            except MemoryError:
                self._shut()  # nobody is left to send the frame's rest
                raise

    async def _send_pieces(self, stream: "Any", pieces: "Any", text: "bool | None") -> None:
        await self._turn(True)
        # Other messages wait for the end of this one; Pings and Pongs go between its fragments.
        self._fragmenting = True
        first = True
        try:
            if stream is None:
                for piece in pieces:
                    await self._send_piece(piece, text, first)
                    first = False
            else:
                async for piece in stream:
                    await self._send_piece(piece, text, first)
                    first = False
            if first:
                await self._send_piece(b"", text, first)
            await self._send_frame(self._protocol.send_message, 0, b"")
        except BaseException:
            if not first:
                # Half a message has gone, and nothing can take it back.
                await self._send_frame(self._protocol.close, 1011, "message not complete")
            raise
        finally:
            self._fragmenting = False
            self._free()

    async def _send_piece(self, piece: "Any", text: "bool | None", first: bool) -> None:
        await self._send_frame(self._fragment, piece, text, first)

    async def _send_frame(self, begin: "Any", *args: "Any") -> None:
        """Do ``begin(*args)``, and send what it brings, when no frame is half-way."""
        await self._turn(False)
        begin(*args)
        try:
            await self._flush()
        except MemoryError:
            self._shut()  # as in send()
            raise

    async def _turn(self, for_message: bool) -> None:
        """Wait until a frame may begin, or a message."""
        while self._writing or (for_message and self._fragmenting):
            if not self._freed:
                self._freed = asyncio.Event()
            await self._freed.wait()

    def _free(self) -> None:
        if self._freed:
            self._freed.set()
            self._freed = None

    def recv(self, timeout: "float | None" = None) -> "Awaitable[str | bytes]":
        """Wait for a message; ``Timeout`` if it is not complete after ``timeout`` seconds.

        After a ``Timeout`` or a cancellation nothing is lost: a later call goes on.
        """
        return self._read(None) if timeout is None else self._read_within(None, timeout)

    def recv_into(self, buffer: "Any", timeout: "float | None" = None) -> "Awaitable[int]":
        """Wait for a message, put it into ``buffer`` and give its length in bytes.

        ``is_text`` tells its kind. One larger than ``buffer`` fails the connection with 1009; one
        that was complete when an earlier call was cancelled stays, and this is a ``ValueError``.
        """
        if buffer is None:
            raise TypeError(NO_BUFFER)
        return self._read(buffer) if timeout is None else self._read_within(buffer, timeout)

    def recv_streaming(self, buffer: "Any" = None) -> "_Pieces":
        """Receive one message of any size piece by piece: ``async for piece in ...``.

        Gives memoryviews of ``buffer`` (4 bytes at least), valid until the next one, or, without a
        buffer, str or bytes of at most 1 KiB. Text is cut between characters. A compressed message
        is collected first, as in the blocking front.
        """
        return _Pieces(self, buffer)

    async def ping(self, data: "Any" = b"") -> None:
        """Send a Ping with at most 125 bytes (§5.5.2); the Pong is dealt with while receiving."""
        await self._send_frame(self._protocol.ping, data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (§7.1.2) and wait for the peer's Close at most ``close_timeout``.

        Messages that are still to come are dropped. Does nothing if it is closed already.
        """
        self._protocol.close(code, reason)
        try:
            await within(self._closing(), self.close_timeout)
            if not self._receiving:
                await self._finish()
        except (MemoryError, OSError, WebSocketError):
            pass  # the peer is gone, or no memory is left to wait for it: it ends as well
        finally:
            self._shut()

    async def _closing(self) -> None:
        p = self._protocol
        if p.state == _CLOSING:
            await self._send_frame(p.data_to_send)
        if self._receiving:
            # The task that receives, or closes already, sees the end.
            if not self._ended:
                self._ended = asyncio.Event()
            await self._ended.wait()
        elif p.state == _CLOSING:
            self._receiving = True
            try:
                await self._run(self._await_close(), None)
            finally:
                self._stop_receiving()

    def __aiter__(self) -> "WebSocket":
        return self

    async def __anext__(self) -> "str | bytes":
        try:
            return await self.recv()
        except ConnectionClosed as closed:
            if closed.code in (1000, 1001, 1005):
                raise StopAsyncIteration from None
            raise

    async def __aenter__(self) -> "WebSocket":
        return self

    async def __aexit__(self, *exc: "Any") -> None:
        await self.close()

    # Waiting

    async def _read_within(self, target: "Any", timeout: float) -> "Any":
        milliseconds(timeout)  # a wrong one
        if self._event == _NOTHING:
            try:
                await within(self._read(target, _LEAVE), timeout)
            except Timeout:
                if self._event == _NOTHING:
                    raise
        return await self._read(target)

    async def _read(self, target: "Any", how: int = _TAKE) -> "Any":
        """Read up to a message, or up to a piece, or to the end.

        Gives the message as an object, or its length where ``target`` is a buffer. Otherwise
        (_LEAVE, _PIECE) what came is left, and told by ``_event``. All is in one coroutine, as
        each takes memory and has to be gone through whenever the task goes on.
        """
        p = self._protocol
        event = self._event
        if event == _NOTHING:
            if self._receiving:
                raise WebSocketError("another task receives from this connection")
            if how != _PIECE:
                p.receive_into(target)
            self._receiving = True
            now: Any = ticks_ms()
            if self._silence:
                # It goes on, without the time in which nobody listened.
                now -= self._silence
                self._silence = 0
                if self._asked == self._heard:
                    self._asked = now
            self._heard = now
            if self._keepalive_timeout and not self._keeper:
                self._keeper = asyncio.create_task(self._keep_alive(self._keepalive_timeout / 4))
            parse = p.parse
            more = False
            try:
                while True:
                    event = parse()
                    if p.tx_end and not self._writing:
                        try:
                            # What came does not wait for an answer that cannot go yet.
                            if not self._write() and event == _NOTHING:
                                await self._send_frame(p.data_to_send)
                        except WebSocketError:
                            pass  # what the peer sent before it left is still to be read
                    if event != _NOTHING:
                        if event == _ENDED:
                            await self._finish()
                        break
                    try:
                        n = None
                        if more:
                            n = self._sock.readinto(p.get_buffer(), p.read_size)
                            more = False  # between two reads the other tasks have their turn
                        while n is None:
                            await self._queue(0)
                            self._waiting[0] = None
                            if self._sock is None:
                                break  # another task closed it: the next event is _ENDED
                            n = self._sock.readinto(p.get_buffer(), p.read_size)
                            more = n == p.read_size
                    except asyncio.CancelledError:
                        if not self._is_woken(0):
                            raise
                        self._waiting[0] = n = None
                    except OSError:
                        n = 0  # a reset ends the stream as well
                    if n is not None:
                        now = ticks_ms()
                        p.waited(ticks_diff(now, self._heard))
                        self._heard = now
                        p.buffer_updated(n)
            finally:
                self._event = event
                self._stop_receiving()
                if event == _NOTHING:
                    self._silence = ticks_diff(ticks_ms(), self._heard)
                    if how != _PIECE:
                        p.receive_into(None)
        if how != _TAKE:
            return None
        if event == _ENDED:
            self._raise_end()
        if target is None:
            self._event = _NOTHING
            try:
                return self._take()
            except MemoryError:
                p.no_memory()
                await self._finish()
                raise p.closed_error() from None
        n = p.stop - p.start
        if p.data is not target:
            if n > len(target):
                raise ValueError("buffer smaller than the message that waits")
            target[:n] = memoryview(p.data)[p.start : p.stop]
        self._event = _NOTHING
        p.release()
        return n

    def _stop_receiving(self) -> None:
        self._receiving = False
        if self._ended:
            self._ended.set()

    def _raise_end(self) -> None:
        self._event = _NOTHING
        raise self._protocol.closed_error()

    async def _keep_alive(self, period: float) -> None:
        # Only while somebody receives: whom nobody holds any more, this would hold for ever.
        while self._receiving:
            await asyncio.sleep(period)
            self._beat(int(period * 1000))
        self._keeper = None

    def _beat(self, period_ms: int) -> None:
        """Ping a peer that is silent for a period, drop one that is for three."""
        if not self._receiving:
            return
        p = self._protocol
        heard = self._heard
        silence = ticks_diff(ticks_ms(), heard)
        if silence < period_ms:
            return
        if silence >= 3 * period_ms and self._asked == heard:
            self._shut()
            return
        try:
            if p.state == _OPEN and not p.data_to_send():
                p.ping()
                self._write()
            # Whoever was not asked yet may have spoken while this program itself stood still.
            self._asked = heard
        except MemoryError:
            pass  # it is asked at the next beat
        except WebSocketError:
            self._shut()

    async def _flush(self) -> None:
        """Write all that waits; who calls this has the turn, and gives it back."""
        self._writing = True
        try:
            while not self._write():
                await self._ready(WRITE)
                if self._sock is None:
                    raise self._protocol.closed_error()
        except BaseException:
            if self._protocol.is_sending():
                self._shut()  # cancelled with half a frame out
            raise
        finally:
            self._writing = False
            self._free()

    async def _run(
        self, steps: "Any", timeout: "float | None", idle: "float | None" = None
    ) -> None:
        """Go through ``steps`` within ``timeout`` seconds, and within ``idle`` for each wait."""
        milliseconds(timeout)  # a wrong one
        await within(self._go(steps, idle), timeout)

    async def _go(self, steps: "Any", idle: "float | None") -> None:
        for direction in steps:
            if idle is None:
                await self._ready(direction)
            else:
                await within(self._ready(direction), idle)

    async def _finish(self) -> None:
        """The last bytes out, and the end of TCP, once the protocol is closed."""
        if self._sock is None:
            return
        try:
            await self._run(self._last_bytes(), self.close_timeout)
            await self._run(self._linger(), self.close_timeout, self._linger_idle())
        except OSError:
            pass  # it took too long, or the peer has gone: either way it is over
        finally:
            self._shut()

    def _shut(self) -> None:
        self._protocol.abort()
        if self._keeper and self._keeper is not asyncio.current_task():
            self._keeper.cancel()
        self._keeper = None
        if self._sock is not None:
            self._wake(0)
            self._wake(1)
            self._close_socket()


class _Pieces:
    """The pieces of one message; MicroPython has no asynchronous generators."""

    def __init__(self, ws: WebSocket, buffer: "Any") -> None:
        self._ws = ws
        self._copy = buffer is None
        self._buffer = bytearray(1024) if buffer is None else buffer
        self._event = -1

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> "Any":
        ws = self._ws
        p = ws._protocol
        while self._event != _MESSAGE:
            if self._event >= 0:
                p.next_piece()
            elif ws._event == _NOTHING:
                ws._event = p.receive_into(self._buffer, True)
            if ws._event == _NOTHING:
                await ws._read(None, _PIECE)
            if ws._event == _ENDED:
                ws._raise_end()
            self._event = ws._event
            ws._event = _NOTHING
            if p.stop > p.start or (self._copy and self._event == _MESSAGE):
                return ws._message() if self._copy else memoryview(p.data)[p.start : p.stop]
        p.release()
        raise StopAsyncIteration
