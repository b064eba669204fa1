"""``tasks.py PORT``: what only tasks that run at once can show, server and client in one."""

import asyncio
import gc
import sys
import time

from fronts import print_exception
from microws import ConnectionClosed, HandshakeError, ProtocolError, aio

PORT = int(sys.argv[1])
PIECE = bytes(range(256)) * 4


def expect(found, wanted):
    if found != wanted:
        raise AssertionError("%r where %r was expected" % (found, wanted))


def connect():
    return aio.connect("ws://127.0.0.1:%d/" % PORT)


async def several(n):
    clients = []
    for _ in range(n):
        clients.append(await connect())
    return clients


async def ending(ws):
    try:
        while True:
            await ws.recv()
    except ConnectionClosed as closed:
        return closed.code


async def cancel(task):
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    raise AssertionError("was not cancelled")


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def cancelled_recv_loses_nothing():
    go_on = asyncio.Event()

    async def handler(ws):
        await ws.send("first")
        await go_on.wait()
        await ws.send(["a", "b"])
        await ws.send("last")
        await ws.recv()

    async with await aio.serve(handler, "127.0.0.1", PORT), connect() as ws:
        expect(await ws.recv(), "first")
        for _ in range(3):
            task = asyncio.create_task(ws.recv())
            await asyncio.sleep(0.01)
            await cancel(task)
        go_on.set()
        expect(await ws.recv(), "ab")
        expect(await ws.recv(), "last")


def takes_nothing(ws):
    while True:
        ws._busy = True
        yield 4  # wait for room


async def message_behind_a_ping_whose_pong_cannot_go():
    asked = asyncio.Event()
    received = []

    async def handler(ws):
        await ws.recv()
        sender = ws._sender
        ws._sender = takes_nothing(ws)  # as a full socket does for a while
        asked.set()
        received.append(await ws.recv())
        ws._sender = sender
        ws._push()

    async with await aio.serve(handler, "127.0.0.1", PORT), connect() as ws:
        await ws.send("from now on")
        await asked.wait()
        masked = b"\x89\x87\0\0\0\0with it\x81\x89\0\0\0\0behind it"
        ws._sock.write(masked, 0, len(masked))  # with one write, so with one read
        expect(await ending(ws), 1000)
        expect(ws.pongs, 1)
    expect(received, ["behind it"])


async def tasks_that_send_at_once():
    async with await aio.serve(echo, "127.0.0.1", PORT), connect() as ws:
        wanted = {}

        async def send(i):
            message = bytes([i]) * (300 * i)
            for _ in range(3):
                await ws.send(message if i % 2 else [message, message])
                wanted[i] = wanted.get(i, 0) + 1

        tasks = [asyncio.create_task(send(i)) for i in range(1, 5)]
        for _ in range(12):
            message = await ws.recv()
            i = message[0]
            expect(len(message), 300 * i * (1 if i % 2 else 2))
            expect(bytes([i]) * len(message) == message, True)
            wanted[i] -= 1
        for task in tasks:
            await task
        expect(sorted(wanted.values()), [0] * 4)


async def close_while_another_task_receives():
    async with await aio.serve(echo, "127.0.0.1", PORT):
        ws = await connect()
        task = asyncio.create_task(ending(ws))
        await asyncio.sleep(0.01)
        await ws.close(4000)
        expect(await task, 4000)


async def recv_cancelled_while_another_task_writes():
    go_on = asyncio.Event()
    total = [0]

    async def handler(ws):
        await go_on.wait()
        async for piece in ws.recv_streaming(bytearray(2048)):
            total[0] += len(piece)
        await ws.send("done")
        await ws.recv()

    async with await aio.serve(handler, "127.0.0.1", PORT, max_fragments=1 << 20):
        ws = await connect()
        # More than both sockets hold, so the writer has to wait.
        sender = asyncio.create_task(ws.send(PIECE for _ in range(8192)))  # noqa: RUF006
        await asyncio.sleep(0.2)
        expect(ws._writing, True)
        receiver = asyncio.create_task(ws.recv())
        await asyncio.sleep(0.01)
        await cancel(receiver)
        go_on.set()
        await asyncio.wait_for(sender, 20)
        expect(await asyncio.wait_for(ws.recv(), 20), "done")
        expect(total[0], 8192 * 1024)
        await ws.close()


async def pong_while_a_fragmented_message_waits():
    """A peer that pings must not take this side for dead because a message takes its time."""
    more = asyncio.Event()

    class Pieces:
        count = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.count += 1
            if self.count == 3:
                raise StopAsyncIteration
            if self.count == 2:
                await more.wait()
            return "piece"

    async def handler(ws):
        sender = asyncio.create_task(ws.send(Pieces()))
        await ws.recv()
        more.set()
        await sender

    async with await aio.serve(handler, "127.0.0.1", PORT):
        ws = await connect()
        await ws.ping(b"alive?")
        try:
            await ws.recv(0.2)
        except OSError:
            pass
        pongs = ws.pongs
        await ws.send("go on")
        expect(await ws.recv(), "piecepiece")
        expect(pongs, 1)
        await ws.close()


async def broadcast():
    async def handler(ws):
        await ws.send("ready")
        await ws.recv()

    async with await aio.serve(handler, "127.0.0.1", PORT) as server:
        clients = await several(4)
        for ws in clients:
            expect(await ws.recv(), "ready")
        expect(len(server.clients), 4)
        for message in ("to all", b"\x00\xff", ""):
            expect(server.broadcast(message), 4)
            for ws in clients:
                expect(await ws.recv(), message)
        for ws in clients:
            await ws.close()


