"""``arrived.py ROLE PORT [FILES]``: how much of what arrived before a reset is given.

ROLE is this side's, client or server, over asyncio. The messages and the reset arrive while nobody
receives: on the path / a message is taken, and the others once there was a second connection.
"""

import asyncio
import sys

import microws
from fronts import client_context, server_context
from microws import aio

role, port, *files = sys.argv[1:]
arrived = asyncio.Event()
counted = asyncio.Event()


async def count(ws):
    n = 0
    try:
        while True:
            await ws.recv(timeout=20)
            n += 1
            await asyncio.sleep(0)
    except microws.ConnectionClosed as closed:
        print("given", n, "then", closed.code)
        counted.set()


async def handler(ws):
    if ws.path != "/":
        arrived.set()
        return
    await ws.recv()
    print("begun")
    await arrived.wait()
    await count(ws)


async def serve():
    options = {"ssl": server_context(*files)} if files else {}
    async with await aio.serve(handler, "127.0.0.1", int(port), **options):
        print("listening")
        await counted.wait()


async def connect():
    url = "ws%s://localhost:%s/" % ("s" if files else "", port)
    options = {"ssl": client_context(*files)} if files else {}
    ws = await aio.connect(url, **options)
    await ws.recv()
    other = await aio.connect(url + "arrived", **options)
    await count(ws)
    await other.close()


asyncio.run(serve() if role == "server" else connect())
