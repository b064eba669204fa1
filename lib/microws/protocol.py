"""The state machine of one connection (RFC 6455 §5 to §8); no socket, no clock, no thread.

A front reads into ``get_buffer()``, at most ``read_size`` bytes, tells the count to
``buffer_updated(n)`` (0 for the end of the stream) and calls ``parse()`` until it gives NOTHING.
While ``data_to_send()`` is true it writes from ``tx``, between ``tx_start`` and ``tx_end``, and
tells the count to ``sent(n)``. What the peer does wrong raises nothing here: it ends as the event
CLOSED, with ``closed_error()`` as the exception for the user.

The rules of the receiving side: bytes are consumed in order and every state is resumable at every
byte. A control frame, and a whole message that has arrived with one read, are handled in the
read buffer; any other payload goes to its destination as it comes, from the socket directly where
it is long.
"""

from ._compat import const
from .errors import ConnectionClosed, HandshakeError, ProtocolError
from .frames import close_code_allowed, header_error, long_length, put_header
from .mask import ZERO, apply_mask, new_key
from .utf8 import begun, encode, validate

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from typing import Any

# State
_CONNECTING = const(0)
_OPEN = const(1)
_CLOSING = const(2)  # a Close frame was sent, the peer's has not come
_CLOSED = const(3)  # nothing more is parsed; what waits in tx may still be sent

# Events
_NOTHING = const(0)  # all that was read is consumed
_MESSAGE = const(1)  # a message is complete: data[start:stop]
_PIECE = const(2)  # a piece of a message, likewise
_OPENED = const(3)
_ENDED = const(4)  # the state is CLOSED

_TEXT = const(1)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_START = const(16)  # a payload begins here in tx, for whole words; in rx, what follows a rest
_VIEW = const(4096)  # worth a memoryview to read straight to the middle of a destination
_GO_ON = const(-1)
# What `_left` says instead of the bytes that are still to come of a frame's payload.
_BETWEEN = const(-1)  # frames
_INFLATING = const(-2)  # a message that is complete

_BUFFERS: "Any" = (bytearray, memoryview)
NO_BUFFER = "a buffer must be a bytearray or a memoryview of bytes"


