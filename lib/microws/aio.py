"""WebSocket over asyncio, for a program that does several things at a time."""

import asyncio

from ._compat import MICROPYTHON, READ, WRITE, local_port, ticks_diff, ticks_ms
from .errors import ConnectionClosed, Timeout, WebSocketError
from .frames import build_frame
from .handshake import ClientHandshake
from .protocol import CLOSING, ENDED, MESSAGE, NOTHING, OPEN, Protocol
from .transport import Connection, listening_socket, new_extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from typing import Any

    from .upgrade import Request

if MICROPYTHON:
    from asyncio import core  # type: ignore[attr-defined]

    class Waiting:
        """Waiting for a socket; asyncio here has streams only, whose queue serves any socket.

        Cancelling a task that waits in one direction makes that queue forget the other one
        too (IOQueue.remove), and closing a socket wakes nobody: then the other task is cancelled
        and, as it finds its place in ``_woken``, goes on as if its socket were ready.
        """

        def __init__(self, sock: "Any") -> None:
            self._sock = sock
            self._waiting: list = [None, None]
            self._woken = [False, False]

        def _ready(self, direction: int) -> "Any":
            i = 0 if direction == READ else 1
            self._waiting[i] = core.cur_task
            self._woken[i] = False
            try:
                if i == 0:
                    yield core._io_queue.queue_read(self._sock)
                else:
                    yield core._io_queue.queue_write(self._sock)
            except asyncio.CancelledError:
                if not self._woken[i]:
                    self._wake(1 - i)
                    raise
            finally:
                self._waiting[i] = None

        def _wake(self, i: int) -> None:
            if self._waiting[i] is not None:
                self._woken[i] = True
                self._waiting[i].cancel()

else:
    from ._cpython import Waiting


async def _within(awaitable: "Awaitable[Any]", timeout: "float | None") -> "Any":
    try:
        return await asyncio.wait_for(awaitable, timeout)
    except asyncio.TimeoutError:
        raise Timeout("timed out") from None


async def _keep_alive(connections: "Any", timeout: float) -> None:
    """Drop those of ``connections`` that are silent, within ``timeout`` seconds."""
    period = timeout / 4
    while [ws for ws in connections if ws._sock is not None]:
        await asyncio.sleep(period)
        for ws in list(connections):
            ws._beat(int(period * 1000))


