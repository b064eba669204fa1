"""The asyncio front's server; reached as ``aio.serve()``."""

import asyncio

from ._compat import READ, const, local_port
from .aio import Waiting, WebSocket
from .errors import HandshakeError, WebSocketError
from .frames import put_header
from .protocol import Protocol
from .transport import listening_socket, milliseconds, new_extension
from .upgrade import ServerHandshake

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from .upgrade import Request


# As in protocol.py: a board cannot import a private constant.
_OPEN = const(1)


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

    At most ``max_backlog`` bytes of broadcasts wait for a client behind the one that is half-way;
    for one that is slower, the oldest are dropped (``slow="drop"``), or it is closed with 1008
    (``slow="close"``). One for whom memory runs out is disconnected.

    ``keepalive_timeout`` is as with ``connect()``. The other arguments, ``OSError`` and the port
    are as with ``microws.listen()``. ``ValueError`` or ``TypeError`` for wrong arguments, another
    ``slow`` among them.
    """
    if slow not in ("drop", "close"):
        raise ValueError('slow must be "drop" or "close"')
    subprotocols = tuple(subprotocols)

    def protocol(is_full: "Callable[[Any], bool]") -> Protocol:
        extension = new_extension(compression)
        handshake = ServerHandshake(subprotocols, extension, process_request, is_full)
        return Protocol(handshake, False, **limits)

    # A wrong argument is told at once, not when a client comes.
    protocol(bool)
    for timeout in (handshake_timeout, close_timeout, keepalive_timeout):
        milliseconds(timeout)
    return Server(
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


class Client(WebSocket):
    """The server's end of a connection, with a backlog of broadcasts."""

    #: How many broadcasts were dropped because this client was too slow; it may be closed
    #: for the first one.
    dropped = 0
    _backlog: "Any" = ()  # frames of broadcasts
    _waiting_bytes = 0
    _posting: "Any" = None

    def _post(self, frame: bytes, max_backlog: int) -> bool:
        """Send a frame without waiting, or put it into the backlog.

        False where nothing is sent any more. A negative bound closes whoever is slower.
        """
        p = self._protocol
        if p.state != _OPEN:
            return False
        try:
            if not (self._backlog or self._fragmenting or self._writing or p.data_to_send()):
                n = 0
                if self._plain is None:  # TLS, where it takes nothing, wants the same bytes again
                    n = self._sock.write(frame, 0, len(frame)) or 0
                if n < len(frame):
                    # All of it goes, as its beginning may have gone; nothing comes between.
                    p.queue(frame, n)
                    if not self._write():
                        self._posting = asyncio.create_task(self._post_rest(True))
                        self._writing = True
                return True
            if not self._backlog:
                self._backlog = []
            self._backlog.append(frame)
            self._waiting_bytes += len(frame)
            while self._waiting_bytes > abs(max_backlog):
                self.dropped += 1
                self._waiting_bytes -= len(self._backlog.pop(0))
                if max_backlog < 0:
                    p.close(1008, "too slow")
                    self._posting = asyncio.create_task(self.close())
                    return False
            if self._posting is None or self._posting.done():
                self._posting = asyncio.create_task(self._post_rest(False))
        except MemoryError:
            self._shut()  # the others are not to miss the frame for it
            return False
        except (OSError, WebSocketError):
            p.mute()
            return False
        return True

    async def _post_rest(self, half_way: bool) -> None:
        """Send the rest of a frame that is half-way, and the backlog."""
        try:
            if half_way:
                await self._flush()
            while self._backlog and self._protocol.state == _OPEN:
                await self._turn(True)
                await self._send_frame(self._next_in_backlog)
        except MemoryError:
            self._shut()
            self._writing = False
            self._free()  # whoever waits for a turn is told
        except WebSocketError:
            pass  # whoever receives from this connection is told

    def _next_in_backlog(self) -> None:
        p = self._protocol
        if self._backlog and p.state == _OPEN and not p.data_to_send():
            frame = self._backlog.pop(0)
            self._waiting_bytes -= len(frame)
            p.queue(frame)


