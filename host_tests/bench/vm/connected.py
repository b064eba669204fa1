"""Bytes of heap that the library takes once a client is connected and has heard a message.

Arguments: blocking or asyncio, and the port of the peer. Few names of its own: MicroPython's table
of names grows in steps.
"""

import gc
import sys


def used():
    gc.collect()
    return gc.mem_alloc()


async def main():
    ws = await aio.connect(URL)
    await ws.recv()
    print(used() - before)


URL = "ws://127.0.0.1:%s/" % sys.argv[2]  # noqa: UP031
if sys.argv[1] == "blocking":
    before = used()
    import microws

    ws = microws.connect(URL)
    ws.recv()
    print(used() - before)
else:
    import asyncio

    asyncio.new_event_loop()  # a program has it already
    before = used()
    from microws import aio

    asyncio.run(main())
