"""``no_memory.py PORT PORT``: a beat without memory does not end the keepalive.

A client connects to a silent peer at the first port, and a server at the second has such a client.
The first beat of each fails as on a full heap; both find out all the same that nobody is there.
"""

import asyncio
import sys

import microws
from microws import aio

URLS = ["ws://127.0.0.1:%s/" % port for port in sys.argv[1:]]
failed = []


def fail_once(ws):
    beat = ws._beat

    def failing():
        ws._beat = beat
        failed.append(ws)
        raise MemoryError

    ws._beat = failing


async def ends(ws):
    try:
        await ws.recv()
    except microws.ConnectionClosed as error:
        print(error.code)


async def main():
    done = asyncio.Event()

    async def handler(ws):
        fail_once(ws)
        await ends(ws)
        done.set()

    server = await aio.serve(handler, "127.0.0.1", int(sys.argv[2]), keepalive_timeout=0.4)
    async with server:
        silent = await aio.connect(URLS[1], keepalive_timeout=None)
        ws = await aio.connect(URLS[0], keepalive_timeout=0.4)
        fail_once(ws)
        await ends(ws)
        await done.wait()
        print(len(failed))
        silent._shut()


asyncio.run(main())
