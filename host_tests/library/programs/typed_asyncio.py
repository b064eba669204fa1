"""A user's program of the asyncio front, with planted mistakes."""

import asyncio

from microws import HandshakeError, aio
from microws.plain_http import Request


async def handler(ws: aio.WebSocket) -> None:
    async for message in ws:
        if isinstance(message, bytes):
            message = message.decode()
        await ws.send(message.upper())


def answer(request: Request) -> tuple[int, dict[str, str], bytes] | None:
    if request.path == "/":
        return 200, {"Content-Type": "text/plain"}, request.headers["host"].encode()
    return None


def refused(ws: aio.WebSocket, error: Exception) -> None:
    print(ws.remote_address, error.status if isinstance(error, HandshakeError) else 0)


async def server() -> int:
    async with aio.serve(handler, "", 8080, process_request=answer, on_refused=refused) as one:
        two = await aio.serve(handler, port=8081, max_clients=None, slow="close")
        count = one.broadcast("text") + two.broadcast(b"x", skip=None)
        for ws in one.clients:
            count += ws.dropped
        two.close()
        await two.wait_closed()
        await one.serve_forever()
    return count


async def client() -> int:
    ws = await aio.connect("ws://127.0.0.1/", keepalive_timeout=None, headers=[("a", "b")])
    await ws.send("text")
    n = len(await ws.recv(timeout=1.5))
    n += await ws.recv_into(bytearray(5))
    async for piece in ws.recv_streaming():
        n += len(piece)
    async with aio.connect("ws://127.0.0.1/") as other:
        await other.ping(b"")
    async for again in aio.connect("ws://127.0.0.1/"):
        n += len(await again.recv())
    stream = ws.stream()
    stream.write(b"x")
    await stream.drain()
    n += len(await stream.readexactly(4))
    await ws.close()
    return n


async def mistakes() -> None:
    ws = await aio.connect("ws://127.0.0.1/")
    await aio.connect("ws://127.0.0.1/", keepalive=5)  # wrong
    await aio.serve(handler, "", 8080, max_client=5)  # wrong
    await aio.serve(handler, "", 8080, max_clients="8")  # wrong
    await aio.serve("handler", "", 8080)  # wrong
    aio.serve(handler, "", 8080).broadcast(5)  # wrong
    await ws.send(5)  # wrong
    await ws.send({21: "temp"})  # wrong
    (await ws.recv()).encode()  # wrong
    await ws.recv_into(b"constant")  # wrong
    await ws.recv(timeout="1")  # wrong
    ws.recv().encode()  # wrong
    await ws.ping("text")  # wrong
    await ws.close(1000, 5)  # wrong
    print(ws.subprotocols)  # wrong


asyncio.run(client())
