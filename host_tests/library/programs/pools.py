"""``pools.py FRONT connect|listen pool|sock HOST PORT``: a network that is handed in.

Where the module ``socket`` is missing, MicroPython's own is still to be had as ``usocket``.
"""

import sys

from fronts import FRONTS, MICROPYTHON

if MICROPYTHON:
    import usocket as socket
else:
    import socket

front, role, way, host, port = sys.argv[1:]


class Pool:
    """The least that a pool of sockets has."""

    SOCK_STREAM = socket.SOCK_STREAM
    SOL_SOCKET = socket.SOL_SOCKET
    SO_REUSEADDR = socket.SO_REUSEADDR

    def getaddrinfo(self, *asked):
        print("asked for", asked[0])
        return socket.getaddrinfo("127.0.0.1", *asked[1:])

    def socket(self, *kind):
        print("made")
        return socket.socket(*kind)


def ready():
    """A socket that is connected, or listens."""
    sock = socket.socket()
    address = socket.getaddrinfo("127.0.0.1", int(port))[0][-1]
    if role == "connect":
        sock.connect(address)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1)
    return sock


async def talk(ws):
    print("at", ws.path)
    await ws.send("from " + await ws.recv())
    await ws.close()
    print("closed", ws.close_code)


async def main():
    option = {way: Pool() if way == "pool" else ready()}
    if role == "connect":
        await talk(await FRONTS[front].connect("ws://%s:%s/p" % (host, port), **option))
    else:
        await FRONTS[front].serve(talk, int(port), **option)


FRONTS[front].run(main())
