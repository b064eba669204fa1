"""Every bound on what a peer can make grow: its default, and the memory of a small board under it.

The floods are played to the library on the 32-bit virtual machine, with a heap of 128 KiB.
"""

import contextlib
import inspect
import re
import socket
import zlib

import microws
import pytest
from microws import aio
from microws.core import Connection

from host_tests.library.endpoints import PROGRAMS
from host_tests.support.interpreters import INTERPRETERS, PATIENCE
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port
from host_tests.support.wire import (
    BINARY,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
    frames,
    request,
    response,
)

BOARD = INTERPRETERS["micropython32"]
PACKED = zlib.compress(bytes(1_000_000), wbits=-10)

# Where a bound is given, its name and its default. Bytes and seconds.
DEFAULTS = [
    (microws.connect, "max_header", 4096),
    (microws.connect, "max_fields", 64),
    (microws.listen, "max_header", 4096),
    (microws.listen, "max_fields", 64),
    *(
        (function, name, default)
        for function in (microws.connect, microws.listen, aio.connect, aio.serve, Connection)
        for name, default in (
            ("max_size", 65536),
            ("max_fragments", 1024),
            ("write_size", 4096),
            ("message_timeout", 60),
        )
    ),
    (microws.connect, "timeout", 10),
    (microws.connect, "close_timeout", 10),
    (microws.listen, "handshake_timeout", 10),
    (microws.listen, "close_timeout", 10),
    (aio.connect, "timeout", 10),
    (aio.connect, "close_timeout", 10),
    (aio.connect, "keepalive_timeout", 40),
    (aio.serve, "handshake_timeout", 10),
    (aio.serve, "close_timeout", 10),
    (aio.serve, "keepalive_timeout", 40),
    (aio.serve, "max_clients", 8),
    (aio.serve, "max_pending", 8),
    (aio.serve, "max_backlog", 4096),
    (aio.serve, "max_body", 0),
]


@pytest.mark.parametrize(("where", "name", "default"), DEFAULTS)
def test_default(where, name, default):
    assert inspect.signature(where).parameters[name].default == default
    assert f"| `{name}` | {default} " in (TOP / "lib" / "README.md").read_text("utf-8")


# Floods. All but ``room`` bytes of the heap are taken, so that what needs more fails otherwise.

ON_THE_BOARD = """
import gc
taken = [None] * 4000  # in one piece, before the compiler leaves the heap in small ones
for name in ("core", "handshake", "client_handshake", "server_handshake", "compression"):
    __import__("microws." + name)
    gc.collect()
from microws import client_handshake
from microws.compression import Deflate
from microws.core import ENDED, MESSAGE, READ, Connection, close_payload
from microws.errors import HandshakeError
from microws.server_handshake import ServerHandshake, accepting

class Wire:
    incoming = b""
    at = 0
    writes = True
    def readinto(self, buffer, n):
        n = min(n, len(self.incoming) - self.at)
        if n == 0:
            return None
        memoryview(buffer)[:n] = memoryview(self.incoming)[self.at : self.at + n]
        self.at += n
        return n
    def write(self, buffer, at, n):
        return n if self.writes else None
    def setblocking(self, flag):
        pass
    def setsockopt(self, *option):
        pass
    def connect(self, address):
        pass
    def close(self):
        pass

class Sockets:
    SOCK_STREAM = 1
    def getaddrinfo(self, host, port, *kind):
        return [(2, 1, 6, "", (host, port))]
    def socket(self, *kind):
        return Wire()

class Side:
    error = None
    def __init__(self, ws, steps):
        self.ws = ws
        self.steps = steps

def opened(extension=None, **limits):
    ws = Connection(True, 10, **limits)
    ws._sock = Wire()
    ws._start(0, 0)
    if extension:
        extension.begin(ws)
    return Side(ws, ws._receiver)

def accepts(max_header=4096):
    ws = Connection(False, 10)
    address = ("192.0.2.1", 5)
    return Side(ws, accepting(ws, Wire(), address, ServerHandshake(), None, max_header, 64))

def connects():
    ws = Connection(True, 10)
    steps = client_handshake.connecting(
        ws, "ws://h", (), None, (), None, 4096, 64, Sockets()
    )
    return Side(ws, steps)

def feed(p, data, writes=True):
    ws = p.ws
    try:
        step = 0
        while p.error is None and step != ENDED:
            if step <= READ and ws._sock and ws._sock.at == len(ws._sock.incoming):
                if data is None:
                    return
                ws._sock.incoming = data
                ws._sock.at = 0
                ws._sock.writes = writes
                data = None
            step = next(p.steps)
            if step == MESSAGE:
                ws._data = None
                ws._receive_to(None)
        p.error = p.error or ws._closed()
    except HandshakeError as error:
        p.error = error

def told(p):
    error = p.error
    print(getattr(error, "status", getattr(error, "code", None)), getattr(error, "reason", ""))

def leave(room):
    gc.collect()
    kept = bytearray(room)
    at = 0
    for size in (1000, 200, 50, 10):
        try:
            while True:
                taken[at] = bytearray(size)
                at += 1
        except MemoryError:
            pass
    kept = None
"""

