"""Compression of messages, permessage-deflate (RFC 7692); imported only where it is asked for.

No context is taken over from message to message, in either direction, so a connection keeps no
window between two messages. A message is collected whole, at most ``max_size`` bytes of it; then,
while it is inflated, it takes the window besides (2 to the power of ``window_bits`` bytes) and
about 1.3 KiB on MicroPython, 8 KiB on CPython. Compressing takes up to 300 KB on CPython.
"""

import io

from ._compat import MICROPYTHON, const

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from typing import Any

_ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
# What ends a message's data (§7.2.2), and an empty last block, which ends the whole stream.
_TAIL = b"\x00\x00\xff\xff\x01\x00\x00\xff\xff"

if MICROPYTHON:
    import deflate

    WINDOW_BITS = 10
    CAN_COMPRESS = hasattr(deflate.DeflateIO, "write")

    def collector(size: "Any") -> io.BytesIO:
        """What a compressed message is written to; of one frame and ``size`` bytes it is copied
        no more.
        """
        return io.BytesIO(size + len(_TAIL))

    def inflater(collected: io.BytesIO, window_bits: int) -> "Any":
        """What has ``readinto(buffer)``; that gives 0 at the end, ``OSError`` for bad data."""
        collected.write(_TAIL)
        collected.seek(0)
        return deflate.DeflateIO(collected, deflate.RAW, window_bits)

    def compress(data: "Any", window_bits: int) -> bytes:
        out = io.BytesIO()
        stream: Any = deflate.DeflateIO(out, deflate.RAW, window_bits)
        stream.write(data)
        stream.close()
        return out.getvalue() + b"\0"  # the stream's block is a last one, §7.2.3.4

else:
    import zlib

    WINDOW_BITS = 15
    CAN_COMPRESS = True

    def collector(size: "Any") -> io.BytesIO:
        return io.BytesIO()

    class inflater:
        def __init__(self, collected: io.BytesIO, window_bits: int) -> None:
            self._stream = zlib.decompressobj(-window_bits)
            self._rest = collected.getvalue() + _TAIL

        def readinto(self, buffer: "Any") -> int:
            try:
                data = self._stream.decompress(self._rest, len(buffer))
            except zlib.error as error:
                raise OSError(str(error)) from None
            self._rest = self._stream.unconsumed_tail
            buffer[: len(data)] = data
            return len(data)

    def compress(data: "Any", window_bits: int) -> bytes:
        stream = zlib.compressobj(wbits=-window_bits)
        return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Deflate:
    """What two peers agree on, for one connection.

    ``window_bits``, 9 to 15, bounds the window of what this side has to inflate.
    """

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
                text += "; server_max_window_bits=%d" % params["server_max_window_bits"]
            return text
        return None

    def _bound_out(self, params: "dict[str, Any]", key: str) -> bool:
        """Keep to the window that the peer allows; False where it says none."""
        bits = params.get(key, 15)
        if bits is None:
            return False
        # zlib knows no window of 256 bytes; then messages go out uncompressed.
        self._out_bits = min(self._out_bits, bits) if bits > 8 else 0
        return True

    def collector(self, size: int) -> "Any":
        return collector(size)

    def inflater(self, collected: "Any") -> "Any":
        return inflater(collected, self._in_bits)

    def compress(self, data: "Any") -> "Any":
        """``data`` compressed, or None where that is not possible or makes it no smaller."""
        if not self._out_bits:
            return None
        packed = compress(data, self._out_bits)
        return packed if len(packed) < len(data) else None


def _parse(text: str) -> "dict[str, Any] | None":
    """The parameters of an offer or a response; None where it is no valid one of this kind."""
    name, *parts = [part.strip() for part in text.split(";")]
    if name.lower() != "permessage-deflate":
        return None
    params: dict[str, Any] = {}
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
