"""microdot, a web server for asyncio; a server only."""

import asyncio

from measure import CLIENTS, HOST, LIMIT, PORT, SIZE, WORK, collected, idle, run_async, tick
from microdot import Microdot
from microdot.websocket import WebSocket, with_websocket

text = "x" * SIZE
message = bytes(SIZE)
connections = []
app = Microdot()
WebSocket.max_message_length = LIMIT


async def echo(ws, n):
    for _ in range(n):
        await ws.send(await ws.receive())


async def send(ws, n):
    for _ in range(n):
        await ws.send(message)
    await ws.receive()


async def recv(ws, n):
    await ws.send(b".")
    for _ in range(n):
        await ws.receive()


async def broadcast(ws, n):
    for _ in range(n):
        for each in connections:
            await each.send(text)
        await ws.receive()


@app.route("/")
@with_websocket
async def handler(request, ws):
    connections.append(ws)
    if WORK == "crowd":
        while True:
            await ws.send(await ws.receive())
            tick()
    elif WORK == "handshake":
        tick()
        await ws.receive()
    elif WORK in ("echo", "send", "recv"):
        await run_async({"echo": echo, "send": send, "recv": recv}[WORK], ws)
    elif len(connections) < CLIENTS:
        await ws.receive()
    elif WORK == "idle":
        idle(before, CLIENTS)
    else:
        await run_async(broadcast, ws)


before = collected()
asyncio.run(app.start_server(HOST, PORT))