# The bytes of heap that there are, what is done with them, and how it ends.
FLOODS = {
    # While it grows there are an old head and a new one.
    "a header line without an end": (
        14000,
        r"""
p = accepts()
feed(p, b"GET / HTTP/1.1\r\nX: ")
for _ in range(1000):
    feed(p, b"x" * 100)
""",
        "431 header over 4096 bytes",
    ),
    "header fields without an end": (
        6000,
        r"""
p = accepts()
feed(p, b"GET / HTTP/1.1\r\n")
for i in range(1000):
    feed(p, b"a%d:b\r\n" % i)
""",
        "431 over 64 header fields",
    ),
    "a response without an end": (
        14000,
        r"""
p = connects()
for i in range(1000):
    feed(p, b"x" * 100)
""",
        "0 header over 4096 bytes",
    ),
    "a frame of 2 to the power of 63 bytes": (
        5000,
        r"""
p = opened()
feed(p, b"\x82\x7f\x7f" + b"\xff" * 7)
""",
        "1009 message too big",
    ),
    "a frame of 2 GiB": (
        5000,
        r"""
p = opened()
feed(p, b"\x82\x7f\0\0\0\0\x80\0\0\0")
""",
        "1009 message too big",
    ),
    # While it grows there are an old part of it and a new one: less than twice max_size.
    "a message in fragments, one too many": (
        14000,
        r"""
p = opened(max_size=5000)
feed(p, b"\x02\0")
piece = b"\0\x7e\x01\0" + bytes(256)
for _ in range(1000):
    feed(p, piece)
""",
        "1009 message too big",
    ),
    "a million empty fragments": (
        6000,
        r"""
p = opened()
feed(p, b"\x01\0")
many = b"\0\0" * 500
for _ in range(2000):
    feed(p, many)
""",
        "1008 over 1024 fragments",
    ),
    "a fragment for each byte": (
        9000,
        r"""
p = opened()
feed(p, b"\x01\0")
for _ in range(1024):
    feed(p, b"\0\x01a")
""",
        "1008 over 1024 fragments",
    ),
    "empty fragments, as many as may be": (
        6000,
        r"""
p = opened(max_fragments=100002)
feed(p, b"\x01\0")
many = b"\0\0" * 500
for _ in range(200):
    feed(p, many)
assert p.error is None
feed(p, b"\0\0" * 2)
""",
        "1008 over 100002 fragments",
    ),
    # What waits grows with none of the next four: of the Pongs only the newest is kept
    # (RFC 6455 5.5.3), and after a Close nothing is read. So control frames need no bound.
    "pings to one whose answers nobody reads": (
        7000,
        r"""
p = opened()
many = (b"\x89\x7d" + b"p" * 125) * 8
for _ in range(2000):
    feed(p, many, False)
""",
        "None ",
    ),
    "pings within a message": (
        7000,
        r"""
p = opened()
feed(p, b"\x01\x03abc")
many = b"\x89\x01p" * 300
for _ in range(200):
    feed(p, many)
feed(p, b"\x80\0")
""",
        "None ",
    ),
    "pongs that nobody asked for": (
        6000,
        r"""
p = opened()
many = b"\x8a\0" * 500
for _ in range(400):
    feed(p, many)
""",
        "None ",
    ),
    "messages while closing": (
        7000,
        r"""
p = opened()
p.steps = p.ws._close(close_payload(1000, ""))
many = b"\x82\x7e\x04\0" + bytes(1024)
for _ in range(500):
    feed(p, many)
""",
        "None ",
    ),
    # The bound holds for what is inflated. The window takes 1 KiB.
    "a message that inflates to a million bytes": (
        13000,
        f"""
p = opened(Deflate(10), max_size=2000)
feed(p, {frame(BINARY, PACKED, rsv=4)})
""",
        "1009 message too big",
    ),
    "a message for which there is no memory": (
        12000,
        r"""
p = opened(max_size=1 << 20)
feed(p, b"\x82\x7f\0\0\0\0\0\x04\0\0")
""",
        "1009 no memory for the message",
    ),
    "fragments for which there is no memory": (
        12000,
        r"""
p = opened(max_size=1 << 20)
feed(p, b"\x02\0")
piece = b"\0\x7e\x01\0" + bytes(256)
for _ in range(1000):
    feed(p, piece)
""",
        "1009 no memory for the message",
    ),
    "a compressed message for which there is no memory": (
        9000,
        f"""
p = opened(Deflate(10), max_size=1 << 20)
feed(p, {frame(BINARY, PACKED, rsv=4)})
""",
        "1009 no memory for the message",
    ),
    "a request for which there is no memory": (
        6000,
        r"""
p = accepts(max_header=20000)
feed(p, b"GET / HTTP/1.1\r\nX: ")
for _ in range(100):
    feed(p, b"x" * 100)
""",
        "503 out of memory",
    ),
}