async def client_past_the_bound_is_refused():
    async def handler(ws):
        await ws.recv()

    async with await aio.serve(handler, "127.0.0.1", PORT, max_clients=8):
        clients = await several(8)
        for _ in range(2):
            try:
                await connect()
                raise AssertionError("a ninth client is let in")
            except HandshakeError as error:
                expect(error.status, 503)
        await clients.pop().close()
        clients.append(await connect())
        for ws in clients:
            await ws.close()


async def handler_that_raises():
    async def handler(ws):
        raise AssertionError("on purpose")

    server = await aio.serve(handler, "127.0.0.1", PORT)
    ws = await connect()
    expect(await ending(ws), 1011)
    # It harms nobody else.
    ws = await connect()
    expect(await ending(ws), 1011)
    server.close()
    await server.wait_closed()


async def server_that_closes():
    server = await aio.serve(echo, "127.0.0.1", PORT)
    clients = await several(3)
    for ws in clients:
        await ws.send("x")
        expect(await ws.recv(), "x")
    tasks = [asyncio.create_task(ending(ws)) for ws in clients]
    await asyncio.sleep(0.01)
    server.close()
    for task in tasks:
        expect(await task, 1001)
    await server.wait_closed()
    expect(len(server.clients), 0)
    try:
        await connect()
        raise AssertionError("it still listens")
    except OSError:
        pass


async def server_that_closes_while_handlers_do_not_receive():
    over = asyncio.Event()

    async def handler(ws):
        await over.wait()

    server = await aio.serve(handler, "127.0.0.1", PORT)
    ws = await connect()
    server.close()
    expect(await ending(ws), 1001)
    over.set()
    await server.wait_closed()


async def one_message_too_big_harms_one_connection():
    async with await aio.serve(echo, "127.0.0.1", PORT, max_size=1000):
        one = await connect()
        other = await connect()
        await one.send(bytes(1001))
        expect(await ending(one), 1009)
        await other.send(bytes(1000))
        expect(len(await other.recv()), 1000)
        await other.close()


async def two_tasks_cannot_receive():
    async with await aio.serve(echo, "127.0.0.1", PORT):
        ws = await connect()
        task = asyncio.create_task(ws.recv())
        await asyncio.sleep(0.01)
        try:
            await ws.recv(0.1)
            raise AssertionError("two at once")
        except (ConnectionClosed, ProtocolError, OSError):
            raise
        except Exception as error:
            expect("another task" in str(error), True)
        await ws.send("x")
        expect(await task, "x")
        await ws.close()


async def wait_for_gives_what_was_received():
    """Its time is over when the task that receives ends, and before it knows that."""

    async def handler(ws):
        await ws.send("message")
        await ws.recv()

    async def slow(ws):
        message = await ws.recv()
        time.sleep(0.1)
        return message

    async with await aio.serve(handler, "127.0.0.1", PORT), connect() as ws:
        expect(await asyncio.wait_for(slow(ws), 0.05), "message")


async def send_that_nobody_awaits():
    """On MicroPython it is sent by the call; the rest goes with whatever goes next, in order."""
    go_on = asyncio.Event()
    micropython = sys.implementation.name == "micropython"
    size = 16000 if micropython else 6000000

    async def handler(ws):
        getattr(ws._sock, "socket", ws._sock).setsockopt(1, 8, 2048)  # SO_RCVBUF
        await ws.send("small")
        await go_on.wait()
        for _ in range(3):
            n = 0
            async for piece in ws.recv_streaming(bytearray(512)):
                n += len(piece)
            await ws.send("%d" % n)

    async with await aio.serve(handler, "127.0.0.1", PORT), connect() as ws:
        getattr(ws._sock, "socket", ws._sock).setsockopt(1, 7, 2048)  # SO_SNDBUF
        expect(await ws.recv(), "small")
        sending = ws.send(b"a" * size)
        expect(ws._busy, micropython)
        if not micropython:  # nothing goes there without
            sending = asyncio.create_task(sending)
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(ws.send(text)) for text in (b"b", b"cc")]
        await asyncio.sleep(0.01)
        go_on.set()
        for n in (size, 1, 2):
            expect(await ws.recv(timeout=20), "%d" % n)
        for task in tasks:
            await task


async def keepalive_of_a_connection_that_takes_nothing_more():
    async def handler(ws):
        await asyncio.sleep(10)

    async with await aio.serve(handler, "127.0.0.1", PORT):
        ws = await aio.connect("ws://127.0.0.1:%d/" % PORT, keepalive_timeout=0.4)
        ws._mute()  # as a write that failed does
        expect(await ending(ws), 1006)


async def run():
    failed = 0
    for check in (
        cancelled_recv_loses_nothing,
        message_behind_a_ping_whose_pong_cannot_go,
        tasks_that_send_at_once,
        close_while_another_task_receives,
        recv_cancelled_while_another_task_writes,
        pong_while_a_fragmented_message_waits,
        broadcast,
        client_past_the_bound_is_refused,
        handler_that_raises,
        server_that_closes,
        server_that_closes_while_handlers_do_not_receive,
        one_message_too_big_harms_one_connection,
        two_tasks_cannot_receive,
        wait_for_gives_what_was_received,
        send_that_nobody_awaits,
        keepalive_of_a_connection_that_takes_nothing_more,
    ):
        try:
            await asyncio.wait_for(check(), 25)
            print("passed", check.__name__)
        except Exception as error:
            failed += 1
            print("FAILED", check.__name__)
            print_exception(error)
        gc.collect()
    print("%d failed" % failed)


asyncio.run(run())
