"""What can go wrong, as exceptions. A peer can cause only these and ``OSError``.

Wrong arguments are ``ValueError`` or ``TypeError``. Where there is no memory for what this side
asks for itself, a call raises ``MemoryError``.
"""

from errno import ETIMEDOUT


class WebSocketError(Exception):
    """Base class of the library's own errors."""


class HandshakeError(WebSocketError):
    """The opening handshake failed (RFC 6455 §4).

    ``status`` is an HTTP status: the one that the server answered (client side), the one that
    was sent to the client (server side), or 0 where there was none.

    A client has the server's ``headers`` as well, values by lower-case name (several Set-Cookie
    with LF between them), and the start of its ``body``, at most 1 KiB.
    """

    body = b""

    def __init__(
        self, reason: str, status: int = 0, headers: "dict[str, str] | None" = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.headers = headers or {}


class _Closed(WebSocketError):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        words = "connection lost" if self.code == 1006 else "connection closed"
        return "%s (%d)%s" % (words, self.code, self.reason and ": " + self.reason)


class ProtocolError(_Closed):
    """The peer broke a rule or struck a bound, and this side failed the connection (§7.1.7).

    ``code`` is the close code that was sent: 1002, 1007, 1008 or 1009 (§7.4.1).
    """


class ConnectionClosed(_Closed):
    """The connection is closed.

    ``code`` and ``reason`` are those of the peer's Close frame; 1005 stands for a Close frame
    without a code and 1006 for a connection that ended without a Close frame (§7.1.5).
    """


class Timeout(OSError):
    """Nothing came, or nothing could be sent, within the time that was given."""

    def __init__(self, reason: str) -> None:
        super().__init__(ETIMEDOUT, reason)