@pytest.mark.parametrize(("room", "flood", "ending"), FLOODS.values(), ids=FLOODS)
def test_flood_stays_in_its_room(room, flood, ending):
    program = f"{ON_THE_BOARD}leave({room})\ngc.collect()\n{flood}\ntold(p)\n"
    result = BOARD.run("-c", program)
    assert (result.stdout.strip("\n"), result.stderr) == (ending, "")


# MicroPython's poll() crashes after a register() for which memory ran out half-way.
WAITS = """
import gc
taken = [None] * 4000  # in one piece, before the compiler leaves the heap in small ones
import socket
import asyncio
from asyncio import core
for name in ("core", "aio_connection"):
    __import__("microws." + name)
    gc.collect()
from microws.aio_connection import SocketWaiter

waits = [SocketWaiter(socket.socket()) for _ in range(100)]

def fill():
    at = 0
    for size in (2000, 200, 50, 17, 1, 1):
        gc.collect()  # of what the last MemoryError took
        try:
            while True:
                taken[at] = bytearray(size)
                at += 1
        except MemoryError:
            pass
    return at

async def main():
    short = 0
    for i, wait in enumerate(waits):
        # With memory for everything, its reserve with it, then with that of so many blocks.
        wait._enter(0)
        wait._unregister()
        gc.collect()
        at = fill()
        for j in range(at - i % 25, at):
            taken[j] = None
        gc.collect()
        try:
            wait._enter(0)
        except MemoryError:
            short += 1
        for j in range(at):
            taken[j] = None
        core._io_queue.poller.poll(0)
    held = len(core._io_queue.map)
    print(short + held, "waits,", "some" if held else "none", "held")

asyncio.run(main())
"""


def test_a_wait_for_which_there_is_no_memory_harms_no_other():
    result = BOARD.run("-c", WAITS)
    assert (result.stdout, result.stderr) == ("100 waits, some held\n", "")


# MicroPython keeps for ever each name, and each single character, that it makes a str of.
NAMES = """
import micropython
from firmware.log import printable
from microws.client_handshake import _check
from microws.server_handshake import ServerHandshake
from microws.url import parse_url

def hear(i):
    code = 0x4E00 + i
    one = bytes((0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F))
    printable(str(one + one, "utf-8"))
    letters = bytes((33 + i % 94, 33 + i // 2 % 94))
    parse_url("ws://a/" + str(letters, "ascii").replace("#", "-"))
    fields = b"Host: a\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    fields += b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAA" + letters
    for fields in (fields + b"AA==", letters + b": " + letters, b""):
        for respond, line in (
            (ServerHandshake().respond, b"GET /" + letters + b" HTTP/1.1\\r\\n"),
            (ServerHandshake().respond, letters + b" / HTTP/1.1\\r\\n"),
            (lambda head: _check(head, "key", (), None), b"HTTP/1.1 101 OK\\r\\n"),
        ):
            try:
                respond(line + fields)
            except Exception as error:
                if type(error).__name__ != "HandshakeError":
                    raise

hear(0)
micropython.qstr_info()
for i in range(1, 400):
    hear(i)
micropython.qstr_info()
"""


