"""The client's side of the opening handshake (RFC 6455 §4.1), from a URL to an open connection."""

from binascii import b2a_base64
from errno import EINPROGRESS
from os import urandom

from .compat import adapt, client_context, connected, const, tls_steps
from .core import WRITE, Connection, bound, check
from .errors import HandshakeError
from .handshake import (
    accept_key,
    build_head,
    check_context,
    checked_names,
    has_token,
    is_token,
    nodelay,
    pairs,
    parse_head,
    read_head,
    write_all,
)
from .url import parse_url

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ._types import TLS, Headers, NetSocket, Steps
    from .compression import Deflate


_UNREACHED = (OSError, ValueError)
_INTERIM = const(10)  # answers before the one that counts


def connecting(
    ws: Connection,
    url: str,
    headers: "Headers | None",
    compression: "str | int | None",
    subprotocols: "Iterable[str]",
    ssl: "TLS | None",
    max_header: "int | None",
    max_fields: "int | None",
    pool: "Any" = None,
    sock: "Any" = None,
) -> "Steps":
    """The steps to an open connection, tried once; the arguments are ``microws.connect()``'s."""
    check(max_header=max_header, max_fields=max_fields)
    ws._secure, host, port, ws.path, user = parse_url(url)
    offered = checked_names(subprotocols)
    check_context(ssl)
    extension: Deflate | None = None
    if compression is not None:
        from .compression import chosen

        extension = chosen(compression)
    key = str(b2a_base64(urandom(16)), "ascii").strip()
    authority = "[" + host + "]" if ":" in host else host
    if port != (443 if ws._secure else 80):
        authority = "%s:%d" % (authority, port)
    lines = []
    for name, value in pairs(headers):
        line = ": ".join((name, value))
        if not is_token(name) or [c for c in value.encode() if (c < 32 and c != 9) or c == 127]:
            raise ValueError("malformed header " + repr(name))
        name = name.lower()
        if name.startswith("sec-websocket-") or name == "upgrade" or name == "connection":
            raise ValueError("the handshake has its own " + name)
        if name == "authorization":
            user = b""
        if name == "host":
            authority = value
        else:
            lines.append(line)
    # One constant takes less memory than one for each line.
    lines.insert(
        0,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13" % (ws.path, authority, key),
    )
    if user:
        from .userinfo import basic

        lines.append("Authorization: " + basic(user))
    if offered:
        lines.append("Sec-WebSocket-Protocol: " + ", ".join(offered))
    if extension:
        lines.append("Sec-WebSocket-Extensions: " + extension.offer())
    request = build_head(lines)
    failure: Exception = OSError("the name has no address")
    addresses: Sequence[tuple | None] = (None,)
    if sock is None:
        if pool is None:
            import socket as pool
        addresses = list(pool.getaddrinfo(host, port, 0, pool.SOCK_STREAM))
    others = len(addresses)
    for address in addresses:
        others -= 1
        ws._others = others
        try:
            if address:
                sock = pool.socket(address[0], pool.SOCK_STREAM)
            for step in _reach(ws, sock, address, host, ssl, request):
                yield step
                if ws._others < 0:
                    raise OSError  # it was silent for too long, while there are others
            break
        except _UNREACHED as error:
            ws._drop_socket()
            # MicroPython tells of a certificate that it refuses with a ValueError.
            failure = error if isinstance(error, OSError) else OSError(str(error))
    else:
        raise failure
    ws._others = 0
    ws.remote_address = "%s:%d" % (host, port)
    at = hi = 0
    try:
        for _ in range(_INTERIM + 1):  # RFC 9110 §15.2
            head = bytearray()
            at, hi = yield from read_head(
                ws, head, bound(max_header), bound(max_fields), 0, at, hi
            )
            status = _status(head)
            if status // 100 != 1 or status == 101:
                break
        fields, ws.subprotocol, agreed = _check(memoryview(head)[:-4], key, offered, extension)
    except HandshakeError as error:
        error.status = _status(head)
        if error.headers:
            error.body = bytes(memoryview(ws._rx)[at:hi])
        raise
    if ws.response_headers is not None:
        ws.response_headers = fields
    ws._start(at, hi)
    if agreed:
        extension.begin(ws)  # type: ignore[union-attr]


def _reach(
    ws: Connection,
    sock: "NetSocket",
    address: "tuple | None",
    host: str,
    ssl: "TLS | None",
    request: bytes,
) -> "Steps":
    """Connect ``sock`` to ``address``, unless it is None: then it is connected already. Ask."""
    ws._sock = adapt(sock)
    ws._hung_up = False
    sock.setblocking(False)
    nodelay(sock)
    if address:
        try:
            sock.connect(address[-1])
        except OSError as busy:
            if busy.errno != EINPROGRESS:
                raise
        yield WRITE
        connected(sock)
    if ws._secure:
        ws._plain = sock
        sock = (ssl or client_context()).wrap_socket(
            sock, server_hostname=host, do_handshake_on_connect=False
        )
        ws._sock = adapt(sock)
        yield from tls_steps(sock)
    yield from write_all(ws, request)


def _status(head: "bytes | bytearray | memoryview") -> int:
    """The status in a response, or the beginning of one; 0 where it is not HTTP/1."""
    start = bytes(head[:13])
    digits = start[7:8] + start[9:12]
    good = start[:7] + start[8:9] == b"HTTP/1. " and start[12:] in b"\r " and len(digits) == 4
    return int(digits[1:]) if good and digits.isdigit() else 0


def _check(
    head: "bytes | memoryview", key: str, offered: "tuple[str, ...]", extension: "Deflate | None"
) -> "tuple[dict[str, str], str | None, bool]":
    """The fields of a response that is right, its subprotocol, whether it takes the extension."""
    try:
        line, headers = parse_head(head)
    except ValueError as error:
        raise HandshakeError("response: %s" % error) from None
    if not _status(head):
        raise HandshakeError("the peer speaks no HTTP/1")
    subprotocol = headers.get("sec-websocket-protocol")
    chosen = headers.get("sec-websocket-extensions")
    wrong = ""
    if line[9:12] != "101":
        wrong = "the server answered " + line[9:]
    elif line[7] == "0":
        wrong = "the server speaks HTTP/1.0"
    elif headers.get("upgrade", "").lower() != "websocket":
        wrong = "upgrade"
    elif not has_token(headers.get("connection", ""), "upgrade"):
        wrong = "connection"
    elif headers.get("sec-websocket-accept") != accept_key(key):
        wrong = "sec-websocket-accept"
    elif chosen and not (extension and extension.accepted(chosen)):
        wrong = "sec-websocket-extensions"
    elif subprotocol is not None and subprotocol not in offered:
        wrong = "sec-websocket-protocol"
    if wrong:
        if " " not in wrong:
            wrong = "the response has a wrong " + wrong
        raise HandshakeError(wrong, 0, headers)
    return headers, subprotocol, bool(chosen)
