"""What both sides of the opening handshake share (RFC 6455 §4): heads of HTTP/1.1, and the key."""

from binascii import b2a_base64

from ._compat import const
from .core import READ, WRITE, Connection
from .errors import HandshakeError
from .loops import sha1

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Any, Protocol

    from .core import Steps

    Headers = Mapping[str, str] | Iterable[tuple[str, str]]

    class TLS(Protocol):
        """An ``SSLContext``, or what has its method, as ``pin.Pinned``."""

        @property
        def wrap_socket(self) -> Any: ...


_GUID = const(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
_TOKEN = const(b"-!#$%&'*+.^_`|~0123456789")  # beside letters


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers ``key`` (§4.2.2)."""
    return str(b2a_base64(sha1(key.encode() + _GUID)), "ascii").strip()


# Texts are looked through as bytes: MicroPython keeps each character that it makes a str of for
# ever.


def is_visible(text: str) -> bool:
    for c in text.encode():
        if not 32 < c < 127:
            return False
    return True


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


def parse_head(head: bytes) -> "tuple[str, dict[str, str]]":
    """The first line and the header fields, by lower-case name, of a request or a response.

    Fields of one name are joined with commas (RFC 9110 §5.3), so a field that may stand only
    once fails its own check when it stands twice. ``ValueError`` where it is malformed.
    """
    ascii = bytearray(head)
    for i in range(len(ascii)):
        c = ascii[i]
        if c > 127:
            ascii[i] = 63  # "?": such bytes may stand in a value and mean nothing here
        elif (c < 32 and c not in (9, 10, 13)) or c == 127:
            raise ValueError("control character in header")
    lines = str(ascii, "ascii").split("\r\n")
    if [line for line in lines if "\r" in line or "\n" in line]:
        raise ValueError("line must end with CR LF")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not is_token(name):
            raise ValueError("malformed header field")
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = headers[name] + ", " + value if name in headers else value
    return lines[0], headers


def build_head(lines: "list[str]") -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def new_extension(compression: "str | int | None") -> "Any":
    """What ``compression`` asks for, for one connection; ``ValueError`` where nobody knows it."""
    if compression is None:
        return None
    from .compression import WINDOW_BITS, Deflate

    if compression == "deflate":
        compression = WINDOW_BITS
    if not isinstance(compression, int):
        raise ValueError('compression must be None, "deflate" or its window bits')
    return Deflate(compression)


def pairs(headers: "Any") -> "Iterable[tuple[str, str]]":
    """The fields of a mapping, or the pairs that they are."""
    return headers.items() if hasattr(headers, "items") else headers or ()


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


def nodelay(sock: "Any") -> None:
    """A header and its payload leave together, so there is nothing for TCP to wait for."""
    try:
        sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY: these numbers everywhere
    except OSError:
        pass  # a port without the option


def read_head(
    ws: Connection, max_header: int, max_fields: int, status: int
) -> "Generator[int, None, Any]":
    """The steps to the head of a request or a response, without the empty line at its end.

    What came behind it begins the connection. Over a bound: ``HandshakeError`` with ``status``.
    """
    rx = ws._rx
    head = bytearray()
    newlines = lines = at = hi = 0  # newlines: how much of CR LF CR LF stands at the end
    while newlines < 4:
        if at == hi:
            yield READ
            at = 0
            hi = ws._sock.readinto(rx, 1 if ws._hung_up else len(rx))
            if hi is None:
                hi = 0
                continue
            if not hi:
                raise HandshakeError("the connection ended before the handshake was done")
        start = at
        while at < hi and newlines < 4:
            c = rx[at]
            at += 1
            if c == 13:
                newlines = 3 if newlines == 2 else 1
            elif c == 10 and newlines & 1:
                newlines += 1
                lines += 1
            else:
                newlines = 0
        if len(head) + at - start > max_header:
            raise HandshakeError("header over %d bytes" % max_header, status)
        if lines > max_fields + 2:  # the first line and the empty one
            # Each takes much more memory than its bytes once they are taken apart.
            raise HandshakeError("over %d header fields" % max_fields, status)
        head.extend(memoryview(rx)[start:at])
    ws._start(at, hi)
    return memoryview(head)[:-4]


def write_all(ws: Connection, data: "Any") -> "Steps":
    at = 0
    while at < len(data):
        n = ws._sock.write(data, at, len(data) - at)
        if n is None:
            yield WRITE
        else:
            at += n
