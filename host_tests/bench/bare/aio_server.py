"""The asyncio server."""

import asyncio

import asynchronous
import far_end
import microws
from measure import now, report, since, used
from microws import aio

accepted = []


async def handler(ws):
    accepted.append(ws)
    ready.set()
    await asyncio.Event().wait()


async def connect():
    sock = far_end.call()
    await ready.wait()
    ready.clear()
    return accepted[-1], sock


async def end(ws):
    try:
        await ws.recv()
    except microws.ConnectionClosed:
        pass


def frame(is_text, payload):
    return far_end.frame(1 if is_text else 2, payload, True)


async def handshakes(n):
    total = 0
    for _ in range(n):
        used()
        start = now()
        await connect()
        total += since(start)
    return total / n


async def main():
    global ready
    ready = asyncio.Event()
    await aio.serve(handler, "0.0.0.0", far_end.PORT, max_clients=20, keepalive_timeout=None)
    await handshakes(2)
    report("handshake", await handshakes(5))
    await asynchronous.measure(connect, end, frame, False)


asyncio.run(main())
