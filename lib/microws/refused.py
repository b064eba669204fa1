"""What a client does where the server's answer is not the WebSocket that was asked for."""

from .client_handshake import connecting
from .compat import const
from .core import READ, Connection
from .errors import HandshakeError

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from typing import Any

    from ._types import Headers, Steps

_BODY = const(1024)  # bytes of it that are kept


def going_on(
    ws: Connection,
    answer: HandshakeError,
    second_try: "tuple[int, bool]",
    url: str,
    headers: "Headers | None",
    compression: "str | int | None",
    *rest: "Any",
) -> "Steps":
    """The steps to an open connection another way; where there is none, it raises ``answer``.

    ``second_try`` is ``(max_redirects, require_compression)`` of ``connect()``: a redirect is
    followed, and what fails because of compression is tried without it.
    """
    max_redirects, require_compression = second_try
    if rest[5] or iter(headers or ()) is headers or iter(rest[0]) is rest[0]:
        # A socket of the caller's, or what can be gone through only once: for one try.
        max_redirects = 0
        compression = None
    redirects = 0
    while True:
        if max_redirects and answer.status in (301, 302, 303, 307, 308):
            from .redirects import follow

            try:
                if redirects == max_redirects:
                    raise ValueError("over %d in a row" % redirects)
                url, headers = follow(url, headers, answer.headers.get("location", ""))
            except ValueError as error:
                reason = "a redirect is not followed: %s" % error
                unfollowed = HandshakeError(reason, answer.status, answer.headers)
                unfollowed.body = answer.body
                answer = unfollowed
                break
            redirects += 1
        elif compression and not require_compression and _is_doubtful(answer, compression):
            compression = None
        else:
            break
        ws._drop_socket()
        try:
            yield from connecting(ws, url, headers, compression, *rest)
            return
        except HandshakeError as error:
            answer = error
    if answer.status and answer.status != 101:
        yield from _read_body(ws, answer)
    raise answer from None


def _is_doubtful(answer: HandshakeError, compression: "str | int") -> bool:
    """Whether the offer to compress may be what the server could not go by."""
    chosen = answer.headers.get("sec-websocket-extensions")
    if answer.status == 101:
        from .compression import chosen as extension

        return bool(chosen) and not extension(compression).accepted(chosen)  # type: ignore[arg-type]
    return answer.status == 400


def _read_body(ws: Connection, answer: HandshakeError) -> "Steps":
    """The steps to the start of the body, where the answer says how one knows its end."""
    ws._error = answer  # from here on, being late is no reason of its own
    fields = answer.headers
    length = fields.get("content-length", "")
    is_chunked = "chunked" in fields.get("transfer-encoding", "").lower()
    body = bytearray(answer.body)
    most = 0
    if is_chunked or "close" in fields.get("connection", "").lower():
        most = _BODY
    elif length.isdigit() and len(length) < 10:
        most = min(int(length), _BODY)
    rx = ws._rx
    try:
        while len(body) < most and not (is_chunked and _is_whole(body)):
            yield READ
            n = ws._sock.readinto(rx, 1 if ws._hung_up else min(len(rx), most - len(body)))
            if n == 0:
                break
            body.extend(memoryview(rx)[: n or 0])
            answer.body = _joined(body) if is_chunked else bytes(body)
    except OSError:
        pass  # what has come of it will do
    answer.body = (_joined(body) if is_chunked else bytes(body))[:_BODY]


def _is_whole(body: bytearray) -> bool:
    return body.startswith(b"0\r\n") or body.find(b"\r\n0\r\n") >= 0


def _joined(body: bytearray) -> bytes:
    """What stands in the chunks (RFC 9112 §7.1), as far as it has come."""
    data = b""
    at = 0
    while True:
        end = body.find(b"\r\n", at)
        try:
            n = int(bytes(body[at:end]).split(b";")[0], 16) if end >= 0 else 0
        except ValueError:
            n = 0
        if n <= 0:
            return data
        data += body[end + 2 : end + 2 + n]
        at = end + 4 + n
