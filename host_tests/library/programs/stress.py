"""``stress.py PORT SEED``: however calls are given up, every message comes once and in order.

A server at PORT sends numbered messages, then "end".
"""

import asyncio
import random
import sys

import microws
from microws import aio

PORT, SEED = [int(word) for word in sys.argv[1:]]
random.seed(SEED)
buffer = bytearray(2048)
stop = False


async def neighbour():
    """Keeps asyncio's run queue busy."""
    while not stop:
        await asyncio.sleep(random.choice((0, 0, 0.001)))


async def recv_into(ws, **options):
    n = await ws.recv_into(buffer, **options)
    return str(buffer[:n], "utf-8")


async def wrapped(ws):
    return await ws.recv()


async def pieces(ws):
    text = ""
    async for piece in ws.recv_streaming():
        text += piece
    return text


async def cancelled(ws, coroutine, delay):
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(delay)
    task.cancel()
    return await task


async def second_task(ws):
    """While a task receives another cannot."""
    task = asyncio.create_task(ws.recv())
    await asyncio.sleep(0)
    if not task.done():
        for call in (ws.recv, ws.__anext__, lambda: ws.recv_into(buffer)):
            try:
                await call()
                raise AssertionError("two at once")
            except microws.WebSocketError as error:
                if "another task" not in str(error):
                    raise
    return await task


WAYS = (
    lambda ws, d: ws.recv(),
    lambda ws, d: recv_into(ws),
    lambda ws, d: ws.recv(timeout=d),
    lambda ws, d: ws.recv(timeout=0),
    lambda ws, d: recv_into(ws, timeout=d),
    lambda ws, d: asyncio.wait_for(ws.recv(), d),
    lambda ws, d: asyncio.wait_for(ws.recv(), 0),
    lambda ws, d: asyncio.wait_for(wrapped(ws), d),
    lambda ws, d: cancelled(ws, ws.recv(), d),
    lambda ws, d: cancelled(ws, recv_into(ws), d),
    lambda ws, d: second_task(ws),
    lambda ws, d: pieces(ws),
)


async def main():
    global stop
    ws = await aio.connect("ws://127.0.0.1:%d/" % PORT)
    neighbours = [asyncio.create_task(neighbour()) for _ in range(3)]
    seen = given_up = 0
    while True:
        try:
            message = await random.choice(WAYS)(ws, random.random() * 0.004)
        except (asyncio.TimeoutError, microws.Timeout, asyncio.CancelledError):
            given_up += 1
            continue
        if message == "end":
            break
        if int(message.split(" ")[0]) != seen:
            raise AssertionError("%s in place of %d" % (message[:20], seen))
        seen += 1
    stop = True
    for task in neighbours:
        await task
    await ws.close()
    print(seen, "messages,", "some" if given_up else "none", "given up")


asyncio.run(main())
