"""What the blocking and the asyncio front share: one connection over a socket.

The rare and long ways (connect, handshake, close) are generators that yield READ or WRITE, the
direction they wait for, so they are written once for both fronts. The short way of a message
stands in each front.
"""

from errno import EINPROGRESS

from ._compat import READ, WRITE, adapt, client_context, connected, const, peer_name, tls_steps
from .protocol import Protocol
from .utf8 import encode, validate

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    Steps = Generator[int, None, Any]

# As in protocol.py: a board cannot import a private constant.
_CLOSED = const(3)
_ENDED = const(4)
_NOTHING = const(0)
_BINARY = const(2)
_TEXT = const(1)

# Seconds without a byte after which a server that failed a connection drops it. Closing at once
# would make TCP reset it, and the peer could miss the reason.
_LINGER = const(0.25)
_BYTES_LIKE = (bytes, bytearray, memoryview)


def new_extension(compression: "str | int | None") -> "Any":
    """What ``compression`` asks for, for one connection; ``ValueError`` where nobody knows it."""
    if compression is None:
        return None
    from .permessage_deflate import WINDOW_BITS, Deflate

    if compression == "deflate":
        compression = WINDOW_BITS
    if not isinstance(compression, int):
        raise ValueError('compression must be None, "deflate" or its window bits')
    return Deflate(compression)


def milliseconds(timeout: "float | None") -> int:
    """``timeout`` seconds in milliseconds, -1 for no limit.

    ``ValueError`` past what a board's clock can count.
    """
    if timeout is None:
        return -1
    if not timeout < 500000:
        raise ValueError("a timeout must be less than 500000 s; None is no limit")
    return int(timeout * 1000)


def pieces(message: "Any") -> "Any":
    """The pieces of a message that is neither str nor bytes-like."""
    try:
        return iter(message)
    except TypeError:
        raise TypeError("a message is str, bytes-like or an iterable of these") from None


def nodelay(sock: "Any") -> None:
    """A header and its payload leave together, so there is nothing for TCP to wait for."""
    import socket

    try:
        sock.setsockopt(6, getattr(socket, "TCP_NODELAY", 1), 1)
    except OSError:
        pass  # a port without the option


def listening_socket(host: str, port: int) -> "Any":
    """A non-blocking socket that listens; ``OSError`` where the address cannot be had.

    ``ValueError`` for a port that none has.
    """
    if not 0 <= port <= 65535:
        raise ValueError("port must be 0 to 65535")
    import socket

    address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address[-1])
        sock.listen(4)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


