"""micropython-async_websocket_client: asyncio, a client only, and on MicroPython only."""

import asyncio
import sys

import tls
from conversation import converse
from measure import URL

sys.modules["ssl"] = tls  # the unix port of MicroPython has no ssl, and nothing asks for TLS here
from async_websocket_client import AsyncWebsocketClient  # noqa: E402


async def main():
    # It does not wait for its socket, but sleeps and looks again; without the 5 ms that it sleeps
    # if not told otherwise it takes less CPU time for a message, too.
    ws = AsyncWebsocketClient(0)
    await ws.handshake(URL)
    ws.sock.setsockopt(6, 1, 1)  # TCP_NODELAY: it writes header and payload apart
    await converse(ws)


asyncio.run(main())
