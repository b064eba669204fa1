"""``resets.py FRONT ROLE PORT FIRST [FILE...]``: counts the messages that came before a reset.

It takes the ``FIRST`` of them, and no more before a line comes on its standard input: by then the
peer has sent all and is gone. ``FILE`` is the CA's certificate, or the server's and its key.
"""

import sys

from fronts import FRONTS, client_context, server_context
from microws import ConnectionClosed

front, role, port, first, *files = sys.argv[1:]


async def count(ws):
    n = 0
    try:
        while True:
            if n == int(first):
                print("waits")
                sys.stdin.readline()
            if await ws.recv() != "command %d" % n + 100 * ".":
                break
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
