"""``resets.py FRONT ROLE PORT [FILE...]``: counts the messages that came before a reset.

It reads nothing before a line comes on its standard input: by then the peer has sent its messages
and is gone. ``FILE`` is the CA's certificate, or the server's and its key.
"""

import sys

from fronts import FRONTS, client_context, server_context
from microws import ConnectionClosed

front, role, port, *files = sys.argv[1:]


async def count(ws):
    print("open")
    sys.stdin.readline()
    n = 0
    try:
        while await ws.recv() == "command %d" % n:
            n += 1
        print("another message than", n)
    except ConnectionClosed as closed:
        print("received", n, closed.code)


async def main():
    options = {}
    if role == "server":
        if files:
            options["ssl"] = server_context(*files)
        await FRONTS[front].serve(count, int(port), **options)
    else:
        if files:
            options["ssl"] = client_context(*files)
        url = ("wss" if files else "ws") + "://localhost:" + port
        ws = await FRONTS[front].connect(url, **options)
        await count(ws)
        await ws.close()


FRONTS[front].run(main())