def test_what_peers_say_leaves_no_names_behind():
    result = BOARD.run("-c", NAMES)
    counts = [int(count) for count in re.findall(r"n_qstr=(\d+)", result.stdout)]
    assert result.stderr == ""
    assert len(counts) == 2
    assert counts[0] == counts[1]


# Through sockets: what strikes a bound ends one connection, and the others go on

SERVER = """
import sys
import microws
front, port, options = sys.argv[1:]
options = eval(options)
timeout = options.pop("recv", None)  # of each recv(), in seconds

if front == "blocking":
    listener = microws.listen("127.0.0.1", int(port), **options)
    print("listening")
    while True:
        ws = listener.accept()
        try:
            while True:
                try:
                    ws.send(ws.recv(timeout))
                except microws.Timeout:
                    pass
        except microws.WebSocketError as error:
            print(repr(error))
else:
    import asyncio
    from microws import aio

    async def echo(ws):
        try:
            while True:
                try:
                    await ws.send(await ws.recv(timeout))
                except microws.Timeout:
                    pass
        except microws.WebSocketError as error:
            print(repr(error))

    async def main():
        server = await aio.serve(echo, "127.0.0.1", int(port), **options)
        print("listening")
        await server.wait_closed()
        await asyncio.Event().wait()

    asyncio.run(main())
"""


