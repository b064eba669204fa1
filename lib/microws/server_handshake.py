"""The server's side of the opening handshake (RFC 6455 §4.2)."""

from .compat import adapt, const, peer_name, tls_steps
from .core import Connection
from .errors import HandshakeError
from .handshake import (
    accept_key,
    build_head,
    has_token,
    is_token,
    nodelay,
    parse_head,
    read_head,
    tokens,
    write_all,
)

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._types import TLS, NetSocket, Steps
    from .compression import Deflate
    from .plain_http import Answer, Request

_BASE64 = const(b"0123456789+/")  # beside letters


class ServerHandshake:
    """The server's side, for one connection; ``subprotocols`` in the order of preference.

    ``process_request(request)`` may answer with plain HTTP instead: it gives ``(status, headers,
    body)``, the body as bytes or as an iterable of bytes, or None to go on. ``is_full(handshake)``
    tells that no further client can be had.
    """

    remote_address = ""
    path = "/"
    body: "bytes | bytearray" = b""
    subprotocol: "str | None" = None
    agreed = False  # on the extension
    is_head = False  # the request is one that is answered without a body
    answer: "Answer | None" = None

    def __init__(
        self,
        subprotocols: "tuple[str, ...]" = (),
        compression: "str | int | None" = None,
        process_request: "Callable[[Request], Answer | None] | None" = None,
        is_full: "Callable[[ServerHandshake], bool] | None" = None,
    ) -> None:
        self._supported = subprotocols
        self.extension: Deflate | None = None
        if compression is not None:
            from .compression import chosen

            self.extension = chosen(compression)
        self._process_request = process_request
        self._is_full = is_full

    def respond(self, head: "bytes | memoryview") -> bytes:
        """The response to a request that is accepted.

        Raises ``HandshakeError`` with the status for one that is not: then see ``plain_http``.
        """
        try:
            line, headers = parse_head(head)
        except ValueError as error:
            raise HandshakeError(str(error), 400) from None
        parts = line.split(" ")
        if len(parts) != 3 or not _is_target(parts[1]) or not is_token(parts[0]):
            raise HandshakeError("malformed request line", 400)
        method, path, version = parts
        if path.startswith("http://") or path.startswith("https://"):  # §4.2.1, item 1
            path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
        major, dot, minor = version[5:6], version[6:7], version[7:]
        if not (version[:5] == "HTTP/" and dot == "." and major.isdigit() and minor.isdigit()):
            raise HandshakeError("malformed request line", 400)
        if not path.startswith("/"):
            raise HandshakeError("malformed request line", 400)
        if major != "1":
            raise HandshakeError("HTTP/1.1 required", 505)
        self.path = path
        host = headers.get("host", "")
        if "," in host or not (host or minor == "0"):
            raise HandshakeError("exactly one Host required", 400)
        if self._process_request:
            from .plain_http import Request

            request = Request(method, path, headers, self.remote_address, self.body)
            self.answer = self._process_request(request)
            if self.answer:
                status = self.answer[0]
                raise HandshakeError("answered with HTTP %d" % status, status)
        upgrades = has_token(headers.get("upgrade", ""), "websocket") and has_token(
            headers.get("connection", ""), "upgrade"
        )
        if method != "GET" and (upgrades or method != "HEAD"):
            raise HandshakeError("only GET here", 405)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            raise HandshakeError("no body allowed", 400)
        if not upgrades or minor == "0":
            raise HandshakeError("WebSocket only: HTTP/1.1 and Upgrade: websocket required", 426)
        if headers.get("sec-websocket-version") != "13":
            raise HandshakeError("Sec-WebSocket-Version: 13 required", 426)
        key = headers.get("sec-websocket-key", "")
        wrong = [c for c in key[:22].encode() if not (96 < c | 32 < 123 or c in _BASE64)]
        if len(key) != 24 or key[22:] != "==" or wrong:
            raise HandshakeError("Sec-WebSocket-Key of 16 bytes required", 400)
        if self._is_full and self._is_full(self):
            raise HandshakeError("too many clients, come again later", 503)
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: " + accept_key(key),
        ]
        offered = tokens(headers.get("sec-websocket-protocol", ""))
        for name in self._supported:
            if name in offered:
                self.subprotocol = name
                lines.append("Sec-WebSocket-Protocol: " + name)
                break
        offers = headers.get("sec-websocket-extensions")
        chosen = self.extension and offers and self.extension.choose(offers)
        if chosen:
            self.agreed = True
            lines.append("Sec-WebSocket-Extensions: " + chosen)
        return build_head(lines)


