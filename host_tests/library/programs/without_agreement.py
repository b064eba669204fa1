"""``without_agreement.py FRONT URL``: a server with which there is none on compression."""

import sys

import microws
from fronts import FRONTS

front, url = sys.argv[1:]


async def run():
    ws = await FRONTS[front].connect(url, compression="deflate")
    print(ws.compression)
    await ws.send("x" * 1000)
    print(len(await ws.recv()))
    await ws.close()
    try:
        await FRONTS[front].connect(url, compression="deflate", require_compression=True)
    except microws.HandshakeError as error:
        print(error.status, error.headers["sec-websocket-extensions"])


FRONTS[front].run(run())
