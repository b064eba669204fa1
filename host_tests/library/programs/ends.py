"""``ends.py PORT ROLE``: every end of a connection meets every other one.

ROLE is what this side is, client or server; its peer is a bare socket. For each pair of ends a
connection is made, with a task that receives, and, the second time, one that sends more than the
peer takes. Then both ends strike, with a moment between them or not. Whatever comes first: each
task comes to its end, with an error that is documented; the socket is closed and asyncio's queue
empty; and the peer sees one Close at most, and nothing after it.
"""

import asyncio
import errno
import gc
import socket
import sys

import microws
from fronts import MICROPYTHON, print_exception
from microws import aio
from microws.handshake import accept_key

PORT = int(sys.argv[1])
ROLE = sys.argv[2]
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
CLOSING = 0.06  # seconds: nobody here is worth a longer wait
HUGE = 1 << (28 if MICROPYTHON else 62)  # bytes; nobody has so much memory
OPTIONS = {"max_size": HUGE, "close_timeout": CLOSING, "keepalive_timeout": None}
ADDRESS = socket.getaddrinfo("127.0.0.1", PORT)[0][-1]
unhandled = []
failed = 0


class Peer:
    """The other side, over a bare socket."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock
        self.seen = b""

    def read(self):
        """What is there; None where nothing is, b"" at the end."""
        try:
            return self.sock.recv(500)
        except OSError as error:
            return None if error.errno == errno.EAGAIN else b""

    async def head(self):
        data = b""
        while data[-4:] != b"\r\n\r\n":
            try:
                data += self.sock.recv(1)
            except OSError:
                await asyncio.sleep(0)
        return data

    def send(self, byte0, payload, length=None):
        """A frame, as the server's side wants it (masked with zeros) or the client's."""
        length = bytes((len(payload),)) if length is None else b"\x7f" + length.to_bytes(8, "big")
        if ROLE == "server":
            length = bytes((length[0] | 0x80,)) + length[1:] + b"\0\0\0\0"
        try:
            self.sock.send(bytes((byte0,)) + length + payload)
        except OSError:
            pass  # this side has ended already

    def reset(self):
        # SO_LINGER of 0 s
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, 13, b"\1\0\0\0\0\0\0\0")
        except OSError:
            pass
        self.sock.close()


class Case:
    """One connection, what happens to it, and the tasks that have to do with it."""

    def __init__(self, ws, peer):
        self.ws = ws
        self.peer = peer
        self.tasks = []
        self.receiver = self.task(self.receive())

    def task(self, coroutine):
        task = asyncio.create_task(watched(coroutine))
        self.tasks.append(task)
        return task

    async def receive(self):
        while True:
            await self.ws.recv()

    async def send(self, pieces):
        await self.ws.send(pieces)

    def without_end(self):
        piece = bytes(1000)
        while True:
            yield piece

    def failing(self):
        yield "one piece"
        raise ValueError("on purpose")

    # The ends

    def close(self):
        self.task(self.ws.close(4000))

    def close_by_two(self):
        self.close()
        self.close()

    def close_cancelled(self):
        task = self.task(self.ws.close(4001))
        self.task(cancelled(task))

    def recv_cancelled(self):
        self.receiver.cancel()

    def recv_timed_out(self):
        self.receiver.cancel()
        self.receiver = self.task(self.receive_for(0))

    async def receive_for(self, timeout):
        while True:
            try:
                await self.ws.recv(timeout)
            except microws.Timeout:
                await asyncio.sleep(0)

    def pieces_fail(self):
        self.task(self.send(self.failing()))

    def silence(self):
        for _ in range(4):  # as often as the keepalive looks, with nothing heard
            self.ws._heard = False
            self.ws._beat()

    def peer_closes(self):
        self.peer.send(0x88, b"\x0f\xa5bye")

    def peer_ends(self):
        self.peer.sock.close()

    def peer_resets(self):
        self.peer.reset()

    def peer_breaks_a_rule(self):
        self.peer.send(0x83, b"")

    def peer_sends_too_much(self):
        self.peer.send(0x82, b"x" * 100, HUGE)


ENDS = (
    "close", "close_by_two", "close_cancelled", "recv_cancelled", "recv_timed_out", "pieces_fail",
    "silence", "peer_closes", "peer_ends", "peer_resets", "peer_breaks_a_rule",
    "peer_sends_too_much",
)  # fmt: skip


def small_buffers(sock):
    """So that it is soon full."""
    sock.setsockopt(socket.SOL_SOCKET, 7, 4096)  # SO_SNDBUF
    sock.setsockopt(socket.SOL_SOCKET, 8, 4096)  # SO_RCVBUF


async def watched(coroutine):
    """How it ended; an error that is not documented stays one."""
    try:
        await coroutine
    except (microws.WebSocketError, asyncio.CancelledError) as error:
        return repr(error)
    except ValueError as error:
        if str(error) != "on purpose":
            raise


async def cancelled(task):
    await asyncio.sleep(0)
    task.cancel()


async def connected(listener):
    """A client's connection to a bare socket."""

    async def answer():
        while True:
            try:
                sock, _ = listener.accept()
                break
            except OSError:
                await asyncio.sleep(0)
        peer = Peer(sock)
        for line in (await peer.head()).split(b"\r\n"):
            if line.startswith(b"Sec-WebSocket-Key: "):
                key = str(line[19:], "ascii")
        sock.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )
        return peer

    task = asyncio.create_task(answer())
    ws = await aio.connect("ws://127.0.0.1:%d/" % PORT, **OPTIONS)
    return ws, await task


