"""The asyncio front where tasks, time-outs, resets and cancellations meet; see programs/.

On MicroPython with asyncio's queue of sockets changed, and as it is: see ``_ioqueue.py``.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import ssl
import threading
import time

import microws
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from microws import aio, client_handshake
from websockets.sync.server import serve as serve_websockets

from host_tests.library.endpoints import PROGRAMS
from host_tests.support.interpreters import INTERPRETERS, Interpreter
from host_tests.support.misbehaving import reset
from host_tests.support.ports import free_port
from host_tests.support.wire import PING, TEXT, frame, request, response

MICROPYTHONS = {name: it for name, it in INTERPRETERS.items() if name != "cpython"}


class WithPlainQueue:
    """A MicroPython whose asyncio has a queue that the library does not know."""

    def __init__(self, interpreter):
        self._interpreter = interpreter

    def command(self, script, *args):
        return self._interpreter.command(PROGRAMS / "plain.py", script, *args)

    def run(self, script, *args, **options):
        return self._interpreter.run(PROGRAMS / "plain.py", script, *args, **options)


PLAYERS = {
    **INTERPRETERS,
    # Two programs are compiled one after the other.
    "micropython32-plain": WithPlainQueue(Interpreter("micropython32", "-X", "heapsize=160k")),
}


@pytest.fixture(params=PLAYERS.values(), ids=PLAYERS.keys())
def player(request):
    return request.param


@pytest.mark.parametrize("role", ["client", "server"])
def test_every_end_meets_every_other(player, role):
    result = player.run(PROGRAMS / "ends.py", free_port(), role, timeout=240)
    assert result.stdout.splitlines()[-1:] == ["0 failed"], result.stdout + result.stderr


def numbered(n, seed):
    """A stream of ``n`` messages, in frames and with Pings between, cut at random."""
    choose = random.Random(seed)
    data = b""
    for i in range(n):
        message = b"%d " % i + b"x" * choose.choice((0, 1, 5, 100, 119, 500, 1200))
        if choose.random() < 0.1:
            data += frame(PING, b"ping")
        if choose.random() < 0.2:
            at = choose.randrange(len(message) + 1)
            data += frame(TEXT, message[:at], fin=False) + frame(PING, b"in")
            data += frame(0, message[at:])
        else:
            data += frame(TEXT, message)
    data += frame(TEXT, b"end")
    while data:
        size = choose.choice((1, 2, 3, 7, 50, 300, 1500, 4000))
        yield data[:size], choose.random() * 0.004 if choose.random() < 0.25 else 0
        data = data[size:]


def opened(listening, context=None):
    """A connection that came, its handshake done; its path."""
    sock, _ = listening.accept()
    sock.settimeout(20)
    if context:
        sock = context.wrap_socket(sock, server_side=True)
    asked = b""
    while not asked.endswith(b"\r\n\r\n"):
        asked += sock.recv(1000)
    sock.sendall(response(asked))
    return sock, asked.split()[1]


def test_the_keepalive_outlasts_a_beat_without_memory(player, start):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        port = listening.getsockname()[1]
        process = start(player.command(PROGRAMS / "no_memory.py", port, free_port()))
        with opened(listening)[0]:
            assert process.wait(60) == 0, process.output
    assert process.lines == ["1006", "1006", "2"]


@pytest.mark.parametrize("seed", [1, 2])
def test_calls_that_are_given_up_lose_nothing(player, start, seed):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        port = listening.getsockname()[1]
        process = start(player.command(PROGRAMS / "stress.py", port, seed))
        sock, _ = opened(listening)
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for data, pause in numbered(400, seed):
                sock.sendall(data)
                time.sleep(pause)
            process.wait_for("400 messages, some given up", 60)


@pytest.mark.parametrize("name", MICROPYTHONS)
@pytest.mark.parametrize(("queue", "writer"), [("changed", "goes on"), ("plain", "hangs")])
def test_what_asyncio_has_itself_goes_on_beside(name, queue, writer):
    one = Interpreter(name, "-X", "heapsize=1M")
    if queue == "plain":
        one = WithPlainQueue(one)
    ports = [free_port() for _ in range(3)]
    result = one.run(PROGRAMS / "streams.py", *ports, timeout=60)
    wanted = [f"the writer {writer}".replace("goes", "went"), "0 failed"]
    assert result.stdout.splitlines() == wanted, result.stdout + result.stderr


# What arrived before a reset

MESSAGES = 60  # more than the read buffer takes


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    der = load_pem_x509_certificate(ca.cert_pem.bytes()).public_bytes(Encoding.DER)
    (folder / "ca.der").write_bytes(der)
    certificate = ca.issue_cert("localhost")
    (folder / "localhost.pem").write_bytes(
        b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    )
    certificate.private_key_pem.write_to_path(folder / "localhost.key")
    return folder


def reset_behind_messages(sock, masked):
    # Nothing is held back, for a reset would take it along.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"".join(frame(TEXT, b"number %2d" % i, masked) for i in range(MESSAGES)))
    reset(sock)


@pytest.fixture(params=["plain", "tls"])
def secure(request):
    return request.param == "tls"


def roomy(player):
    """TLS takes more memory."""
    if player is PLAYERS["micropython32"]:
        return Interpreter("micropython32", "-X", "heapsize=512k")
    if player is PLAYERS["micropython32-plain"]:
        return WithPlainQueue(roomy(PLAYERS["micropython32"]))
    return player


def test_server_gives_what_arrived_before_a_reset(player, start, files, secure):
    port = free_port()
    pair = (files / "localhost.pem", files / "localhost.key") if secure else ()
    process = start(roomy(player).command(PROGRAMS / "arrived.py", "server", port, *pair))
    process.wait_for("listening")

    def connect(path):
        sock = socket.create_connection(("127.0.0.1", port), 20)
        if secure:
            context = ssl.create_default_context(cadata=(files / "ca.der").read_bytes())
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(request(path=path))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        return sock

    sock = connect("/")
    sock.sendall(frame(TEXT, b"begin", True))
    process.wait_for("begun")
    reset_behind_messages(sock, True)
    connect("/arrived").close()
    process.wait_for(f"given {MESSAGES} then 1006")


def test_client_gives_what_arrived_before_a_reset(player, start, files, secure):
    context = None
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files / "localhost.pem", files / "localhost.key")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        port = listening.getsockname()[1]
        ca = (files / "ca.der",) if secure else ()
        process = start(roomy(player).command(PROGRAMS / "arrived.py", "client", port, *ca))
        sock, _ = opened(listening, context)
        sock.sendall(frame(TEXT, b"begin"))
        reset_behind_messages(sock, False)
        second, path = opened(listening, context)
        assert path == b"/arrived"
        process.wait_for(f"given {MESSAGES} then 1006")
        second.close()


# Ctrl-C


class Struck:
    """A socket one of whose calls is struck by Ctrl-C, before it or after it."""

    def __init__(self, sock):
        self._sock = sock
        self.strike = None  # the number of the call
        self.after = False
        self.number = 0
        self.struck = ""

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def _call(self, name, *args):
        mine = self.number == self.strike
        self.number += 1
        if mine:
            self.struck = name
            if not self.after:
                raise KeyboardInterrupt
        result = getattr(self._sock, name)(*args)
        if mine:
            raise KeyboardInterrupt
        return result

    def readinto(self, *args):
        return self._call("readinto", *args)

    def write(self, *args):
        return self._call("write", *args)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_ctrl_c_ends_the_connection_it_strikes(monkeypatch, after):
    monkeypatch.setattr(client_handshake, "adapt", lambda sock: Struck(adapt(sock)))
    heard = []

    def echo(ws):
        with contextlib.suppress(Exception):
            for message in ws:
                ws.send(message)
        heard.append(ws.close_code)

    async def talk(ws):
        for size in (5, 100, 3000):
            await ws.send("x" * size)
            await ws.recv()
            await ws.send(["x" * size, "y"])
            await ws.recv(timeout=20)

    async def check(ws):
        assert ws.close_code == 1006
        for call in (ws.recv, ws.ping, lambda: ws.send("x"), lambda: ws.recv(timeout=1)):
            with pytest.raises(microws.ConnectionClosed) as caught:
                await call()
            assert caught.value.code == 1006
        await ws.close(1001)

    struck = set()
    with serve_websockets(echo, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        for at in itertools.count():
            loop = asyncio.new_event_loop()
            ws = loop.run_until_complete(aio.connect(url, close_timeout=0.2).__aenter__())
            sock = ws._sock
            sock.after = after
            sock.strike = sock.number + at
            try:
                loop.run_until_complete(talk(ws))
            except KeyboardInterrupt:
                struck.add(sock.struck)
                ended = len(heard)
                loop.run_until_complete(check(ws))
                while len(heard) == ended:
                    time.sleep(0.001)
                # Where it struck a frame half-way, a Close cannot follow.
                assert heard[-1] == (1001 if sock.struck == "readinto" else 1006)
            else:
                break
            finally:
                sock.strike = None
                loop.run_until_complete(ws.close())
                loop.close()
        server.shutdown()
    assert struck == {"readinto", "write"}


adapt = client_handshake.adapt
