"""The server role: print what clients send, and send the analog value to all of them."""

import asyncio

from microws import WebSocketError, aio

from firmware import net
from firmware.log import log, printable
from firmware.peer import show, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_INTERVAL = 0.5  # seconds between two samples
_RETRY = 5  # seconds
_MAX_SIZE = 2048  # bytes of a message, for each client

_count = 0


async def run(settings: dict, read: "Callable[[], int]") -> None:
    """Run the role for ever; `read()` gives a sample."""

    async def handle(ws: "Any") -> None:
        await _serve(ws, settings["path"])

    while True:
        address = await net.wait_for_address(settings)
        try:
            server = await aio.serve(
                handle,
                address,
                settings["port"],
                max_clients=settings["max_clients"],
                max_size=_MAX_SIZE,
            )
        except OSError as error:
            log("cannot listen on port %d: %s" % (settings["port"], why(error)))
            log("trying again in %d s" % _RETRY)
            await asyncio.sleep(_RETRY)
            continue
        log("listening on ws://%s:%d%s" % (address, settings["port"], settings["path"]))
        while net.address() == address:
            await asyncio.sleep(settings["sample_interval"] or _INTERVAL)
            if server.clients:
                message = "pin0:%d" % read()
                count = server.broadcast(message)
                log("sent %s to %d client%s" % (message, count, "" if count == 1 else "s"))
        log("the address %s is gone" % address)
        server.close()
        await server.wait_closed()


async def _serve(ws, path):
    """One client from its handshake to its end."""
    global _count
    _count += 1
    name = "client %d" % _count
    log("%s: connected from %s, handshake done" % (name, ws.remote_address))
    try:
        if ws.path.partition("?")[0] != path:
            log("%s: asks for %s, which is not here" % (name, printable(ws.path)))
            await ws.close(1008, "only %s is here" % path)
        while True:
            log("%s: received %s" % (name, show(await ws.recv())))
    except (MemoryError, OSError, WebSocketError) as error:
        log("%s: %s" % (name, why(error)))
