"""A whole program of a board: it loads the library, is connected, and hears one message.

Arguments: PROGRAM PEER_PORT OWN_PORT FOLDER. A client connects to the first port, a server listens
on the second. FOLDER has the compiled library. Prints the names of its files that were read, also
of modules that have left memory.
"""

import asyncio
import os
import sys

import vfs

PROGRAM, PEER_PORT, OWN_PORT, FOLDER = sys.argv[1:]
HOST = "127.0.0.1"
PORT = int(OWN_PORT)
URL = f"ws://{HOST}:{PEER_PORT}/"
opened = set()


class Watched:
    """A file system that is a folder, and notes what is opened."""

    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        return os.stat(FOLDER + path)

    def open(self, path, mode):
        opened.add(path.split("/")[-1])
        return open(FOLDER + path, mode)


def client():
    import microws

    microws.connect(URL).recv()


def both():
    import microws

    microws.connect(URL).close()
    microws.listen(HOST, PORT).accept().recv()


async def aio_client():
    from microws import aio

    ws = await aio.connect(URL)
    await ws.recv()


async def aio_server():
    from microws import aio

    heard = asyncio.Event()

    async def handler(ws):
        await ws.recv()
        heard.set()

    await aio.serve(handler, HOST, PORT)
    await heard.wait()


vfs.mount(Watched(), "/watched")
sys.path.append("/watched")
work = globals()[PROGRAM]()
if PROGRAM.startswith("aio"):
    asyncio.run(work)
print(*opened)
