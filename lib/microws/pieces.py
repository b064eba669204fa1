"""A message in pieces, which may be larger than memory; loaded by who sends or receives one so."""

from .compat import const
from .core import MESSAGE

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._types import Data, Writable
    from .blocking import WebSocket


def send_pieces(ws: "WebSocket", message: "Iterable[Data]", text: "bool | None") -> None:
    try:
        pieces = iter(message)
    except TypeError:
        raise TypeError("a message is str, bytes-like or an iterable of these") from None
    first = True
    try:
        for piece in pieces:
            data = ws._encode(piece, text)
            if data is None:
                raise TypeError("a piece of a message is str or bytes-like")
            ws._byte0 = ws._byte0 & 0x7F if first else 0
            first = False
            ws._out = data
            ws._flush()
        ws._byte0 = 0x80
        if first:  # no piece at all: an empty message
            ws._encode(b"", text)
        ws._out = b""
        ws._flush()
    except BaseException:
        if not first:
            # Half a message has gone, and nothing can take it back.
            ws.close(1011, "message not complete")
        raise


def receive_pieces(ws: "WebSocket", buffer: "Writable | None") -> "Iterator[Data]":
    target = bytearray(1024) if buffer is None else buffer
    step = 0
    while step != MESSAGE:
        step = ws._receive(target, None, True)
        piece: Data = memoryview(ws._data)[: ws._stop]
        if buffer is None:
            piece = str(piece, "utf-8") if ws.is_text else bytes(piece)  # type: ignore[arg-type]
        if len(piece) or (buffer is None and step == MESSAGE):
            yield piece
    ws._target = ws._data = None
    ws._piecewise = False
