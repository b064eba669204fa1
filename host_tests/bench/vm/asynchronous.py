"""microws, asyncio, with str and bytes objects."""

import asyncio

import microws
from conversation import converse, text
from measure import (
    CLIENT,
    CLIENTS,
    HOST,
    LIMIT,
    PORT,
    URL,
    WORK,
    collected,
    idle,
    run_async,
    tick,
)
from microws import aio


async def broadcast(ws, n):
    for _ in range(n):
        server.broadcast(text)
        await ws.recv()


async def open_clients(n):
    for _ in range(n):
        ws = await aio.connect(URL)
        try:
            await ws.recv()
            raise SystemExit("the connection did not end")
        except microws.ConnectionClosed:
            continue


async def handler(ws):
    if WORK == "crowd":
        while True:
            await ws.send(await ws.recv())
            tick()
    elif WORK == "handshake":
        tick()
        await ws.recv()
    elif WORK in ("echo", "send", "recv"):
        await converse(ws)
    elif len(server.clients) < CLIENTS:
        await ws.recv()
    elif WORK == "idle":
        idle(before, CLIENTS)
    else:
        await run_async(broadcast, ws)


async def main():
    global server, before
    if not CLIENT:
        server = await aio.serve(handler, HOST, PORT, max_clients=CLIENTS + 8, max_size=LIMIT)
        before = collected()
        await asyncio.Event().wait()
    elif WORK == "handshake":
        await run_async(open_clients)
    else:
        await handler(await aio.connect(URL, max_size=LIMIT))


asyncio.run(main())
