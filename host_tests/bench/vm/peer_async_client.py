"""micropython-async_websocket_client: asyncio, a client only, and on MicroPython only."""

import asyncio
import sys

import tls
from measure import SIZE, URL, WORK, run_async

sys.modules["ssl"] = tls  # the unix port of MicroPython has no ssl, and nothing asks for TLS here
from async_websocket_client import AsyncWebsocketClient  # noqa: E402

text = "x" * SIZE
message = bytes(SIZE)


async def echo(ws, n):
    for _ in range(n):
        await ws.send(text)
        await ws.recv()


async def send(ws, n):
    for _ in range(n):
        await ws.send(message)
    await ws.recv()


async def recv(ws, n):
    await ws.send(b".")
    for _ in range(n):
        await ws.recv()


async def main():
    # It does not wait for its socket, but sleeps and looks again; without the 5 ms that it sleeps
    # if not told otherwise it takes less CPU time for a message, too.
    ws = AsyncWebsocketClient(0)
    await ws.handshake(URL)
    ws.sock.setsockopt(6, 1, 1)  # TCP_NODELAY: it writes header and payload apart
    await run_async({"echo": echo, "send": send, "recv": recv}[WORK], ws)


asyncio.run(main())