class Peer:
    """A client that may send anything."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.sock.close()

    def open(self):
        self.sock.sendall(request())
        return self.head()

    def head(self):
        while b"\r\n\r\n" not in self.data:
            self.data += self.some()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0].decode()

    def some(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("the connection ended")
        return data

    def rest(self):
        """All frames up to the end of the stream."""
        while data := self.sock.recv(65536):
            self.data += data
        return frames(self.data)[0]

    def echo(self, message):
        self.sock.sendall(frame(TEXT, message, True))
        wanted = frame(TEXT, message)
        while len(self.data) < len(wanted):
            self.data += self.some()
        assert self.data == wanted
        self.data = b""


@pytest.fixture(params=["blocking", "asyncio"])
def serve(request, start):
    def serve_with(**options):
        port = free_port()
        process = start(BOARD.command("-c", SERVER, request.param, port, options))
        process.wait_for("listening")
        return port, process

    serve_with.front = request.param
    return serve_with


def test_no_memory_for_a_message_ends_its_connection_only(serve):
    port, process = serve(max_size=1 << 20)
    others = []
    if serve.front == "asyncio":
        others.append(Peer(port))
        others[0].open()
    endings = set()
    # Somewhere on this way there is room for the bytes of a message, but not for its str.
    for size in [*range(6000, 60000, 3000), 1 << 19]:
        with Peer(port) as peer:
            peer.open()
            peer.sock.sendall(frame(TEXT, b"m" * size, True)[: 60000 + 14])
            while len(peer.data) < 4:
                peer.data += peer.some()
            if peer.data[0] == 0x81:
                endings.add("echo")
                while len(peer.data) < size + 4:
                    peer.data += peer.some()
                peer.sock.sendall(close_frame(1000, "", True))
            else:
                endings.add("1009")
                assert frames(peer.data)[0][0][2][:2] == (1009).to_bytes(2, "big")
                process.wait_for("no memory for the message")
        for other in others:
            other.echo(b"here I am")
    assert endings == {"echo", "1009"}
    for other in others:
        other.sock.close()


def test_message_past_max_size_ends_its_connection_only(serve):
    port, _ = serve(max_size=100)
    for _ in range(3):
        with Peer(port) as peer:
            peer.open()
            peer.echo(b"m" * 100)
            peer.sock.sendall(frame(TEXT, b"m" * 101, True))
            assert peer.rest()[0][2][:2] == (1009).to_bytes(2, "big")


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nHost: h"])
def test_handshake_has_its_time(serve, begin):
    port, _ = serve(handshake_timeout=0.3)
    with Peer(port) as silent:
        silent.sock.sendall(begin)
        assert silent.sock.recv(1) == b""
    with Peer(port) as peer:
        peer.open()
        peer.echo(b"next")


def trickle(sock):
    """Send one more byte; whether the connection has ended."""
    try:
        sock.sendall(b"G")
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_handshake_that_comes_drop_by_drop_has_no_more_time(serve):
    port, _ = serve(handshake_timeout=0.3)
    with Peer(port) as slow:
        slow.sock.settimeout(0.02)
        assert any(trickle(slow.sock) for _ in range(10000))
    with Peer(port) as peer:
        peer.open()
        peer.echo(b"next")


# What begins a message, and what comes again and again and does not end it.
DROPS = {
    "bytes": (frame(BINARY, bytes(6000), True)[:8], b"a"),
    "fragments": (frame(TEXT, b"a", True, False), frame(0, b"a", True, False)),
    "pings": (frame(TEXT, b"a", True, False), frame(PING, b"", True)),
}


# A program that looks after something else now and then gives its peer no more time.
RECV = pytest.mark.parametrize("recv", [{}, {"recv": 0.01}], ids=["patient", "impatient"])


@RECV
@pytest.mark.parametrize(("begin", "drop"), DROPS.values(), ids=DROPS)
def test_message_has_its_time(serve, begin, drop, recv):
    port, process = serve(message_timeout=0.3, max_fragments=1 << 20, **recv)
    with Peer(port) as slow:
        slow.open()
        slow.sock.sendall(begin)
        slow.sock.settimeout(0.02)
        closing = close_frame(1008, "message takes too long")
        while closing not in slow.data:
            try:
                slow.data += slow.some()
            except TimeoutError:
                slow.sock.sendall(drop)
    process.wait_for("ProtocolError(1008")
    with Peer(port) as peer:
        peer.open()
        peer.echo(b"next")


def test_recv_has_its_time_where_the_peer_takes_no_answers():
    with contextlib.closing(microws.listen("127.0.0.1", 0)) as listener, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", listener.port))
        peer.sendall(request())
        with listener.accept(timeout=PATIENCE) as ws:
            ws._sock.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            while not ws._busy:  # nothing waits to be sent
                peer.sendall(frame(PING, b"p" * 125, True) * 40)
                with pytest.raises(microws.Timeout):
                    ws.recv(0.001)
            with pytest.raises(microws.Timeout):
                ws.recv(0.1)
            peer.sendall(frame(TEXT, b"still here", True))
            assert ws.recv(PATIENCE) == "still here"
            peer.shutdown(socket.SHUT_WR)


def test_flood_of_pings_leaves_others_their_turn(start):
    port = free_port()
    process = start(BOARD.command("-c", SERVER, "asyncio", port, {}))
    process.wait_for("listening")
    flood = frame(PING, b"p" * 125, True) * 100
    with Peer(port) as flooding, Peer(port) as other:
        flooding.open()
        other.open()
        flooding.sock.setblocking(False)
        for _ in range(20):
            with contextlib.suppress(BlockingIOError):
                while True:
                    flooding.sock.send(flood)
            other.echo(b"here I am")


def test_connections_in_their_handshake_are_bounded(start):
    port = free_port()
    process = start(BOARD.command("-c", SERVER, "asyncio", port, {"max_pending": 2}))
    process.wait_for("listening")
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Peer(port)) for _ in range(4)]
        # For the third and the fourth the first two make room, in this order.
        assert silent[0].sock.recv(1) == b""
        assert silent[1].sock.recv(1) == b""
        # Who says something goes on, and makes room by the end of its handshake.
        silent[3].open()
        silent[3].echo(b"fourth")
        silent[2].open()
        silent[2].echo(b"third")
        for _ in range(4):
            stack.enter_context(Peer(port))
        for peer in silent[2:]:
            peer.echo(b"still here")


def test_client_past_max_clients_is_told_so(start):
    port = free_port()
    process = start(BOARD.command("-c", SERVER, "asyncio", port, {"max_clients": 1}))
    process.wait_for("listening")
    with Peer(port) as first, Peer(port) as second:
        assert first.open().split()[1] == "101"
        first.echo(b"here I am")
        assert second.open().split()[1] == "503"
        first.echo(b"still here")


BROADCASTS = """
import gc
import sys
message = bytes(int(sys.argv[3]))
room = bytearray(3 * len(message) + 50)  # for frames, before the compiler leaves small pieces
for name in ("core", "handshake", "server_handshake", "aio_connection", "aio_server"):
    __import__("microws." + name)
    gc.collect()
