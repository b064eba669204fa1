"""websockets, the library of CPython, with asyncio and without compression, as the others."""

import asyncio

from conversation import converse
from measure import CLIENT, HOST, LIMIT, PORT, URL
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def main():
    if CLIENT:
        await converse(await connect(URL, compression=None, max_size=LIMIT))
    else:
        async with serve(converse, HOST, PORT, compression=None, max_size=LIMIT) as server:
            await server.serve_forever()


asyncio.run(main())