class connect:
    """Open a connection: ``ws = await connect(url)`` or ``async with connect(url) as ws``.

    While a task receives, a silent peer is sent a Ping now and then, and one from which not a
    byte came for ``keepalive_timeout`` seconds (None: no limit) counts as lost: code 1006.
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
        **limits: int,
    ) -> None:
        handshake = ClientHandshake(url, headers, subprotocols, new_extension(compression))
        protocol = Protocol(handshake, True, **limits)
        self._ws = WebSocket(protocol, close_timeout)
        self._ssl = ssl
        self._timeout = timeout
        self._keepalive_timeout = keepalive_timeout

    async def __aenter__(self) -> "WebSocket":
        ws = self._ws
        try:
            await ws._run(ws._connect(self._ssl), self._timeout)
        except BaseException:
            ws._shut()
            raise
        if self._keepalive_timeout:
            alive = _keep_alive((ws,), self._keepalive_timeout)
            ws._keeper = asyncio.create_task(alive)
        return ws

    async def __aexit__(self, *exc: "Any") -> None:
        await self._ws.close()

    def __await__(self) -> "Generator[Any, None, WebSocket]":
        return self.__aenter__().__await__()

    def __iter__(self) -> "Any":
        # MicroPython's await asks for an iterator.
        return self.__aenter__()


async def serve(
    handler: "Callable[[WebSocket], Awaitable[None]]",
    host: str,
    port: int,
    max_clients: int = 8,
    subprotocols: "Iterable[str]" = (),
    process_request: "Callable[[Request], Any] | None" = None,
    on_refused: "Callable[[WebSocket, Exception], None] | None" = None,
    max_backlog: int = 4096,
    slow: str = "drop",
    ssl: "Any" = None,
    handshake_timeout: float = 10,
    close_timeout: float = 10,
    keepalive_timeout: "float | None" = 40,
    compression: "str | int | None" = None,
    **limits: int,
) -> "Server":
    """Listen for clients and run ``await handler(ws)`` for each (RFC 6455 §4.2).

    A connection is closed when its handler returns: with 1000, or with 1011 where it raised.
    ``process_request(request)`` sees a request before the upgrade: it gives None to go on, or
    ``(status, headers, body)`` for an HTTP response, the headers as pairs and the body as bytes or
    an iterable of bytes. A client past ``max_clients`` gets HTTP 503. ``on_refused(ws, error)``
    hears of each that got no WebSocket.

    At most ``max_backlog`` bytes of broadcasts wait for a client; for one that is slower, the
    oldest are dropped (``slow="drop"``), or it is closed with 1008 (``slow="close"``).

    ``keepalive_timeout`` is as with ``connect()``. The other arguments, the error and the port
    are as with ``microws.listen()``.
    """
    if slow not in ("drop", "close"):
        raise ValueError('slow must be "drop" or "close"')
    new_extension(compression)  # a wrong one is told at once

    # Here, for a client has no use for it.
    from .upgrade import ServerHandshake

    def protocol() -> Protocol:
        extension = new_extension(compression)
        handshake = ServerHandshake(subprotocols, extension, process_request, server._is_full)
        return Protocol(handshake, False, **limits)

    server = Server(
        handler,
        listening_socket(host, port),
        port,
        protocol,
        max_clients,
        on_refused,
        max_backlog if slow == "drop" else -max_backlog,
        ssl,
        handshake_timeout,
        close_timeout,
        keepalive_timeout,
    )
    return server


class WebSocket(Waiting, Connection):
    """An open connection; ``connect()`` and ``serve()`` make it.

    One task at a time may receive; any number may send. Asynchronous iteration gives messages and
    ends at a clean close. Errors are those of the blocking ``microws.WebSocket``.
    """

    def __init__(self, protocol: Protocol, close_timeout: float, sock: "Any" = None) -> None:
        Waiting.__init__(self, sock)
        Connection.__init__(self, protocol, close_timeout, sock)
        self._lock = asyncio.Lock()  # held while a frame is on its way out
        self._fragmenting: Any = None  # set at the end of a message that goes in fragments
        self._event = NOTHING  # what the protocol gave and nobody has taken yet
        self._receiving = False
        self._ended: Any = None
        self._heard: Any = 0  # when the last byte came, or somebody began to receive
        self._keeper: Any = None
        #: How many broadcasts were dropped because this client was too slow.
        self.dropped = 0
        self._backlog: list = []  # frames of broadcasts
        self._waiting_bytes = 0
        self._posting: Any = None

    async def send(self, message: "Any", text: "bool | None" = None) -> None:
        """Send a message: str as text, bytes-like as binary (§5.6); ``text`` chooses otherwise.

        An iterable, or asynchronous iterable, of these goes as one message in fragments, which
        may be larger than memory. Returns when all of it is handed to the network.
        """
        p = self._protocol
        if hasattr(message, "__aiter__"):
            await self._send_pieces(message, None, text)
            return
        data = self._payload(message, text)
        if data is None:
            await self._send_pieces(None, message, text)
            return
        opcode = self._opcode
        await self._turn()
        try:
            p.send_message(opcode, data)
            await self._flush()
        finally:
            self._lock.release()

    async def _send_pieces(self, stream: "Any", pieces: "Any", text: "bool | None") -> None:
        await self._turn()
        self._lock.release()
        # Other messages wait for the end of this one; Pings and Pongs go between its fragments.
        self._fragmenting = asyncio.Event()
        try:
            first = True
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
            async with self._lock:
                self._protocol.send_message(0, b"")
                await self._flush()
        except BaseException:
            if not first:
                # Half a message has gone, and nothing can take it back.
                async with self._lock:
                    self._protocol.close(1011, "message not complete")
                    await self._flush()
            raise
        finally:
            self._fragmenting.set()
            self._fragmenting = None

    async def _send_piece(self, piece: "Any", text: "bool | None", first: bool) -> None:
        async with self._lock:
            self._fragment(piece, text, first)
            await self._flush()

    async def _turn(self) -> None:
        """Acquire the lock for a whole message."""
        await self._lock.acquire()
        while self._fragmenting:
            self._lock.release()
            await self._fragmenting.wait()
            await self._lock.acquire()

    async def recv(self, timeout: "float | None" = None) -> "str | bytes":
        """Wait for a message; ``Timeout`` if it is not complete after ``timeout`` seconds.

        After a ``Timeout`` or a cancellation nothing is lost: a later call goes on.
        """
        if self._event == NOTHING:
            self._protocol.receive_into(None)
            await self._receive(timeout)
        message = self._message()
        self._release()
        return message

    async def recv_into(self, buffer: "Any", timeout: "float | None" = None) -> int:
        """Wait for a message, put it into ``buffer`` and give its length in bytes.

        ``is_text`` tells its kind. One larger than ``buffer`` fails the connection with 1009.
        """
        p = self._protocol
        if self._event == NOTHING:
            p.receive_into(buffer)
            try:
                await self._receive(timeout)
            finally:
                if self._event == NOTHING:
                    p.receive_into(None)
        n = p.stop - p.start
        if p.data is not buffer:
            if n > len(buffer):
                raise ValueError("buffer smaller than the message that waits")
            buffer[:n] = memoryview(p.data)[p.start : p.stop]
        self._release()
        return n

    def recv_streaming(self, buffer: "Any" = None) -> "_Pieces":
        """Receive one message of any size piece by piece: ``async for piece in ...``.

        Gives memoryviews of ``buffer`` (4 bytes at least), valid until the next one, or, without a
        buffer, str or bytes of at most 1 KiB. Text is cut between characters.
        """
        return _Pieces(self, buffer)

    async def ping(self, data: "Any" = b"") -> None:
        """Send a Ping with at most 125 bytes (§5.5.2); the Pong is dealt with while receiving."""
        async with self._lock:
            self._protocol.ping(data)
            await self._flush()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (§7.1.2) and wait for the peer's Close at most ``close_timeout``.

        Messages that are still to come are dropped. Does nothing if it is closed already.
        """
        self._protocol.close(code, reason)
        try:
            await _within(self._closing(), self._close_timeout)
            if not self._receiving:
                await self._finish()
        except OSError:
            pass  # the peer is gone, which ends it as well
        finally:
            self._shut()

    async def _closing(self) -> None:
        p = self._protocol
        if p.state == CLOSING:
            async with self._lock:
                await self._flush()
            if not self._receiving:
                await self._run(self._await_close(), None)
        if self._receiving:
            # The task that receives sees the end.
            self._ended = asyncio.Event()
            await self._ended.wait()

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

    async def _receive(self, timeout: "float | None" = None) -> None:
        """Read up to a message or a piece, left in ``_event``; raises where it all ends."""
        if self._receiving:
            raise WebSocketError("another task receives from this connection")
        self._receiving = True
        self._heard = ticks_ms()
        try:
            if timeout is None:
                await self._read()
            else:
                try:
                    await _within(self._read(), timeout)
                except Timeout:
                    if self._event == NOTHING:
                        raise
        finally:
            self._receiving = False
            if self._ended:
                self._ended.set()
        if self._event == ENDED:
            self._event = NOTHING
            raise self._protocol.closed_error()

    async def _read(self) -> None:
        p = self._protocol
        more = False
        while True:
            event = p.parse()
            if p.tx_start < p.tx_end and not self._lock.locked():
                try:
                    async with self._lock:
                        await self._flush()
                except WebSocketError:
                    pass  # what the peer sent before it left is still to be read
            if event != NOTHING:
                if event == ENDED:
                    await self._finish()
                self._event = event
                return
            try:
                n = None
                if more:
                    n = self._sock.readinto(p.get_buffer(), p.read_size)
                    more = False  # between two reads the other tasks have their turn
                while n is None:
                    await self._ready(READ)
                    if self._sock is None:
                        break  # another task closed it: the next event is ENDED
                    n = self._sock.readinto(p.get_buffer(), p.read_size)
                    more = n == p.read_size
            except OSError:
                n = 0  # a reset ends the stream as well
            if n is not None:
                self._heard = ticks_ms()
                p.buffer_updated(n)

    def _beat(self, period_ms: int) -> None:
        """Ping a peer that is silent for a period, drop one that is for three."""
        if not self._receiving:
            return
        p = self._protocol
        silence = ticks_diff(ticks_ms(), self._heard)
        if silence >= 3 * period_ms:
            self._shut()
        elif silence >= period_ms and p.state == OPEN and not p.data_to_send():
            p.ping()
            try:
                p.sent(self._sock.write(p.tx, p.tx_start, p.tx_end - p.tx_start) or 0)
            except OSError:
                self._shut()

    def _release(self) -> None:
        self._event = NOTHING
        self._protocol.release()

    async def _flush(self) -> None:
        p = self._protocol
        try:
            while p.data_to_send():
                n = self._sock.write(p.tx, p.tx_start, p.tx_end - p.tx_start)
                if n is None:
                    await self._ready(WRITE)
                    if self._sock is None:
                        raise p.closed_error()
                else:
                    p.sent(n)
        except OSError:
            p.mute()
            raise p.closed_error() from None
        except BaseException:
            if p.is_sending():
                self._shut()  # cancelled with half a frame out
            raise

    def _post(self, frame: bytes, max_backlog: int) -> bool:
        """Send a frame without waiting; what the network does not take goes to the backlog.

        False where nothing is sent any more. A negative bound closes whoever is slower.
        """
        p = self._protocol
        if p.state != OPEN:
            return False
        backlog = self._backlog
        busy = backlog or self._fragmenting or self._lock.locked() or p.data_to_send()
        if not busy:
            try:
                n = self._sock.write(frame, 0, len(frame)) or 0
            except OSError:
                p.mute()
                return False
            if n < len(frame):
                p.queue(memoryview(frame)[n:])
                self._post_later()
            return True
        backlog.append(frame)
        self._waiting_bytes += len(frame)
        while self._waiting_bytes > abs(max_backlog):
            if max_backlog < 0:
                self._posting = asyncio.create_task(self.close(1008, "too slow"))
                return False
            self.dropped += 1
            self._waiting_bytes -= len(backlog.pop(0))
        self._post_later()
        return True

    def _post_later(self) -> None:
        if self._posting is None or self._posting.done():
            self._posting = asyncio.create_task(self._post_backlog())

    async def _post_backlog(self) -> None:
        try:
            while True:
                await self._turn()
                try:
                    await self._flush()
                    if not self._backlog or self._protocol.state != OPEN:
                        return
                    frame = self._backlog.pop(0)
                    self._waiting_bytes -= len(frame)
                    self._protocol.queue(frame)
                finally:
                    self._lock.release()
        except WebSocketError:
            pass  # whoever receives from this connection is told

    async def _run(
        self, steps: "Any", timeout: "float | None", idle: "float | None" = None
    ) -> None:
        """Go through ``steps`` within ``timeout`` seconds, and within ``idle`` for each wait."""
        await _within(self._go(steps, idle), timeout)

    async def _go(self, steps: "Any", idle: "float | None") -> None:
        for direction in steps:
            if idle is None:
                await self._ready(direction)
            else:
                await _within(self._ready(direction), idle)

    async def _finish(self) -> None:
        """The last bytes out, and the end of TCP, once the protocol is closed."""
        if self._sock is None:
            return
        try:
            await self._run(self._last_bytes(), self._close_timeout)
            await self._run(self._linger(), self._close_timeout, self._linger_idle())
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
            self._sock.close()
            self._sock = None


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
        while self._event != MESSAGE:
            if self._event >= 0:
                p.next_piece()
            elif ws._event == NOTHING:
                ws._event = p.receive_into(self._buffer, True)
            if ws._event == NOTHING:
                await ws._receive()
            self._event = ws._event
            ws._event = NOTHING
            if p.stop > p.start or (self._copy and self._event == MESSAGE):
                return ws._message() if self._copy else memoryview(p.data)[p.start : p.stop]
        ws._release()
        raise StopAsyncIteration


