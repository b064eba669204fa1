"""The opening handshake, both sides, bytes in and bytes out (RFC 6455 §4)."""

from binascii import b2a_base64
from os import urandom

from .errors import HandshakeError
from .sha1 import sha1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_EXTRA = {
    405: (("Allow", "GET"),),
    426: (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
    503: (("Retry-After", "10"),),
}


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers ``key`` (§4.2.2)."""
    return str(b2a_base64(sha1(key.encode() + _GUID)), "ascii").strip()


def parse_url(url: str) -> "tuple[bool, str, int, str]":
    """``(secure, host, port, path)`` of a ws:// or wss:// URL (§3), or ``ValueError``."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in ("ws", "wss"):
        raise ValueError("url must begin with ws:// or wss://: " + url)
    if "#" in rest:
        raise ValueError("url must have no fragment (#): " + url)
    if not _is_visible(rest):
        raise ValueError("url must be ASCII without spaces: " + repr(url))
    # The authority ends at the first slash or question mark.
    end = len(rest)
    for mark in "/?":
        at = rest.find(mark)
        if 0 <= at < end:
            end = at
    authority = rest[:end]
    path = rest[end:]
    if not path.startswith("/"):
        path = "/" + path
    if "@" in authority:
        raise ValueError("url must have no user name")
    if authority.startswith("["):
        host, bracket, port = authority[1:].partition("]")
        valid = bracket and port[:1] in ("", ":")
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
        valid = ":" not in port
    if not (valid and host):
        raise ValueError("url must name a host: " + url)
    if not port:
        return scheme == "wss", host, 443 if scheme == "wss" else 80, path
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("port in url must be 1 to 65535: " + url)
    return scheme == "wss", host, int(port), path


def _is_visible(text: str) -> bool:
    for c in text:
        if not "!" <= c <= "~":
            return False
    return True


def _is_token(text: str) -> bool:
    for c in text:
        if c not in _TOKEN:
            return False
    return bool(text)


def _tokens(value: str) -> "list[str]":
    """The parts of a comma-separated header value; empty ones count for nothing."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _has_token(value: str, token: str) -> bool:
    return token in _tokens(value.lower())


def _parse_head(head: bytes) -> "tuple[str, dict[str, str]]":
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
        if not colon or not _is_token(name):
            raise ValueError("malformed header field")
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = headers[name] + ", " + value if name in headers else value
    return lines[0], headers


def _head(lines: "list[str]") -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class ClientHandshake:
    """The client's side (§4.1): the request to ``url``, and the check of its response.

    ``headers`` are further ``(name, value)`` pairs, ``subprotocols`` names in the order of
    preference, ``extension`` what there is to offer, kept in ``extension`` once agreed on.
    ``ValueError`` for what may not stand in a request.
    """

    def __init__(
        self,
        url: str,
        headers: "Iterable[tuple[str, str]]" = (),
        subprotocols: "Iterable[str]" = (),
        extension: "Any" = None,
    ) -> None:
        self.extension: Any = None
        self._extension = extension
        self.secure, self.host, self.port, self.path = parse_url(url)
        self.subprotocol: str | None = None
        self._offered = tuple(subprotocols)
        self._key = str(b2a_base64(urandom(16)), "ascii").strip()
        host = "[" + self.host + "]" if ":" in self.host else self.host
        if self.port != (443 if self.secure else 80):
            host = "%s:%d" % (host, self.port)
        lines = [
            "GET " + self.path + " HTTP/1.1",
            "Host: " + host,
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: " + self._key,
            "Sec-WebSocket-Version: 13",
        ]
        for name in self._offered:
            if not _is_token(name):
                raise ValueError("subprotocol must be a token: " + repr(name))
        if self._offered:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(self._offered))
        if extension:
            lines.append("Sec-WebSocket-Extensions: " + extension.offer())
        for name, value in headers:
            if not _is_token(name) or "\r" in value or "\n" in value:
                raise ValueError("malformed header " + repr(name))
            lines.append(name + ": " + value)
        self.request = _head(lines)

    def respond(self, head: bytes) -> "bytes | None":
        """Check the response; there is nothing to answer. Raises ``HandshakeError``."""
        try:
            line, headers = _parse_head(head)
        except ValueError as error:
            raise HandshakeError("response: " + str(error)) from None
        version, _, rest = line.partition(" ")
        code, _, phrase = rest.partition(" ")
        if not version.startswith("HTTP/1.") or len(code) != 3 or not code.isdigit():
            raise HandshakeError("the peer does not speak HTTP/1.1")
        status = int(code)
        if status != 101:
            raise HandshakeError("the server answered %d %s" % (status, phrase), status)
        if version == "HTTP/1.0":
            raise HandshakeError("the server speaks HTTP/1.0", status)
        if headers.get("upgrade", "").lower() != "websocket":
            raise HandshakeError("no Upgrade: websocket in the response", status)
        if not _has_token(headers.get("connection", ""), "upgrade"):
            raise HandshakeError("no Connection: Upgrade in the response", status)
        if headers.get("sec-websocket-accept") != accept_key(self._key):
            raise HandshakeError("wrong Sec-WebSocket-Accept in the response", status)
        chosen = headers.get("sec-websocket-extensions")
        if chosen:
            if self._extension is None or not self._extension.accepted(chosen):
                raise HandshakeError("the server chose an extension that was not offered", status)
            self.extension = self._extension
        self.subprotocol = headers.get("sec-websocket-protocol")
        if self.subprotocol is not None and self.subprotocol not in self._offered:
            raise HandshakeError("the server chose a subprotocol that was not offered", status)
        return None


class Request:
    """What a client asks for, as a program may look at it before the upgrade.

    ``path`` has the query in it; ``headers`` maps lower-case names to values.
    """

    def __init__(self, method: str, path: str, headers: "dict[str, str]") -> None:
        self.method = method
        self.path = path
        self.headers = headers


class ServerHandshake:
    """The server's side (§4.2); ``subprotocols`` in the order of this side's preference.

    ``process_request(request)`` may answer with plain HTTP instead: it gives ``(status, headers,
    body)``, the body as bytes or as an iterable of bytes, or None to go on. ``is_full()`` tells
    that no further client can be had.
    """

    request = b""

    def __init__(
        self,
        subprotocols: "Iterable[str]" = (),
        extension: "Any" = None,
        process_request: "Callable[[Request], Any] | None" = None,
        is_full: "Callable[[], bool] | None" = None,
    ) -> None:
        self.path = "/"
        self.subprotocol: str | None = None
        self.extension: Any = None
        self._supported = tuple(subprotocols)
        self._extension = extension
        self._process_request = process_request
        self._is_full = is_full
        self._answer: Any = None

    def respond(self, head: bytes) -> bytes:
        """The response to a request that is accepted.

        Raises ``HandshakeError`` with the status for one that is not: then see ``refuse()``.
        """
        try:
            line, headers = _parse_head(head)
        except ValueError as error:
            raise HandshakeError(str(error), 400) from None
        parts = line.split(" ")
        if len(parts) != 3 or not _is_visible(parts[1]) or not _is_token(parts[0]):
            raise HandshakeError("malformed request line", 400)
        method, path, version = parts
        if path.startswith("http://") or path.startswith("https://"):  # §4.2.1, item 1
            path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
        if len(version) != 8 or version[:5] != "HTTP/" or version[6] != "." or path[0] != "/":
            raise HandshakeError("malformed request line", 400)
        if version[5] != "1" or version[7] == "0":
            raise HandshakeError("HTTP/1.1 required", 505)
        self.path = path
        host = headers.get("host", "")
        if not host or "," in host:
            raise HandshakeError("exactly one Host required", 400)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            raise HandshakeError("no body allowed", 400)
        if self._process_request:
            self._answer = self._process_request(Request(method, path, headers))
            if self._answer:
                status = self._answer[0]
                raise HandshakeError("answered with HTTP %d" % status, status)
        if method != "GET":
            raise HandshakeError("only GET here", 405)
        if not (
            _has_token(headers.get("upgrade", ""), "websocket")
            and _has_token(headers.get("connection", ""), "upgrade")
        ):
            raise HandshakeError("WebSocket only: Upgrade: websocket required", 426)
        if headers.get("sec-websocket-version") != "13":
            raise HandshakeError("Sec-WebSocket-Version: 13 required", 426)
        key = headers.get("sec-websocket-key", "")
        if len(key) != 24 or key[22:] != "==" or [c for c in key[:22] if c not in _BASE64]:
            raise HandshakeError("Sec-WebSocket-Key of 16 bytes required", 400)
        if self._is_full and self._is_full():
            raise HandshakeError("too many clients, come again later", 503)
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: " + accept_key(key),
        ]
        offered = _tokens(headers.get("sec-websocket-protocol", ""))
        for name in self._supported:
            if name in offered:
                self.subprotocol = name
                lines.append("Sec-WebSocket-Protocol: " + name)
                break
        offers = headers.get("sec-websocket-extensions")
        chosen = self._extension and offers and self._extension.choose(offers)
        if chosen:
            self.extension = self._extension
            lines.append("Sec-WebSocket-Extensions: " + chosen)
        return _head(lines)

    def refuse(self, error: HandshakeError) -> "tuple[bytes, Any]":
        """The head and the body of the HTTP response that says no, or what the program says."""
        status = error.status
        if self._answer:
            _, headers, body = self._answer
        else:
            headers = _EXTRA.get(status, ())
            body = (error.reason + "\n").encode()
        lines = ["HTTP/1.1 %d %s" % (status, _REASONS.get(status, "Answer"))]
        lines += [name + ": " + value for name, value in headers]
        lines.append("Connection: close" if status != 426 else "Connection: Upgrade, close")
        if isinstance(body, bytes):
            lines.append("Content-Length: %d" % len(body))
            body = (body,)
        return _head(lines), body
