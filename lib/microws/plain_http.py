"""What a server answers where no WebSocket comes of a request: no, or what the program says.

It is loaded with the first of these, or by a server with ``process_request``, before it listens.
"""

from .compat import const
from .core import Connection
from .errors import HandshakeError
from .handshake import build_head, pairs, write_all

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from ._types import Headers, Steps
    from .aio_server import ServerConnection
    from .server_handshake import ServerHandshake

    # status, headers and body, as process_request() gives them
    Answer = tuple[int, Headers, bytes | Iterable[bytes]]

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_EXTRA = {
    405: (("Allow", "GET"),),
    426: (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
    503: (("Retry-After", "10"),),
}


class Request:
    """What a client asks for, as a program may look at it before the upgrade.

    ``path`` has the query in it; ``headers`` maps lower-case names to values (no Cookie unless
    ``keep_cookies``); ``remote_address`` is ``"host:port"``. A ``method`` HEAD is answered as GET
    is; the body is left out by itself. ``body`` is that of the request, as far as ``max_body`` of
    ``serve()`` lets one in.
    """

    def __init__(
        self,
        method: str,
        path: str,
        headers: "dict[str, str]",
        remote_address: str,
        body: "bytes | bytearray" = b"",
    ) -> None:
        self.body = body
        self.method = method
        self.path = path
        self.headers = headers
        self.remote_address = remote_address


def refusal(
    handshake: "ServerHandshake", error: HandshakeError
) -> "tuple[bytes, Iterable[bytes]]":
    """The head and the body of the HTTP response that says no, or what the program says."""
    status = error.status
    if handshake.answer:
        _, headers, body = handshake.answer
    else:
        headers = _EXTRA.get(status, ())
        body = (error.reason + "\n").encode()
    lines = ["HTTP/1.1 %d %s" % (status, _REASONS.get(status, "Answer"))]
    lines += [name + ": " + value for name, value in pairs(headers)]
    lines.append("Connection: close" if status != 426 else "Connection: Upgrade, close")
    if isinstance(body, bytes):
        lines.append("Content-Length: %d" % len(body))
        body = (body,)
    return build_head(lines), () if handshake.is_head else body


async def telling(
    ws: "ServerConnection",
    handshake: "ServerHandshake",
    error: Exception,
    task: "asyncio.Task[None]",
) -> None:
    """``process_request()`` has raised: its client is told, and the program, by asyncio."""
    import asyncio

    try:
        steps = refusing(ws, handshake, HandshakeError("internal error", 500))
        await ws._run(steps, ws.close_timeout)
    except OSError:
        pass
    await ws._finish()
    context = {"message": "process_request", "exception": error, "future": task}
    asyncio.get_event_loop().call_exception_handler(context)


def refusing(ws: Connection, handshake: "ServerHandshake", error: HandshakeError) -> "Steps":
    """The steps to a response that says no."""
    head, body = refusal(handshake, error)
    ws._receiver = iter(())  # type: ignore[assignment]
    yield from write_all(ws, head)
    for chunk in body:
        yield from write_all(ws, chunk)
    ws._receiver = ws._drain()
