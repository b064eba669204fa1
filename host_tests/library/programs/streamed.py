"""``streamed.py FRONT URL``: bytes over a stream, to a peer that answers in pieces of its own."""

import asyncio
import sys

import microws

MICROPYTHON = sys.implementation.name == "micropython"
front, url = sys.argv[1:]


def blocking():
    stream = microws.connect(url).stream(16)
    stream.write(b"one ")
    stream.write("two ")
    stream.write(b"xthree!", 1, 6)
    stream.write(b"four", 0)
    print(stream.read(3), stream.read(5), stream.read(0))
    stream.write(bytes(10))
    stream.write(bytes(20))  # more than it gathers
    buffer = bytearray(4)
    print(stream.readinto(buffer), bytes(buffer), stream.readinto(buffer, 1), bytes(buffer))
    if MICROPYTHON:
        import select

        poller = select.poll()
        poller.register(stream, select.POLLIN)
        stream.write(b"poll")
        print(poller.poll(30000)[0][1] == select.POLLIN, poller.poll(0)[0][1])
        print(stream.read(3))
        print(poller.poll(0))
    else:
        stream.write(b"poll")
        print("True", stream.read(3))
    stream.setblocking(False)
    print(stream.read(1), stream.readinto(buffer))
    stream.settimeout(0.01)
    try:
        stream.read(2)
    except microws.Timeout:
        print("Timeout")
    stream.settimeout(None)
    stream.write(b"part")
    stream.flush()
    stream.settimeout(0.01)
    while True:
        try:
            print(stream.read(8))  # four come, and four later
        except microws.Timeout:
            stream.settimeout(30)
            stream.write(b"rest")
            continue
        break
    stream.write(b"end")
    print(stream.read(), stream.read(1), stream.readinto(buffer))
    stream.close()
    cut = microws.connect(url + "cut").stream()
    for _ in range(2):
        try:
            cut.read(1)
        except OSError as error:
            print("OSError", error.errno == 104)
    stream = microws.connect(url + "text").stream()
    try:
        stream.read(1)
    except OSError as error:
        print(error.errno == 104, stream._ws.close_code)


async def asynchronous():
    from microws import aio

    stream = (await aio.connect(url)).stream()
    stream.write(b"one ")
    stream.write(b"two ")
    stream.write(bytearray(b"three!"))
    print(await stream.readexactly(3), await stream.readexactly(5), await stream.read(0))
    stream.write(bytes(10))
    await stream.drain()
    stream.write(bytes(20))
    buffer = bytearray(4)
    print(await stream.readinto(buffer), bytes(buffer), await stream.read(1))
    stream.write(b"poll")
    print("True", await stream.readexactly(3))
    stream.write(b"part")
    try:
        await asyncio.wait_for(stream.readexactly(8), 0.5)
    except asyncio.TimeoutError:
        print("Timeout")
    stream.write(b"rest")
    print(await stream.readexactly(8))
    stream.write(b"line")
    print(await stream.readline())
    stream.write(b"end")
    print(await stream.read(), await stream.read(1), await stream.readline())
    try:
        await stream.readexactly(1)
    except EOFError:
        print("EOFError")
    stream.close()
    await stream.wait_closed()
    cut = (await aio.connect(url + "cut")).stream()
    for _ in range(2):
        try:
            await cut.read(1)
        except OSError as error:
            print("OSError", error.errno == 104)
    stream = (await aio.connect(url + "text")).stream()
    try:
        await stream.read(1)
    except OSError as error:
        print(error.errno == 104, stream._ws.close_code)


if front == "blocking":
    blocking()
else:
    asyncio.run(asynchronous())
