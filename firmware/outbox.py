"""What the client wants to send, kept while there is no server: the setting `queue`."""

import asyncio
from collections import deque

from firmware.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Outbox:
    """At most `size` samples that wait, the oldest dropped for the newest; `read()` gives one.

    A message that the network took is not kept any longer: nobody acknowledges it.
    """

    def __init__(self, size: int, read: "Callable[[], int]", interval: float) -> None:
        self._size = size
        self._waiting: deque = deque((), size)  # noqa: RUF037  (as MicroPython wants it)
        self._current: str | None = None  # the one that is on its way
        self._dropped = 0
        self._news = asyncio.Event()
        self._sampling = asyncio.create_task(self._sample(read, interval))

    async def send_all(self, send: "Callable[[str], Awaitable[None]]") -> None:
        """`await send(message)` for each, the oldest first, without end."""
        count = len(self._waiting) + (self._current is not None)
        if count or self._dropped:
            log("%d messages were kept, %d older ones dropped" % (count, self._dropped))
        self._dropped = 0
        while True:
            if self._current is None:
                while not self._waiting:
                    if self._sampling.done():
                        await self._sampling  # what ended it goes on from here
                    self._news.clear()
                    await self._news.wait()
                self._current = self._waiting.popleft()
            await send(self._current)
            self._current = None

    async def _sample(self, read, interval):
        try:
            while True:
                if len(self._waiting) == self._size:
                    if not self._dropped:
                        log("%d messages are kept, no more fit: dropping the oldest" % self._size)
                    self._dropped += 1  # by the deque itself
                self._waiting.append("pin0:%d" % read())
                self._news.set()
                await asyncio.sleep(interval)
        finally:
            self._news.set()
