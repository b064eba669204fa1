"""Connecting again and again, with pauses: ``async for ws in aio.connect(url)``."""

import asyncio
import random

from .compat import const, ticks_diff, ticks_ms
from .core import FAILURES
from .errors import HandshakeError

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from .aio import connect
    from .aio_connection import WebSocket

_SHORTEST = 0.1  # seconds
_FIRST = const(1)
_LAST = const(60)
HELD = const(30)  # after which a connection was a good one


class Pauses:
    """How long to wait before the next try: at random, for many may have lost one server.

    The bound is 1 s at first, twice as much each time, 60 s at last.
    """

    def __init__(self) -> None:
        self._bound = _FIRST

    def next(self, held: float = 0) -> float:
        """Seconds to wait after a connection that was open for ``held`` seconds."""
        if held >= HELD:
            self._bound = _FIRST
        pause = max(_SHORTEST, random.uniform(0, self._bound))
        self._bound = min(2 * self._bound, _LAST)
        return pause


class Reconnecting:
    """Gives a connection, and another one when it is asked again; never ends.

    It tries again after ``OSError`` and where a server is not ready: without an answer of HTTP,
    or with status 408, 429 or 500 and more. Another ``HandshakeError``, and what says that an
    argument is wrong, is raised.
    """

    def __init__(self, connect: "connect") -> None:
        self._connect = connect
        self._pauses = Pauses()
        self._ws: WebSocket | None = None
        self._since = 0

    async def __anext__(self) -> "WebSocket":
        if self._ws is not None:
            await self._ws.close()
            self._ws = None
            held = ticks_diff(ticks_ms(), self._since) / 1000
            # After six days, a board's clock has come round.
            await asyncio.sleep(self._pauses.next(held if held >= 0 else HELD))
        while True:
            try:
                self._ws = await self._connect
                self._since = ticks_ms()
                return self._ws
            except HandshakeError as error:
                if 0 < error.status < 500 and error.status not in (408, 429):
                    raise
            except FAILURES:
                pass
            await asyncio.sleep(self._pauses.next())
