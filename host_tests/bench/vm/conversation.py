"""The works of one asyncio connection that has send() and recv(), whose library it may be."""

from measure import CLIENT, SIZE, WORK, run_async

text = "x" * SIZE
message = bytes(SIZE)


async def echo(ws, n):
    if CLIENT:
        for _ in range(n):
            await ws.send(text)
            await ws.recv()
    else:
        for _ in range(n):
            await ws.send(await ws.recv())


async def send(ws, n):
    for _ in range(n):
        await ws.send(message)
    await ws.recv()


async def recv(ws, n):
    await ws.send(b".")
    for _ in range(n):
        await ws.recv()


async def converse(ws):
    await run_async({"echo": echo, "send": send, "recv": recv}[WORK], ws)
