"""What loading takes, in cycles and bytes of heap, and a connection after it.

Each function runs in an interpreter of its own, in which nothing of the library is loaded yet.
"""

import asyncio
import socket

import far_end
from measure import now, report, since, used

far_end.answer(far_end.REQUEST)


def loaded(before, start):
    report("import", since(start))
    report("heap after import", used() - before, "B")


def blocking_client():
    server = socket.idle = far_end.Server()
    before = used()
    start = now()
    import microws

    _ = microws.connect
    loaded(before, start)
    ws = microws.connect(far_end.URL)
    server.client().cut()
    report("heap, one connected", used() - before, "B")
    return ws


def blocking_server():
    before = used()
    start = now()
    import microws

    listener = microws.listen("0.0.0.0", far_end.PORT)
    loaded(before, start)
    connections = []

    def connect():
        sock = far_end.call()
        connections.append(listener.accept())
        sock.cut()

    connect()
    report("heap, one connected", used() - before, "B")
    before = used()
    connect()
    report("heap of a further one", used() - before, "B")


def aio_client():
    async def main():
        server = socket.idle = far_end.Server()
        before = used()
        start = now()
        from microws import aio

        _ = aio.connect
        loaded(before, start)
        ws = await aio.connect(far_end.URL)
        server.client().cut()
        report("heap, one connected", used() - before, "B")
        return ws

    asyncio.run(main())


def aio_server():
    async def main():
        ready = asyncio.Event()
        never = asyncio.Event()
        before = used()
        start = now()
        from microws import aio

        async def handler(ws):
            ready.set()
            await never.wait()

        await aio.serve(handler, "0.0.0.0", far_end.PORT)
        loaded(before, start)

        async def connect():
            sock = far_end.call()
            await ready.wait()
            ready.clear()
            sock.cut()

        await connect()
        report("heap, one connected", used() - before, "B")
        before = used()
        await connect()
        report("heap of a further one", used() - before, "B")

    asyncio.run(main())


def floor():
    before = used()
    start = now()
    import floor

    loaded(before, start)
    connection = floor.Connection(socket.socket())
    report("heap, one connected", used() - before, "B")
    return connection
