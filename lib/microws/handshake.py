"""What both sides of the opening handshake share (RFC 6455 §4): heads of HTTP/1.1, and the key."""

from binascii import b2a_base64

from .compat import const
from .core import READ, WRITE, Connection
from .errors import HandshakeError
from .loops import sha1

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from ._types import TLS, Headers, NetSocket, Readable, Steps


_GUID = const(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
_SKIPPED = const(16384)  # bytes of cookies
_TOKEN = const(b"-!#$%&'*+.^_`|~0123456789")  # beside letters


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers ``key`` (§4.2.2)."""
    return str(b2a_base64(sha1(key.encode() + _GUID)), "ascii").strip()


# Texts are looked through as bytes: MicroPython keeps each character that it makes a str of for
# ever.


def is_token(text: str) -> bool:
    for c in text.encode():
        if not (96 < c | 32 < 123 or c in _TOKEN):  # a letter; looking through bytes is slow
            return False
    return bool(text)


def tokens(value: str) -> "list[str]":
    """The parts of a comma-separated header value; empty ones count for nothing."""
    return [part.strip() for part in value.split(",") if part.strip()]


def has_token(value: str, name: str) -> bool:
    return name in tokens(value.lower())


def parse_head(head: "bytes | memoryview") -> "tuple[str, dict[str, str]]":
    """The first line and the header fields, by lower-case name, of a request or a response.

    Fields of one name are joined with commas (RFC 9110 §5.3), Set-Cookie with LF, so a field that
    may stand only once fails its own check when it stands twice. A byte over 127 may stand in a
    value and means nothing here: it becomes U+FFFD. ``ValueError`` where it is malformed.
    """
    ascii = bytearray(head)
    for i in range(len(ascii)):
        c = ascii[i]
        if c > 127:
            ascii[i] = 127
        elif (c < 32 and c not in (9, 10, 13)) or c == 127:
            raise ValueError("control character in header")
    lines = str(ascii, "ascii").replace("\x7f", "\ufffd").split("\r\n")
    if [line for line in lines if "\r" in line or "\n" in line]:
        raise ValueError("line must end with CR LF")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not is_token(name):
            raise ValueError("malformed header field")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            value = headers[name] + ("\n" if name == "set-cookie" else ", ") + value
        headers[name] = value
    return lines[0], headers


def build_head(lines: "list[str]") -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def pairs(headers: "Headers | None") -> "Iterable[tuple[str, str]]":
    """The fields of a mapping, or the pairs that they are."""
    return headers.items() if hasattr(headers, "items") else headers or ()  # type: ignore[union-attr,return-value]


def checked_names(subprotocols: "Iterable[str]") -> "tuple[str, ...]":
    """Names of subprotocols, all of them right (RFC 6455 §4.1)."""
    if isinstance(subprotocols, str):
        raise ValueError("subprotocols must be a list of names")
    names = tuple(subprotocols)
    for name in names:
        if not is_token("" + name):  # TypeError where it is no str
            raise ValueError("subprotocol must be a token: " + repr(name))
    return names


def check_context(ssl: "TLS | None") -> None:
    if ssl is not None and not hasattr(ssl, "wrap_socket"):
        raise TypeError("ssl must be an SSLContext")


def nodelay(sock: "NetSocket") -> None:
    """A header and its payload leave together, so there is nothing for TCP to wait for."""
    try:
        sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY: these numbers everywhere
    except OSError:
        pass  # a port without the option


def read_head(
    ws: Connection,
    head: bytearray,
    max_header: int,
    max_fields: int,
    status: int = 0,
    at: int = 0,
    hi: int = 0,
    keep_cookies: bool = True,
) -> "Generator[int, None, tuple[int, int]]":
    """The steps that put the head of a request or a response, with its empty line, into ``head``.

    They begin with ``_rx[at:hi]``, and give such a place of what came behind it. The cookies in it
    may be skipped. Over a bound: ``HandshakeError`` with ``status``; 0 is for a client.
    """
    rx = ws._rx
    line = lines = skipped = 0  # line: where the one in progress begins
    skip = False
    while True:
        if at == hi:
            yield READ
            at = 0
            hi = ws._sock.readinto(rx, 1 if ws._hung_up else len(rx))  # type: ignore[assignment]
            if hi is None:
                hi = 0
                continue
            if not hi:
                raise HandshakeError("the connection ended in the handshake")
        stop = rx.find(b"\n", at, hi) + 1
        ended = stop > 0
        if not ended:
            stop = hi
        head.extend(memoryview(rx)[at:stop])
        lone = ended and head[-2:-1] != b"\r"
        if skip:
            skipped += stop - at
        elif not keep_cookies and head[line : line + 7].lower() == b"cookie:":
            skip = True
            skipped += len(head) - line
        at = stop
        if skip:
            head[line:] = b"" if ended else head[-1:]
            skip = not ended
        # The same however it came in pieces: a line is judged where it is known what it is.
        over = len(head) > max_header and (ended or len(head) - line > 6)
        if skipped > _SKIPPED:
            over = max_header = _SKIPPED  # type: ignore[assignment]
        if over:
            raise HandshakeError("header over %d bytes" % max_header, status)
        if lone:
            raise HandshakeError("line must end with CR LF", status and 400)
        if ended:
            lines += 1
            if lines > max_fields + 2:  # the first line and the empty one
                # Each takes much more memory than its bytes once they are taken apart.
                raise HandshakeError("over %d header fields" % max_fields, status)
            if len(head) == line + 2:
                return at, hi
            line = len(head)


def write_all(ws: Connection, data: "Readable") -> "Steps":
    at = 0
    while at < len(data):
        n = ws._sock.write(data, at, len(data) - at)
        if n is None:
            yield WRITE
        else:
            at += n
