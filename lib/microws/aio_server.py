"""The asyncio front's server; reached as ``aio.serve()``."""

import asyncio

from .aio_connection import SocketWaiter, WebSocket, awaited, within
from .compat import const, local_port, ticks_diff, ticks_ms
from .core import FAILURES, NOT_SENT, bound, check, put_header
from .errors import ProtocolError, Timeout, WebSocketError
from .handshake import check_context, checked_names
from .server_handshake import ServerHandshake, accepting, listening_socket

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from typing import Any

    from ._types import TLS, Data, NetSocket, Pool
    from .errors import ConnectionClosed
    from .plain_http import Answer, Request

    IsFull = Callable[[ServerHandshake], bool]


_PATIENCE = const(500)  # milliseconds of silence that everybody may have
_TOO_SLOW = const("too slow")
_TAKEN_WITHIN = const(2)  # seconds for a piece of an answer, before there is a WebSocket


def serve(
    handler: "Callable[[ServerConnection], Awaitable[object]]",
    host: "str | None" = None,
    port: "int | None" = None,
    max_clients: "int | None" = 8,
    subprotocols: "Iterable[str]" = (),
    process_request: "Callable[[Request], Answer | None] | None" = None,
    on_refused: "Callable[[ServerConnection, Exception], object] | None" = None,
    max_backlog: "int | None" = 4096,
    slow: str = "drop",
    ssl: "TLS | None" = None,
    handshake_timeout: "float | None" = 10,
    close_timeout: "float | None" = 10,
    keepalive_timeout: "float | None" = 40,
    compression: "str | int | None" = None,
    max_size: "int | None" = 65536,
    max_fragments: "int | None" = 1024,
    max_header: "int | None" = 4096,
    max_fields: "int | None" = 64,
    keep_cookies: bool = False,
    max_body: int = 0,
    max_pending: "int | None" = 8,
    max_unacknowledged: "int | None" = None,
    message_timeout: "float | None" = 60,
    read_size: int = 512,
    write_size: int = 4096,
    pool: "Pool | None" = None,
    sock: "NetSocket | None" = None,
) -> "Server":
    """A server for clients, which runs ``await handler(ws)`` for each (RFC 6455 §4.2).

    It listens once it is awaited, ``server = await serve(...)``, or entered, ``async with
    serve(...) as server``. A connection is closed when its handler returns: with 1000, or with
    1011 where it raised, which is logged by asyncio.

    ``process_request(request)`` sees a request before the upgrade: it gives None to go on, or
    ``(status, headers, body)`` for an HTTP response, the headers as a mapping or pairs, the body
    as bytes or an iterable of bytes. Of a request, at most ``max_body`` bytes of a body are read
    before it is asked. Cookies are skipped while it is read, at most 16 KiB of them, unless
    ``keep_cookies``; then they count for ``max_header``. A client past ``max_clients`` gets HTTP
    503. ``on_refused(ws, error)`` hears of each that got no WebSocket.

    At most ``max_pending`` connections are on their way to a WebSocket, or are answered with plain
    HTTP, or close. Where one more comes, the one that has been silent longest makes room, if it
    has been for half a second; else the new one waits in the system's queue.

    At most ``max_backlog`` bytes of broadcasts wait for a client behind the one that is half-way;
    for one that is slower, the oldest are dropped (``slow="drop"``), or it is closed with 1008
    (``slow="close"``): then its calls raise ``ProtocolError``. One for whom memory runs out is
    disconnected.

    At most ``max_unacknowledged`` bytes are on their way to a client, 100 for each frame among
    them, or one message that is larger: a Ping asks whether it has read them, and what is behind
    waits for the Pong (None: no bound). It is for ports where a client that reads nothing delays
    the others; see ``pacing``.

    ``keepalive_timeout`` is as with ``connect()``. The other arguments, ``OSError`` and the port
    are as with ``microws.listen()``. ``ValueError`` or ``TypeError`` for wrong arguments, another
    ``slow`` among them.
    """
    check(
        max_clients=max_clients,
        max_backlog=max_backlog,
        max_pending=max_pending,
        max_unacknowledged=max_unacknowledged,
        max_header=max_header,
        max_fields=max_fields,
        max_body=max_body,
        handshake_timeout=handshake_timeout,
        keepalive_timeout=keepalive_timeout,
    )
    if slow not in ("drop", "close"):
        raise ValueError('slow must be "drop" or "close"')
    for hook in (handler, process_request or bool, on_refused or bool):
        if not callable(hook):
            raise TypeError("handler and hooks must be functions")
    if process_request:
        from . import plain_http  # noqa: F401  # now, while the heap is whole
    check_context(ssl)
    names = checked_names(subprotocols)
    limits = (close_timeout, max_size, max_fragments, read_size, write_size, message_timeout)
    connection = ServerConnection
    if max_unacknowledged is not None:
        from .pacing import PacedConnection as connection  # type: ignore[no-redef,assignment]

    def new(
        is_full: "IsFull",
    ) -> "tuple[ServerConnection, ServerHandshake]":
        ws = connection(False, *limits)
        ws._max_backlog = bound(max_backlog)
        ws._drops = slow == "drop"
        if max_unacknowledged is not None:
            ws._share = max_unacknowledged
        return ws, ServerHandshake(names, compression, process_request, is_full)

    # A wrong argument is told at once, not when a client comes.
    new(bool)
    return Server(
        handler,
        (host, port, pool, sock),
        new,
        (ssl, bound(max_header), bound(max_fields), keep_cookies, bound(max_body)),
        bound(max_clients),
        bound(max_pending),
        on_refused,
        handshake_timeout,
        keepalive_timeout,
    )


