"""WebSocket over a socket, for a program that does one thing at a time."""

from .compat import const, new_poller, ticks_add, ticks_diff, ticks_ms
from .core import (
    FAILURES,
    GONE,
    IDLE,
    NOT_SENT,
    OVER,
    PIECE,
    READ,
    WRITE,
    Connection,
    check,
    close_payload,
    connecting,
    milliseconds,
)
from .errors import ConnectionClosed, ProtocolError, Timeout
from .loops import encode

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ._types import TLS, Data, Headers, NetSocket, Pool, Readable, Writable
    from .streams import Stream

# POLLERR and POLLHUP. They come unasked, but for MicroPython's TLS: where it has bytes already, it
# looks no further for who asks for POLLIN alone.
_LOST = const(24)
_LATE = const(8)  # beside what the receiver yields: the time of a call is over


def connect(
    url: str,
    timeout: "float | None" = 10,
    headers: "Headers | None" = None,
    subprotocols: "Iterable[str]" = (),
    ssl: "TLS | None" = None,
    close_timeout: "float | None" = 10,
    compression: "str | int | None" = None,
    max_size: "int | None" = 65536,
    max_fragments: "int | None" = 1024,
    max_header: "int | None" = 4096,
    max_fields: "int | None" = 64,
    message_timeout: "float | None" = 60,
    read_size: int = 512,
    write_size: int = 4096,
    pool: "Pool | None" = None,
    sock: "NetSocket | None" = None,
    max_redirects: int = 0,
    keep_headers: bool = False,
    require_compression: bool = False,
) -> "WebSocket":
    """Open a connection to ``url``, ws:// or wss:// (RFC 6455 §4.1).

    ``timeout`` in seconds bounds connecting and handshake together, ``close_timeout`` the closing
    handshake. ``ssl`` is an ``SSLContext``; without one, a wss:// server's certificate is verified
    by the platform's defaults. ``compression`` offers permessage-deflate (RFC 7692): "deflate",
    or a number, 9 to 15, of window bits for what comes (``ImportError`` where
    ``compression.py`` was left out). Where no agreement is possible, the connection is made anew
    without, unless ``require_compression``; ``ws.compression`` tells. ``max_header`` bounds the
    head of the server's answer in bytes, ``max_fields`` its fields; the other bounds and sizes are
    those of ``Connection``. None is no limit. ``keep_headers`` keeps that head's fields as
    ``ws.response_headers``.

    ``pool`` has ``getaddrinfo()``, ``socket()`` and the constants, as the module ``socket``, which
    it is by default; ``sock`` is a socket of it that is connected already, for one try. It is
    closed with the connection, or where none comes about.

    ``headers``, a mapping or pairs, go with the request. They may replace Host and Authorization,
    and cannot have what the handshake consists of: Sec-WebSocket-*, Connection and Upgrade.

    Up to ``max_redirects`` redirects are followed, never from wss:// to ws://; to another server
    without ``headers`` and without the URL's name and password. Of several addresses that a host
    has, one that is silent gets a part of ``timeout``.

    Raises ``ValueError`` or ``TypeError`` for arguments that make no request, a timeout of
    500000 s or more among them; ``OSError`` (``Timeout`` is one) where no
    connection can be had, or it is reset before the handshake is done; ``HandshakeError`` where
    the server refuses, is no WebSocket server or ends it.
    """
    check(timeout=timeout, max_redirects=max_redirects)
    ws = WebSocket(
        True, close_timeout, max_size, max_fragments, read_size, write_size, message_timeout
    )
    steps = connecting(
        ws,
        (max_redirects, require_compression),
        url,
        headers,
        compression,
        subprotocols,
        ssl,
        max_header,
        max_fields,
        pool,
        sock,
    )
    if keep_headers:
        ws.response_headers = {}
    try:
        ws._run(steps, timeout)
    except BaseException:
        ws._close_socket()
        raise
    return ws


