"""The asyncio client."""

import asyncio
import socket

import asynchronous
import far_end
import microws
from measure import now, report, since, used
from microws import aio

server = far_end.Server()
socket.idle = server


async def connect():
    ws = await aio.connect(far_end.URL, keepalive_timeout=None)
    return ws, server.client()


async def end(ws):
    try:
        await ws.recv()
    except microws.ConnectionClosed:
        pass


def frame(is_text, payload):
    return far_end.frame(1 if is_text else 2, payload, False)


async def handshakes(n, close):
    total = 0
    for _ in range(n):
        used()
        server.spent = 0
        start = now()
        ws = await aio.connect(far_end.URL, keepalive_timeout=None)
        if close:
            await ws.close()
        total += since(start) - server.spent
    return total / n


async def main():
    await handshakes(2, True)
    report("handshake", await handshakes(5, False))
    report("handshake and close", await handshakes(5, True))
    await asynchronous.measure(connect, end, frame, True)


asyncio.run(main())
