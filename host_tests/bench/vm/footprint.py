"""Heap that the compiled library takes: module by module, and with one client connected.

Prints NAME BYTES lines, ``connected`` for all that stands once a client is connected.
"""

import gc
import sys


def used():
    gc.collect()
    return gc.mem_alloc()


# Each after those that it imports.
CLIENT = ["sha1", "mask", "utf8", "frames", "handshake", "protocol", "transport", "sync"]
MORE = ["pin", "upgrade", "listener", "aio", "aio_server", "permessage_deflate"]


def load(names):
    for name in names:
        before = used()
        __import__(name)
        print(name.split(".")[-1], used() - before)


start = used()
load(["microws"] + ["microws." + name for name in CLIENT])
import microws  # noqa: E402

ws = microws.connect(f"ws://127.0.0.1:{sys.argv[1]}/")
print("connected", used() - start)
load(["microws." + name for name in MORE])