async def accepted(arrived):
    """A server's connection to a bare socket."""
    sock = socket.socket()
    small_buffers(sock)
    sock.connect(ADDRESS)
    peer = Peer(sock)
    sock.send(
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY.encode() + b"\r\n\r\n"
    )
    await peer.head()
    while not arrived:
        await asyncio.sleep(0)
    return arrived.pop(), peer


async def play(ws, peer, first, second, pause, sends):
    """Two ends meet; what is wrong after it."""
    case = Case(ws, peer)
    small_buffers(getattr(ws._sock, "socket", ws._sock))
    if sends:
        case.task(case.send(case.without_end()))
        while not ws._writing:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    getattr(case, first)()
    if pause is not None:
        await asyncio.sleep(pause)
    getattr(case, second)()
    # A connection that no end has ended by now is closed as a program would.
    await asyncio.sleep(0)
    case.task(ws.close())
    seen = b""
    while not all(task.done() for task in case.tasks):
        if not sends:
            seen += peer.read() or b""
        await asyncio.sleep(0.002)
    for task in case.tasks:
        try:
            await task  # raises what is not documented
        except asyncio.CancelledError:
            pass  # before it began
    while data := peer.read():
        seen += b"" if sends else data
    peer.sock.close()
    code = ws.close_code
    for attempt in (lambda: ws.recv(), lambda: ws.send("x"), lambda: ws.recv(timeout=0)):
        try:
            await attempt()
            return "goes on after its end"
        except microws.WebSocketError:
            pass
    await ws.close()
    if ws._sock is not None or code is None or ws.close_code != code:
        return "not closed, or not once: %s, %s" % (code, ws.close_code)
    return "" if sends else wrong_at_the_end(seen)


def wrong_at_the_end(data):
    """What a peer saw is wrong: it may hold Pings, beginnings of a message, and one Close."""
    at = 0
    while at < len(data):
        opcode = data[at] & 15
        size = data[at + 1] & 0x7F
        at += 2 + size + (4 if data[at + 1] & 0x80 else 0)
        if opcode == 8 and at != len(data):
            return "something after a Close: %r" % data
    return "" if at == len(data) else "a frame cut short: %r" % data


async def check(ws, peer, first, second, pause, sends):
    global failed
    problem = ""
    try:
        problem = await asyncio.wait_for(play(ws, peer, first, second, pause, sends), 20)
    except Exception as error:
        problem = repr(error)
        print_exception(error)
    problem = problem or (unhandled and repr(unhandled.pop()))
    if problem:
        failed += 1
        print("FAILED", first, second, pause, sends, problem)


async def run():
    global failed
    loop = asyncio.get_event_loop()
    loop.set_exception_handler(lambda loop, context: unhandled.append(context))
    if ROLE == "server":
        arrived = []

        async def handler(ws):
            arrived.append(ws)
            while ws._sock is not None:
                await asyncio.sleep(0.01)

        server = await aio.serve(handler, "127.0.0.1", PORT, max_clients=2000, **OPTIONS)

        def connect():
            return accepted(arrived)

    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        small_buffers(listener)
        listener.bind(ADDRESS)
        listener.listen(5)
        listener.setblocking(False)

        def connect():
            return connected(listener)

    kinds = [(pause, sends) for pause in (None, 0, 0.01) for sends in (False, True)]
    for first in ENDS:
        for second in ENDS:
            checks = []
            for pause, sends in kinds:
                ws, peer = await connect()
                checks.append(check(ws, peer, first, second, pause, sends))
            await asyncio.gather(*checks)
            gc.collect()
    if ROLE == "server":
        server.close()
        await server.wait_closed()
    if MICROPYTHON:
        left = len(asyncio.core._io_queue.map)
        if left:
            failed += 1
            print("left in the queue:", left)
    print(failed, "failed")


asyncio.run(run())
