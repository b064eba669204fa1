"""The server role for many: plain requests, counters, chat, slow and hostile clients."""

import gzip
import http.client
import json
import os
import re
import resource
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from host_tests.deploy import virtual
from host_tests.support import misbehaving
from host_tests.support.interpreters import BOARDS, PATIENCE, environment
from host_tests.support.paths import TOP
from host_tests.support.process import Process
from host_tests.support.wire import close_frame, request

PAGE = (TOP / "firmware" / "page.html").read_bytes()


class Board:
    """A virtual board in the server role, on MicroPython with 32 bits and a board's heap."""

    def __init__(self, folder, start, settings, program=None, sockets=None):
        self.port = virtual.choose_port(0)
        settings = {"sample_interval": 0.05, **settings, "port": self.port}
        self.files = virtual.Board("board", folder, settings).folder
        micropython = BOARDS["micropython32"]
        command = (
            micropython.command("-c", program) if program else micropython.command(virtual.START)
        )
        env = environment(self.files, self.files / "lib", virtual.START.parent)
        self.process = start(command, env, self.files)
        self.wait_for = self.process.wait_for
        self.wait_for("listening on ws://127.0.0.1:")
        if sockets:  # in all, one of which it listens with
            most = self.files_open() - 1 + sockets
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (most, most))

    def connect(self, path="/"):
        return connect(f"ws://127.0.0.1:{self.port}{path}", compression=None)

    def get(self, path="/", method="GET", body=None, headers=()):
        """The response to a request, and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with closing(connection):
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response, response.read()

    def metrics(self):
        return json.loads(self.get("/metrics")[1])

    def metrics_once(self, fits):
        """The counters, once they are as wanted."""
        deadline = time.monotonic() + PATIENCE
        metrics = None
        while True:
            # While it has its hands full, it may close, or say so, instead of giving them.
            with suppress(ConnectionError, http.client.HTTPException, json.JSONDecodeError):
                if fits(metrics := self.metrics()):
                    return metrics
            assert time.monotonic() < deadline, json.dumps([metrics, self.files_open()])

    def files_open(self):
        """How many files and sockets its process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@pytest.fixture
def board(start, tmp_path):
    """`board(setting=...)` starts one with these settings."""

    def start_board(program=None, sockets=None, **settings):
        return Board(tmp_path / "board", start, settings, program, sockets)

    return start_board


def next_text(client):
    """The next message that is no value."""
    while re.fullmatch(r"pin0:\d+", message := client.recv(PATIENCE)):
        pass
    return message


# Plain requests


def test_the_page_comes_compressed_to_who_takes_that(board):
    running = board()
    with misbehaving.raw(running.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: board\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n")
        wire = b"".join(iter(lambda: sock.recv(4096), b""))
    head, _, body = wire.partition(b"\r\n\r\n")
    assert len(body) <= 14_336  # what a new TCP connection takes at once
    assert b"\r\nContent-Encoding: gzip\r\n" in head
    assert gzip.decompress(body) == PAGE
    for accepted in ("", "br", "gzip;q=0", "identity, gzip; q=0"):
        response, body = running.get(headers={"Accept-Encoding": accepted})
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "Content-Encoding" not in response.headers
        assert body == PAGE
    (running.files / "page.html.gz").unlink()
    assert running.get(headers={"Accept-Encoding": "gzip"})[1] == PAGE
    (running.files / "page.html").unlink()
    response, body = running.get()
    assert (response.status, body[:8]) == (404, b"this boa")


def test_the_page_loads_nothing_from_elsewhere():
    assert b"://" not in PAGE
    assert re.findall(rb"\b(?:src|href|action|url|@?import)\b *[=(].*", PAGE) == [
        b'href="data:,">'
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/config.json", "/page.html", "/firmware/page.html", "/firmware/page.html.gz", "//",
        "/./", "/../config.json", "/%2e%2e/config.json", "/..%2fconfig.json", "/%2f",
        "/index.html", "/metrics/", "/metrics/../config.json", "/favicon.ico", "//config.json",
        "/" + "x" * 1000, "http://board/config.json", "http://board/../main.py",
    ],
)  # fmt: skip
def test_nothing_else_is_read(shared, path):
    assert shared.get(path)[0].status == 404
    with pytest.raises(ConnectionError, match=r"HTTP/1\.1 404 "):
        misbehaving.upgraded(shared.port, path)


