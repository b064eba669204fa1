"""Whole conversations of both roles over sockets in memory, by the library's public face alone.

    import conversation; conversation.blocking()

Each function prints a line for what went as it must; what does not ends it with a traceback.
"""

import asyncio
import gc
import socket

import microws

URL = "ws://10.0.0.1/road?to=ruin"
# Every form of a length (RFC 6455 §5.2) and its borders.
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 124, 125, 126, 127, 1000, 1900)
# More than is under way at a time.
LARGE_SIZES = (2048, 4096, 5000, 20000)
LONG = 65536  # the first length of 64 bits
_STEP = 0.1  # seconds for the server to find what the client has sent
TEXT = "pin0:4711 \xe9\u20ac\U0001f600"


def content(size):
    """Bytes in which none is lost or out of place unnoticed."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def ok(text):
    gc.collect()
    print("ok:", text)


def same(found, expected):
    if found != expected:
        raise AssertionError("%r, not %r" % (found, expected))


def code_of(call):
    """The code and reason with which the connection ended that ``call()`` uses."""
    try:
        call()
    except microws.ConnectionClosed as closed:
        return closed.code, closed.reason
    raise AssertionError("it is open")


class Echo:
    """A blocking server, of which a step is done whenever the client waits."""

    def __init__(self):
        options = {"subprotocols": ("chat", "v2"), "max_size": LARGE_SIZES[-1]}
        self._listener = microws.listen("0.0.0.0", 80, **options)
        self.ws = None
        self.kinds = []
        self.closed = None
        self.step = self._accept
        socket.idle = self

    def __call__(self):
        self.step()

    def _accept(self):
        self.ws = self._listener.accept()
        self.step = self._answer

    def _answer(self):
        try:
            message = self.ws.recv(timeout=_STEP)
        except microws.Timeout:
            return
        except microws.ConnectionClosed as closed:
            self.closed = closed.code, closed.reason
            return
        self.kinds.append(self.ws.is_text)
        self.ws.send(message)

    def end(self):
        socket.idle = None
        self._listener.close()


def blocking():
    server = Echo()
    ws = microws.connect(URL, subprotocols=("v1", "v2"))
    same((ws.subprotocol, server.ws.subprotocol), ("v2", "v2"))
    same(server.ws.path, "/road?to=ruin")
    ok("handshake")
    for size in SIZES:
        data = content(size)
        ws.send(data)
        same(ws.recv(), data)
        buffer = bytearray(size + 3)
        ws.send(memoryview(data))
        same(ws.recv_into(buffer), size)
        same(buffer, data + bytes(3))
    same(server.kinds, [False] * 2 * len(SIZES))
    ok("binary messages, recv and recv_into")
    for text in ("", "a", TEXT, TEXT * 60):
        ws.send(text)
        same(ws.recv(), text)
    same(server.kinds[-4:], [True] * 4)
    ok("text")
    ws.send(["in ", "three ", "fragments"])
    same(ws.recv(), "in three fragments")
    ws.send("piece by piece")
    same("".join(ws.recv_streaming()), "piece by piece")
    ws.ping(b"still there?")
    ws.send("after a Ping")
    same(ws.recv(), "after a Ping")
    ok("fragments, pieces, Ping")
    try:
        ws.recv(timeout=0.01)
        raise AssertionError("nothing was sent")
    except microws.Timeout:
        pass
    ws.close(1000, "that is all")
    same(server.closed, (1000, "that is all"))
    same(code_of(ws.recv)[0], 1000)
    same(code_of(lambda: ws.send("more"))[0], 1000)
    server.end()
    ok("time-out and close")


def blocking_large():
    server = Echo()
    ws = microws.connect(URL)
    ws.send("hello")
    same(ws.recv(), "hello")
    got = []

    def take():
        try:
            got.append(server.ws.recv(timeout=_STEP))
        except microws.Timeout:
            pass

    server.step = take
    for size in LARGE_SIZES:
        ws.send(content(size))
        while not got:
            take()
        same(got.pop(), content(size))
        gc.collect()
    ok("messages to a server that are larger than what is under way")
    server.ws.send("the last word")
    server.ws._sock.close()
    same(ws.recv(), "the last word")
    same(code_of(ws.recv), (1006, ""))
    server.end()
    ok("an end without a Close, after what came before it")


async def asynchronous():
    from microws import aio

    heard = []
    ended = asyncio.Event()

    async def handler(ws):
        async for message in ws:
            heard.append(message if len(message) < 50 else len(message))
            await ws.send(message)
        heard.append((ws.close_code, ws.close_reason))
        ended.set()

    server = await aio.serve(handler, "0.0.0.0", 80, max_clients=2, max_size=LARGE_SIZES[-1])
    ws = await aio.connect(URL)
    for size in SIZES + LARGE_SIZES[:3]:
        data = content(size)
        await ws.send(data)
        same(await ws.recv(), data)
        buffer = bytearray(size)
        await ws.send(data)
        same(await ws.recv_into(buffer), size)
        same(buffer, data)
    ok("asyncio: binary messages, recv and recv_into")
    await ws.send(TEXT)
    same(await ws.recv(timeout=10), TEXT)
    same(heard[-1], TEXT)
    await ws.send(["in ", "two"])
    same(await ws.recv(), "in two")
    ok("asyncio: text, fragments")
    other = await aio.connect(URL)
    try:
        await aio.connect(URL)
        raise AssertionError("there were to be two")
    except microws.HandshakeError as refused:
        same(refused.status, 503)
    server.broadcast("for all")
    same((await ws.recv(), await other.recv()), ("for all", "for all"))
    await other.close(1001)
    ok("asyncio: two clients and not three, a broadcast")
    ended.clear()
    await ws.close(1001, "that is all")
    await ended.wait()
    same(heard[-1], (1001, "that is all"))
    server.close()
    await server.wait_closed()
    ok("asyncio: close")


async def asynchronous_long():
    long = content(LONG)  # while there is room for it in one piece
    from microws import aio

    async def handler(ws):
        at = 0
        async for piece in ws.recv_streaming(bytearray(1500)):
            same(piece == memoryview(long)[at : at + len(piece)], True)
            at += len(piece)
        await ws.send(str(at))

    server = await aio.serve(handler, "0.0.0.0", 80)
    ws = await aio.connect(URL)
    await ws.send(long)
    same(await ws.recv(), str(LONG))
    server.close()
    await server.wait_closed()
    ok("asyncio: a length of 64 bits, in pieces")
