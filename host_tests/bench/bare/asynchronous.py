"""The same over asyncio."""

from blocking import TEXT, large, message
from measure import count_async

# A collection is followed by some dozens of messages for which MicroPython looks for memory from
# the beginning of the heap, until they have filled its holes. One comes each 1000 messages.
_MANY = 200


async def measure(connect, end, frame, is_client, timeout=True):
    async def echo_into(n):
        for _ in range(n):
            if is_client:
                await ws.send(message)
                await ws.recv_into(message)
            else:
                await ws.recv_into(message)
                await ws.send(message)

    async def echo(n):
        for _ in range(n):
            if is_client:
                await ws.send(TEXT)
                await ws.recv()
            else:
                await ws.send(await ws.recv())

    async def echo_timeout(n):
        for _ in range(n):
            if is_client:
                await ws.send(TEXT)
                await ws.recv(timeout=10)
            else:
                await ws.send(await ws.recv(timeout=10))

    async def receive(n):
        for _ in range(n):
            await ws.recv_into(message)

    async def send(n):
        for _ in range(n):
            await ws.send(message)

    async def receive_large(n):
        for _ in range(n):
            await ws.recv_into(large)

    async def send_large(n):
        for _ in range(n):
            await ws.send(large)

    ws, sock = await connect()
    sock.feed(frame(False, message))
    await count_async("echo of 125 B, recv_into and send", echo_into, _MANY)
    sock.feed(frame(True, TEXT.encode()))
    await count_async("echo of 125 B, recv and send", echo, _MANY)
    if timeout:
        await count_async("echo of 125 B, recv(timeout=) and send", echo_timeout, _MANY)
    sock.end_feed()
    await end(ws)
    ws, sock = await connect()
    sock.feed(frame(False, message) * 40, endless=True)
    await count_async("125 B streaming in, recv_into", receive, 80)
    await count_async("125 B going out", send)
    sock.end_feed()
    await end(ws)
    ws, sock = await connect()
    sock.feed(frame(False, large), endless=True)
    await count_async("4 KiB received, recv_into", receive_large)
    await count_async("4 KiB sent", send_large)
