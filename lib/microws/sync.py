"""WebSocket over a socket, for a program that does one thing at a time."""

import select

from ._compat import READ, WRITE, const, ticks_diff, ticks_ms, wait
from .errors import ConnectionClosed, Timeout, WebSocketError
from .handshake import ClientHandshake
from .protocol import NO_BUFFER, Protocol
from .transport import Connection, milliseconds, new_extension, pieces

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


# As in protocol.py: a board cannot import a private constant.
_CLOSING = const(2)
_ENDED = const(4)
_MESSAGE = const(1)
_NOTHING = const(0)


def connect(
    url: str,
    timeout: "float | None" = 10,
    headers: "Iterable[tuple[str, str]]" = (),
    subprotocols: "Iterable[str]" = (),
    ssl: "Any" = None,
    close_timeout: float = 10,
    compression: "str | int | None" = None,
    **limits: int,
) -> "WebSocket":
    """Open a connection to ``url``, ws:// or wss:// (RFC 6455 §4.1).

    ``timeout`` in seconds bounds connecting and handshake together, ``close_timeout`` the closing
    handshake. ``ssl`` is an ``SSLContext``; without one, a wss:// server's certificate is verified
    by the platform's defaults. ``compression`` offers permessage-deflate (RFC 7692): "deflate",
    or a number, 9 to 15, of window bits for what comes (``ImportError`` where
    ``permessage_deflate.py`` was left out). ``limits`` go to ``Protocol``:
    ``max_size`` in bytes and others.

    Raises ``ValueError`` or ``TypeError`` for arguments that make no request, a timeout of
    500000 s or more and an unknown limit among them; ``OSError`` (``Timeout`` is one) where no
    connection can be had, or it is reset before the handshake is done; ``HandshakeError`` where
    the server refuses, is no WebSocket server or ends it.
    """
    handshake = ClientHandshake(url, headers, subprotocols, new_extension(compression))
    protocol = Protocol(handshake, True, **limits)
    ws = WebSocket(protocol, close_timeout)
    try:
        ws._run(ws._connect(ssl), timeout)
    except BaseException:
        ws._shut()
        raise
    return ws


