"""``streams.py PORT``: what asyncio has itself, beside connections of ours. For MicroPython."""

import asyncio
import socket
import sys
from asyncio import core

import microws
from microws import aio

PORT = int(sys.argv[1])


def expect(found, wanted):
    if found != wanted:
        raise AssertionError("%r where %r was expected" % (found, wanted))


def bare():
    sock = socket.socket()
    sock.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
    sock.write(
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    return sock


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def echo_stream(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def stream():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT + 1)
    for i in range(100):
        line = b"%d\n" % i
        writer.write(line)
        await writer.drain()
        expect(await reader.readline(), line)
        if i % 10 == 0:
            try:
                await asyncio.wait_for(reader.readline(), 0.001)
                raise AssertionError("nothing was sent")
            except asyncio.TimeoutError:
                pass
    writer.close()
    await writer.wait_closed()


async def connection():
    async with aio.connect("ws://127.0.0.1:%d/" % PORT) as ws:
        for i in range(100):
            await ws.send("%d" % i)
            expect(await ws.recv(), "%d" % i)


async def beside_each_other():
    async with await aio.serve(echo, "127.0.0.1", PORT):
        server = await asyncio.start_server(echo_stream, "127.0.0.1", PORT + 1)
        await asyncio.gather(stream(), connection(), stream(), connection())
        flag = asyncio.ThreadSafeFlag()

        async def wait():
            await flag.wait()
            return "set"

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        flag.set()
        expect(await task, "set")
        server.close()
        await server.wait_closed()


async def reset_while_nobody_waits():
    """poll() tells of it again and again as long as the socket is in it."""
    end = asyncio.Event()
    seen = []

    async def handler(ws):
        seen.append(await ws.recv())
        await end.wait()
        try:
            seen.append(await ws.recv())
        except microws.ConnectionClosed as closed:
            seen.append(closed.code)

    async with await aio.serve(handler, "127.0.0.1", PORT):
        sock = bare()
        sock.write(b"\x81\x81\0\0\0\0a")
        while not seen:
            await asyncio.sleep(0)
        sock.setsockopt(socket.SOL_SOCKET, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s
        sock.close()
        poller = core._io_queue.poller
        turns = 0
        while list(poller.ipoll(20)):  # until there is nothing that it would tell again
            turns += 1
            await asyncio.sleep(0)
            if turns > 20:
                raise AssertionError("it tells of it for ever")
        end.set()
        while len(seen) < 2:
            await asyncio.sleep(0)
        expect(seen, ["a", 1006])


async def writer_whose_reader_is_cancelled():
    """Asyncio's own queue forgets the writer, which hangs for ever."""
    async with await aio.serve(echo, "127.0.0.1", PORT):  # a socket of ours is in the queue
        await asyncio.sleep(0)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = socket.getaddrinfo("127.0.0.1", PORT + 2)[0][-1]
        listener.setsockopt(socket.SOL_SOCKET, 8, 4096)  # SO_RCVBUF
        listener.bind(address)
        listener.listen(1)
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, 7, 4096)  # SO_SNDBUF
        one.connect(address)
        other, _ = listener.accept()
        one.setblocking(False)
        other.setblocking(False)
        writer = asyncio.StreamWriter(one)

        async def write():
            writer.write(bytes(60000))
            await writer.drain()

        async def read():
            await writer.read(10)

        writing = asyncio.create_task(write())
        reading = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        expect(writing.done(), False)
        reading.cancel()

        async def take():
            part = bytearray(1000)
            while not writing.done():
                other.readinto(part)
                await asyncio.sleep(0)

        taking = asyncio.create_task(take())
        try:
            await asyncio.wait_for(writing, 2)
            print("the writer went on")
        except asyncio.TimeoutError:
            print("the writer hangs")
        await taking
        for sock in (one, other, listener):
            sock.close()


async def all_of_it():
    await beside_each_other()
    await reset_while_nobody_waits()
    expect(len(core._io_queue.map), 0)


asyncio.run(all_of_it())
asyncio.run(all_of_it())
asyncio.new_event_loop()
asyncio.run(all_of_it())
asyncio.run(writer_whose_reader_is_cancelled())
print("0 failed")
