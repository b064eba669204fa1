"""The floor of both fronts."""

import asyncio
import socket

import asynchronous
import blocking
import floor
from measure import now, report, since, used

PORT = 80

listening = socket.socket()
listening.bind(("", PORT))
listening.listen()
spent = 0


def accept():
    global spent
    start = now()
    if listening._waiting:
        floor.accept(listening)
    spent += since(start)


def connect(kind=floor.Connection):
    sock = socket.socket()
    sock.connect(("", PORT))
    return kind(sock), sock


async def connect_async():
    return connect(floor.AsyncConnection)


def end(connection):
    pass


async def end_async(connection):
    pass


def frame(is_text, payload):
    return floor.frame(payload)


def handshakes(n):
    global spent
    spent = client = 0
    for _ in range(n):
        used()
        start = now()
        floor.connect(PORT)
        client += since(start)
    report("handshake, client", (client - spent) / n)
    report("handshake, server", spent / n)


socket.idle = accept
floor.connect(PORT)
handshakes(5)
for is_client in (True, False):
    print("#", "blocking_client" if is_client else "blocking_server")
    blocking.measure(connect, end, frame, is_client)
    print("#", "aio_client" if is_client else "aio_server")
    asyncio.run(asynchronous.measure(connect_async, end_async, frame, is_client, False))