class WebSocket(Connection):
    """An open connection; ``connect()`` and ``microws.listen()`` make it.

    Iteration gives messages and ends at a clean close. ``with`` closes it at the end.
    """

    _poller: "Any" = None
    _polled = 0
    _more = False  # the last read was full, so the next one need not wait

    def send(self, message: "Any", text: "bool | None" = None) -> None:
        """Send a message: str as text, bytes-like as binary (§5.6); ``text`` chooses otherwise.

        An iterable of these goes as one message in fragments, which may be larger than memory.
        Returns when all of it is handed to the network. Raises ``ConnectionClosed`` or
        ``ProtocolError`` if the connection is closed, ``TypeError`` or ``ValueError`` if it is no
        message, ``MemoryError`` if there is no room for it.
        """
        data = self._payload(message, text)
        if data is None:
            self._send_pieces(message, text)
        else:
            self._protocol.send_message(self._opcode, data)
        self._flush()

    def _send_pieces(self, message: "Any", text: "bool | None") -> None:
        first = True
        try:
            for piece in pieces(message):
                self._fragment(piece, text, first)
                first = False
                self._flush()
            if first:
                self._fragment(b"", text, first)
            self._protocol.send_message(0, b"")
        except BaseException:
            if not first:
                # Half a message has gone, and nothing can take it back.
                self.close(1011, "message not complete")
            raise

    def recv(self, timeout: "float | None" = None) -> "str | bytes":
        """Wait for a message; ``Timeout`` if it is not complete after ``timeout`` seconds.

        After a ``Timeout`` nothing is lost: a later call goes on. Raises ``ConnectionClosed`` once
        the connection is closed, ``ProtocolError`` if the peer broke a rule or struck a bound,
        ``ValueError`` for a timeout of 500000 s or more.
        """
        self._protocol.receive_into(None)
        self._receive(timeout)
        try:
            return self._take()
        except MemoryError:
            self._protocol.no_memory()
            self._finish()
            raise self._protocol.closed_error() from None

    def recv_into(self, buffer: "Any", timeout: "float | None" = None) -> int:
        """Wait for a message, put it into ``buffer`` and give its length in bytes.

        Up to 4 KiB this allocates nothing. ``is_text`` tells its kind. A message larger than
        ``buffer`` fails the connection with 1009. ``TypeError`` where ``buffer`` is neither
        bytearray nor memoryview. Otherwise as ``recv()``.
        """
        if buffer is None:
            raise TypeError(NO_BUFFER)
        self._protocol.receive_into(buffer)
        self._receive(timeout)
        n = self._protocol.stop
        self._protocol.release()
        return n

    def recv_streaming(self, buffer: "Any" = None) -> "Iterator[Any]":
        """Receive one message of any size piece by piece, in pieces of at most a buffer.

        Gives memoryviews of ``buffer`` (4 bytes at least), valid until the next one, or, without
        a buffer, str or bytes of at most 1 KiB. Text is cut between characters. A compressed
        message is collected first, at most ``max_size`` bytes of it, and then inflated piece by
        piece to any size. Raises as ``recv()``, and for a wrong buffer ``TypeError``, or
        ``ValueError`` where it is too small.
        """
        p = self._protocol
        event = p.receive_into(bytearray(1024) if buffer is None else buffer, True)
        while True:
            if event == _NOTHING:
                event = self._receive(None)
            if p.stop or (buffer is None and event == _MESSAGE):
                yield self._message() if buffer is None else memoryview(p.data)[: p.stop]
            if event == _MESSAGE:
                break
            p.next_piece()
            event = _NOTHING
        p.release()

    def ping(self, data: "Any" = b"") -> None:
        """Send a Ping with at most 125 bytes (§5.5.2); the Pong is dealt with while receiving.

        ``ValueError`` for more bytes. Otherwise raises as ``send()``.
        """
        self._protocol.ping(data)
        self._flush()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (§7.1.2) and wait for the peer's Close at most ``close_timeout``.

        Messages that are still to come are dropped. Does nothing if it is closed already.
        ``ValueError`` for a code that may not be sent, or a reason over 123 bytes, ``TypeError``
        for a code that is no int, or a reason that is no str.
        """
        self._protocol.close(code, reason)
        try:
            if self._protocol.state == _CLOSING:
                self._run(self._await_close(), self.close_timeout)
            self._finish()
        except OSError:
            pass  # the peer is gone, which ends it as well
        finally:
            self._shut()

    def __iter__(self) -> "WebSocket":
        return self

    def __next__(self) -> "str | bytes":
        try:
            return self.recv()
        except ConnectionClosed as closed:
            if closed.code in (1000, 1001, 1005):
                raise StopIteration from None
            raise

    def __enter__(self) -> "WebSocket":
        return self

    def __exit__(self, *exc: "Any") -> None:
        self.close()

    # Waiting

    def _receive(self, timeout: "float | None") -> int:
        """Read up to a message or a piece; raises where the connection ends."""
        p = self._protocol
        start: Any = 0
        if timeout is not None:
            milliseconds(timeout)  # a wrong one
            start = ticks_ms()
        while True:
            event = p.parse()
            if p.tx_end:
                try:
                    self._write()  # a peer that takes no answers may still speak
                except WebSocketError:
                    pass  # what the peer sent before it left is still to be read
            if event != _NOTHING:
                if event == _ENDED:
                    self._finish()
                    raise p.closed_error()
                return event
            try:
                if not self._more:
                    self._wait_to_read(timeout, start)
                n = self._sock.readinto(p.get_buffer(), p.read_size)
            except Timeout:
                raise
            except OSError:
                n = 0  # a reset ends the stream as well
            self._more = n == p.read_size
            if n is not None:
                p.buffer_updated(n)

    def _wait_to_read(self, timeout: "float | None", start: "Any") -> None:
        """Wait for bytes, at most ``timeout`` seconds from the time ``start`` on.

        Where an answer waits to be sent, this ends when it can be, too.
        """
        p = self._protocol
        now = ticks_ms()
        left = -1
        if timeout is not None:
            left = milliseconds(timeout) - ticks_diff(now, start)
        ready = timeout is None or left >= 0
        if ready:
            ready = self._wait(READ | WRITE if p.tx_end else READ, left)
            p.waited(ticks_diff(ticks_ms(), now))
        if not ready:
            p.receive_into(None)  # the caller's buffer is let go
            raise Timeout("timed out")

    def _flush(self) -> None:
        while not self._write():
            self._wait(WRITE, -1)

    def _wait(self, direction: int, ms: int) -> bool:
        """Whether the socket is ready within ``ms`` (-1: no limit)."""
        if self._polled != direction:
            if self._poller is None:
                self._poller = select.poll()
            self._poller.register(self._sock, direction)
            self._polled = direction
        return wait(self._poller, self._sock, ms)

    def _run(
        self, steps: "Iterator[int]", timeout: "float | None", idle: "float | None" = None
    ) -> None:
        """Go through ``steps`` within ``timeout`` seconds, and within ``idle`` for each wait."""
        start = ticks_ms()
        left = -1
        for direction in steps:
            if timeout is not None:
                left = milliseconds(timeout) - ticks_diff(ticks_ms(), start)
                if left <= 0:
                    raise Timeout("timed out")
            # While connecting, the socket may be another one each time.
            self._polled = 0
            self._poller = None
            if not self._wait(direction, left if idle is None else min(left, milliseconds(idle))):
                raise Timeout("timed out")

    def _finish(self) -> None:
        """The last bytes out, and the end of TCP, once the protocol is closed."""
        if self._sock is None:
            return
        try:
            self._run(self._last_bytes(), self.close_timeout)
            self._run(self._linger(), self.close_timeout, self._linger_idle())
        except OSError:
            pass  # it took too long, or the peer has gone: either way it is over
        finally:
            self._shut()

    def _shut(self) -> None:
        self._protocol.abort()
        self._close_socket()
