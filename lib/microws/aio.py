"""WebSocket over asyncio, for a program that does several things at a time."""

from .aio_connection import WebSocket, within  # noqa: F401
from .compat import const
from .core import check, connecting

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from ._types import TLS, Headers, NetSocket, Pool
    from .aio_server import Server, serve
    from .reconnecting import Reconnecting

__all__ = ("Server", "WebSocket", "connect", "serve")


class connect:
    """Open a connection: ``ws = await connect(url)`` or ``async with connect(url) as ws``.

    ``async for ws in connect(url)`` connects again whenever the loop asks for the next one.

    While a task receives, a silent peer is sent a Ping now and then, and one from which not a
    byte came for ``keepalive_timeout`` seconds (None: no limit) counts as lost: code 1006.
    The other arguments and the errors are those of ``microws.connect()``.
    """

    def __init__(
        self,
        url: str,
        timeout: "float | None" = 10,
        headers: "Headers | None" = None,
        subprotocols: "Iterable[str]" = (),
        ssl: "TLS | None" = None,
        close_timeout: "float | None" = 10,
        keepalive_timeout: "float | None" = 40,
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
        max_redirects: int = 0,
        keep_headers: bool = False,
        require_compression: bool = False,
    ) -> None:
        check(timeout=timeout, keepalive_timeout=keepalive_timeout, max_redirects=max_redirects)
        self._limits = (
            close_timeout,
            max_size,
            max_fragments,
            read_size,
            write_size,
            message_timeout,
        )
        self._keep_headers = keep_headers
        self._arguments = (
            (max_redirects, require_compression),
            url,
            headers,
            compression,
            subprotocols,
            ssl,
            max_header,
            max_fields,
            pool,
            sock,
        )
        self._timeout = timeout
        self._keepalive_timeout = keepalive_timeout
        self._ws: WebSocket = None  # type: ignore[assignment]

    async def __aenter__(self) -> WebSocket:
        self._ws = ws = WebSocket(True, *self._limits)
        ws._keep_for(self._keepalive_timeout)
        if self._keep_headers:
            ws.response_headers = {}
        try:
            await ws._run(connecting(ws, *self._arguments), self._timeout)
        except BaseException:
            ws._shut()
            raise
        return ws

    async def __aexit__(self, *exc: object) -> None:
        await self._ws.close()

    def __aiter__(self) -> "Reconnecting":
        """Connections, one after the other: the next when this one has ended, after a pause."""
        from .reconnecting import Reconnecting

        return Reconnecting(self)

    def __await__(self) -> "Generator[object, None, WebSocket]":
        return self.__aenter__().__await__()

    def __iter__(self) -> object:
        # MicroPython's await asks for an iterator.
        return self.__aenter__()


def __getattr__(name: str) -> object:
    # A client need not load what a server takes.
    if name in ("serve", "Server"):
        import gc

        gc.collect()  # what loading left behind would cut a small heap into pieces
        from . import aio_server

        return getattr(aio_server, name)
    raise AttributeError(name)