class ServerConnection(WebSocket):
    """The server's end of a connection, with a backlog of broadcasts."""

    #: How many broadcasts were dropped because this client was too slow; it may be closed
    #: for the first one.
    dropped = 0
    _backlog: "list[bytes] | tuple[()]" = ()  # frames of broadcasts
    _drops = True  # the oldest of them, where there are too many; else it is closed
    _is_slow = False  # it is closed for that
    _max_backlog = 0  # bytes
    _waiting_bytes = 0
    _ended_for = ""  # why it was ended while it was opened
    _share = 0  # bytes that may be on their way; 0: any number
    _seen: "int | None" = None  # of _active, when it was to make room
    _task: "asyncio.Task[None]" = None  # type: ignore[assignment]  # that opens it

    def _broadcast(self, frame: bytes) -> bool:
        """Send a frame without waiting, or put it into the backlog.

        False where nothing is sent any more.
        """
        if self._closing or self._sock is None or self._is_slow:
            return False
        try:
            if not (self._backlog or self._fragmenting or self._writing or self._busy):
                n = 0
                # TLS, where it takes nothing, wants the same bytes again.
                if self._plain is None and not self._write:
                    n = self._sock.write(frame, 0, len(frame)) or 0
                if n < len(frame):
                    # All of it goes, as its beginning may have gone; nothing comes between.
                    self._byte0 = -1
                    self._out = memoryview(frame)[n:] if n else frame
                    if next(self._sender):
                        self._flush_alone()
                return True
            if not self._backlog:
                self._backlog = []
            self._backlog.append(frame)
            self._waiting_bytes += len(frame)
            while self._waiting_bytes > self._max_backlog:
                self.dropped += 1
                self._waiting_bytes -= len(self._backlog.pop(0))
                if not self._drops:
                    self._is_slow = True
                    self._backlog = ()  # nothing goes out behind what is missing
                    self._poster = asyncio.create_task(self.close(1008, _TOO_SLOW))
                    return False
            if self._poster is None or self._poster.done():
                self._poster = asyncio.create_task(self._post_backlog())
        except MemoryError:
            self._shut()  # the others are not to miss the frame for it
            return False
        except NOT_SENT:
            self._mute()
            return False
        return True

    @awaited
    def _wait_once(self, i: int) -> "Awaitable[None]":  # type: ignore[override]
        # While a handshake or plain HTTP is answered: a reader that stops makes room for others.
        return within(self._wait_to_write(), _TAKEN_WITHIN) if i else super()._wait_once(0)

    async def _wait_to_write(self) -> None:
        await super()._wait_once(1)

    async def _limit_opening(self, timeout: float) -> None:
        await asyncio.sleep(timeout)
        self._end_opening("timed out")

    def _end_opening(self, reason: str) -> None:
        self._ended_for = reason
        self._task.cancel()

    def _closed(self) -> "ConnectionClosed | ProtocolError":
        return ProtocolError(1008, _TOO_SLOW) if self._is_slow else super()._closed()

    async def _post(self) -> None:
        try:
            await super()._post()
            await self._post_backlog()
        except MemoryError:
            self._shut()

    async def _post_backlog(self) -> None:
        try:
            while self._backlog and not self._closing:
                await self._turn(True)
                if self._backlog and not self._closing:
                    frame = self._backlog.pop(0)
                    self._waiting_bytes -= len(frame)
                    await self._send_frame(-1, frame)
        except MemoryError:
            self._shut()
        except WebSocketError:
            pass  # whoever receives is told


