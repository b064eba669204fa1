"""Compression of messages, permessage-deflate (RFC 7692); imported only where it is asked for.

What this side sends never refers to the message before. Peers are asked for the same; but some go
on to refer to what they sent before, so the last bytes of what came are kept (as many as the
window has: 2 to the power of ``window_bits``), and those simply work. A message is collected
whole, at most ``max_size`` bytes of it; then, while it is inflated, it takes the window once or
twice more and about 1.3 KiB each time on MicroPython, 8 KiB on CPython. Compressing takes up to
300 KB on CPython.
"""

import io

from .compat import MICROPYTHON, const
from .core import MESSAGE, PIECE, Connection
from .errors import ProtocolError
from .loops import ZERO, apply_mask, begun, validate

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ._types import Readable, Steps, Writable

    class Stream(Protocol):
        def readinto(self, __buffer: Writable) -> int: ...


_ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
# What ends a message's data (§7.2.2), and an empty last block, which ends the whole stream.
_TAIL = b"\x00\x00\xff\xff\x01\x00\x00\xff\xff"
_INVALID = "not valid deflate data"

if MICROPYTHON:
    import deflate

    WINDOW_BITS = 10
    CAN_COMPRESS = hasattr(deflate.DeflateIO, "write")

    def _inflater(packed: "Readable", window_bits: int, history: bytes, filling: int) -> "Stream":
        """What has ``readinto(buffer)``; that gives 0 at the end, ``OSError`` for bad data.

        The inflater takes no window that is there already, so the window goes first, as a block
        that is not compressed (RFC 1951 §3.2.4): what came before, and in front of it ``filling``.
        """
        size = 1 << window_bits
        stream = io.BytesIO(size + len(packed) + 16)
        stream.write(b"\0" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little"))
        stream.write(bytes((filling,)) * (size - len(history)))
        stream.write(history)
        stream.write(packed)
        stream.write(_TAIL)
        stream.seek(0)
        inflater: Stream = deflate.DeflateIO(stream, deflate.RAW, window_bits)
        waste = bytearray(64)
        for _ in range(size >> 6):
            inflater.readinto(waste)
        return inflater

    def compress(data: "Readable", window_bits: int) -> bytes:
        out = io.BytesIO()
        stream = deflate.DeflateIO(out, deflate.RAW, window_bits)
        stream.write(data)  # type: ignore[attr-defined]
        stream.close()
        return out.getvalue() + b"\0"  # the stream's block is a last one, §7.2.3.4

else:
    import zlib

    WINDOW_BITS = 15
    CAN_COMPRESS = True

    class _inflater:
        def __init__(
            self, packed: "Readable", window_bits: int, history: bytes, filling: int
        ) -> None:
            self._stream = zlib.decompressobj(-window_bits, bytes(history))
            self._rest = bytes(packed) + _TAIL

        def readinto(self, buffer: "Writable") -> int:
            try:
                data = self._stream.decompress(self._rest, len(buffer))
            except zlib.error as error:
                raise OSError(str(error)) from None
            self._rest = self._stream.unconsumed_tail
            buffer[: len(data)] = data
            return len(data)

    def compress(data: "Readable", window_bits: int) -> bytes:
        stream = zlib.compressobj(wbits=-window_bits)
        return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Deflate:
    """What two peers agree on, for one connection.

    ``window_bits``, 9 to 15, bounds the window of what this side has to inflate.
    """

    _history = b""  # the last of what came

    def __init__(self, window_bits: int = WINDOW_BITS) -> None:
        if not 9 <= window_bits <= 15:
            raise ValueError("window bits must be 9 to 15")
        self._in_bits = window_bits
        self._out_bits = WINDOW_BITS if CAN_COMPRESS else 0

    def offer(self) -> str:
        """The client's Sec-WebSocket-Extensions."""
        text = _ANSWER + "; client_max_window_bits"
        if self._in_bits < 15:
            text += "; server_max_window_bits=%d" % self._in_bits
        return text

    def accepted(self, response: str) -> bool:
        """Whether a client can go by the server's ``response`` to ``offer()`` (§7.1)."""
        params = _parse(response)
        if params is None or "server_no_context_takeover" not in params:
            return False
        bits = params.get("server_max_window_bits", 15)
        if bits is None or bits > self._in_bits:
            return False
        return self._bound_out(params, "client_max_window_bits")

    def choose(self, offers: str) -> "str | None":
        """The server's response to the first of the client's ``offers`` that it can go by."""
        for offer in offers.split(","):
            params = _parse(offer)
            if params is None:
                continue
            text = _ANSWER
            if "client_max_window_bits" in params:
                self._in_bits = min(self._in_bits, params["client_max_window_bits"] or 15)
                text += "; client_max_window_bits=%d" % self._in_bits
            elif self._in_bits < 15:
                continue  # the client cannot do with a smaller window
            if not self._bound_out(params, "server_max_window_bits"):
                continue
            if "server_max_window_bits" in params:
                text += "; server_max_window_bits=%d" % params["server_max_window_bits"]  # type: ignore[str-format]
            return text
        return None

    def _bound_out(self, params: "dict[str, int | None]", key: str) -> bool:
        """Keep to the window that the peer allows; False where it says none."""
        bits = params.get(key, 15)
        if bits is None:
            return False
        # zlib knows no window of 256 bytes; then messages go out uncompressed.
        self._out_bits = min(self._out_bits, bits) if bits > 8 else 0
        return True

    def begin(self, ws: Connection) -> None:
        """It was agreed on: what ``ws`` receives and sends from here on may be compressed."""
        ws._deflate = self
        ws.compression = "deflate"
        ws._sender = self._sending(ws, ws._sender)

    def _sending(self, ws: Connection, sender: "Steps") -> "Steps":
        """The connection's sender, but for messages that it compresses first."""
        while True:
            if not ws._busy and ws._out is not None and 0x80 < ws._byte0 < 0x83:
                try:
                    packed = self.compress(ws._out)
                except MemoryError:
                    packed = None  # it goes as it is
                if packed is not None:
                    ws._out = packed
                    ws._byte0 |= 0x40
            yield next(sender)

    def inflate(self, ws: Connection, size: int) -> "Steps":
        """Bring a message that came compressed to its destination, its bounds checked on the way.

        The first ``size`` bytes of ``ws._data`` are all of it.
        """
        target = ws._target
        piecewise = ws._piecewise
        # MicroPython's inflater believes references to before the first message. What they give
        # differs with what stands there, so as far as there can be such it is done twice.
        unsure = (1 << self._in_bits) - len(self._history) if MICROPYTHON else 0
        proof = self._proof(ws, size, unsure) if unsure > 0 else b""
        stream = self._inflater(ws, size, 0)
        ws._data = None
        data: Any = target
        at = new = utf8 = 0  # new: what is not in the history begins here
        while True:
            if piecewise and at == len(data):
                n = begun(utf8)
                ws._data = data
                ws._stop = at - n
                self._remember(memoryview(data)[new:at])
                yield PIECE
                if ws._target is not target or not ws._piecewise or ws._closing:
                    self._history = b""  # as nobody knows it any more
                    return
                apply_mask(data, 0, data, at - n, n, ZERO, 0, 0)
                at = new = n
            if target is None and (data is None or at == len(data) < ws.max_size):
                data = ws._grown(data, at, min(at + 256, ws.max_size), 0)
            view = memoryview(data)[at:] if at < len(data) else bytearray(1)
            n = self._next(stream, view)
            k = min(n, len(proof))
            if proof[:k] != view[:k]:
                raise ProtocolError(1007, _INVALID)
            proof = proof[k:] if k < len(proof) else b""
            if n == 0:
                break
            if not piecewise and at + n > min(ws.max_size, len(data)):
                raise ProtocolError(1009, "message too big")
            if ws.is_text:
                utf8 = validate(data, at, at + n, utf8)
                if utf8 < 0:
                    raise ProtocolError(1007, "text is not UTF-8")
            at += n
        self._remember(memoryview(data)[new:at])
        if utf8:
            raise ProtocolError(1007, "text ends inside a character")
        ws._stop = at
        if target is None:
            view = memoryview(data)[:at]
            data = str(view, "utf-8") if ws.is_text else bytes(view)
        ws._data = data
        yield MESSAGE

    def _inflater(self, ws: Connection, size: int, filling: int) -> "Stream":
        return _inflater(memoryview(ws._data)[:size], self._in_bits, self._history, filling)

    def _proof(self, ws: Connection, size: int, unsure: int) -> memoryview:
        proof = bytearray(unsure)
        n = self._next(self._inflater(ws, size, 0xFF), proof)
        return memoryview(proof)[:n]

    def _next(self, stream: "Stream", buffer: "Writable") -> int:
        try:
            return stream.readinto(buffer)
        except OSError:
            raise ProtocolError(1007, _INVALID) from None

    def _remember(self, data: "Readable") -> None:
        """Keep what the next message may refer to."""
        size = 1 << self._in_bits
        rest = max(0, size - len(data))
        kept = self._history[-rest:] if rest else b""
        self._history = kept + bytes(data[-size:])

    def compress(self, data: "Readable") -> "bytes | None":
        """``data`` compressed, or None where that is not possible or makes it no smaller."""
        if not self._out_bits:
            return None
        packed = compress(data, self._out_bits)
        return packed if len(packed) < len(data) else None


def chosen(compression: "str | int") -> Deflate:
    """What ``compression`` asks for, for one connection; ``ValueError`` where nobody knows it."""
    if compression == "deflate":
        compression = WINDOW_BITS
    if not isinstance(compression, int):
        raise ValueError('compression must be None, "deflate" or its window bits')
    return Deflate(compression)


def _parse(text: str) -> "dict[str, int | None] | None":
    """The parameters of an offer or a response; None where it is no valid one of this kind."""
    name, *parts = [part.strip() for part in text.split(";")]
    if name.lower() != "permessage-deflate":
        return None
    params: dict[str, int | None] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        value = value.strip().strip('"')
        bits = None
        if key in ("client_max_window_bits", "server_max_window_bits"):
            if equals:
                if not value.isdigit() or value.startswith("0") or not 8 <= int(value) <= 15:
                    return None
                bits = int(value)
        elif key not in ("client_no_context_takeover", "server_no_context_takeover") or equals:
            return None
        if key in params:
            return None
        params[key] = bits
    return params
