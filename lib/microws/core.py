"""One connection (RFC 6455 §5 to §8): a generator that receives, and one that sends.

Both are made once and last as long as the connection. They read and write by themselves, with
``readinto(buffer, n)`` and ``write(buffer, at, n)`` of a socket, which give None where they would
block, and yield a small int: what to wait for, or what has come. They know no clock and no task.
A front resumes them with ``next()``, and waits. The rules that they keep:

1. The receiver yields IDLE or READ (wait until there is something to read; READ in the middle of a
   message), WRITE, MESSAGE or PIECE (see ``_data`` and ``_stop``, until it is resumed), or ENDED.
   It may be resumed too early: then it asks again.
2. ENDED comes as soon as the connection is over; ``_closed()`` is what to raise. What it yields
   after that are the last steps: the answer to a Close, the wait for the end of TCP. When ENDED
   comes again, they are done. It comes for ever then, so ``next()`` never raises.
3. There is one place where a connection ends, ``_ending()``. A broken rule, a bound, a reset, no
   memory: each is an exception in the receiver and leads there. A front that has a reason of its
   own throws it into the receiver.
4. What came before the end is given before the end. A failed write stops the sender alone.
5. A call that gives up half-way (Timeout, a cancelled task) takes nothing along: the message goes
   on, in memory of the connection's own, to whoever asks next.
6. An interrupt (Ctrl-C) may strike anywhere. The generator that it strikes is over, and with it
   the connection: 1006. A Close still goes out if the sender was not struck.
7. A frame that has begun is sent to its end, or nothing is sent any more.
"""

import sys

from .compat import MICROPYTHON, const
from .errors import ConnectionClosed, HandshakeError, ProtocolError, WebSocketError
from .loops import ZERO, apply_mask, begun, encode, new_key, validate

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._types import NetSocket, Readable, Socket, Steps, Writable
    from .compression import Deflate


# What the receiver yields. READ and WRITE are POLLIN and POLLOUT of every port.
IDLE = const(0)
READ = const(1)
WRITE = const(4)
MESSAGE = const(5)
PIECE = const(6)
ENDED = const(7)

_START = const(16)  # a payload begins here in tx, for whole words; in rx, what follows a rest
_VIEW = const(4096)  # worth a memoryview to read straight to the middle of a destination

_NO_LIMIT = sys.maxsize >> 1  # the largest small int of a board

_BUFFERS = (bytearray, memoryview)
_BYTES_LIKE = (bytes, bytearray, memoryview)
# A tuple that stands in an except clause takes memory, just when there may be none.
FAILURES = (OSError, MemoryError, WebSocketError)
NOT_SENT = (OSError, StopIteration)
# (MicroPython gives a ValueError where an interrupt has left a generator as if it still ran.)
GONE = FAILURES + (ValueError,)
_NO_STEPS: "Steps" = iter(())  # type: ignore[assignment]  # a sender that has ended


def _over() -> "Steps":
    while True:
        yield ENDED


OVER = _over()  # a receiver at its end


# Frame headers (§5.2) and close codes (§7.4)
#
# byte 0   FIN, RSV1-3, opcode (4 bits)
# byte 1   MASK, length (7 bits: up to 125, or 126: two more bytes, or 127: eight more)
# then     the longer length, and the masking key if MASK is set


def check_header(byte0: int, byte1: int, mask_bit: int, partial: bool) -> None:
    """Raise ``ProtocolError`` where a header's first two bytes break a rule.

    The peer is to set ``mask_bit``; ``partial`` tells that a message is in progress.
    """
    opcode = byte0 & 0x0F
    problem = None
    if byte0 & 0x70:
        problem = "reserved bit set"
    elif 2 < opcode < 8 or opcode > 10:
        problem = "reserved opcode"
    elif byte1 & 0x80 != mask_bit:
        problem = "frame not masked" if mask_bit else "frame masked"
    elif opcode < 8:
        if (opcode == 0) != partial:
            problem = "wrong order of fragments"
    elif not byte0 & 0x80:
        problem = "control frame fragmented"
    elif byte1 & 0x7F > 125:  # §5.5
        problem = "control frame too long"
    if problem:
        raise ProtocolError(1002, problem)


