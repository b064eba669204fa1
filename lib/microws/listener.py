"""The blocking front's server."""

from time import sleep

from .blocking import WebSocket
from .compat import const, local_port, new_poller, ticks_diff, ticks_ms
from .core import FAILURES, READ, bound, check, milliseconds
from .errors import Timeout
from .handshake import check_context, checked_names
from .server_handshake import ServerHandshake, accepting, listening_socket

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._types import TLS, NetSocket, Pool


def listen(
    host: "str | None" = None,
    port: "int | None" = None,
    subprotocols: "Iterable[str]" = (),
    ssl: "TLS | None" = None,
    handshake_timeout: "float | None" = 10,
    close_timeout: "float | None" = 10,
    compression: "str | int | None" = None,
    max_size: "int | None" = 65536,
    max_fragments: "int | None" = 1024,
    max_header: "int | None" = 4096,
    max_fields: "int | None" = 64,
    message_timeout: "float | None" = 60,
    read_size: int = 512,
    write_size: int = 4096,
    pool: "Pool | None" = None,
    sock: "NetSocket | None" = None,
) -> "Listener":
    """Listen for clients; ``accept()`` of what it gives waits for one.

    Without ``host``, all IPv4 addresses of this machine are listened on. ``compression`` accepts
    permessage-deflate, as ``connect()`` offers it. ``pool`` is as with ``connect()``; ``sock`` is
    a socket of it that listens already, and takes the place of host and port.
    ``OSError`` where the address cannot be had, ``ValueError`` or ``TypeError`` for wrong
    arguments. CPython tells the port it chose for port 0.
    """
    check(handshake_timeout=handshake_timeout, max_header=max_header, max_fields=max_fields)
    check_context(ssl)
    names = checked_names(subprotocols)
    limits = (close_timeout, max_size, max_fragments, read_size, write_size, message_timeout)

    def new() -> "tuple[WebSocket, ServerHandshake]":
        return WebSocket(False, *limits), ServerHandshake(names, compression)

    # A wrong argument is told at once, not when a client comes.
    new()
    sock = listening_socket(host, port, pool, sock)
    rest = (ssl, bound(max_header), bound(max_fields))
    return Listener(sock, port, new, rest, handshake_timeout)


class Listener:
    """A listening socket; ``listen()`` makes it. Iteration gives connections."""

    def __init__(
        self,
        sock: "NetSocket",
        port: "int | None",
        new: "Callable[[], tuple[WebSocket, ServerHandshake]]",
        rest: "tuple[TLS | None, int, int]",
        handshake_timeout: "float | None",
    ) -> None:
        self._sock = sock
        #: The port that it listens on, where that is known.
        self.port: int | None = local_port(sock, port)
        self._new = new
        self._rest = rest
        self._handshake_timeout = handshake_timeout

    def accept(self, timeout: "float | None" = None) -> WebSocket:
        """Wait for a client whose opening handshake succeeds (§4.2); others are answered and left.

        ``Timeout`` if none came within ``timeout`` seconds, ``ValueError`` for 500000 s or more,
        ``OSError`` once the listener is closed.
        """
        if self._sock is None:
            raise OSError("the listener is closed")
        start = ticks_ms()
        poller = new_poller()
        poller.register(self._sock, READ)
        while True:
            left = -1
            if timeout is not None:
                left = milliseconds(timeout) - ticks_diff(ticks_ms(), start)
            if (timeout is not None and left < 0) or not list(poller.ipoll(left)):
                raise Timeout("no client")
            try:
                sock, address = self._sock.accept()
            except OSError:
                # Gone before its turn, or the board is out of sockets: both pass.
                sleep(0.05)
                continue
            ws: WebSocket | None = None
            try:
                ws, handshake = self._new()
                ws._run(
                    accepting(ws, sock, address, handshake, *self._rest), self._handshake_timeout
                )
                return ws
            except MemoryError:
                # There is no room for one more; that is no reason to serve nobody.
                (ws._close_socket if ws else sock.close)()
            except FAILURES:
                ws._finish()  # type: ignore[union-attr]
            except BaseException:
                (ws._close_socket if ws else sock.close)()
                raise

    def close(self) -> None:
        """Stop listening; connections that are open stay open."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None  # type: ignore[assignment]

    def __iter__(self) -> "Listener":
        """Clients, one after the other; ends when the listener is closed."""
        return self

    def __next__(self) -> WebSocket:
        if self._sock is None:
            raise StopIteration
        return self.accept()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