class Server(Waiting):
    """A listening server; ``serve()`` makes it. ``async with`` closes it at the end."""

    def __init__(
        self,
        handler: "Callable[[WebSocket], Awaitable[None]]",
        sock: "Any",
        port: int,
        protocol: "Callable[[Callable[[Any], bool]], Protocol]",
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
        self.clients: set[Client] = set()
        self._handler = handler
        self._new_protocol = protocol
        self._max_clients = max_clients
        self._on_refused = on_refused
        self._max_backlog = max_backlog
        self._ssl = ssl
        self._handshake_timeout = handshake_timeout
        self.close_timeout = close_timeout
        self._admitted: set = set()  # handshakes whose answer is on its way
        self._opening: set = set()  # tasks, up to the end of their handshakes
        self._tasks: set = set()
        self._idle = asyncio.Event()
        self._keepalive_timeout = keepalive_timeout
        self._keeper: Any = None
        self._accepting = asyncio.create_task(self._accept_all())
        self._closing: list = []

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
                frame = _build_frame(ws._opcode, data)
            count += ws._post(frame, self._max_backlog)
        return count

    def is_serving(self) -> bool:
        """Whether clients are still accepted."""
        return self._sock is not None and not self._accepting.done()

    def close(self) -> None:
        """Stop listening and close the connections with 1001 (going away)."""
        if self._sock is None:
            return
        self._wake(0)
        self._sock.close()
        self._sock = None
        self._idle.set()
        if self._keeper:
            self._keeper.cancel()
        for task in self._opening:
            task.cancel()
        self._closing = [asyncio.create_task(ws.close(1001)) for ws in self.clients]

    async def wait_closed(self) -> None:
        """Wait until ``close()`` is called, and every handler has returned."""
        while self._sock is not None or self._tasks:
            self._idle.clear()
            await self._idle.wait()

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *exc: "Any") -> None:
        self.close()
        await self.wait_closed()

    def _is_full(self, handshake: "Any") -> bool:
        """Whether there is no room for one more; if there is, it is kept."""
        if len(self.clients) + len(self._admitted) >= self._max_clients:
            return True
        self._admitted.add(handshake)
        return False

    async def _keep_alive(self, period: float) -> None:
        while self.clients:
            await asyncio.sleep(period)
            self._beat(int(period * 1000))

    def _beat(self, period_ms: int) -> None:
        # Not in the task, which would hold the last client as long as it sleeps.
        for ws in list(self.clients):
            ws._beat(period_ms)

    async def _accept_all(self) -> None:
        while self._sock is not None:
            try:
                await self._ready(READ)
                if self._sock is None:
                    return
                sock, address = self._sock.accept()
            except (MemoryError, OSError):
                # Gone before its turn, or the board is out of sockets: others get a chance.
                await asyncio.sleep(0.05)
                continue
            if len(self._tasks) >= 2 * self._max_clients:
                sock.close()  # not even room to say no
                continue
            try:
                self._tasks.add(asyncio.create_task(self._client(sock, address)))
            except MemoryError:
                sock.close()

    async def _client(self, sock: "Any", address: "Any") -> None:
        ws = None
        code = 1000
        task = asyncio.current_task()
        try:
            self._opening.add(task)
            protocol = self._new_protocol(self._is_full)
            ws = Client(protocol, self.close_timeout, sock)
            try:
                await ws._run(ws._accept(address, self._ssl), self._handshake_timeout)
            except (MemoryError, OSError, WebSocketError) as error:
                await ws._finish()
                if self._on_refused:
                    self._on_refused(ws, error)
                return
            except Exception as error:
                # The hook's own: its client is told, and the program, by asyncio.
                protocol.refuse(HandshakeError("internal error", 500))
                await ws._finish()
                context = {"message": "process_request", "exception": error, "future": task}
                asyncio.get_event_loop().call_exception_handler(context)
                return
            finally:
                self._admitted.discard(protocol.handshake)
                self._opening.discard(task)
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
                if ws is None:
                    sock.close()  # no memory for it
                else:
                    self.clients.discard(ws)
                    await ws.close(code)
            except MemoryError:
                pass  # not even enough to close it well
            finally:
                if ws is not None:
                    ws._shut()
                self._opening.discard(task)
                self._tasks.discard(task)
                if not self._tasks:
                    self._idle.set()


def _build_frame(opcode: int, payload) -> bytes:
    """A whole unmasked frame, to be sent to several clients."""
    frame = bytearray(10)
    at = put_header(frame, 0, 0x80 | opcode, len(payload), 0)
    return bytes(memoryview(frame)[:at]) + payload
