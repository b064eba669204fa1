"""``reconnects.py URL``: connections one after the other, and what ends that."""

import asyncio
import sys

from microws import HandshakeError, aio, reconnecting

bounds = []


def uniform(low, high):
    bounds.append(high)
    return 0


class NoRandom:
    uniform = staticmethod(uniform)


reconnecting.random = NoRandom  # the shortest pauses


async def main():
    count = 0
    async for ws in aio.connect(sys.argv[1]):
        count += 1
        print("connection", count, ws.path)
        async for message in ws:
            print("got", message)
        if count == 3:
            break
    print(bounds)
    try:
        async for _ in aio.connect(sys.argv[1] + "forbidden"):
            print("not reached")
    except HandshakeError as error:
        print(error.status)
    try:
        async for _ in aio.connect("http://x/"):
            print("not reached")
    except ValueError:
        print("ValueError")
    pauses = reconnecting.Pauses()
    del bounds[:]
    for held in (0,) * 8 + (29, 30, 0):
        pauses.next(held)
    print(bounds)


asyncio.run(main())