def _is_target(text: str) -> bool:
    """Whether these bytes may stand in a request's target (RFC 9112 §3.2, RFC 3986 §3.3).

    Browsers send some that may not: "|", "^" and brackets, in a query "\\", "`" and braces, too
    (https://url.spec.whatwg.org/#path-percent-encode-set). These are let through.
    """
    refused = b'"#<>\\`{}'
    for c in text.encode():
        if c == 63:  # "?"
            refused = b'"#<>'
        if not 32 < c < 127 or c in refused:
            return False
    return True


def listening_socket(
    host: "str | None", port: "int | None", pool: "Any", sock: "Any"
) -> "NetSocket":
    """A non-blocking socket that listens, or ``sock``, which does already.

    ``OSError`` where the address cannot be had, ``ValueError`` for a port that none has.
    """
    if sock is not None:
        sock.setblocking(False)
        return sock
    if not isinstance(port, int):
        raise TypeError("port must be int")
    if not 0 <= port <= 65535:
        raise ValueError("port must be 0 to 65535")
    if pool is None:
        import socket as pool
    address = pool.getaddrinfo(host or "0.0.0.0", port, 0, pool.SOCK_STREAM)[0]
    sock = pool.socket(address[0], pool.SOCK_STREAM)
    try:
        sock.setsockopt(pool.SOL_SOCKET, pool.SO_REUSEADDR, 1)
        sock.bind(address[-1])
        sock.listen(4)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def accepting(
    ws: Connection,
    sock: "NetSocket",
    address: object,
    handshake: ServerHandshake,
    ssl: "TLS | None",
    max_header: int,
    max_fields: int,
    keep_cookies: bool = False,
    max_body: int = 0,
) -> "Steps":
    """The steps to an open connection. Who is refused is told why: then ``HandshakeError``."""
    ws._sock = sock  # type: ignore[assignment]
    ws.remote_address = handshake.remote_address = peer_name(address)
    sock.setblocking(False)
    nodelay(sock)
    if ssl:
        ws._plain = sock
        sock = ssl.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    ws._sock = adapt(sock)
    if ssl:
        yield from tls_steps(sock)
    head = bytearray()
    try:
        try:
            lo, hi = yield from read_head(
                ws, head, max_header, max_fields, 431, 0, 0, keep_cookies
            )
            if max_body:
                from .bodies import read_body

                handshake.body, lo = yield from read_body(
                    ws, memoryview(head)[:-4], lo, hi, max_body
                )
            ws._start(lo, hi)
            answer = handshake.respond(memoryview(head)[:-4])
        except MemoryError:
            raise HandshakeError("out of memory", 503) from None
        finally:
            handshake.is_head = head[:5] == b"HEAD "
            ws.path = handshake.path
    except HandshakeError as error:
        if error.status:
            try:
                from .plain_http import refusing
            except MemoryError:
                # Too little even for the answer's module.
                yield from write_all(ws, b"HTTP/1.1 503 \r\n\r\n")
                ws._receiver = ws._drain()
            else:
                yield from refusing(ws, handshake, error)
        raise
    del head
    yield from write_all(ws, answer)
    ws.subprotocol = handshake.subprotocol
    if handshake.agreed:
        handshake.extension.begin(ws)  # type: ignore[union-attr]
