"""``lines_client.py FRONT URL``: a client of the greeting echo that websocketd serves."""

import sys

from fronts import FRONTS

front, url = sys.argv[1:]


async def run():
    ws = await FRONTS[front].connect(url)
    print(await ws.recv())
    for line in ("plain", "", "\u20ac \U0001f600", "x" * 125, "x" * 126, "x" * 4000):
        await ws.send(line)
        if await ws.recv() != line:
            raise AssertionError(line)
    await ws.ping(b"x")
    await ws.send("last")
    print(await ws.recv())
    await ws.close()
    print("closed")


FRONTS[front].run(run())
