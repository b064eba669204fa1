"""microdot, a web server for asyncio; a server only."""

import asyncio

from conversation import converse, text
from measure import CLIENTS, HOST, LIMIT, PORT, WORK, collected, idle, run_async, tick
from microdot import Microdot
from microdot.websocket import WebSocket, with_websocket

connections = []
app = Microdot()
WebSocket.max_message_length = LIMIT
WebSocket.recv = WebSocket.receive


async def broadcast(ws, n):
    for _ in range(n):
        for each in connections:
            await each.send(text)
        await ws.recv()


@app.route("/")
@with_websocket
async def handler(request, ws):
    connections.append(ws)
    if WORK == "crowd":
        while True:
            await ws.send(await ws.recv())
            tick()
    elif WORK == "handshake":
        tick()
        await ws.recv()
    elif WORK in ("echo", "send", "recv"):
        await converse(ws)
    elif len(connections) < CLIENTS:
        await ws.recv()
    elif WORK == "idle":
        idle(before, CLIENTS)
    else:
        await run_async(broadcast, ws)


before = collected()
asyncio.run(app.start_server(HOST, PORT))
