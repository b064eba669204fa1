"""A message in pieces over asyncio; loaded by who sends or receives one so."""

from .aio_connection import PIECEWISE
from .compat import const
from .core import FAILURES, MESSAGE, close_payload

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from typing import Any

    from ._types import Data, Writable
    from .aio_connection import WebSocket


async def send_pieces(ws: "WebSocket", message: "Any", text: "bool | None") -> None:
    stream = hasattr(message, "__aiter__")
    try:
        pieces = message if stream else iter(message)
    except TypeError:
        raise TypeError("a message is str, bytes-like or an iterable of these") from None
    await ws._turn(True)
    # Other messages wait for the end of this one; Pings and Pongs go between its fragments.
    ws._fragmenting = True
    first = True
    try:
        if stream:
            async for piece in pieces:
                await _send_piece(ws, piece, text, first)
                first = False
        else:
            for piece in pieces:
                await _send_piece(ws, piece, text, first)
                first = False
        if first:  # no piece at all: an empty message
            ws._encode(b"", text)
        await ws._send_frame(ws._byte0 if first else 0x80, b"")
    except BaseException:
        if not first:
            await _break_off(ws)
        raise
    finally:
        ws._fragmenting = False
        ws._free()


async def _send_piece(ws: "WebSocket", piece: "Data", text: "bool | None", first: bool) -> None:
    data = ws._encode(piece, text)
    if data is None:
        raise TypeError("a piece of a message is str or bytes-like")
    await ws._send_frame(ws._byte0 & 0x7F if first else 0, data)


async def _break_off(ws: "WebSocket") -> None:
    """Half a message has gone, and nothing can take it back."""
    try:
        payload = close_payload(1011, "message not complete")
        await ws._guarded(ws._send_last(payload))
    except FAILURES:
        ws._shut()


class Pieces:
    """The pieces of one message; MicroPython has no asynchronous generators."""

    def __init__(self, ws: "WebSocket", buffer: "Writable | None") -> None:
        self._ws = ws
        self._copy = buffer is None
        self._buffer = bytearray(1024) if buffer is None else buffer
        self._step = 0

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> "Data":
        ws = self._ws
        while self._step != MESSAGE:
            target = None if self._step else self._buffer
            self._step = await ws._receive(target, None, PIECEWISE)
            piece: Data = memoryview(ws._data)[: ws._stop]
            if self._copy:
                piece = str(piece, "utf-8") if ws.is_text else bytes(piece)  # type: ignore[arg-type]
            if len(piece) or (self._copy and self._step == MESSAGE):
                return piece
        ws._piecewise = False
        ws._target = ws._data = None
        raise StopAsyncIteration
