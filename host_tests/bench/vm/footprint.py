"""Heap that the compiled library takes, module by module: NAME BYTES lines.

Modules that are loaded by one import have one line, with their names joined by "+".
"""

import asyncio
import gc
import sys

# Each after those that it imports. Further names are those of modules that come with it.
MODULES = (
    ("__init__", "compat", "errors"),
    ("loops", "_viper"),
    ("core",),
    ("blocking",),
    ("handshake",),
    ("url",),
    ("client_handshake",),
    ("server_handshake",),
    ("listener",),
    ("_ioqueue",),
    ("aio_connection",),
    ("aio",),
    ("aio_server",),
    ("compression",),
    ("pin",),
)


def used():
    gc.collect()
    return gc.mem_alloc()


asyncio.new_event_loop()  # a program has it already
for names in MODULES:
    before = used()
    known = set(sys.modules)
    __import__("microws" if names[0] == "__init__" else "microws." + names[0])
    print("+".join(names), used() - before)
    new = set(sys.modules) - known
    if len([name for name in new if name.startswith("microws")]) != len(names):
        raise SystemExit(f"{names[0]} brings with it {new}")
