"""What a board can do, tried on the board itself: `doctor --on-board` runs it there, from memory.

It is never copied to the board.
"""

import asyncio
import gc
import os
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_os: "Any" = os
_time: "Any" = time

PATIENCE = 15  # seconds for an address
MOST = 32  # sockets that are tried
ECHOES = 50
SIZE = 125  # bytes
PORT = 8765


def examine() -> None:
    """Print one line with what was found."""
    gc.collect()
    version = ".".join([str(part) for part in sys.implementation.version[:3]])
    found = [_os.uname().machine, "%s %s" % (sys.implementation.name, version)]
    found.append("%d KB of heap free" % (gc.mem_free() // 1024))  # type: ignore[attr-defined]
    for part in (library, network, sockets, echoes):
        try:
            found.append(part())
        except Exception as error:  # whatever is wrong with this part, the next one is tried
            found.append("%s: %s %s" % (part.__name__, type(error).__name__, error))
        gc.collect()
    print("report: " + "; ".join(found))


def library() -> str:
    """The library's version."""
    import microws

    return "microws " + microws.__version__


def network() -> str:
    """Whether the interface of the configured board works."""
    from firmware import config, net

    settings = config.load()
    asyncio.run(asyncio.wait_for(net.wait_for_address(settings), PATIENCE))
    from firmware import boards

    kind = boards.profile(settings)["interface"]
    chip = "Wi-Fi works" if kind == "WLAN" else "the W5500 answers"
    return "%s, %s, address %s" % (settings["board"], chip, net.address())


def sockets() -> str:
    """How many can be open at a time."""
    made: list = []
    try:
        while len(made) < MOST:
            made.append(socket.socket())
    except OSError:
        pass
    for one in made:
        one.close()
    return "%d%s sockets" % (len(made), " or more" if len(made) == MOST else "")


def echoes() -> str:
    """How fast the library is here: both ends of a connection on this board."""
    _forget_the_program()
    return asyncio.run(asyncio.wait_for(_echo(), PATIENCE))


def _forget_the_program():
    """Of a board that ran it a moment ago, the heap is needed for both ends of a connection."""
    for name in list(sys.modules):
        if name.startswith("firmware."):
            del sys.modules[name]
    sys.modules.pop("firmware", None)
    for name in ("_task", "config", "firmware", "log", "modules", "net", "printable"):
        globals().pop(name, None)
    gc.collect()


async def _echo():
    from microws import aio

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    server = await aio.serve(echo, "127.0.0.1", PORT)
    message = bytes(SIZE)
    async with aio.connect("ws://127.0.0.1:%d/" % PORT) as ws:
        began = _time.ticks_ms()
        for _ in range(ECHOES):
            await ws.send(message)
            await ws.recv()
        took = _time.ticks_diff(_time.ticks_ms(), began)
    server.close()
    await server.wait_closed()
    return "%d echoes of %d bytes a second" % (ECHOES * 1000 // max(1, took), SIZE)


examine()
