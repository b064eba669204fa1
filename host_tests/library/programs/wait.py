"""``wait.py FRONT URL``: wait for a message, and tell how the connection ended."""

import sys

from fronts import FRONTS
from microws import ConnectionClosed

front, url = sys.argv[1:]


async def run():
    ws = await FRONTS[front].connect(url)
    print("connected")
    try:
        await ws.recv()
    except ConnectionClosed as closed:
        print(closed.code)


FRONTS[front].run(run())
