"""The client's side of the opening handshake (RFC 6455 §4.1), from a URL to an open connection."""

from binascii import b2a_base64
from errno import EINPROGRESS
from os import urandom

from ._compat import adapt, client_context, connected, const, tls_steps
from .core import WRITE, Connection, bound, check
from .errors import HandshakeError
from .handshake import (
    accept_key,
    build_head,
    check_context,
    checked_names,
    has_token,
    is_token,
    new_extension,
    nodelay,
    pairs,
    parse_head,
    read_head,
    write_all,
)
from .url import basic, parse_url

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .core import Steps
    from .handshake import TLS, Headers


def connecting(
    ws: Connection,
    url: str,
    headers: "Headers | None",
    subprotocols: "Iterable[str]",
    ssl: "TLS | None",
    compression: "str | int | None",
    max_header: "int | None",
    max_fields: "int | None",
    pool: "Any" = None,
    sock: "Any" = None,
) -> "Steps":
    """The steps to an open connection; the arguments are those of ``microws.connect()``."""
    check(max_header=max_header, max_fields=max_fields)
    ws._secure, host, port, ws.path, user = parse_url(url)
    offered = checked_names(subprotocols)
    check_context(ssl)
    extension = new_extension(compression)
    key = str(b2a_base64(urandom(16)), "ascii").strip()
    name = "[" + host + "]" if ":" in host else host
    if port != (443 if ws._secure else 80):
        name = "%s:%d" % (name, port)
    # One constant takes less memory than one for each line.
    lines = [
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13" % (ws.path, name, key)
    ]
    if user:
        lines.append("Authorization: " + basic(user))
    if offered:
        lines.append("Sec-WebSocket-Protocol: " + ", ".join(offered))
    if extension:
        lines.append("Sec-WebSocket-Extensions: " + extension.offer())
    for name, value in pairs(headers):
        lines.append(": ".join((name, value)))
        if not is_token(name) or [c for c in value.encode() if (c < 32 and c != 9) or c == 127]:
            raise ValueError("malformed header " + repr(name))
    request = build_head(lines)
    error: Exception = OSError("the name has no address")
    addresses: Any = (None,)
    if sock is None:
        if pool is None:
            import socket as pool
        addresses = pool.getaddrinfo(host, port, 0, pool.SOCK_STREAM)
    for address in addresses:
        try:
            if address:
                sock = pool.socket(address[0], pool.SOCK_STREAM)
            yield from _reach(ws, sock, address, host, ssl)
            yield from write_all(ws, request)
            break
        except (OSError, ValueError) as failure:
            ws._drop_socket()
            # MicroPython tells of a certificate that it refuses with a ValueError.
            error = failure if isinstance(failure, OSError) else OSError(str(failure))
    else:
        raise error
    ws.remote_address = "%s:%d" % (host, port)
    head = yield from read_head(ws, bound(max_header), bound(max_fields), 0)
    ws.subprotocol, agreed = _check(head, key, offered, extension)
    if agreed:
        extension.begin(ws)


def _reach(ws: Connection, sock: "Any", address: "Any", host: str, ssl: "Any") -> "Steps":
    """Connect ``sock`` to ``address``, unless it is None: then it is connected already."""
    ws._sock = adapt(sock)
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


def _check(
    head: "Any", key: str, offered: "tuple[str, ...]", extension: "Any"
) -> "tuple[str | None, bool]":
    """The subprotocol of a response that is right, and whether the extension was agreed on."""
    try:
        line, headers = parse_head(head)
    except ValueError as error:
        raise HandshakeError("response: %s" % error) from None
    version, _, rest = line.partition(" ")
    code, _, phrase = rest.partition(" ")
    minor = version[7:]
    spoken = version.startswith("HTTP/1.") and len(minor) == 1 and minor.isdigit()
    if not spoken or len(code) != 3 or not code.isdigit():
        raise HandshakeError("the peer does not speak HTTP/1.1")
    status = int(code)
    if status != 101:
        raise HandshakeError("the server answered %d %s" % (status, phrase), status)
    if int(minor) < 1:
        raise HandshakeError("the server speaks HTTP/1.0", status)
    subprotocol = headers.get("sec-websocket-protocol")
    chosen = headers.get("sec-websocket-extensions")
    wrong = ""
    if headers.get("upgrade", "").lower() != "websocket":
        wrong = "Upgrade"
    elif not has_token(headers.get("connection", ""), "upgrade"):
        wrong = "Connection"
    elif headers.get("sec-websocket-accept") != accept_key(key):
        wrong = "Sec-WebSocket-Accept"
    elif chosen and not (extension and extension.accepted(chosen)):
        wrong = "Sec-WebSocket-Extensions"
    elif subprotocol is not None and subprotocol not in offered:
        wrong = "Sec-WebSocket-Protocol"
    if wrong:
        raise HandshakeError("wrong %s in the response" % wrong, status)
    return subprotocol, bool(chosen)