class Connection:
    """The state of an open WebSocket, and its long ways as generators.

    Beside ``close_timeout``, in seconds, it has attributes to be read:

    - ``close_code``: that of the peer (§7.1.5), 1006 without one, None while it is open;
    - ``close_reason``: the reason in the peer's Close frame;
    - ``is_text``: whether the last message that was received is text;
    - ``path``: path and query of the request;
    - ``remote_address``: ``"host:port"`` of the peer;
    - ``subprotocol``: the one that was agreed on (§1.9), or None.
    """

    if TYPE_CHECKING:
        close_code: int | None
        close_reason: str
        is_text: bool
        path: str
        remote_address: str
        subprotocol: str | None
    else:
        # No properties: in a class that has one MicroPython looks every name up once more, or
        # twice, with each call of a method and each attribute that is set.
        def __getattr__(self, name):
            if name == "close_code":
                p = self._protocol
                return p.close_code or 1006 if p.state == _CLOSED or p.is_mute else None
            if name == "close_reason":
                return self._protocol.close_reason
            if name == "is_text":
                return self._protocol.opcode == _TEXT
            if name in ("path", "remote_address", "subprotocol"):
                return getattr(self._protocol.handshake, name)
            raise AttributeError("'WebSocket' object has no attribute '%s'" % name)

    _plain: "Any" = None  # the socket under TLS
    _opcode = 0  # of the message that _payload() was last asked about

    def __init__(self, protocol: Protocol, close_timeout: float, sock: "Any" = None) -> None:
        self._protocol = protocol
        milliseconds(close_timeout)  # a wrong one
        self.close_timeout = close_timeout
        self._sock = sock

    def _close_socket(self) -> None:
        if self._sock is not None:
            self._sock.close()
            if self._plain is not None:
                # MicroPython's TLS lets it go, open, when a handshake has failed.
                self._plain.close()
            self._sock = self._plain = None

    # Ways of a connection

    def _connect(self, ssl: "Any", resolve: "Any" = None) -> "Steps":
        import socket

        handshake = self._protocol.handshake
        host = handshake.host
        error: Exception = OSError("the name has no address")
        resolve = resolve or socket.getaddrinfo
        for address in resolve(host, handshake.port, 0, socket.SOCK_STREAM):
            sock = socket.socket(address[0], socket.SOCK_STREAM)
            try:
                self._protocol.begin()
                sock.setblocking(False)
                nodelay(sock)
                try:
                    sock.connect(address[-1])
                except OSError as busy:
                    if busy.errno != EINPROGRESS:
                        raise
                self._sock = adapt(sock)
                yield WRITE
                connected(sock)
                if handshake.secure:
                    self._plain = sock
                    sock = (ssl or client_context()).wrap_socket(
                        sock, server_hostname=host, do_handshake_on_connect=False
                    )
                    self._sock = adapt(sock)
                    yield from tls_steps(sock)
                yield from self._flush_steps()
                handshake.remote_address = "%s:%d" % (host, handshake.port)
                break
            except (OSError, ValueError) as failure:
                self._sock = sock
                self._close_socket()
                # MicroPython tells of a certificate that it refuses with a ValueError.
                error = failure if isinstance(failure, OSError) else OSError(str(failure))
        else:
            raise error
        yield from self._open()

    def _accept(self, address: "Any", ssl: "Any") -> "Steps":
        sock = self._sock
        self._protocol.handshake.remote_address = peer_name(address)
        sock.setblocking(False)
        nodelay(sock)
        if ssl:
            self._plain = sock
            sock = ssl.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._sock = adapt(sock)
        if ssl:
            yield from tls_steps(sock)
        yield from self._open()

    def _open(self) -> "Steps":
        """The opening handshake, up to its answer; raises ``HandshakeError``."""
        if (yield from self._next_event()) == _ENDED:
            raise self._protocol.closed_error()

    def _await_close(self) -> "Steps":
        """Up to the end of the closing handshake; messages that come are dropped."""
        while (yield from self._next_event()) != _ENDED:
            pass

    def _next_event(self) -> "Steps":
        p = self._protocol
        while True:
            event = p.parse()
            yield from self._flush_steps()
            if event != _NOTHING:
                return event
            yield READ
            n = self._sock.readinto(p.get_buffer(), p.read_size)
            if n is not None:
                p.buffer_updated(n)

    def _flush_steps(self) -> "Steps":
        p = self._protocol
        while p.data_to_send():
            n = self._sock.write(p.tx, p.tx_start, p.tx_end - p.tx_start)
            if n is None:
                yield WRITE
            else:
                p.sent(n)

    def _write(self) -> bool:
        """Write what the network takes at once, and tell whether that is all."""
        p = self._protocol
        try:
            while p.tx_start < p.tx_end or p.data_to_send():
                n = p.tx_end - p.tx_start
                n = self._sock.write(p.tx, p.tx_start, n)
                if n is None:
                    return False
                if not p.sent(n):
                    break
        except OSError:
            p.mute()
            raise p.closed_error() from None
        return True

    def _last_bytes(self) -> "Steps":
        """What waits to be sent, and the body of an HTTP response after it."""
        p = self._protocol
        yield from self._flush_steps()
        for chunk in p.body:
            p.queue(chunk)
            yield from self._flush_steps()

    def _linger(self) -> "Steps":
        """Throw away what comes until the peer ends the stream.

        The server closes TCP first (§7.1.1), so after a clean end only a client waits. It does
        not over TLS: a server may wait for it there, and MicroPython can miss the end.
        """
        waste = bytearray(256)
        n = 1 if self._protocol.error or self._awaits_end() else 0
        while n != 0:
            yield READ
            n = self._sock.readinto(waste, len(waste))

    def _linger_idle(self) -> "float | None":
        return None if self._awaits_end() else _LINGER

    def _awaits_end(self) -> bool:
        return self._protocol.client and not self._protocol.handshake.secure

    # Messages

    def _message(self) -> "str | bytes":
        """The message or piece that the protocol has just given, as an object of its own."""
        p = self._protocol
        data = p.data
        if p.stop - p.start < len(data):
            # Of the read buffer a view is at hand.
            data = (p.view if data is p._rx else memoryview(data))[p.start : p.stop]
        return str(data, "utf-8") if p.opcode == _TEXT else bytes(data)

    def _take(self) -> "str | bytes":
        """The message, which then is used.

        No caller may have a frame of over 11 words: MicroPython would put it on the heap, and
        with each one that is freed behind a message the search for free blocks begins there.
        """
        message = self._message()
        self._protocol.release()
        return message

    def _payload(self, message: "Any", text: "bool | None") -> "Any":
        """``message`` as bytes, with its opcode left in ``_opcode``; None if it is neither str nor
        bytes-like.
        """
        kind = type(message)
        if kind is not bytearray and kind is not bytes:  # the two need no further look
            if isinstance(message, str):
                self._opcode = _BINARY if text is False else _TEXT
                return encode(message)
            if not isinstance(message, _BYTES_LIKE):
                return None
            if getattr(message, "itemsize", 1) != 1:
                raise TypeError("a memoryview must be of bytes")
        self._opcode = _BINARY
        if text:
            self._opcode = _TEXT
            if validate(message, 0, len(message), 0):
                raise ValueError("text is not UTF-8")
        return message

    def _fragment(self, piece: "Any", text: "bool | None", first: bool) -> None:
        """Begin the frame of one piece of a message."""
        data = self._payload(piece, text)
        if data is None:
            raise TypeError("a piece of a message is str or bytes-like")
        self._protocol.send_message(self._opcode if first else 0, data, 0)