def long_length(buffer: "Readable", at: int) -> int:
    """The length in the header at ``at`` whose second byte says 126 or 127.

    Raises ``ProtocolError`` where it is not minimal or its most significant bit is set.
    """
    if buffer[at + 1] & 0x7F == 126:
        n = buffer[at + 2] << 8 | buffer[at + 3]
        least = 126
    else:
        n = 0
        for i in range(at + 2, at + 10):
            n = n << 8 | buffer[i]
        least = 0x10000
        if buffer[at + 2] & 0x80:
            n = 0
    if n < least:
        raise ProtocolError(1002, "length not minimal")
    return n


def put_header(buffer: "Writable", at: int, byte0: int, size: int, mask_bit: int) -> int:
    """Write a header without its masking key at ``at``; gives the place after it."""
    buffer[at] = byte0
    if size < 126:
        buffer[at + 1] = mask_bit | size
        return at + 2
    if size < 0x10000:
        buffer[at + 1] = mask_bit | 126
        buffer[at + 2] = size >> 8
        buffer[at + 3] = size & 0xFF
        return at + 4
    buffer[at + 1] = mask_bit | 127
    for i in range(at + 9, at + 1, -1):
        buffer[i] = size & 0xFF
        size >>= 8
    return at + 10


def close_code_allowed(code: int) -> bool:
    """Whether ``code`` may stand in a Close frame (§7.4.1, §7.4.2 and the IANA registry)."""
    return 3000 <= code < 5000 or (1000 <= code <= 1014 and not 1004 <= code <= 1006)


def close_payload(code: int, reason: str) -> bytes:
    """What a Close frame carries (§5.5.1).

    ``ValueError`` for a code that may not be sent or a reason over 123 bytes, ``TypeError`` for a
    code that is no int or a reason that is no str.
    """
    if not close_code_allowed(code):
        raise ValueError("close code %d not allowed" % code)
    if not isinstance(reason, str):
        raise TypeError("a close reason is str")
    payload = bytes((code >> 8, code & 0xFF)) + encode(reason)
    if len(payload) > 125:
        raise ValueError("close reason over 123 bytes")
    return payload


def milliseconds(timeout: "float | None") -> int:
    """``timeout`` seconds in milliseconds, -1 for no limit.

    ``ValueError`` past what a board's clock can count.
    """
    if timeout is None:
        return -1
    if not timeout < 500000:
        raise ValueError("timeout not under 500000 s")
    return int(timeout * 1000)


def check(**options: "Any") -> None:
    """Look at options of ``connect()``, ``listen()`` and ``serve()``: bounds, by their names.

    Those with "timeout" in the name are seconds, the others whole numbers; None is no limit.
    Raises ``TypeError`` and ``ValueError``.
    """
    for name, value in options.items():
        least = 0
        kinds: Any = (int, float)
        if "timeout" not in name:
            kinds = int
            if name == "read_size":
                least = 131
            elif name == "write_size":
                least = 256
            elif name not in ("max_backlog", "max_body", "max_redirects"):
                least = 1
        if value is None and least < 2:
            continue
        if not isinstance(value, kinds):
            raise TypeError(name + " must be a number")
        if value < least:
            raise ValueError("%s must be at least %d" % (name, least))
        if kinds is not int:
            milliseconds(value)


def bound(limit: "int | None") -> int:
    """``limit``, or more than there can be."""
    return _NO_LIMIT if limit is None else limit


