"""A bare asyncio stream: what any asyncio library stands on."""

import asyncio

from measure import CLIENT, CLIENTS, HOST, PORT, SIZE, WORK, collected, idle, run_async, tick

message = bytearray(SIZE)
one = bytearray(1)
connections = []


async def echo(reader, writer, n):
    buffer = bytearray(SIZE)
    for _ in range(n):
        if CLIENT:
            writer.write(message)
            await writer.drain()
        await read(reader, buffer)
        if not CLIENT:
            writer.write(buffer)
            await writer.drain()


async def send(reader, writer, n):
    for _ in range(n):
        writer.write(message)
        await writer.drain()
    await read(reader, one)


async def recv(reader, writer, n):
    writer.write(one)
    await writer.drain()
    buffer = bytearray(SIZE)
    for _ in range(n):
        await read(reader, buffer)


async def broadcast(reader, writer, n):
    for _ in range(n):
        for _, each in connections:
            each.write(message)
            await each.drain()
        await read(reader, one)


if hasattr(asyncio.StreamReader, "readinto"):

    async def read(reader, buffer):
        n = await reader.readinto(buffer)
        if n < len(buffer):
            view = memoryview(buffer)
            while n < len(buffer):
                n += await reader.readinto(view[n:])

else:

    async def read(reader, buffer):
        buffer[:] = await reader.readexactly(len(buffer))


async def serve(reader, writer):
    sock = writer.s if hasattr(writer, "s") else writer.get_extra_info("socket")
    sock.setsockopt(6, 1, 1)  # TCP_NODELAY, as the libraries have it
    connections.append((reader, writer))
    if WORK == "crowd":
        buffer = bytearray(SIZE)
        try:
            while True:
                await read(reader, buffer)
                writer.write(buffer)
                await writer.drain()
                tick()
        except (OSError, EOFError):
            return
    if WORK in ("echo", "send", "recv"):
        await run_async({"echo": echo, "send": send, "recv": recv}[WORK], reader, writer)
    elif len(connections) < CLIENTS:
        await read(reader, one)
    elif WORK == "idle":
        idle(before, CLIENTS)
    else:
        await run_async(broadcast, reader, writer)


async def main():
    global before
    if CLIENT:
        await serve(*await asyncio.open_connection(HOST, PORT))
    else:
        server = await asyncio.start_server(serve, HOST, PORT)
        before = collected()
        await server.wait_closed() if hasattr(server, "task") else await server.serve_forever()


asyncio.run(main())
