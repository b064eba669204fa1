"""``server.py FRONT PORT SIZE [CERTIFICATE KEY]``: a client's path says what it gets.

``SIZE`` in bytes is that of the largest buffer for which there is room.
"""

import binascii
import sys

import reserved
from fronts import FRONTS, fill, server_context
from microws import ConnectionClosed

PATTERN = bytes(range(256)) * 8
front, port, size, *files = sys.argv[1:]
buffer = reserved.buffer
last = ""  # how the last connection on /echo ended


def copies(n):
    for _ in range(n):
        yield PATTERN


class Halves:
    """A message whose second half goes when the client has said something in between."""

    def __init__(self, ws):
        self._ws = ws
        self._pieces = ["first, ", "wait", "second \u20ac"]

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self._pieces:
            raise StopAsyncIteration
        piece = self._pieces.pop(0)
        if piece == "wait":
            # A Ping answered between the fragments goes with it.
            piece = "(%s) " % await self._ws.recv()
        return piece


async def echo(ws):
    global last
    try:
        async for message in ws:
            await ws.send(message)
    except ConnectionClosed:
        pass
    last = "%s %s" % (ws.close_code, ws.close_reason)


async def echo_from_buffer(ws):
    while True:
        n = await ws.recv_into(buffer)
        await ws.send(memoryview(buffer)[:n], ws.is_text)


async def check_sum(ws):
    n = crc = 0
    async for piece in ws.recv_streaming(memoryview(buffer)[:1000]):
        n += len(piece)
        crc = binascii.crc32(piece, crc)
    await ws.send("%d %d" % (n, crc))


async def handle(ws):
    path, _, argument = ws.path.partition("?")
    if path == "/echo":
        await echo(ws)
    elif path == "/buffer":
        await echo_from_buffer(ws)
    elif path == "/last":
        await ws.send(last)
    elif path == "/sum":
        await check_sum(ws)
    elif path == "/frame":
        fill(buffer)
        await ws.send(memoryview(buffer)[: int(argument)], True)
    elif path == "/copies":
        await ws.send(copies(int(argument)))
    elif path == "/pieces":
        await ws.send(["", "\u20ac", "", "plain ", "\U0001f600", ""])
        await ws.send([b"", b"\0", PATTERN])
        await ws.send([])
    elif path == "/halves":
        await ws.send(Halves(ws))
    elif path == "/greet":
        await ws.send("welcome")
        await echo(ws)
    elif path == "/subprotocol":
        await ws.send(str(ws.subprotocol))
    elif path == "/header":
        await ws.send(ws.request.headers[argument])
    elif path == "/ping":
        await ws.ping(b"are you there?" + bytes(111))
        await ws.ping()
        await ws.recv()
        await ws.send("%d" % ws.pongs)
    elif path == "/close":
        await ws.send("one")
        await ws.send("two")
        await ws.close(int(argument), "so long, \u20ac")
    elif path == "/none":
        try:
            await ws.recv()
        except ConnectionClosed as closed:
            print("/none: %d" % closed.code)


options = {"ssl": server_context(*files)} if files else {}
FRONTS[front].run(
    FRONTS[front].serve(handle, int(port), subprotocols=("b", "a"), max_size=1 << 20, **options)
)