def test_a_query_changes_nothing(shared):
    assert shared.get("/?file=config.json")[1] == PAGE
    assert json.loads(shared.get("/metrics?config.json")[1])["name"] == "microws"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/config.json"])
def test_other_methods_are_refused(shared, method, path):
    for body in (None, b"text"):
        response, _ = shared.get(path, method, body)
        assert (response.status, response.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/metrics", 200), ("/config.json", 404)]
)
def test_monitors_that_ask_with_head_and_proxies_that_speak_http_1_0(shared, path, status):
    response, body = shared.get(path, "HEAD")
    assert (response.status, body) == (status, b"")
    assert int(response.headers["Content-Length"]) > 0
    for host in (b"", b"Host: board.local\r\n"):
        asked = b"GET %s HTTP/1.0\r\n%s\r\n" % (path.encode(), host)
        with misbehaving.raw(shared.port, asked) as sock:
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.partition(b"\r\n\r\n")[2] != b""


def test_a_browser_with_many_cookies_is_let_in(shared):
    asked = request("Cookie: session=" + "x" * 10000, path="/")
    with misbehaving.raw(shared.port, asked) as sock:
        assert sock.recv(12) == b"HTTP/1.1 101"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One board for tests that leave no trace on it."""
    processes = []

    def start(*args, **options):
        processes.append(Process(*args, **options))
        return processes[0]

    yield Board(tmp_path_factory.mktemp("shared") / "board", start, {})
    processes[0].stop()


def test_the_page_and_the_values_can_have_a_path_of_their_own(board):
    running = board(path="/values")
    assert running.get("/")[1] == running.get("/values")[1] == PAGE
    assert running.metrics()["path"] == "/values"
    with pytest.raises(InvalidStatus, match="404"):
        running.connect("/")
    running.wait_for("refused, / is not here (HTTP 404)")
    with running.connect("/values") as client:
        assert client.recv().startswith("pin0:")


def test_a_flood_of_refusals_does_not_flood_the_log(board):
    running = board()
    for _ in range(30):
        running.get("/other")
    running.wait_for("refused, /other is not here (HTTP 404)")
    running.wait_for("] refused ")
    assert running.metrics()["refused"] == 30


# Counters


def test_the_counters_count(board):
    running = board(hostname="wall", max_clients=2, sample_interval=30)
    before = running.metrics()
    assert before["name"] == "wall"
    assert before["interval"] == 30
    numbers = ("clients", "clients_ever", "messages_in", "messages_out", "dropped", "refused")
    assert [before[name] for name in (*numbers, "flooding", "skipped")] == [0] * 8
    assert 0 < before["heap_free_lowest"] <= before["heap_free"] < 128 * 1024
    with running.connect() as first, running.connect("/?name=x") as second:
        first.send("gr\u00fc\u00df")
        first.send(b"\x00\x01\x02")
        running.wait_for("client 1: received 3 bytes")
        with pytest.raises(InvalidStatus, match="503") as refused:
            running.connect()
        assert int(refused.value.response.headers["Retry-After"]) > 0
        running.wait_for("refused, too many clients, come again later (HTTP 503)")
        metrics = running.metrics()
        assert (metrics["clients"], metrics["max_clients"]) == (2, 2)
        assert (metrics["messages_in"], metrics["bytes_in"]) == (2, 9)
        assert metrics["refused"] == 1
        second.close(4000)
        running.wait_for("client 2: closed with code 4000")
        # The place is free, and whoever wants the counters gets them and no values.
        with running.connect("/metrics") as reader:
            told = json.loads(reader.recv())
            with pytest.raises(ConnectionClosed, match="1000"):
                reader.recv()
        assert told.keys() == metrics.keys()
        assert told["clients"] == 1
    running.wait_for("client 1: closed with code 1000")
    after = running.metrics_once(lambda metrics: metrics["clients"] == 0)
    assert after["closed"] == {"1000": 1, "4000": 1}
    assert after["clients_ever"] == 2
    assert after["uptime"] >= before["uptime"]
    assert after["messages_out"] == 1
    assert after["bytes_out"] == len(json.dumps(told, separators=(", ", ": ")))
    assert after["heap_free_lowest"] < before["heap_free_lowest"]


def test_the_time_to_the_board_and_back_can_be_asked_for(board):
    running = board(sample_interval=30, chat=True)
    with running.connect() as asker, running.connect() as other:
        running.wait_for("client 2: connected")
        asker.send("ping:17")
        assert asker.recv() == "pong:17 clients:2"
        # Nobody else hears of it.
        asker.send("done")
        assert other.recv().endswith(": done")
    assert "ping" not in running.process.output


@pytest.mark.parametrize("code", [1000, 1006])
def test_what_a_client_says_just_before_it_leaves_is_heard(board, code):
    running = board(sample_interval=30)
    with misbehaving.upgraded(running.port) as sock:
        said = b"".join(misbehaving.text_frame(b"command %d" % i) for i in range(30))
        sock.sendall(said + (close_frame(1000, masked=True) if code == 1000 else b""))
    for i in range(30):
        running.wait_for(f"client 1: received command {i}")
    running.wait_for(f"client 1: closed with code {code} ")


# Chat


def test_what_one_says_goes_to_all_the_others(board):
    running = board(chat=True, sample_interval=30)
    name = quote("J\u00f6 %&=\n")
    with (
        running.connect(f"/?x=1&name={name}") as first,
        running.connect("/?name=Ann+Lee") as second,
        running.connect("/?name=%ff") as third,
    ):
        running.wait_for("client 1: connected from 127.0.0.1:")
        running.wait_for("as Ann Lee, handshake done")
        running.wait_for("client 3: connected from 127.0.0.1:")
        first.send("hello \u2713")
        assert second.recv() == third.recv() == "J\u00f6 %&=\\u{a}: hello \u2713"
        second.send(b"\x01\xff")
        assert first.recv() == third.recv() == b"Ann Lee: \x01\xff"
        third.send("")
        address = ":".join(str(part) for part in third.local_address)
        assert first.recv() == second.recv() == address + ": "


def test_a_name_that_somebody_has_gets_a_number(board):
    running = board(chat=True, sample_interval=30)
    with running.connect("/?name=Ann") as first, running.connect("/?name=Ann") as second:
        running.wait_for("as Ann 2, handshake done")
        with running.connect("/?name=Ann+2"):
            running.wait_for("as Ann 2 2, handshake done")
        second.send("hello")
        assert first.recv() == "Ann 2: hello"
        first.close()
        running.wait_for("client 1: closed")
        with running.connect("/?name=Ann"):
            running.wait_for("as Ann, handshake done")


def test_messages_and_requests_may_be_as_long_as_configured(board):
    running = board(chat=True, sample_interval=30, max_size=3000, max_header=600)
    with running.connect() as first, running.connect() as second:
        running.wait_for("client 2: connected")
        first.send("x" * 3000)
        assert next_text(second).endswith(": " + "x" * 3000)
        first.send("x" * 3001)
        running.wait_for("client 1: closed here with code 1009 (message too big)")
    assert running.get(headers={"X-Long": "x" * 600})[0].status == 431


def test_a_flood_of_messages_does_not_flood_the_log(board):
    running = board(TALKATIVE.replace('"received" in text', '"client" in text'))
    with running.connect() as client:
        for _ in range(200):
            client.send("flood")
        running.wait_for("more messages, too many to show")
        client.send("ping:1")
        assert next_text(client).startswith("pong:1")


def test_pages_leave_room_for_long_messages(board):
    running = board(chat=True, sample_interval=30)
    with running.connect() as first, running.connect() as second:
        running.wait_for("client 2: connected")
        for _ in range(10):
            assert running.get()[1] == PAGE
            running.metrics()
            first.send("x" * 2000)
            assert second.recv().endswith(": " + "x" * 2000)


def test_nobody_hears_the_others_unless_that_is_wanted(board):
    running = board()
    with running.connect() as first, running.connect() as second:
        first.send("hello")
        running.wait_for("client 1: received hello")
        for _ in range(3):
            assert second.recv().startswith("pin0:")


def test_boards_chat_with_browsers(board, start, tmp_path):
    running = board(chat=True, sample_interval=30)
    url = f"ws://127.0.0.1:{running.port}/?name=kitchen"
    settings = {"role": "client", "url": url}
    kitchen = virtual.Board("kitchen", tmp_path / "kitchen", settings)
    with running.connect("/?name=Ann") as client:
        running.wait_for("client 1: connected")
        command = BOARDS["micropython32"].command(virtual.START)
        process = start(command, cwd=kitchen.folder)
        assert re.fullmatch(r"kitchen: pin0:\d+", client.recv(PATIENCE))
        client.send("too warm")
        process.wait_for("received Ann: too warm")


# Slow and hostile clients


# No log of messages: a lot is to be said.
TALKATIVE = """
import asyncio, machine
from firmware import config, modules
settings = config.load()
modules.unload()
modules.load_role("server", modules.wanted_by(settings, "server"))
from firmware import clients, server
clients.log = lambda text: None if "received" in text else print(text)
asyncio.run(server.run(settings, int))
"""


@pytest.mark.parametrize("slow", ["drop", "close"])
def test_a_slow_client_is_dealt_with_as_configured(board, slow):
    running = board(TALKATIVE, chat=True, slow=slow)
    with misbehaving.upgraded(running.port, small=True) as sock, running.connect() as talker:
        running.wait_for("client 2: connected")
        dropped = 0
        while not dropped:
            # What fits the buffers on the way depends on the system.
            for _ in range(400):
                talker.send("x" * 500)
            dropped = running.metrics()["dropped"]
        if slow == "drop":
            running.wait_for("client 1: too slow, skipped ")
        else:
            tail = b""
            while not tail.endswith(b"\x88\x0a\x03\xf0too slow"):
                more = sock.recv(65536)
                assert more, tail
                tail = (tail + more)[-100:]
            sock.sendall(close_frame(1008, masked=True))
            running.wait_for("client 1: closed here with code 1008 (policy): too slow")
            metrics = running.metrics_once(lambda metrics: metrics["clients"] == 1)
            assert metrics["closed"] == {"1008": 1}
        talker.send("ping:1")
        assert next_text(talker).startswith("pong:1 clients:")


@pytest.mark.parametrize("flood", ["queue", "newest"])
def test_who_sends_more_than_is_taken_is_told_once_and_the_others_have_their_turn(board, flood):
    running = board(TALKATIVE, flood=flood, chat=True, sample_interval=30)
    stop = threading.Event()
    with misbehaving.upgraded(running.port) as flooding, running.connect() as other:
        running.wait_for("client 2: connected")
        said = b"".join(misbehaving.text_frame(b"x:%d" % i) for i in range(100))

        def send():
            with suppress(OSError):
                while not stop.is_set():
                    flooding.sendall(said)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        running.wait_for("client 1: sends more than this board takes; ")
        for i in range(3):
            other.send(f"ping:{i}")
            while not (message := other.recv(PATIENCE)).startswith("pong:"):
                assert ": x:" in message
            assert message == f"pong:{i} clients:2"
        metrics = running.metrics()
        stop.set()
        flooding.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert metrics["flooding"] == 1
    assert (metrics["skipped"] > 0) == (flood == "newest")
    assert running.process.output.count("sends more than this board takes") == 1


NEWEST = """
import asyncio
from firmware import newest
class Timeout(OSError):
    pass
