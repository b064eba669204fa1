"""WebSocket over asyncio, for a program that does several things at a time."""

from ._compat import const
from .aio_connection import WebSocket, within  # noqa: F401
from .core import connecting, milliseconds

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from typing import Any

    from .aio_server import Server


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
        max_header: int = 4096,
        max_fields: int = 64,
        pool: "Any" = None,
        sock: "Any" = None,
        **limits: int,
    ) -> None:
        self._ws = ws = WebSocket(True, close_timeout, **limits)
        milliseconds(keepalive_timeout)  # a wrong one
        ws._keep_for(keepalive_timeout)
        self._steps = connecting(
            ws, url, headers, subprotocols, ssl, compression, max_header, max_fields, pool, sock
        )
        self._timeout = timeout

    async def __aenter__(self) -> WebSocket:
        ws = self._ws
        try:
            await ws._run(self._steps, self._timeout)
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
    handler: "Callable[[Any], Awaitable[None]]",
    host: "str | None" = None,
    port: "int | None" = None,
    **options: "Any",
) -> "Awaitable[Server]":
    """Listen for clients: see ``aio_server.serve()``, which a client need not load."""
    from .aio_server import serve

    return serve(handler, host, port, **options)