class Connection:
    """What both fronts' ``WebSocket`` is: an open connection, with attributes to be read.

    - ``close_code``: that of the peer (§7.1.5), 1006 without one, None while it is open;
    - ``close_reason``: the reason in the peer's Close frame;
    - ``is_text``: whether the last message, or the one in progress, is text;
    - ``path``: path and query of the request;
    - ``remote_address``: ``"host:port"`` of the peer;
    - ``subprotocol``: the one that was agreed on (§1.9), or None;
    - ``pongs``: how many have come;
    - ``compression``: "deflate" where it was agreed on, else None;
    - ``response_headers``: of the server's response, where ``keep_headers`` asked for them.

    ``close_timeout`` in seconds bounds the closing handshake. ``max_size`` bounds a message in
    bytes (then 1009), ``max_fragments`` its frames (1008), ``message_timeout`` in seconds (None:
    no limit) the time in which a message, or a piece of it, that has begun keeps the receiver
    waiting (1008). ``read_size`` is the size of the read buffer, at least 131, ``write_size`` that
    to which the transmit buffer may grow.
    """

    # What most connections never change takes no room in them.
    max_fragments = 1024
    write_size = 4096
    close_code: "int | None" = None
    close_reason = ""
    is_text = False
    path = "/"
    compression: "str | None" = None
    pongs = 0
    remote_address = ""
    response_headers: "dict[str, str] | None" = None
    subprotocol: "str | None" = None
    _close_sent = False
    #: permessage-deflate, where it was agreed on
    _deflate: "Deflate" = None  # type: ignore[assignment]
    _error: "WebSocketError | None" = None
    _others = 0  # addresses to be tried after this one; -1: it is the turn of the next
    _patience = 60000
    _plain: "NetSocket | None" = None  # the socket under TLS
    _receiver = OVER
    _secure = False
    _sender = _NO_STEPS
    _spare = _NO_STEPS  # after an interrupt: the sender, for a Close alone
    _write: "Callable[[Writable, int, int], int | None] | None" = None  # in place of the socket's

    def __init__(
        self,
        client: bool,
        close_timeout: "float | None",
        max_size: "int | None" = 65536,
        max_fragments: "int | None" = max_fragments,
        read_size: int = 512,
        write_size: int = write_size,
        message_timeout: "float | None" = 60,
    ) -> None:
        check(
            close_timeout=close_timeout,
            max_size=max_size,
            max_fragments=max_fragments,
            read_size=read_size,
            write_size=write_size,
            message_timeout=message_timeout,
        )
        # Without a limit, it is the longest that a board's clock can count: six days.
        self.close_timeout = 499999 if close_timeout is None else close_timeout
        self.max_size = bound(max_size)
        if max_fragments != 1024:
            self.max_fragments = bound(max_fragments)
        if write_size != 4096:
            self.write_size = write_size
        if message_timeout != 60:
            self._patience = milliseconds(message_timeout)
        self._client = client
        self._rx = bytearray(_START + read_size)
        self._sock: Socket = None  # type: ignore[assignment]
        # What is read for each message is the connection's own: MicroPython finds what stands in
        # a class, or in the class above it, only after it has looked in vain here.
        self._closing = False  # a Close has gone, or is about to
        # Receiving
        self._target: Writable | None = None  # the caller's for the next message; None: an object
        self._piecewise = False  # the message comes in pieces, each in that buffer
        self._begun = False  # a message is in progress
        self._data: Any = None  # the message, or the buffer that holds it or a piece ...
        self._stop = 0  # ... up to here
        self._late = 0  # milliseconds in which the message in progress was waited for
        self._hung_up = False  # poll() told of an error or the end: reads go byte by byte
        # Sending
        self._byte0 = 0  # of the frame to be sent, -1 for bytes as they are
        self._out: Readable | None = None  # its payload
        self._busy = False  # it is half-way
        self._pong: bytes | None = None  # the newest that waits

    def _start(self, lo: int, hi: int) -> None:
        """Begin, once the handshake is done, with what came behind it: ``_rx[lo:hi]``."""
        self._receiver = self._receive_frames(lo, hi)
        self._sender = self._send_frames()

    # Receiving

    def _receive_frames(self, lo: int, hi: int) -> "Steps":
        readinto = self._sock.readinto
        rx = self._rx
        mask = 0 if self._client else 0x80
        # Of the message in progress: where it goes to, and what there is of it
        target: Writable | None = None
        data: Any = None
        to: Any = None
        piecewise = partial = skip = packed = give = full = False
        left = -1  # bytes to come of a frame's payload, -1 between frames
        got = 0  # bytes that were read straight to their destination
        at = utf8 = fragments = phase = fin = opcode = 0
        try:
            key = bytearray(4) if mask else ZERO
            whole = memoryview(rx)
            view = whole[_START:]
            room = want = len(view)  # the most that the next read takes
            while True:
                while True:  # through what is there
                    if left < 0:
                        # Between frames
                        k = hi - lo
                        size = 2
                        if k > 1:
                            byte0 = rx[lo]
                            length = rx[lo + 1]
                            op = byte0 & 15
                            if (
                                partial
                                or length & 0x80 != mask
                                or (byte0 != 0x82 and byte0 != 0x81)
                            ):
                                if byte0 & 0x40 and 0 < op < 3 and self._deflate:
                                    packed = not partial  # RFC 7692 §6
                                    byte0 ^= 0x40
                                check_header(byte0, length, mask, partial)
                            length &= 0x7F
                            if mask:
                                size = 6
                            if length > 125:
                                size += 2 if length == 126 else 8
                            elif op > 7:
                                size += length
                        if k < size:
                            break
                        body = lo + size
                        if op > 7:
                            lo = body
                            n = body - length
                            if mask:
                                apply_mask(rx, n, rx, n, length, rx, n - 4, 0)
                            self._control(op, n, length)
                            continue
                        if length > 125:
                            length = long_length(rx, lo)
                        # A long payload is read apart from the next header, straight to its place.
                        want = room if length < room else size
                        if op:
                            at = 0
                            target = None if packed else self._target
                            piecewise = self._piecewise and not packed
                        if self._closing:
                            skip = True
                        if not (skip or piecewise):
                            if at + length > self.max_size or (
                                target is not None and at + length > len(target)
                            ):
                                raise ProtocolError(1009, "message too big")
                            if op and byte0 & 0x80 and k >= size + length and not packed:
                                # The whole message is here.
                                lo = body + length
                                self.is_text = op == 1
                                data = rx if target is None else target
                                at = body if target is None else 0
                                if mask:
                                    seen = apply_mask(data, at, rx, body, length, rx, body - 4, 0)
                                else:
                                    seen = apply_mask(data, at, rx, body, length, ZERO, 0, 0)
                                if seen and op == 1 and validate(data, at, at + length, 0):
                                    raise ProtocolError(1007, "text is not UTF-8")
                                if target is None:
                                    data = whole[body:lo]
                                    data = str(data, "utf-8") if op == 1 else bytes(data)
                                self._data = data
                                self._stop = length
                                data = None
                                yield MESSAGE
                                continue
                        if op:
                            self.is_text = op == 1
                            opcode = 2 if packed else op
                            partial = self._begun = True
                            data = target
                            give = False
                            utf8 = fragments = 0
                        else:
                            fragments += 1
                            if fragments >= self.max_fragments and not piecewise:
                                raise ProtocolError(1008, "over %d fragments" % self.max_fragments)
                        fin = byte0 & 0x80
                        if target is None and not skip:
                            data = self._grown(data, at, at + length, fin)
                        if mask:
                            apply_mask(key, 0, rx, body - 4, 4, ZERO, 0, 0)
                        lo = body
                        phase = 0
                        left = length
                    # In a payload: what has come of it goes to its destination.
                    n = got
                    if n:
                        got = 0
                        seen = apply_mask(data, at, data, at, n, key, 0, phase) if mask else 0x80
                    else:
                        n = min(hi - lo, left)
                        seen = 0
                        if not skip:
                            n = min(n, len(data) - at)  # a piece may be full
                            seen = apply_mask(data, at, rx, lo, n, key, 0, phase)
                        lo += n
                    if opcode == 1 and (seen or utf8) and not skip:
                        utf8 = validate(data, at, at + n, utf8)
                        if utf8 < 0:
                            raise ProtocolError(1007, "text is not UTF-8")
                    at += n
                    left -= n
                    phase = phase + n & 3
                    if not left:
                        left = -1
                        if not fin:
                            continue
                        partial = self._begun = False
                        if skip:
                            skip = packed = False
                            continue
                        if utf8:
                            raise ProtocolError(1007, "text ends inside a character")
                        self._late = 0
                        if packed:
                            packed = False
                            self._data = data
                            data = None
                            yield from self._deflate.inflate(self, at)
                            continue
                        self._stop = at
                        if target is None:
                            to = data if at == len(data) else memoryview(data)[:at]
                            data = str(to, "utf-8") if opcode == 1 else bytes(to)
                            to = None
                        self._data = data
                        data = None
                        yield MESSAGE
                        continue
                    if skip or not (give or at == len(data)):
                        break
                    # A piece; a character that it cuts goes to the next one.
                    give = False
                    n = begun(utf8)
                    self._data = data
                    self._stop = at = at - n
                    self._late = 0
                    yield PIECE
                    if self._target is target and self._piecewise and not self._closing:
                        apply_mask(target, 0, data, at, n, ZERO, 0, 0)
                        data = target
                        at = n
                    else:
                        skip = True
                # More is to be read.
                direct = left >= room and not skip and (at == 0 or target is None or left >= _VIEW)
                n = want if left < 0 else room
                to = view
                if direct:
                    n = min(left, len(data) - at)
                    to = memoryview(data)[at:] if at else data
                elif lo == hi:
                    lo = hi = _START
                else:
                    # The beginning of a header or of a control frame waits for its rest.
                    k = hi - lo
                    if k <= _START:
                        apply_mask(rx, _START - k, rx, lo, k, ZERO, 0, 0)
                        lo = _START - k
                        hi = _START
                    else:
                        rx[:k] = rx[lo:hi]
                        lo = 0
                        hi = k
                        to = whole[k:]
                    n = len(to)
                # What follows a read that was full is likely to be there. Should a reset come with
                # it, only a message that is not whole is lost. Whoever resumes this to change the
                # target gets no message for it: then there is a wait.
                if not (self._hung_up or (full and direct and not piecewise)):
                    yield READ if partial or lo < hi else IDLE
                    full = False
                    if not partial:
                        pass
                    elif self._closing:
                        skip = True
                        if direct:
                            continue
                    elif not (skip or packed) and (
                        self._target is not target or self._piecewise != piecewise
                    ):
                        # What has come of the message goes along to where it is wanted now.
                        if piecewise:
                            skip = True
                        elif self._piecewise:
                            give = True
                        else:
                            data = self._moved(data, at, at + max(left, 0))
                        target = self._target
                        piecewise = self._piecewise
                        continue
                # MicroPython reads on until the buffer is full, and where a reset follows the
                # bytes, it raises and their number is lost. Byte by byte, none is.
                k = readinto(to, 1 if self._hung_up else n)  # type: ignore[assignment]
                full = k == n
                if k is None:
                    self._hung_up = False
                elif not k:
                    raise ConnectionClosed(1006, "")
                elif direct:
                    got = k
                else:
                    hi += k
        except FAILURES as wrong:
            # First what the message took is given back, for the rest needs a little.
            target = data = to = self._target = self._data = None
            error = wrong
        except BaseException:
            self._interrupted()
            raise
        self._begun = False
        try:
            yield from self._ending(error)
        except FAILURES:
            pass
        while True:
            yield ENDED

    def _interrupted(self) -> None:
        """It struck in the middle of a call, so nothing that this connection knows is sure."""
        self._receiver = OVER
        self._begun = False
        if self._sender is not _NO_STEPS:
            self._spare = self._sender
            self._sender = _NO_STEPS
        if self.close_code is None:
            self.close_code = 1006

    def _ending(self, error: Exception) -> "Steps":
        """The end: what is said to a peer that closes or breaks a rule, then that of TCP."""
        if isinstance(error, MemoryError):
            error = ProtocolError(1009, "no memory for the message")
        elif not isinstance(error, WebSocketError):
            error = ConnectionClosed(1006, "")
        closed: Any = error
        broken = isinstance(closed, ProtocolError)
        code = closed.code
        if self._error is None:
            self._error = closed
        self.close_code = 1006 if broken else code
        self.close_reason = "" if broken else closed.reason
        answer = None
        if not self._closing and code != 1006:
            answer = b"" if code == 1005 else close_payload(code, closed.reason if broken else "")
        self._closing = True
        yield ENDED
        if answer is not None:
            yield from self._send_close(answer)
        # The server closes TCP first (§7.1.1), so after a clean end only a client waits.
        if code != 1006 and (broken or self._awaits_end()):
            yield from self._drain()

    def _awaits_end(self) -> bool:
        # Not over TLS: a server may wait for it there, and MicroPython can miss the end.
        return self._client and not self._secure

    def _drain(self) -> "Steps":
        # Closing at once would make TCP reset it, and the peer could miss the reason.
        while self._sock.readinto(self._rx, len(self._rx)) != 0:
            yield READ

    def _control(self, opcode: int, at: int, n: int) -> None:
        """Deal with a control frame (§5.5), its payload at ``_rx[at:at + n]``."""
        if opcode == 9:
            if not self._closing:
                self._pong = bytes(memoryview(self._rx)[at : at + n])
                if not self._busy:
                    self._push()
        elif opcode == 10:
            self.pongs += 1
        else:
            self._closed_by_peer(at, n)

    def _closed_by_peer(self, at: int, n: int) -> None:
        rx = self._rx
        if n == 0:
            raise ConnectionClosed(1005, "")
        if n == 1:
            raise ProtocolError(1002, "close code cut short")
        code = rx[at] << 8 | rx[at + 1]
        if not close_code_allowed(code):
            raise ProtocolError(1002, "close code %d not allowed" % code)
        if validate(rx, at + 2, at + n, 0):
            raise ProtocolError(1007, "close reason is not UTF-8")
        raise ConnectionClosed(code, str(memoryview(rx)[at + 2 : at + n], "utf-8"))

    def _grown(self, data: "Writable | None", at: int, size: int, fin: int) -> "Writable":
        """Memory for ``size`` bytes of a message; where more fragments follow, some ahead."""
        if data is not None and len(data) >= size:
            return data
        ahead = size
        if data is not None and not fin:
            ahead = max(min(2 * size, self.max_size), size)
        try:
            new = bytearray(ahead)
        except MemoryError:
            new = bytearray(size)
        if data is not None:
            new[:at] = memoryview(data)[:at]
        return new

    def _moved(self, data: "Readable", at: int, size: int) -> "Writable":
        """Where the message goes on that another buffer is wanted for, with what has come."""
        new = self._target
        if new is None:
            new = bytearray(size)
        elif size > len(new):
            raise ProtocolError(1009, "message too big")
        new[:at] = memoryview(data)[:at]
        return new

    def _receive_to(self, target: "Writable | None", piecewise: bool = False) -> int:
        """Choose where the next message goes: ``target``, or, where it is None, to an object.

        What has come of a message goes along: piecewise, where ``target`` is of four bytes at
        least, as a piece. A message that was begun piecewise and is not wanted any more is
        skipped. Gives what the receiver yields then, or 0. ``TypeError`` or ``ValueError`` for a
        buffer that is none.
        """
        if target is not None and not isinstance(target, _BUFFERS):
            raise TypeError("a buffer is a bytearray or a memoryview")
        if piecewise and target is not None and len(target) < 4:
            raise ValueError("a buffer under 4 bytes")
        same = target is self._target and not piecewise and not self._piecewise
        self._target = target
        self._piecewise = piecewise
        return next(self._receiver) if self._begun and not same else 0

    def _closed(self) -> "ConnectionClosed | ProtocolError":
        """What to raise where the connection is closed, or no longer open."""
        return self._error or ConnectionClosed(1006, "")  # type: ignore[return-value]

    # Sending

    def _send_frames(self) -> "Steps":
        """Sends the frame of ``_byte0`` and ``_out``, and a Pong that waits; then yields 0."""
        write = self._write or self._sock.write
        tx = bytearray(144)
        mask = 0x80 if self._client else 0
        head = 12 if mask else 16
        busy = False
        while True:
            data = self._out
            byte0 = self._byte0
            if data is None:
                data = self._pong
                if data is None:
                    if busy:
                        self._busy = busy = False
                    yield 0
                    continue
                self._pong = None
                byte0 = 0x8A
            k = n = len(data)
            if n > len(tx) - _START:
                k = min(n, self.write_size)
                if k > len(tx) - _START:
                    try:
                        tx = bytearray(k + _START + 15 & ~15)
                    except MemoryError:
                        k = len(tx) - _START  # it goes in smaller pieces
            at = _START
            if byte0 >= 0:
                if n < 126:
                    at = head - 2
                    tx[at] = byte0
                    tx[at + 1] = mask | n
                else:
                    at = head - (4 if n < 0x10000 else 10)
                    put_header(tx, at, byte0, n, mask)
                if mask:
                    new_key(tx, 12)
            done = 0
            while True:
                if mask and byte0 >= 0:
                    apply_mask(tx, _START, data, done, k, tx, 12, done & 3)
                else:
                    apply_mask(tx, _START, data, done, k, ZERO, 0, 0)
                done += k
                end = _START + k
                if done == n:
                    self._out = data = None
                while at < end:
                    k = write(tx, at, end - at)  # type: ignore[assignment]
                    if k is None:
                        self._busy = busy = True
                        yield WRITE
                    else:
                        at += k
                if data is None:
                    break
                at = _START
                k = min(n - done, len(tx) - _START)

    def _push(self) -> None:
        """Send what waits, as far as the network takes it at once."""
        try:
            next(self._sender)
        except NOT_SENT:
            self._mute()  # what the peer sent before it left is still to be read

    def _mute(self) -> None:
        """Nothing is sent any more; what has come, and a Close among it, still counts."""
        self._sender = _NO_STEPS
        if self.close_code is None:
            self.close_code = 1006
        self._busy = False
        self._out = self._pong = None

    def _encode(self, message: object, text: "bool | None") -> "Readable | None":
        """``message`` as bytes, with its frame's first byte left in ``_byte0``; None if it is
        neither str nor bytes-like.
        """
        if isinstance(message, str):
            self._byte0 = 0x82 if text is False else 0x81
            return encode(message)
        if not isinstance(message, _BYTES_LIKE):
            if hasattr(message, "keys") or hasattr(message, "union"):
                raise TypeError("a mapping is no message")
            return None
        if getattr(message, "itemsize", 1) != 1:
            raise TypeError("a memoryview must be of bytes")
        self._byte0 = 0x82
        if text:
            self._byte0 = 0x81
            if validate(message, 0, len(message), 0):
                raise ValueError("text is not UTF-8")
        return message

    # Closing

    def _send_close(self, payload: bytes) -> "Steps":
        """Send a Close behind what is half-way; it is the last frame (§5.5.1)."""
        sender = self._spare if self._sender is _NO_STEPS else self._sender
        self._sender = self._spare = _NO_STEPS
        self._closing = True
        for step in sender:
            if step:
                yield step
            elif payload is None:
                self._close_sent = True
                return
            else:
                self._byte0 = 0x88
                self._out = payload
                payload = None  # type: ignore[assignment]

    def _close(self, payload: bytes) -> "Steps":
        """The steps of a close from this side, up to the end."""
        yield from self._send_close(payload)
        yield from self._drop()

    def _drop(self) -> "Steps":
        """The steps from a Close that was sent to the end; messages that come are dropped."""
        if self._receiver is OVER and self._close_sent:
            yield from self._drain()  # interrupted, so nobody knows where a frame begins
        for step in self._receiver:
            if step == ENDED:
                return
            if step <= WRITE:
                yield step

    def _close_socket(self) -> None:
        self._receiver = OVER
        self._rx = self._data = self._target = None  # type: ignore[assignment]
        self._begun = False
        self._mute()
        self._drop_socket()

    def _drop_socket(self) -> None:
        sock = self._sock
        if sock is not None:
            self._sock = None  # type: ignore[assignment]
            sock.close()
            if self._plain is not None:
                # MicroPython's TLS lets it go, open, when a handshake has failed.
                self._plain.close()
                self._plain = None


_kept = not MICROPYTHON  # whether the client's handshake stays in memory once it is done


def connecting(ws: Connection, second_try: "tuple[int, bool]", *arguments: "Any") -> "Steps":
    """The steps to an open connection: ``client_handshake.connecting()``, which has ``arguments``.

    Where the server refuses, ``refused.going_on()`` has ``second_try`` as well.
    On a board the modules that these take leave memory once it is open. A program that connects a
    second time will do so again: from then on they stay. Those that it imported itself stay, too.
    """
    global _kept
    before = None if _kept else set(sys.modules)
    from .client_handshake import connecting as steps

    new = [name for name in sys.modules if name not in before] if before else ()
    try:
        try:
            yield from steps(ws, *arguments)
        except HandshakeError as error:
            from .refused import going_on

            yield from going_on(ws, error, second_try, *arguments)
    finally:
        _kept = True
        for name in new:
            package, _, module = name.partition(".")
            delattr(sys.modules[package], module)
            del sys.modules[name]
