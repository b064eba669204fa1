"""A whole program of a board: it loads the library, is connected, and hears one message.

Arguments: PROGRAM PEER_PORT OWN_PORT FOLDER HEAP. A client connects to the first port, a server
listens on the second. FOLDER has the compiled library. Where HEAP is 1, this prints the bytes of
heap that all of it takes; where it is 0, the names of the library's files that were read, also of
modules that have left memory.
"""

import asyncio
import gc
import os
import sys

import vfs

PROGRAM, PEER_PORT, OWN_PORT, FOLDER, HEAP = sys.argv[1:]
HOST = "127.0.0.1"
PORT = int(OWN_PORT)
URL = f"ws://{HOST}:{PEER_PORT}/"
opened = []


class Watched:
    """A file system that is a folder, and notes what is opened."""

    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        return os.stat(FOLDER + path)

    def open(self, path, mode):
        opened.append(path.split("/")[-1])
        return open(FOLDER + path, mode)


def used():
    gc.collect()
    return gc.mem_alloc()


def end():
    if HEAP == "1":
        print(used() - before)
    else:
        print(*opened)
    raise SystemExit


def client():
    import microws

    ws = microws.connect(URL)
    ws.recv()
    end()


def both():
    import microws

    microws.connect(URL).close()
    ws = microws.listen(HOST, PORT).accept()
    ws.recv()
    end()


async def aio_client():
    from microws import aio

    ws = await aio.connect(URL)
    await ws.recv()
    end()


async def aio_server():
    from microws import aio

    async def handler(ws):
        await ws.recv()
        end()

    await aio.serve(handler, HOST, PORT)
    await asyncio.Event().wait()


if HEAP == "1":
    sys.path.append(FOLDER)
else:
    vfs.mount(Watched(), "/watched")
    sys.path.append("/watched")
before = used()
work = globals()[PROGRAM]()
if PROGRAM.startswith("aio"):
    asyncio.run(work)
