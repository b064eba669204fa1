"""``habits.py FRONT PORT``: what people do who know the websockets package."""

import asyncio
import gc
import sys

import microws

# Both roles in one small heap: as the board's main.py does it, one module after the other.
for name in ("core", "server_handshake", "client_handshake", "aio_connection", "aio_server"):
    if sys.argv[1] == "asyncio":
        __import__("microws." + name)
        gc.collect()

front, port = sys.argv[1], int(sys.argv[2])
URL = "ws://127.0.0.1:%d/" % port


def blocking():
    with microws.listen("", port) as listener:
        print("listening")
        for ws in listener:
            with ws:
                if ws.recv() == "end":
                    listener.close()
    print("over")


def page(request):
    if request.path == "/page":
        return 200, {"Content-Type": "text/plain", "X-Seen": request.headers["x-one"]}, b"page"


async def handler(ws):
    async for message in ws:
        if message == "mistake":
            raise ZeroDivisionError("on purpose")
        await ws.send(message)


async def asynchronous():
    from microws import aio

    async with aio.serve(
        handler,
        None,
        port,
        max_clients=None,
        max_size=None,
        max_backlog=None,
        close_timeout=0.3,  # the client receives nothing while the server closes
        process_request=page,
    ) as server:
        print(server.port == port, server.is_serving())
        async with server as same:
            print(same is server)
            ws = await aio.connect(URL, headers={"X-One": "1"})
            await ws.send("x" * 300)
            print(len(await ws.recv()))
        print(server.is_serving())
        try:
            await ws.recv()
        except microws.ConnectionClosed as closed:
            print(closed)
    print(str(microws.ConnectionClosed(1006, "")))
    try:
        await aio.connect(URL)
    except OSError:
        print("nobody listens")
    server = await aio.serve(handler, "", port, process_request=page)
    serving = asyncio.create_task(server.serve_forever())
    print("serving")
    async with aio.connect(URL) as ws:
        await ws.send("mistake")
        try:
            await ws.recv()
        except microws.ConnectionClosed as closed:
            print(closed)
    try:
        await aio.connect(URL + "page", headers={"X-One": "seen"})
    except microws.HandshakeError as refused:
        print(refused.status)
    serving.cancel()
    try:
        await serving
    except asyncio.CancelledError:
        print("cancelled", server.is_serving())
    await server.wait_closed()
    forever = asyncio.create_task(aio.serve(handler, port=port).serve_forever())
    while True:
        try:
            async with aio.connect(URL) as ws:
                await ws.send("echo")
                print(await ws.recv())
            break
        except OSError:
            await asyncio.sleep(0.01)
    forever.cancel()


if front == "blocking":
    blocking()
else:
    asyncio.run(asynchronous())
