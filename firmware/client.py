"""The client role: print what a server sends, send it the analog value, never give up."""

import asyncio
import random

from microws import WebSocketError, aio

from firmware import config, net
from firmware.log import log
from firmware.peer import show, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL = 1  # seconds between two samples
_CONNECT_TIMEOUT = 10  # seconds
_MAX_SIZE = 8192  # bytes of a message
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


async def run(settings: dict, read: "Callable[[], int]") -> None:
    """Run the role for ever; `read()` gives a sample."""
    wait = _FIRST_WAIT
    while True:
        await net.wait_for_address(settings)
        if await _visit(settings, read):
            wait = _FIRST_WAIT
        # Many boards that lost one server must not come back in one instant.
        pause = wait * random.uniform(0.8, 1.2)
        log("trying again in %.1f s" % pause)
        await asyncio.sleep(pause)
        wait = min(2 * wait, _LONGEST_WAIT)


async def _visit(settings, read):
    """One connection from its beginning to its end. True if the server sent something."""
    url = settings["url"]
    log("connecting to " + config.public_url(url))
    heard = False
    sender = None
    try:
        async with aio.connect(url, timeout=_CONNECT_TIMEOUT, max_size=_MAX_SIZE) as ws:
            log("connected to %s, handshake done" % ws.remote_address)
            interval = settings["sample_interval"] or _INTERVAL
            sender = asyncio.create_task(_send_samples(ws, read, interval))
            while True:
                log("received " + show(await ws.recv()))
                heard = True
    except (MemoryError, OSError, WebSocketError) as error:
        log(why(error))
        if sender is None and url == config.DEFAULTS["url"]:
            log('is "url" set in %s? it is where the client connects to' % config.FILE)
    finally:
        if sender is not None:
            sender.cancel()
    return heard


async def _send_samples(ws, read, interval):
    try:
        while True:
            message = "pin0:%d" % read()
            await ws.send(message)
            log("sent " + message)
            await asyncio.sleep(interval)
    except (OSError, WebSocketError):
        pass  # whoever receives hears of it too, and says so
