"""The log over the network, for who knows the update_token; update.py loads this when asked."""

import asyncio
from collections import deque

from microws.core import FAILURES

from firmware import log as serial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LINES = 32  # that wait
_PATIENCE = 60  # seconds for a sign of life


async def show(ws: "Any") -> None:
    """Send each line of the log, until the connection ends, whose error this raises."""
    if serial.tap:
        await ws.send("error: somebody else watches")
        return
    lines: deque = deque((), _LINES)  # noqa: RUF037  (as MicroPython wants it)
    news = asyncio.Event()

    def hear(line: str) -> None:
        lines.append(line)  # the oldest goes where there are too many
        news.set()

    serial.tap = hear
    sending = asyncio.create_task(_send(ws, lines, news))
    try:
        serial.log("%s watches the log" % ws.remote_address)
        while True:
            await ws.recv(_PATIENCE)
    finally:
        serial.tap = None
        sending.cancel()


async def _send(ws, lines, news):
    try:
        while True:
            while lines:
                await ws.send(lines.popleft())
            news.clear()
            await news.wait()
    except FAILURES:
        pass  # whoever receives is told
