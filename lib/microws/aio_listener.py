"""A server on asyncio for one client at a time, in a fifth of the memory of ``aio_server``."""

import asyncio

from .aio_connection import SocketWaiter, WebSocket
from .compat import const, local_port
from .core import FAILURES, bound, check
from .handshake import check_context
from .server_handshake import ServerHandshake, accepting, listening_socket

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._types import TLS, Pool
    from .plain_http import Answer, Request


class Listener(SocketWaiter):
    """Listens; ``await accept()`` gives a client's connection.

    ``process_request`` is as with ``aio.serve()``, the other arguments are as with
    ``microws.listen()``. ``OSError`` where the address cannot be had, ``ValueError`` or
    ``TypeError`` for wrong arguments.
    """

    def __init__(
        self,
        host: "str | None" = None,
        port: "int | None" = None,
        process_request: "Callable[[Request], Answer | None] | None" = None,
        ssl: "TLS | None" = None,
        handshake_timeout: "float | None" = 10,
        close_timeout: "float | None" = 10,
        max_size: "int | None" = 65536,
        max_header: "int | None" = 4096,
        read_size: int = 512,
        write_size: int = 4096,
        pool: "Pool | None" = None,
    ) -> None:
        check(handshake_timeout=handshake_timeout, max_header=max_header)
        check_context(ssl)
        self._limits = (close_timeout, max_size, 1024, read_size, write_size, 60)
        WebSocket(False, *self._limits)  # a wrong argument is told at once
        self._process_request = process_request
        self._timeout = handshake_timeout
        self._rest = (ssl, bound(max_header), 64)
        super().__init__(listening_socket(host, port, pool, None))
        #: The port that it listens on, where that is known.
        self.port: int | None = local_port(self._sock, port)

    async def accept(self) -> WebSocket:
        """Wait for a client whose opening handshake succeeds (§4.2); others are answered and left.

        ``OSError`` once this is closed.
        """
        while True:
            await self._wait_once(0)
            if self._sock is None:
                raise OSError("the listener is closed")
            ws: Any = None
            sock: Any = None
            try:
                sock, address = self._sock.accept()
                ws = WebSocket(False, *self._limits)
                ws._sock = sock
                handshake = ServerHandshake((), None, self._process_request)
                await ws._run(accepting(ws, sock, address, handshake, *self._rest), self._timeout)
                return ws
            except FAILURES:
                if ws:
                    await ws._finish()
                elif sock:
                    sock.close()  # no memory for it
                else:
                    await asyncio.sleep(0.05)  # gone before its turn, or no socket is left
            except BaseException:
                if ws:
                    ws._shut()
                raise

    def close(self) -> None:
        """Stop listening; connections that are open stay open."""
        if self._sock is not None:
            self._wake()
            self._unregister()
            self._sock.close()
            self._sock = None
