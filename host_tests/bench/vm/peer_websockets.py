"""websockets, the library of CPython, with asyncio and without compression, as the others."""

import asyncio

from measure import CLIENT, HOST, LIMIT, PORT, SIZE, URL, WORK, run_async
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

text = "x" * SIZE
message = bytes(SIZE)


async def echo(ws, n):
    if CLIENT:
        for _ in range(n):
            await ws.send(text)
            await ws.recv()
    else:
        for _ in range(n):
            await ws.send(await ws.recv())


async def send(ws, n):
    for _ in range(n):
        await ws.send(message)
    await ws.recv()


async def recv(ws, n):
    await ws.send(b".")
    for _ in range(n):
        await ws.recv()


async def handler(ws):
    await run_async({"echo": echo, "send": send, "recv": recv}[WORK], ws)


async def main():
    if CLIENT:
        await handler(await connect(URL, compression=None, max_size=LIMIT))
    else:
        async with serve(handler, HOST, PORT, compression=None, max_size=LIMIT) as server:
            await server.serve_forever()


asyncio.run(main())