import asyncio
import microws
from microws import aio
room = None

async def handler(ws):
    if len(server.clients) == 1:
        ws._sock.setsockopt(1, 7, 1)  # SO_SNDBUF: it takes a part of a large frame
    try:
        await ws.recv()
    except microws.WebSocketError:
        pass

async def main():
    global server
    port, slow = sys.argv[1:3]
    server = await aio.serve(handler, "127.0.0.1", int(port), slow=slow, close_timeout=0.3)
    print("listening")
    while len(server.clients) < 2:
        await asyncio.sleep(0.01)
    most = [0, 0]
    gc.collect()
    before = gc.mem_alloc()
    while len(server.clients) == 2 and sum(ws.dropped for ws in server.clients) < 100:
        server.broadcast(message)
        for ws in server.clients:
            most[1] = max(most[1], ws._waiting_bytes)
        gc.collect()
        most[0] = max(most[0], gc.mem_alloc() - before)
        await asyncio.sleep(0)
    print("over with", len(server.clients), *most)
    server.broadcast("over")
    await server.wait_closed()

asyncio.run(main())
"""


def hear(peer, message):
    """Nothing but this message, each a whole frame, and in the end a text."""
    over = frame(TEXT, b"over")
    data = bytearray(peer.data)
    while not data.endswith(over):
        data += peer.some()
    whole = frame(BINARY, message)
    assert data == whole * (len(data) // len(whole)) + over


@pytest.mark.parametrize("size", [1000, 6000])
@pytest.mark.parametrize(("slow", "left"), [("drop", 2), ("close", 1)])
def test_broadcasts_for_a_client_that_does_not_read_stay_in_their_bound(start, slow, left, size):
    port = free_port()
    process = start(BOARD.command("-c", BROADCASTS, port, slow, size))
    process.wait_for("listening")
    with Peer(port) as lazy, Peer(port) as other:
        lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        lazy.open()
        other.open()
        hear(other, bytes(size))
        in_all, in_backlog = process.wait_for(f"over with {left}").split()[-2:]
        # Two transmit buffers, the frame that is half-way, the backlog, and what little more.
        assert int(in_all) <= 2 * (16 + 4096) + size + 4096 + 2048
        assert int(in_backlog) <= 4096
        if slow == "drop":
            hear(lazy, bytes(size))


def test_no_memory_for_the_rest_of_a_broadcast_ends_its_client_only():
    result = BOARD.run(PROGRAMS / "broadcasts.py", free_port(), timeout=120)
    assert (result.stderr, result.stdout.split()) == ("", ["ended", "not", "sent"])


@RECV
def test_silent_client_has_its_time(start, recv):
    port = free_port()
    options = {"keepalive_timeout": 0.4, **recv}
    process = start(BOARD.command("-c", SERVER, "asyncio", port, options))
    process.wait_for("listening")
    with Peer(port) as silent, Peer(port) as lively:
        silent.open()
        lively.open()
        ended = False
        while not ended:
            # It is sent Pings, and answers.
            lively.data += lively.some()
            lively.data = b""
            lively.sock.sendall(frame(PONG, b"", True))
            silent.sock.settimeout(0.01)
            try:
                data = silent.sock.recv(65536)
                ended = data == b""
                silent.data += data
            except TimeoutError:
                continue
        assert {opcode for opcode, _, _ in frames(silent.data)[0]} == {PING}
        process.wait_for("ConnectionClosed(1006")
        lively.sock.sendall(frame(TEXT, b"still here", True))
        while not lively.data.endswith(frame(TEXT, b"still here")):
            lively.data += lively.some()


CLOSING = """
import sys
import microws
ws = microws.connect(sys.argv[1], close_timeout=0.3)
ws.close()
print("closed", ws.close_code)
"""


def ended(sock, data):
    try:
        sock.sendall(data)
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("flood", [b"", frame(BINARY, bytes(1000))], ids=["silence", "messages"])
def test_close_has_its_time(start, flood):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"
        process = start(BOARD.command("-c", CLOSING, url))
        listening.settimeout(PATIENCE)
        sock, _ = listening.accept()
        with sock:
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):
                asked += sock.recv(1000)
            sock.sendall(response(asked))
            while flood and not ended(sock, flood):
                pass
            process.wait_for("closed 1006")
