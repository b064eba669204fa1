"""Broadcasts while the heap is full but for the frame and a few blocks more. For MicroPython.

A client that is slow takes a part of each. Whatever there is no memory for, the other one gets
every frame that was built, and the slow one gets it whole or is disconnected. Tells what it saw.
"""

import gc

SIZE = 6000
buffer = bytearray(SIZE + 4)
frame = bytearray((0x82, 126, SIZE >> 8, SIZE & 255)) + bytes(SIZE)
message = memoryview(frame)[4:]
# In its place the frame will be built. Before the compiler leaves the heap in small pieces.
room = bytearray(SIZE + 5)
for name in ("core", "handshake", "server_handshake", "aio_connection", "aio_server"):
    __import__("microws." + name)
    gc.collect()

import asyncio  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

from microws import aio  # noqa: E402

PORT = int(sys.argv[1])
REQUEST = (
    b"GET /%s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
taken = None


def take_all():
    global taken
    gc.collect()
    try:
        while True:
            taken = (taken, bytearray(200))
    except MemoryError:
        pass
    try:
        while True:
            taken = (taken,)
    except MemoryError:
        pass


async def handler(ws):
    if ws.path == "/slow":
        ws._sock.setsockopt(1, 7, 1)  # SO_SNDBUF, as small as can be
    await ws.recv()


async def upgraded(path):
    before = len(server.clients)
    sock = socket.socket()
    sock.setsockopt(1, 8, 1)  # SO_RCVBUF
    sock.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
    sock.write(REQUEST % path)
    sock.setblocking(False)
    end = b""
    while end != b"\r\n\r\n":
        end = (end + (sock.read(1) or b""))[-4:]
        await asyncio.sleep(0)
    while len(server.clients) == before:
        await asyncio.sleep(0)
    return sock


async def read(sock):
    """Read a frame, or what there is of it; whether it is whole."""
    at = 0
    n = -1
    while n != 0 and at < len(buffer):
        n = sock.readinto(memoryview(buffer)[at:])
        at += n or 0
        await asyncio.sleep(0)
    if memoryview(buffer)[:at] != memoryview(frame)[:at]:
        raise ValueError("not this frame")
    return at == len(buffer)


async def main():
    global room, server, taken
    # No Pings, however long this takes: what comes is to be the frame.
    server = await aio.serve(handler, "127.0.0.1", PORT, keepalive_timeout=None)
    other = await upgraded(b"other")
    slow = await upgraded(b"slow")
    seen = set()
    for blocks in range(120):
        for i in range(SIZE):
            message[i] = blocks
        take_all()
        room = None
        for _ in range(blocks):
            taken = taken[0]
        try:
            server.broadcast(message)
            built = True
        except MemoryError:
            built = False
        for _ in range(3):
            await asyncio.sleep(0)
        taken = None
        gc.collect()
        whole = True
        if built:
            if not await read(other):
                raise ValueError("it is not to end")
            whole = await read(slow)
            seen.add("sent" if whole else "ended")
        else:
            seen.add("not")
            if other.read(1) or slow.read(1):
                raise ValueError("half a frame")
        gc.collect()
        room = bytearray(SIZE + 5)
        if not whole:
            slow.close()
            while len(server.clients) > 1:
                await asyncio.sleep(0)
            slow = await upgraded(b"slow")
    print(*sorted(seen))


asyncio.run(main())
