"""A real peer, of the websockets package: peer.py server|client HOST PORT. It says "up" first."""

import contextlib
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve


def talk(connection):
    print("connected", flush=True)
    with contextlib.suppress(ConnectionClosed):
        connection.send("hello")
        for message in connection:
            print("received", message, flush=True)


side, host, port = sys.argv[1:]
if side == "server":
    with serve(talk, host, int(port)) as server:
        print("up", flush=True)
        server.serve_forever()
else:
    with connect(f"ws://{host}:{port}/") as connection:
        print("up", flush=True)
        talk(connection)