class Server(SocketWaiter):
    """A server; ``serve()`` makes it. ``async with`` closes it at the end."""

    def __init__(
        self,
        handler: "Callable[[ServerConnection], Awaitable[object]]",
        place: "tuple[str | None, int | None, Pool | None, NetSocket | None]",
        new: "Callable[[IsFull], tuple[ServerConnection, ServerHandshake]]",
        rest: "tuple[TLS | None, int, int, bool, int]",
        max_clients: int,
        max_pending: int,
        on_refused: "Callable[[ServerConnection, Exception], object] | None",
        handshake_timeout: "float | None",
        keepalive_timeout: "float | None",
    ) -> None:
        super().__init__(None)
        self._place = place
        #: The port that it listens on, where that is known.
        self.port: int | None = place[1]
        #: The connections that are open.
        self.clients: set[ServerConnection] = set()
        #: How often a connection could not be taken: no socket or no memory was left for it.
        self.not_taken = 0
        self._handler = handler
        self._new = new
        self._rest = rest
        self._max_clients = max_clients
        self._max_pending = max_pending
        self._on_refused = on_refused
        self._handshake_timeout = handshake_timeout
        self._keepalive_timeout = keepalive_timeout
        self._keeper: asyncio.Task[None] | None = None
        self._admitted: set = set()  # handshakes whose answer is on its way
        # Up to the end of their handshakes, the oldest first
        self._pending: list[ServerConnection] = []
        self._tasks: set = set()
        self._idle: asyncio.Event = None  # type: ignore[assignment]
        self._accepting: asyncio.Task[None] = None  # type: ignore[assignment]
        self._closing: list = []

    def broadcast(
        self, message: "Data", text: "bool | None" = None, skip: "WebSocket | None" = None
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
                frame = _build_frame(ws, message, text)
            count += ws._broadcast(frame)
        return count

    def post(self, ws: "ServerConnection", message: "Data", text: "bool | None" = None) -> bool:
        """Send to one client, without waiting, behind the broadcasts that wait for it.

        False where nothing is sent to it any more. Errors as with ``broadcast()``.
        """
        return ws._broadcast(_build_frame(ws, message, text))

    def is_serving(self) -> bool:
        """Whether clients are still accepted."""
        return self._sock is not None and not self._accepting.done()

    async def serve_forever(self) -> None:
        """Serve until this is cancelled, or ``close()`` is called; then it is closed."""
        await self.__aenter__()
        try:
            await self.wait_closed()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening and close the connections with 1001 (going away)."""
        if self._sock is None:
            return
        self._wake()
        self._unregister()
        self._sock.close()
        self._sock = None
        self._idle.set()
        if self._keeper:
            self._keeper.cancel()
        for ws in self._pending:
            ws._task.cancel()
        self._closing = [asyncio.create_task(ws.close(1001)) for ws in self.clients]

    async def wait_closed(self) -> None:
        """Wait until ``close()`` is called, and every handler has returned."""
        while self._sock is not None or self._tasks:
            self._idle.clear()
            await self._idle.wait()

    async def __aenter__(self) -> "Server":
        if self._accepting is None:
            sock = listening_socket(*self._place)
            self.port = local_port(sock, self.port)
            self._sock = sock
            self._idle = asyncio.Event()
            self._accepting = asyncio.create_task(self._accept_all())
        return self

    def __await__(self) -> "Generator[object, None, Server]":
        return self.__aenter__().__await__()

    def __iter__(self) -> object:
        # MicroPython's await asks for an iterator.
        return self.__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        self.close()
        await self.wait_closed()

    def _is_full(self, handshake: ServerHandshake) -> bool:
        """Whether there is no room for one more; if there is, it is kept."""
        if len(self.clients) + len(self._admitted) >= self._max_clients:
            return True
        self._admitted.add(handshake)
        return False

    async def _keep_alive(self, period: float) -> None:
        while self.clients:
            try:
                await asyncio.sleep(period)
                self._beat()
            except MemoryError:
                await asyncio.sleep(1)  # whose whole number takes none

    def _beat(self) -> None:
        # Not in the task, which would hold the last client as long as it sleeps.
        for ws in list(self.clients):
            ws._beat()

    async def _accept_all(self) -> None:
        while self._sock is not None:
            try:
                await self._wait_once(0)
                if self._sock is None:
                    return
                if len(self._tasks) - len(self.clients) >= self._max_pending:
                    await asyncio.sleep(0 if self._make_room() else 0.05)
                    continue
                sock, address = self._sock.accept()
            except FAILURES:
                # Gone before its turn, or the board is out of sockets: others get a chance.
                self.not_taken += 1
                await asyncio.sleep(0.05)
                continue
            try:
                self._tasks.add(asyncio.create_task(self._serve_client(sock, address)))
            except MemoryError:
                sock.close()

    def _make_room(self) -> bool:
        """Whether the one that has been silent longest leaves, to make room for another."""
        now = ticks_ms()
        longest = _PATIENCE
        found = None
        for ws in self._pending:
            silent = ticks_diff(now, ws._active)
            if silent >= longest and not ws._ended_for:
                longest = silent
                found = ws
        if found is None:
            return False
        if found._seen != found._active:
            # What it said may be here already: its task has a turn first.
            found._seen = found._active
            return False
        found._end_opening("it was silent and made room for another")
        return True

    async def _serve_client(self, sock: "NetSocket", address: object) -> None:
        ws: ServerConnection | None = None
        code = 1000
        task = asyncio.current_task()
        try:
            ws = await self._open(sock, address, task)  # type: ignore[arg-type]
            if ws is None:
                return
            self.clients.add(ws)
            if self._keepalive_timeout and (self._keeper is None or self._keeper.done()):
                self._keeper = asyncio.create_task(self._keep_alive(self._keepalive_timeout / 4))
            code = 1011
            await self._handler(ws)
            code = 1000
        except WebSocketError:
            code = 1000  # the peer's doing, or the handler let its own mistake in a call pass
        except MemoryError:
            pass  # it ends this connection and nothing else
        except KeyboardInterrupt:
            code = 1001  # on MicroPython it strikes whichever task runs
            raise
        finally:
            try:
                if ws is not None:
                    self.clients.discard(ws)
                    await ws.close(code)
            except MemoryError:
                ws._shut()  # type: ignore[union-attr]  # not even enough to close it well
            finally:
                self._tasks.discard(task)
                if not self._tasks:
                    self._idle.set()

    async def _open(
        self, sock: "NetSocket", address: object, task: "asyncio.Task[None]"
    ) -> "ServerConnection | None":
        """A client's connection once its handshake is done; None for one that is refused."""
        ws: Any = None
        handshake: Any = None
        limit: asyncio.Task[None] | None = None
        is_open = False
        try:
            ws, handshake = self._new(self._is_full)
            ws._sock = sock
            ws._task = task
            self._pending.append(ws)
            if self._handshake_timeout is not None:
                limit = asyncio.create_task(ws._limit_opening(self._handshake_timeout))
            # In this task: once the last byte has gone it is a client, and misses no broadcast.
            await ws._go(accepting(ws, sock, address, handshake, *self._rest))
            is_open = True
            return ws
        except FAILURES as error:
            if ws is None:
                raise  # no memory for it
            await ws._finish()
            if self._on_refused:
                self._on_refused(ws, error)
        except Exception as error:
            # The program's own, in process_request()
            from .plain_http import telling

            await telling(ws, handshake, error, task)
        except BaseException:
            if ws is None or not ws._ended_for:
                raise
            if self._on_refused:
                self._on_refused(ws, Timeout(ws._ended_for))
        finally:
            self._admitted.discard(handshake)
            if ws is None:
                sock.close()
            else:
                self._pending.remove(ws)
                if not is_open:
                    ws._shut()  # where no memory was left to end it well, too
            if limit:
                limit.cancel()
        return None


def _build_frame(ws: ServerConnection, message: "Data", text: "bool | None") -> bytes:
    """A whole unmasked frame, to be sent to one client or to several."""
    payload = ws._encode(message, text)
    if payload is None:
        raise TypeError("a broadcast message is str or bytes-like")
    frame = bytearray(10)
    at = put_header(frame, 0, ws._byte0, len(payload), 0)
    return bytes(memoryview(frame)[:at]) + payload
