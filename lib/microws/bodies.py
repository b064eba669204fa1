"""The body of a request, for a server whose ``process_request`` takes one (RFC 9112 §6)."""

from .compat import const
from .core import READ, Connection
from .errors import HandshakeError
from .handshake import parse_head, write_all

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Generator


def read_body(
    ws: Connection, head: "bytes | memoryview", lo: int, hi: int, max_body: int
) -> "Generator[int, None, tuple[bytearray, int]]":
    """The steps to the body behind ``head``, and where in ``_rx[lo:hi]`` it ended.

    ``HandshakeError`` with 411 for one whose length is not told, 413 for more than ``max_body``.
    """
    try:
        fields = parse_head(head)[1]
    except ValueError as error:
        raise HandshakeError(str(error), 400) from None
    if "transfer-encoding" in fields:
        raise HandshakeError("Content-Length required", 411)
    length = fields.get("content-length", "0")
    if not length.isdigit():
        raise HandshakeError("malformed Content-Length", 400)
    # As text first: of any length, it may be a number for which there is no memory.
    if len(length) > 9 or int(length) > max_body:
        raise HandshakeError("body over %d bytes" % max_body, 413)
    body = bytearray(int(length))
    at = min(len(body), hi - lo)
    body[:at] = memoryview(ws._rx)[lo : lo + at]
    if at < len(body) and fields.get("expect", "").lower() == "100-continue":
        yield from write_all(ws, b"HTTP/1.1 100 Continue\r\n\r\n")
    lo += at
    view = memoryview(body)
    while at < len(body):
        yield READ
        n = ws._sock.readinto(view[at:], 1 if ws._hung_up else len(body) - at)
        if n == 0:
            raise HandshakeError("the connection ended in the handshake")
        at += n or 0
    return body, lo
