"""What the echo programs share: their arguments, and the echo itself, by messages or by pieces."""

import gc
import sys

# blocking or asyncio; whole (messages) or pieces (a message goes back while it still comes)
FRONT, MODE, COMPRESSION, MAX_SIZE, MAX_FRAGMENTS = sys.argv[1:6]

# Compiling leaves the heap in small pieces, where a board that loads .mpy files has it in one. A
# compressed message wants a large piece, so the end of a small heap is kept until all is loaded.
_room = None
if COMPRESSION != "none" and hasattr(gc, "mem_free") and gc.mem_free() < 1 << 20:
    _before = bytearray(gc.mem_free() - 32 * 1024)
    _room = bytearray(20 * 1024)
    del _before
    names = ["core", "handshake", "server_handshake", "client_handshake", "compression"]
    names += ["aio", "aio_server"] if FRONT == "asyncio" else ["blocking", "listener"]
    for name in names:  # one by one, as what is loaded and compiled together takes more
        __import__("microws." + name)
        gc.collect()

import microws  # noqa: E402

OPTIONS = {
    "compression": None if COMPRESSION == "none" else COMPRESSION,
    "max_size": int(MAX_SIZE),
    "max_fragments": int(MAX_FRAGMENTS),
}

# How a connection ends when the suite breaks it: that is what it tests.
ENDED = (microws.WebSocketError, OSError)


def tidy():
    """What a program on a small heap does when all is loaded: see the board's main.py."""
    global _room
    _room = None
    gc.collect()
    if hasattr(gc, "threshold"):
        gc.threshold(gc.mem_free() // 4)


def echo(ws):
    while MODE == "pieces":
        ws.send(ws.recv_streaming())
    for message in ws:
        ws.send(message)


async def echo_asyncio(ws):
    while MODE == "pieces":
        await ws.send(ws.recv_streaming())
    async for message in ws:
        await ws.send(message)
