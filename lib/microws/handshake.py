"""The opening handshake, bytes in and bytes out (RFC 6455 §4): the client's side, and what the
server's in ``upgrade`` shares with it.
"""

from binascii import b2a_base64
from os import urandom

from ._compat import const
from .errors import HandshakeError
from .sha1 import sha1

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_GUID = const(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
_TOKEN = const(b"-!#$%&'*+.^_`|~0123456789")  # beside letters


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers ``key`` (§4.2.2)."""
    return str(b2a_base64(sha1(key.encode() + _GUID)), "ascii").strip()


def parse_url(url: str) -> "tuple[bool, str, int, str, bytes]":
    """``(secure, host, port, path, user)`` of a ws:// or wss:// URL (§3), or ``ValueError``.

    ``user`` is ``b"name:password"``, or empty (RFC 3986 §3.2.1).
    """
    if not isinstance(url, str):
        raise TypeError("url must be str")
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    # The authority ends at the first slash or question mark.
    end = len(rest)
    for mark in "/?":
        at = rest.find(mark)
        if 0 <= at < end:
            end = at
    user, sign, host = rest[:end].rpartition("@")
    path = rest[end:]
    if not path.startswith("/"):
        path = "/" + path
    if host.startswith("["):
        host, bracket, port = host[1:].partition("]")
        valid = bracket and port[:1] in ("", ":")
        port = port[1:]
    else:
        host, _, port = host.partition(":")
        valid = ":" not in port
    number = 443 if scheme == "wss" else 80
    if port:
        number = int(port) if port.isdigit() else 0
    if (
        not (valid and host and 0 < number < 65536)
        or scheme not in ("ws", "wss")
        or "#" in rest
        or (sign and ":" not in user)
        or (not is_visible(rest))
    ):
        raise ValueError("url must be ws[s]://[user:password@]host[:port][/path] without #")
    return scheme == "wss", host, number, path, unquote(user)


def unquote(text: str) -> bytes:
    """What a percent-encoded text stands for (RFC 3986 §2.1), or ``ValueError``."""
    parts = text.split("%")
    data = parts[0].encode()
    for part in parts[1:]:
        if len(part) < 2:
            raise ValueError("malformed percent-encoding")
        data += bytes((int(part[:2], 16),)) + part[2:].encode()
    return data


def basic(data: bytes) -> str:
    """The value of Authorization (RFC 7617) for ``b"name:password"``."""
    return "Basic " + str(b2a_base64(data), "ascii").strip()


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


class ClientHandshake:
    """The client's side (§4.1): the request to ``url``, and the check of its response.

    ``headers`` are further ``(name, value)`` pairs, ``subprotocols`` names in the order of
    preference, ``extension`` what there is to offer, kept in ``extension`` once agreed on. A name
    and password in ``url`` go as Basic credentials (RFC 7617).
    ``ValueError`` for what may not stand in a request, ``TypeError`` for what is no str.
    """

    remote_address = ""

    def __init__(
        self,
        url: str,
        headers: "Iterable[tuple[str, str]]" = (),
        subprotocols: "Iterable[str]" = (),
        extension: "Any" = None,
    ) -> None:
        self.extension: Any = None
        self._extension = extension
        self.secure, self.host, self.port, self.path, user = parse_url(url)
        self.subprotocol: str | None = None
        if isinstance(subprotocols, str):
            raise ValueError("subprotocols must be a list of names")
        self._offered = tuple(subprotocols)
        self._key = str(b2a_base64(urandom(16)), "ascii").strip()
        host = "[" + self.host + "]" if ":" in self.host else self.host
        if self.port != (443 if self.secure else 80):
            host = "%s:%d" % (host, self.port)
        # One constant takes less memory than one for each line.
        lines = [
            "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13" % (self.path, host, self._key)
        ]
        if user:
            lines.append("Authorization: " + basic(user))
        if self._offered:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(self._offered))
        for name in self._offered:
            if not is_token(name):
                raise ValueError("subprotocol must be a token: " + repr(name))
        if extension:
            lines.append("Sec-WebSocket-Extensions: " + extension.offer())
        for name, value in headers:
            lines.append(": ".join((name, value)))
            if not is_token(name) or [c for c in value.encode() if c < 32 and c != 9]:
                raise ValueError("malformed header " + repr(name))
        self.request: bytes | None = build_head(lines)

    def respond(self, head: bytes) -> "bytes | None":
        """Check the response; there is nothing to answer. Raises ``HandshakeError``."""
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
        wrong = ""
        if headers.get("upgrade", "").lower() != "websocket":
            wrong = "Upgrade"
        elif not has_token(headers.get("connection", ""), "upgrade"):
            wrong = "Connection"
        elif headers.get("sec-websocket-accept") != accept_key(self._key):
            wrong = "Sec-WebSocket-Accept"
        chosen = headers.get("sec-websocket-extensions")
        if chosen:
            if self._extension is None or not self._extension.accepted(chosen):
                wrong = "Sec-WebSocket-Extensions"
            self.extension = self._extension
        self.subprotocol = headers.get("sec-websocket-protocol")
        if self.subprotocol is not None and self.subprotocol not in self._offered:
            wrong = "Sec-WebSocket-Protocol"
        if wrong:
            raise HandshakeError("wrong %s in the response" % wrong, status)
        return None
