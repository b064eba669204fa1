"""microws, asyncio, with the caller's buffers."""

import asyncio

from measure import CLIENT, CLIENTS, HOST, LIMIT, PORT, SIZE, URL, WORK, run_async, tick
from microws import aio

message = bytearray(SIZE)
one = bytearray(1)


async def echo(ws, n):
    buffer = bytearray(SIZE)
    if CLIENT:
        for _ in range(n):
            await ws.send(message)
            await ws.recv_into(buffer)
    else:
        for _ in range(n):
            await ws.recv_into(buffer)
            await ws.send(buffer)


async def send(ws, n):
    for _ in range(n):
        await ws.send(message)
    await ws.recv_into(one)


async def recv(ws, n):
    buffer = bytearray(SIZE)
    await ws.send(one)
    for _ in range(n):
        await ws.recv_into(buffer)


async def handler(ws):
    if WORK == "crowd":
        buffer = bytearray(SIZE)
        while True:
            await ws.recv_into(buffer)
            await ws.send(buffer)
            tick()
    await run_async({"echo": echo, "send": send, "recv": recv}[WORK], ws)


async def main():
    if CLIENT:
        await handler(await aio.connect(URL, max_size=LIMIT))
    else:
        await aio.serve(handler, HOST, PORT, max_clients=CLIENTS + 8, max_size=LIMIT)
        await asyncio.Event().wait()


asyncio.run(main())