class Client:
    def __init__(self, *waiting):
        self.waiting = list(waiting)
    async def recv(self, timeout):
        if not self.waiting:
            raise Timeout
        return self.waiting.pop(0)
async def main():
    print(await newest.take(Client("b:1", b"x:1", "no name", "a:2", "no name", b"x:1"), "a:1"))
    print(await newest.take(Client(*["long" * 9 + ":1"] * 40), "a:1"))
    print((await newest.take(Client(*["a:%d" % i for i in range(300)]), "a:x")))
    print(await newest.take(Client(), "a:1"))
asyncio.run(main())
"""


def test_of_each_name_the_newest_value_is_taken_and_all_without_a_name(interpreter):
    result = interpreter.run("-c", NEWEST)
    assert result.stderr == ""
    first, second, *rest = result.stdout.splitlines()
    assert first == str((["b:1", b"x:1", "no name", "a:2", "no name", b"x:1"], 1))
    assert second == str((["a:1", *["long" * 9 + ":1"] * 31], 0))
    assert rest == ["(['a:254'], 255)", "(['a:1'], 0)"]


def test_three_hostile_clients_take_nothing_from_five_others(board):
    running = board()
    heard = [[] for _ in range(5)]
    stop = threading.Event()
    with ExitStack() as stack:
        stack.callback(stop.set)
        stack.enter_context(misbehaving.upgraded(running.port, small=True))  # reads nothing
        dribbling = stack.enter_context(misbehaving.upgraded(running.port))
        flooding = stack.enter_context(misbehaving.upgraded(running.port))
        flooding.settimeout(None)

        def dribble():
            for byte in misbehaving.text_frame(b"x" * 100):
                dribbling.sendall(bytes([byte]))
                if stop.wait(1):
                    break

        def flood():
            with suppress(OSError):
                while True:
                    flooding.sendall(misbehaving.text_frame(b"flood") * 100)

        def listen(client, values):
            while len(values) < 80:
                values.append(client.recv(PATIENCE))

        hostile = [threading.Thread(target=work, daemon=True) for work in (dribble, flood)]
        clients = [stack.enter_context(running.connect()) for _ in heard]
        running.wait_for("client 8: connected")
        friendly = [
            threading.Thread(target=listen, args=pair) for pair in zip(clients, heard, strict=True)
        ]
        for thread in hostile + friendly:
            thread.start()
        for thread in friendly:
            thread.join()
        metrics = running.metrics()
        assert metrics["clients"] == 8
        assert metrics["messages_in"] > 10
        stop.set()
        flooding.shutdown(socket.SHUT_RDWR)
        for thread in hostile:
            thread.join()
    running.wait_for("client 3: closed")
    sent = re.findall(r"sent (pin0:\d+) to", running.process.output)
    for values in heard:
        assert len(values) == 80
        first = [i for i in range(len(sent)) if sent[i : i + 80] == values]
        assert first, f"{values} are not in a row in {sent}"


def connects(port, held):
    misbehaving.raw(port).close()


def silent(port, held):
    held.append(misbehaving.raw(port))


def slow_heads(port, held):
    held.append(misbehaving.raw(port, b"GET / HTTP/1.1\r\nHost: board\r\n"))
    for sock in held[-5:]:
        sock.sendall(b"X-Field: x\r\n")


def stopped_pages(port, held):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sock.settimeout(misbehaving.TIMEOUT)
    held.append(sock)
    sock.connect(("127.0.0.1", port))
    sock.sendall(b"GET / HTTP/1.1\r\nHost: board\r\n\r\n")


ATTACKS = (connects, silent, slow_heads, stopped_pages)


@pytest.mark.parametrize(
    "attacks", [*[(one,) for one in ATTACKS], ATTACKS], ids=lambda many: many[-1].__name__ + "..."
)
def test_connections_that_come_to_nothing_cost_no_client_a_value(board, attacks):
    """With every place taken on the smallest heap."""
    running = board()
    heard = [[] for _ in range(8)]
    stop = threading.Event()

    def attack(way):
        held = []
        while not stop.is_set():
            with suppress(OSError):
                way(running.port, held)
            while len(held) > 30:
                held.pop(0).close()
        for sock in held:
            sock.close()

    def listen(client, values):
        while len(values) < 100:
            values.append(client.recv(PATIENCE))

    with ExitStack() as stack:
        clients = [stack.enter_context(running.connect()) for _ in heard]
        running.wait_for("client 8: connected")
        attackers = [threading.Thread(target=attack, args=(way,), daemon=True) for way in attacks]
        for thread in attackers:
            thread.start()
        pairs = zip(clients, heard, strict=True)
        listeners = [threading.Thread(target=listen, args=pair) for pair in pairs]
        for thread in listeners:
            thread.start()
        for thread in listeners:
            thread.join()
        stop.set()
        for thread in attackers:
            thread.join()
    with running.connect():  # there is room again
        running.wait_for("client 9: connected")
    sent = re.findall(r"sent (pin0:\d+) to", running.process.output)
    for values in heard:
        assert len(values) == 100
        first = [i for i in range(len(sent)) if sent[i : i + 100] == values]
        assert first, f"{values} are not in a row in {sent}"


def test_the_sockets_of_an_esp32_are_enough_for_its_clients_and_for_a_browser_more(board):
    running = board(sockets=10, max_clients=6, sample_interval=30)
    with ExitStack() as stack:
        for i in range(6):
            stack.enter_context(running.connect())
            running.wait_for(f"client {i + 1}: connected")
        for _ in range(5):
            with pytest.raises(InvalidStatus, match="503"):
                running.connect()
            assert running.get()[1] == PAGE
            assert running.metrics()["clients"] == 6
        for _ in range(6):  # as a browser opens them ahead of time
            stack.enter_context(misbehaving.raw(running.port))
        with pytest.raises(InvalidStatus, match="503"):
            running.connect()
        assert running.metrics()["clients"] == 6
    assert "outside" not in running.process.output


def test_want_of_a_socket_is_told(board):
    running = board(sockets=4, max_clients=6, sample_interval=30)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(running.connect())
        stack.enter_context(misbehaving.raw(running.port))
        running.wait_for("somebody waits outside: no socket, or no memory, is left")
    with running.connect() as client:
        client.send("ping:1")
        assert client.recv() == "pong:1 clients:1"


def test_silent_connections_shut_nobody_out(board):
    """As a browser opens them ahead of time."""
    running = board(max_clients=1, sample_interval=30)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(misbehaving.raw(running.port))
        with running.connect() as client:
            client.send("ping:1")
            assert client.recv() == "pong:1 clients:1"
        running.wait_for("refused, nothing came, or was taken, in time")


def test_a_hundred_rounds_of_rude_clients_leave_nothing_behind(board):
    running = board(chat=True)

    quiet = running.files_open()

    def rounds(count):
        for _ in range(count):
            for way in misbehaving.WAYS.values():
                way(running.port)
            # What it tries out here is how they leave, not how many fit its heap.
            running.metrics_once(lambda metrics: metrics["clients"] == 0)

    def fits(metrics, free):
        if metrics["clients"] or running.files_open() > quiet:
            return False
        if metrics["heap_free"] >= free:
            return True
        # What is at rest keeps a stale pointer to what it saw last: show it something else.
        with running.connect() as client:
            client.recv()
        return False

    rounds(10)  # the first ones make what stays: room for their names and tasks
    before = running.metrics_once(lambda metrics: fits(metrics, 0))
    rounds(100)
    after = running.metrics_once(lambda metrics: fits(metrics, before["heap_free"] * 0.99))
    clients = 12  # of WAYS, the rest get no WebSocket, or only the counters
    assert after["clients_ever"] - before["clients_ever"] >= 100 * clients
    with running.connect() as client:
        assert client.recv().startswith("pin0:")