class Protocol:
    """One connection, from the handshake to the close.

    ``max_size`` bounds a message in bytes (then 1009), ``max_fragments`` its frames (1008),
    ``max_header`` the handshake's head in bytes and ``max_fields`` its fields (both 431),
    ``message_timeout`` in seconds (None: no limit) the time in which a message, or a piece of it,
    that has begun keeps the receiver waiting (1008).
    ``read_size`` is the size of the read buffer, at least 131, ``write_size`` that to which the
    transmit buffer may grow.
    """

    # What many a connection never changes takes room in those that do. And a table of attributes
    # wants some: MicroPython goes through all of a full one for each method that is called.
    max_fragments = 1024
    write_size = 4096
    _patience: "int | None" = 60000  # milliseconds
    close_code: "int | None" = None
    close_reason = ""
    body: "Any" = ()  # of an HTTP response, to be sent piece by piece after its head
    error: "Exception | None" = None
    opcode = 0  # of the message in progress, then of the one delivered
    pongs = 0  # that have come
    _arrived = 0  # bytes that were read to the destination
    _compressed = False
    _collected: "Any" = None  # what has come of a compressed message
    _inflater: "Any" = None  # of the message that is complete and being given
    _fragments = 0  # after a message's first
    _fin = 0
    _key: "Any" = ZERO
    _tail: "Any" = None  # of the read buffer, what is behind the beginning of a header
    _phase = 0
    _utf8 = 0
    _at = 0
    _out_at = 0
    _out_key: "Any" = ZERO

    def __init__(
        self,
        handshake: "Any",
        client: bool,
        max_size: int = 65536,
        max_fragments: int = max_fragments,
        max_header: int = 4096,
        max_fields: int = 64,
        read_size: int = 512,
        write_size: int = write_size,
        message_timeout: "float | None" = 60,
    ) -> None:
        if read_size < 131 or write_size < 256:
            raise ValueError("read_size must be at least 131, write_size at least 256")
        if min(max_size, max_fragments, max_header, max_fields) < 0:
            raise ValueError("a limit is below 0")
        self.state = _CONNECTING
        self.handshake = handshake
        self.client = client
        self.max_size = max_size
        if max_fragments != self.max_fragments:
            self.max_fragments = max_fragments
        if write_size != self.write_size:
            self.write_size = write_size
        if message_timeout != 60:
            self._patience = None if message_timeout is None else int(message_timeout * 1000)
        self._late = 0  # milliseconds in which the message in progress was waited for
        # The head as far as it has come, how much of CR LF CR LF stands at its end, its lines.
        self._head: Any = [bytearray(), 0, 0, max_header, max_fields]
        # Receiving
        self._rx: Any = bytearray(read_size)
        self.view: Any = memoryview(self._rx)
        self._rx_start = 0
        self._rx_end = 0
        self._next_read = read_size
        self.read_size = read_size
        self._direct = False  # the last get_buffer() gave the destination
        self._target: Any = None  # the caller's buffer for the next message
        self._piecewise = False
        self._partial = False
        self._extension: Any = None  # permessage-deflate, where it was agreed on
        self._skip = False  # the rest of the message in progress is not wanted
        self._left = _BETWEEN
        self.data: Any = None
        self.start = 0
        self.stop = 0
        # Sending
        self._mask_out = 0x80 if client else 0
        self.tx: Any = bytearray(144)
        self.tx_start = 0
        self.tx_end = 0
        self._out: Any = None  # the payload that goes through tx in pieces
        self.is_mute = False
        self._later: tuple = ()  # control frames that wait for the end of a frame, or for room
        self.begin()

    def begin(self) -> None:
        """Send the client's request, from its start; once more for a connection anew."""
        self.tx_start = self.tx_end = 0
        if self.client:
            self.queue(self.handshake.request)

    def closed_error(self) -> Exception:
        """What to raise once the connection is closed, or when it is no longer open."""
        return self.error or ConnectionClosed(self.close_code or 1006, self.close_reason)

    def fail(self, code: int, reason: str) -> int:
        """Fail the connection (§7.1.7): send Close with ``code``, read no more."""
        self.close(code, reason)
        self.error = ProtocolError(code, reason)
        return self._drop()

    def _too_big(self) -> int:
        return self.fail(1009, "message too big")

    def abort(self) -> None:
        """The connection is lost: nothing more will be read or written."""
        # First, for the end may need a little of it. Whoever holds on to this holds no buffers.
        self._rx = self.tx = self.view = self._tail = b""
        self.mute()
        try:
            self.buffer_updated(0)
        except MemoryError:
            self.state = _CLOSED  # without its code: the socket is still to be closed

    def mute(self) -> None:
        """The network takes nothing more; what has come, and a Close among it, still counts."""
        self.is_mute = True
        self.tx_start = self.tx_end = 0
        self._out = None
        self._later = ()

    def _drop(self) -> int:
        self.state = _CLOSED
        if self.close_code is None:
            self.close_code = 1006
        self._target = self.data = self._head = self._collected = self._inflater = None
        self._direct = False
        self._left = _BETWEEN
        return _ENDED

    # Receiving

    def get_buffer(self) -> "Any":
        """Where to read to, from its start on, at most ``read_size`` bytes."""
        if self._rx_start < self._rx_end:
            return self._behind_rest()
        self._rx_start = 0
        self._rx_end = 0
        rx = self._rx
        left = self._left
        if left < 0:
            self.read_size = self._next_read
            return rx
        if left >= len(rx) and not (self._skip or self._compressed) and self.state == _OPEN:
            at = self._at
            data = self.data
            if at == 0 or self._target is None or left >= _VIEW:
                room = len(data) - at
                self.read_size = left if left < room else room
                self._direct = True
                return memoryview(data)[at:] if at else data
        self._direct = False
        self.read_size = len(rx)
        return rx

    def _behind_rest(self) -> "Any":
        """The beginning of a header or of a control frame waits for its rest."""
        rx = self._rx
        start = self._rx_start
        k = self._rx_end - start
        if k <= _START <= start:
            # So far in the buffer this takes no memory, each time.
            apply_mask(rx, _START - k, rx, start, k, ZERO, 0, 0)
            self._rx_start = _START - k
            self._rx_end = _START
            self.read_size = len(rx) - _START
            if self._tail is None:
                self._tail = self.view[_START:]
            return self._tail
        rx[:k] = rx[start : self._rx_end]
        self._rx_start = 0
        self._rx_end = k
        self.read_size = len(rx) - k
        return self.view[k:]

    def buffer_updated(self, n: int) -> None:
        """``n`` bytes were read to what ``get_buffer()`` gave; 0 is the end of the stream."""
        if n == 0:
            if self.state == _CONNECTING:
                self.error = HandshakeError("the connection ended before the handshake was done")
            self._drop()
        elif self._direct:
            self._arrived = n
        else:
            self._rx_end += n

    def waited(self, ms: int) -> None:
        """The caller waited so long for what it is about to tell with ``buffer_updated()``."""
        if not (self._partial or self._rx_start < self._rx_end):
            self._late = 0
            return
        self._late += ms
        if self._patience is not None and self._late > self._patience and self.state == _OPEN:
            self.fail(1008, "message takes too long")

    def receive_into(self, target: "Any", piecewise: bool = False) -> int:
        """Send the next message to ``target``, or, where it is None, to memory of its own.

        To be called before ``parse()``. What has come of a message that is not complete goes
        along: piecewise, where ``target`` is of four bytes at least, as the event _PIECE that
        this gives. A message that was begun piecewise and is not wanted any more is skipped.
        """
        if target is not None:
            if not isinstance(target, _BUFFERS):
                raise TypeError(NO_BUFFER)
            if piecewise and len(target) < 4:
                raise ValueError("a buffer for pieces must have at least 4 bytes")
        if self._left == _INFLATING:
            self._left = _BETWEEN
            self._inflater = None
        if self._partial and not self._skip and self.state == _OPEN:
            at = self._at
            if self._compressed or (target is self._target and not self._piecewise):
                pass  # compressed, it is collected first, and inflated to where it is wanted then
            elif self._piecewise:
                self._skip = True
            elif piecewise:
                self._target = target
                self._piecewise = True
                return self._piece()
            else:
                need = at + max(self._left, 0)
                if target is None:
                    new = bytearray(need)
                elif need > len(target):
                    return self._too_big()
                else:
                    new = target
                new[:at] = memoryview(self.data)[:at]
                self.data = new
        self._target = target
        self._piecewise = piecewise
        return _NOTHING

    def _piece(self) -> int:
        self.start = 0
        self.stop = self._at - begun(self._utf8)
        return _PIECE

    def next_piece(self) -> None:
        """The piece that was given is used; a character that it cut goes to the next one."""
        rest = self._at - self.stop
        apply_mask(self._target, 0, self.data, self.stop, rest, ZERO, 0, 0)
        self.data = self._target
        self._at = rest
        self._late = 0

    def release(self) -> None:
        """The message that was given is used."""
        self.data = self._target = None
        self._late = 0

    def parse(self) -> int:
        """Consume what was read, up to the next event, and tell which one."""
        if self._rx_start == self._rx_end and self._left == _BETWEEN and self.state == _OPEN:
            return _NOTHING  # each time before a message is waited for: to be told soon
        try:
            if self._direct:
                event = self._payload()
                if event != _GO_ON:
                    return event
            return self._parse()
        except MemoryError:
            return self.no_memory()

    def no_memory(self) -> int:
        """There is no memory for what came: that ends this connection, not the program."""
        # First what the message took is given back, for the Close frame needs a little.
        self._target = self.data = self._head = self._collected = self._inflater = None
        if self.state == _CONNECTING:
            return self.refuse(HandshakeError("out of memory", 0 if self.client else 503))
        try:
            return self.fail(1009, "no memory for the message")
        except MemoryError:
            return self._drop()  # without a word

    def _parse(self) -> int:
        if self.state == _CONNECTING:
            return self._parse_head()
        if self._left == _INFLATING:
            return self._inflate()
        rx = self._rx
        mask_in = 0x80 - self._mask_out
        while self.state != _CLOSED:
            if self._left < 0:
                start = self._rx_start
                n = self._rx_end - start
                if n < 2:
                    return _NOTHING
                byte0 = rx[start]
                byte1 = rx[start + 1]
                opcode = byte0 & 0x0F
                partial = self._partial
                compressed = partial and self._compressed
                if partial or byte1 & 0x80 != mask_in or (byte0 != 0x82 and byte0 != 0x81):
                    if byte0 & 0x40 and 0 < opcode < 3 and self._extension:
                        compressed = True
                        byte0 ^= 0x40
                    problem = header_error(byte0, byte1, mask_in)
                    if problem:
                        return self.fail(1002, problem)
                    if opcode < 8 and (opcode == 0) != partial:
                        return self.fail(1002, "wrong order of fragments")
                length = byte1 & 0x7F
                size = 2 + (mask_in >> 5)  # a key has four bytes
                if length > 125:
                    size += 2 if length == 126 else 8
                if n < size:
                    return _NOTHING
                body = start + size
                if opcode >= 8:
                    if n < size + length:
                        return _NOTHING
                    self._rx_start = body + length
                    self._control(opcode, body, length)
                    continue
                if length > 125:
                    length = long_length(rx, start)
                    if length < 0:
                        return self.fail(1002, "length not minimal")
                # A long payload is read apart from the next header, straight to its place.
                room = len(rx)
                self._next_read = room if length < room else size
                target = None if compressed else self._target
                if self.state == _CLOSING:
                    self._skip = True
                at = self._at if partial else 0
                if not self._skip and (compressed or not self._piecewise):
                    if at + length > self.max_size or (
                        target is not None and at + length > len(target)
                    ):
                        return self._too_big()
                    if opcode and byte0 & 0x80 and n >= size + length and not compressed:
                        # The whole message is here.
                        self._rx_start = self.stop = body + length
                        self.start = body
                        data = rx
                        if target is not None:
                            data = target
                            self.start = 0
                            self.stop = length
                        if mask_in:
                            seen = apply_mask(data, self.start, rx, body, length, rx, body - 4, 0)
                        else:
                            seen = apply_mask(data, self.start, rx, body, length, ZERO, 0, 0)
                        if seen and opcode == _TEXT and validate(data, self.start, self.stop, 0):
                            return self.fail(1007, "text is not UTF-8")
                        self.data = data
                        self.opcode = opcode
                        return _MESSAGE
                if opcode:
                    self.opcode = opcode
                    self.data = target
                    self._partial = True
                    self._compressed = compressed
                    self._at = self._utf8 = self._fragments = 0
                else:
                    self._fragments += 1
                    if self._fragments >= self.max_fragments and not self._piecewise:
                        return self.fail(1008, "over %d fragments" % self.max_fragments)
                if compressed:
                    if opcode and not self._skip:
                        self._collected = self._extension.collector(length)
                elif not (
                    target is not None or self._skip or self._reserve(at + length, byte0 & 0x80)
                ):
                    return self.fail(1009, "no memory for the message")
                if mask_in:
                    if self._key is ZERO:
                        self._key = bytearray(4)
                    apply_mask(self._key, 0, rx, body - 4, 4, ZERO, 0, 0)
                self._phase = 0
                self._fin = byte0 & 0x80
                self._left = length
                self._rx_start = body
                if n == size and opcode and length:
                    return _NOTHING
            event = self._payload()
            if event != _GO_ON:
                return event
        return _ENDED

    def _payload(self) -> int:
        """Bring what has come of a data frame's payload to its destination."""
        left = self._left
        data = self.data
        at = self._at
        if self._direct:
            self._direct = False
            n = self._arrived
            self._arrived = 0
            seen = 0x80
            if not self._mask_out:
                seen = apply_mask(data, at, data, at, n, self._key, 0, self._phase)
        else:
            rx = self._rx
            start = self._rx_start
            n = self._rx_end - start
            if n > left:
                n = left
            seen = 0
            if self._skip:
                self._utf8 = 0
            elif self._compressed:
                if not self._mask_out:
                    apply_mask(rx, start, rx, start, n, self._key, 0, self._phase)
                self._collected.write(self.view[start : start + n])
            else:
                if n > len(data) - at:
                    n = len(data) - at  # a piece is full
                seen = apply_mask(data, at, rx, start, n, self._key, 0, self._phase)
            self._rx_start = start + n
        self._at = at + n
        if self.opcode == _TEXT and (seen or self._utf8):
            self._utf8 = validate(data, at, at + n, self._utf8)
            if self._utf8 < 0:
                return self.fail(1007, "text is not UTF-8")
        if n < left:
            self._left = left - n
            self._phase = self._phase + n & 3
            if not (self._skip or self._compressed) and at + n == len(data):
                return self._piece()
            return _GO_ON if n else _NOTHING
        self._left = _BETWEEN
        if not self._fin:
            return _GO_ON
        self._partial = False
        if self._skip:
            self._skip = False
            return _GO_ON
        if self._compressed:
            self.data = self._target
            self._inflater = self._extension.inflater(self._collected)
            self._collected = None
            self._at = 0
            self._left = _INFLATING
            return self._inflate()
        return self._complete()

    def _complete(self) -> int:
        if self._utf8:
            return self.fail(1007, "text ends inside a character")
        self.start = 0
        self.stop = self._at
        return _MESSAGE

    def _inflate(self) -> int:
        """Bring a compressed message to its destination, its bounds checked on the way."""
        at = self._at
        while True:
            data = self.data
            if data is not None and at == len(data) and self._piecewise:
                self._at = at
                return self._piece()
            try:
                if self._target is None and (data is None or at == len(data)):
                    if not self._reserve(min(at + 256, self.max_size + 1), 0):
                        return self.fail(1009, "no memory for the message")
                    data = self.data
                view = memoryview(data)[at:] if at < len(data) else bytearray(1)
                n = self._inflater.readinto(view)
            except OSError:
                return self.fail(1007, "not valid deflate data")
            if n == 0:
                self._inflater = None
                self._left = _BETWEEN
                self._at = at
                return self._complete()
            if not self._piecewise and at + n > min(self.max_size, len(data)):
                return self._too_big()
            if self.opcode == _TEXT:
                self._utf8 = validate(data, at, at + n, self._utf8)
                if self._utf8 < 0:
                    return self.fail(1007, "text is not UTF-8")
            at += n
            self._at = at

    def _reserve(self, size: int, fin: int) -> bool:
        """Memory for ``size`` bytes of a message; where more fragments follow, some ahead."""
        data = self.data
        if data is None or len(data) < size:
            ahead = size
            if data is not None and not fin:
                ahead = max(min(2 * size, self.max_size), size)
            try:
                self.data = bytearray(ahead)
            except MemoryError:
                try:
                    self.data = bytearray(size)
                except MemoryError:
                    return False
            if data is not None:
                self.data[: self._at] = memoryview(data)[: self._at]
        return True

    def _control(self, opcode: int, at: int, n: int) -> None:
        rx = self._rx
        if not self._mask_out:
            apply_mask(rx, at, rx, at, n, rx, at - 4, 0)
        if opcode == _PING:
            if self.state == _OPEN:
                self._send_control(_PONG, rx, at, n)
        elif opcode == _PONG:
            self.pongs += 1
        elif n == 1:
            self.fail(1002, "close code cut short")
        else:
            code = rx[at] << 8 | rx[at + 1] if n else 1005
            if n and not close_code_allowed(code):
                self.fail(1002, "close code %d not allowed" % code)
            elif n and validate(rx, at + 2, at + n, 0):
                self.fail(1007, "close reason is not UTF-8")
            else:
                self.close_code = code
                self.close_reason = str(self.view[at + 2 : at + n], "utf-8") if n else ""
                if self.state == _OPEN:
                    self._send_control(_CLOSE, rx, at, 2 if n else 0)  # §5.5.1
                self._drop()

    def _parse_head(self) -> int:
        """Collect the handshake's head up to its empty line, then let the handshake judge."""
        rx = self._rx
        start = at = self._rx_start
        head, newlines, lines, max_header, max_fields = self._head
        while at < self._rx_end and newlines < 4:
            c = rx[at]
            at += 1
            if c == 13:
                newlines = 3 if newlines == 2 else 1
            elif c == 10 and newlines & 1:
                newlines += 1
                lines += 1
            else:
                newlines = 0
        self._head[1] = newlines
        self._head[2] = lines
        self._rx_start = at
        try:
            if len(head) + at - start > max_header:
                raise HandshakeError(
                    "header over %d bytes" % max_header, 0 if self.client else 431
                )
            if lines > max_fields + 2:  # the first line and the empty one
                # Each takes much more memory than its bytes once they are taken apart.
                raise HandshakeError(
                    "over %d header fields" % max_fields, 0 if self.client else 431
                )
            head.extend(self.view[start:at])
            if newlines < 4:
                return _NOTHING
            response = self.handshake.respond(memoryview(head)[:-4])
        except HandshakeError as error:
            return self.refuse(error)
        self._extension = self.handshake.extension
        if response:
            self.queue(response)
        self._head = None
        if self.client:
            self.handshake.request = None  # memory that nobody needs any more
        self.state = _OPEN
        return _OPENED

    def refuse(self, error: HandshakeError) -> int:
        """Fail the opening handshake; a server says so with the HTTP status of ``error``."""
        self.error = error
        if not self.client:
            head, self.body = self.handshake.refuse(error)
            self.queue(head)
        return self._drop()

    # Sending

    def send_message(self, opcode: int, data: "Any", fin: int = 0x80) -> None:
        """Begin a frame: ``opcode`` 1 or 2, or 0 for a further fragment; ``fin`` is 0x80 or 0.

        ``data`` is bytes-like and stays as it is until ``data_to_send()`` is false. Raises what
        ``closed_error()`` gives where the connection is not open.
        """
        if self.state != _OPEN or self.is_mute:
            raise self.closed_error()
        if self._extension and opcode and fin:
            packed = self._extension.compress(data)
            if packed is not None:
                data = packed
                opcode |= 0x40
        n = k = len(data)
        size = 2 + (self._mask_out >> 5)  # a key has four bytes
        if n > 125:
            size += 2 if n < 0x10000 else 8
        if self.tx_start == self.tx_end:
            self.tx_start = self.tx_end = _START - size
        if len(self.tx) - self.tx_end < size + n:
            try:
                self._grow(min(size + n, _START + self.write_size))
            except MemoryError:
                if self.tx_end >= _START:
                    raise
                # The message goes in smaller pieces.
            k = min(n, len(self.tx) - self.tx_end - size)
        if k < n and self._mask_out and self._out_key is ZERO:
            self._out_key = bytearray(4)
        self._put_frame(fin | opcode, n, data, 0, k)
        if k < n:
            self._out = data
            self._out_at = k
            if self._mask_out:
                apply_mask(self._out_key, 0, self.tx, self.tx_end - k - 4, 4, ZERO, 0, 0)

    def ping(self, data: "Any" = b"") -> None:
        """Send a Ping (§5.5.2); ``ValueError`` where ``data`` has over 125 bytes."""
        if self.state != _OPEN or self.is_mute:
            raise self.closed_error()
        if isinstance(data, str):
            raise TypeError("a ping carries bytes")
        if len(data) > 125:
            raise ValueError("a ping carries at most 125 bytes")
        self._send_control(_PING, data, 0, len(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake (§7.1.2), where the connection is open.

        ``ValueError`` for a code that may not be sent or a reason over 123 bytes.
        """
        if not close_code_allowed(code):
            raise ValueError("close code %d not allowed" % code)
        if not isinstance(reason, str):
            raise TypeError("a close reason is str")
        payload = bytes((code >> 8, code & 0xFF)) + encode(reason)
        if len(payload) > 125:
            raise ValueError("a close reason has at most 123 bytes")
        if self.state == _OPEN:
            self._send_control(_CLOSE, payload, 0, len(payload))
            self.state = _CLOSING
            self._skip = self._partial
            self._left = max(self._left, _BETWEEN)
            self._collected = self._inflater = None

    def data_to_send(self) -> bool:
        """Whether bytes wait in ``tx``, after it was refilled with what is still to go."""
        if self.tx_start < self.tx_end:
            return True
        if self._out is None and not self._later:
            return False
        self._refill()
        return True

    def _refill(self) -> None:
        out = self._out
        if out is not None:
            at = self._out_at
            k = len(self.tx) - _START
            if k >= len(out) - at:
                k = len(out) - at
                self._out = None
            apply_mask(self.tx, _START, out, at, k, self._out_key, 0, at & 3)
            self.tx_start = _START
            self.tx_end = _START + k
            self._out_at = at + k
        else:
            opcode, payload = self._later[0]
            self._later = self._later[1:]
            self._put_frame(0x80 | opcode, len(payload), payload, 0, len(payload))

    def is_sending(self) -> bool:
        """Whether a part of a message is not yet in ``tx``."""
        return self._out is not None

    def sent(self, n: int) -> bool:
        """``n`` bytes of ``tx`` were written; gives whether there is more to send."""
        start = self.tx_start + n
        if start < self.tx_end:
            self.tx_start = start
            return True
        self.tx_start = self.tx_end = 0
        return self._out is not None or self._later != ()

    def _put_frame(self, byte0: int, size: int, buffer: "Any", at: int, n: int) -> None:
        """Put a frame of ``size`` bytes into ``tx``, or as yet the first ``n`` of them, with a new
        key (§5.3) where this side masks.
        """
        tx = self.tx
        start = put_header(tx, self.tx_end, byte0, size, self._mask_out)
        if self._mask_out:
            new_key(tx, start)
            start += 4
            apply_mask(tx, start, buffer, at, n, tx, start - 4, 0)
        else:
            apply_mask(tx, start, buffer, at, n, ZERO, 0, 0)
        self.tx_end = start + n

    def _send_control(self, opcode: int, buffer: "Any", at: int, n: int) -> None:
        """Send a control frame, or keep it while a frame is half-way or no room is left.

        Only the newest Pong is kept (§5.5.3).
        """
        if self.is_mute:
            return
        if self._out is None and not self._later and len(self.tx) - self.tx_end >= n + 6:
            self._put_frame(0x80 | opcode, n, buffer, at, n)
            return
        if opcode == _PONG:
            self._later = tuple([frame for frame in self._later if frame[0] != _PONG])
        self._later += ((opcode, bytes(memoryview(buffer)[at : at + n])),)

    def queue(self, data: "Any", at: int = 0) -> None:
        """Send bytes as they are, from ``at`` on: of the handshake, or of a frame built elsewhere.

        No message may wait; ``data`` stays as it is until ``data_to_send()`` is false.
        """
        n = len(data) - at
        try:
            self._grow(min(n, self.write_size))
        except MemoryError:
            pass  # it goes in smaller pieces
        k = min(n, len(self.tx) - self.tx_end)
        apply_mask(self.tx, self.tx_end, data, at, k, ZERO, 0, 0)
        self.tx_end += k
        if k < n:
            self._out = data
            self._out_at = at + k

    def _grow(self, n: int) -> None:
        """Make room for ``n`` more bytes in the transmit buffer."""
        size = self.tx_end + n + 15 & ~15
        if size > len(self.tx):
            tx = bytearray(size)
            tx[: self.tx_end] = memoryview(self.tx)[: self.tx_end]
            self.tx = tx