class WebSocket(Connection):
    """An open connection; ``connect()`` and ``microws.listen()`` make it.

    Iteration gives messages and ends at a clean close. ``with`` closes it at the end.
    """

    _poller: new_poller = None  # type: ignore[assignment]
    _looked = False  # a call with a timeout has looked once whether something is there
    _polled = 0  # what it watches the socket for

    def send(self, message: "Data | Iterable[Data]", text: "bool | None" = None) -> None:
        """Send a message: str as text, bytes-like as binary (§5.6); ``text`` chooses otherwise.

        An iterable of these goes as one message in fragments, which may be larger than memory.
        Returns when all of it is handed to the network. Raises ``ConnectionClosed`` or
        ``ProtocolError`` if the connection is closed, ``TypeError`` or ``ValueError`` if it is no
        message.
        """
        if self._busy or self._receiver is OVER:
            self._settle()
        kind = type(message)
        if text is None and kind is str:
            message = encode(message)  # type: ignore[arg-type]
            self._byte0 = 0x81
        elif text is None and (kind is bytes or kind is bytearray):
            self._byte0 = 0x82
        else:
            data = self._encode(message, text)
            if data is None:
                from .pieces import send_pieces

                send_pieces(self, message, text)  # type: ignore[arg-type]
                return
            message = data
        self._out = message  # type: ignore[assignment]
        self._flush()

    def _settle(self) -> None:
        """Before a frame goes out: the rest of the one before, if this can go on at all."""
        if self._receiver is OVER:
            self._interrupted()
        self._flush()

    def _flush(self) -> None:
        """Send what waits, to its end."""
        try:
            while next(self._sender):
                self._wait(WRITE, -1)
            return
        except NOT_SENT:
            self._mute()
        except Exception:
            raise
        except BaseException:
            self._interrupted()
            raise
        raise self._closed()

    def recv(self, timeout: "float | None" = None) -> "str | bytes":
        """Wait for a message; ``Timeout`` if it is not complete after ``timeout`` seconds.

        After a ``Timeout`` nothing is lost: a later call goes on. Raises ``ConnectionClosed`` once
        the connection is closed, ``ProtocolError`` if the peer broke a rule or struck a bound,
        ``ValueError`` for a timeout of 500000 s or more.
        """
        self._receive(None, timeout)
        message = self._data
        self._data = None
        return message

    def recv_into(self, buffer: "Writable", timeout: "float | None" = None) -> int:
        """Wait for a message, put it into ``buffer`` and give its length in bytes.

        Up to 4 KiB this allocates nothing. ``is_text`` tells its kind. A message larger than
        ``buffer`` fails the connection with 1009. ``TypeError`` where ``buffer`` is neither
        bytearray nor memoryview. Otherwise as ``recv()``.
        """
        self._receive(() if buffer is None else buffer, timeout)
        return self._stop

    def recv_streaming(self, buffer: "Writable | None" = None) -> "Iterator[Any]":
        """Receive one message of any size piece by piece, in pieces of at most a buffer.

        Gives memoryviews of ``buffer`` (4 bytes at least), valid until the next one, or, without
        a buffer, str or bytes of at most 1 KiB. Text is cut between characters. A compressed
        message is collected first, at most ``max_size`` bytes of it, and then inflated piece by
        piece to any size. Raises as ``recv()``, and for a wrong buffer ``TypeError``, or
        ``ValueError`` where it is too small.
        """
        from .pieces import receive_pieces

        return receive_pieces(self, buffer)

    def ping(self, data: "Readable" = b"") -> None:
        """Send a Ping with at most 125 bytes (§5.5.2); the Pong is dealt with while receiving.

        ``ValueError`` for more bytes. Otherwise raises as ``send()``.
        """
        if isinstance(data, str):
            raise TypeError("a ping carries bytes")
        if len(data) > 125:
            raise ValueError("ping over 125 bytes")
        if self._busy or self._receiver is OVER:
            self._settle()
        self._byte0 = 0x89
        self._out = data
        self._flush()

    def stream(self, buffer_size: int = 512) -> "Stream":
        """A stream of bytes in binary messages, for another protocol: see ``streams.Stream``."""
        from .streams import Stream

        return Stream(self, buffer_size)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (§7.1.2) and wait for the peer's Close at most ``close_timeout``.

        Messages that are still to come are dropped. Does nothing if it is closed already.
        ``ValueError`` for a code that may not be sent, or a reason over 123 bytes, ``TypeError``
        for a code that is no int, or a reason that is no str.
        """
        payload = close_payload(code, reason)
        if self._receiver is OVER:
            self._interrupted()
        try:
            if not self._closing and self._sock is not None:
                self._run(self._close(payload), self.close_timeout)
            self._finish()
        except GONE:
            pass  # the peer is gone, which ends it as well
        finally:
            self._close_socket()

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

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Waiting. MicroPython puts a frame of over 11 words on the heap (a try takes three), so none
    # of what a message takes has that many.

    def _receive(
        self, target: "Writable | None", timeout: "float | None", piecewise: bool = False
    ) -> int:
        """Go on to a message or a piece, which goes to ``target``; raises where it ends."""
        if timeout is not None:
            timeout = ticks_add(ticks_ms(), milliseconds(timeout))  # when it is over
            self._looked = False
        step = 0
        if target is not self._target or piecewise or self._piecewise:
            step = self._receive_to(target, piecewise)
        receiver = self._receiver
        self._receiver = OVER  # as it stays where an interrupt strikes from here on
        while step <= WRITE:
            step = next(receiver)
            if step and step <= READ and 0 <= self._patience < self._late:
                step = receiver.throw(ProtocolError(1008, "message takes too long"))
            elif step <= READ:
                step = self._await(step, timeout)
        if receiver is not OVER:
            self._receiver = receiver
            if step <= PIECE:
                return step
            if step == _LATE:
                self._receive_to(None)  # the caller's buffer is let go
                raise Timeout("timed out")
            self._finish()
        else:
            self._interrupted()
        raise self._closed()

    def _await(self, step: int, deadline: "Any") -> int:
        """Wait for bytes, as ``step`` says; gives it back, or _LATE after the ``deadline``."""
        if self._busy:
            self._push()  # a peer that takes no answers may still speak
        if step == IDLE:
            self._late = 0
        start = ticks_ms()
        left = -1
        if deadline is not None:
            left = ticks_diff(deadline, start)
            if left < 0:
                if self._looked:
                    return _LATE
                left = 0
            self._looked = True
        ready = self._wait(READ | WRITE if self._busy else READ, left)
        if step:
            self._late += ticks_diff(ticks_ms(), start)
        return step if ready else _LATE

    def _wait(self, direction: int, ms: int) -> bool:
        """Whether the socket is ready within ``ms`` (-1: no limit)."""
        if self._polled != direction:
            if self._poller is None:
                self._poller = new_poller()
            self._poller.register(self._sock, direction | _LOST)
            self._polled = direction
        for _, events in self._poller.ipoll(ms):
            if events > 7:
                self._hung_up = True
            return True
        return False

    def _run(self, steps: "Iterator[int]", timeout: "float | None", idle: int = -1) -> None:
        """Go through ``steps`` within ``timeout`` seconds, and ``idle`` ms for each read."""
        start = ticks_ms()
        left = -1
        for step in steps:
            if step > WRITE:
                return
            if timeout is not None:
                left = milliseconds(timeout) - ticks_diff(ticks_ms(), start)
                if left <= 0:
                    raise self._error or Timeout("timed out")
            # While connecting, the socket may be another one each time.
            self._polled = 0
            self._poller = None  # type: ignore[assignment]
            # Of several addresses that are still to be tried each has its part of the time.
            most = left // (self._others + 1)
            if idle >= 0 and step != WRITE:
                most = min(most, idle)
            if not self._wait(step or READ, most):
                if not self._others:
                    raise self._error or Timeout("timed out")
                self._others = -1

    def _finish(self) -> None:
        """The last bytes out, and the end of TCP."""
        if self._sock is None:
            return
        try:
            self._run(self._receiver, self.close_timeout, -1 if self._awaits_end() else 250)
        except FAILURES:
            pass  # it took too long, or the peer has gone: either way it is over
        finally:
            self._close_socket()
