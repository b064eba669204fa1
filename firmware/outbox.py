"""What the client wants to send, until the network takes it: the setting `queue`."""

import asyncio
from collections import deque

from firmware.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SIZE = 32  # messages, where none are kept while there is no server


class Outbox:
    """Messages that wait, the oldest dropped for the newest.

    At most `size` are kept while there is no server. A message that the network took is not kept
    any longer: nobody acknowledges it.
    """

    def __init__(self, size: int) -> None:
        self.keeps = size > 0
        self._size = size or _SIZE
        self._waiting: deque = deque((), self._size)  # noqa: RUF037  (as MicroPython wants it)
        self._current: str | bytes | None = None  # the one that is on its way
        self._dropped = 0
        self._news = asyncio.Event()
        self._is_open = False

    def put(self, message: "str | bytes") -> None:
        """Have a message sent; where nothing is kept and there is no server, it is dropped."""
        if not (self.keeps or self._is_open):
            return
        if len(self._waiting) == self._size:
            if not self._dropped:
                log("%d messages are kept, no more fit: dropping the oldest" % self._size)
            self._dropped += 1  # by the deque itself
        self._waiting.append(message)
        self._news.set()

    def open(self) -> None:
        """There is a server again."""
        self._is_open = True
        if not self.keeps:
            self._current = None
            while self._waiting:
                self._waiting.popleft()
        count = len(self._waiting) + (self._current is not None)
        if count or self._dropped:
            log("%d messages were kept, %d older ones dropped" % (count, self._dropped))
        self._dropped = 0

    def close(self) -> None:
        """The server is gone."""
        self._is_open = False

    async def send_all(self, send: "Callable[[str | bytes], Awaitable[None]]") -> None:
        """`await send(message)` for each, the oldest first, without end."""
        while True:
            if self._current is None:
                while not self._waiting:
                    self._news.clear()
                    await self._news.wait()
                self._current = self._waiting.popleft()
            await send(self._current)
            self._current = None