class Server(Waiting):
    """A listening server; ``serve()`` makes it. ``async with`` closes it at the end."""

    def __init__(
        self,
        handler: "Callable[[WebSocket], Awaitable[None]]",
        sock: "Any",
        port: int,
        protocol: "Callable[[], Protocol]",
        max_clients: int,
        on_refused: "Callable[[WebSocket, Exception], None] | None",
        max_backlog: int,
        ssl: "Any",
        handshake_timeout: float,
        close_timeout: float,
        keepalive_timeout: "float | None",
    ) -> None:
        super().__init__(sock)
        #: The port that it listens on.
        self.port = local_port(sock, port)
        #: The connections that are open.
        self.clients: set[WebSocket] = set()
        self._handler = handler
        self._new_protocol = protocol
        self._max_clients = max_clients
        self._on_refused = on_refused
        self._max_backlog = max_backlog
        self._ssl = ssl
        self._handshake_timeout = handshake_timeout
        self._close_timeout = close_timeout
        self._tasks: set = set()
        self._idle = asyncio.Event()
        self._keepalive_timeout = keepalive_timeout
        self._keeper: Any = None
        self._start(self._accept_all())

    def broadcast(
        self, message: "Any", text: "bool | None" = None, skip: "WebSocket | None" = None
    ) -> int:
        """Send to every client but ``skip``, without waiting; gives their number.

        The frame is built once. ``TypeError`` or ``ValueError`` if it is no message.
        """
        frame = None
        count = 0
        for ws in list(self.clients):
            if ws is skip:
                continue
            if frame is None:
                data = ws._payload(message, text)
                if data is None:
                    raise TypeError("a broadcast message is str or bytes-like")
                frame = build_frame(ws._opcode, data)
            count += ws._post(frame, self._max_backlog)
        return count

    def close(self) -> None:
        """Stop listening and close the connections with 1001 (going away)."""
        if self._sock is None:
            return
        self._wake(0)
        self._sock.close()
        self._sock = None
        for ws in list(self.clients):
            self._start(ws.close(1001))

    async def wait_closed(self) -> None:
        """Wait until every connection is closed and its handler has returned."""
        while self._tasks:
            self._idle.clear()
            await self._idle.wait()

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *exc: "Any") -> None:
        self.close()
        await self.wait_closed()

    def _is_full(self) -> bool:
        return len(self.clients) >= self._max_clients

    def _start(self, coroutine: "Any") -> None:
        self._tasks.add(asyncio.create_task(self._tidily(coroutine)))

    async def _tidily(self, coroutine: "Any") -> None:
        try:
            await coroutine
        finally:
            self._tasks.discard(asyncio.current_task())
            if not self._tasks:
                self._idle.set()

    async def _accept_all(self) -> None:
        while self._sock is not None:
            await self._ready(READ)
            if self._sock is None:
                return
            try:
                sock, address = self._sock.accept()
            except OSError:
                # Gone before its turn, or the board is out of sockets: others get a chance.
                await asyncio.sleep(0.05)
                continue
            if len(self._tasks) > 2 * self._max_clients:
                sock.close()  # not even room to say no
                continue
            self._start(self._client(sock, address))

    async def _client(self, sock: "Any", address: "Any") -> None:
        ws = WebSocket(self._new_protocol(), self._close_timeout, sock)
        try:
            await ws._run(ws._accept(address, self._ssl), self._handshake_timeout)
        except (OSError, WebSocketError) as error:
            await ws._finish()
            if self._on_refused:
                self._on_refused(ws, error)
            return
        except BaseException:
            ws._shut()
            raise
        code = 1013
        try:
            if not self._is_full():  # some handshakes may have ended together
                self.clients.add(ws)
                if self._keepalive_timeout and (self._keeper is None or self._keeper.done()):
                    alive = _keep_alive(self.clients, self._keepalive_timeout)
                    self._keeper = asyncio.create_task(alive)
                code = 1011
                await self._handler(ws)
                code = 1000
        except WebSocketError:
            code = 1000  # the peer's doing, or the handler let its own mistake in a call pass
        finally:
            self.clients.discard(ws)
            await ws.close(code)
