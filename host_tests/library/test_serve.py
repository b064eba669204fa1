"""aio.serve() for many clients: the request hook, the bound on clients, broadcasts, slow ones."""

import contextlib
import http.client
import json
import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from host_tests.support import misbehaving
from host_tests.support.ports import free_port
from host_tests.support.wire import BINARY, PING, PONG, TEXT, close_frame, frame, frames, request

# What a client says is what the server does; for "end" it ends.
SERVER = """
import asyncio, json, sys
from microws import HandshakeError, aio

options = json.loads(sys.argv[1])
end = asyncio.Event()
tasks = []

def pieces():
    for i in range(3):
        yield b"piece %d\\n" % i

def answer(request):
    path = request.path
    if path == "/look":
        seen = [request.method, path, request.headers["x-one"], request.headers["x-two"]]
        return 200, (("Content-Type", "application/json"),), json.dumps(seen).encode()
    if path == "/body":
        return 200, {"X-Type": type(request.body).__name__}, b"got " + request.body
    if path == "/mistake":
        raise ZeroDivisionError("on purpose")
    if path == "/pieces":
        return 200, (), pieces()
    if path.startswith("/secret") and request.headers.get("authorization") != "Bearer me":
        return 401, (("WWW-Authenticate", "Bearer"),), b""

def refused(ws, error):
    if isinstance(error, HandshakeError):
        print("refused", ws.path, error.status)
    else:
        print("refused", type(error).__name__)

async def handler(ws):
    print("clients", len(server.clients))
    try:
        if ws.path == "/brief":
            await ws.send("." * 300)
            return
        async for message in ws:
            await obey(ws, message)
    finally:
        print("one left")

async def obey(ws, message):
    if message == "end":
        end.set()
    elif message == "dropped":
        await ws.send(json.dumps([client.dropped for client in server.clients]))
    elif isinstance(message, bytes):
        print("count", server.broadcast(message, skip=ws))
    elif message.startswith("number "):
        first, last = [int(word) for word in message.split()[1:]]
        for n in range(first, last):
            server.broadcast("%05d " % n + "." * 94)
            await asyncio.sleep(0)
    elif message == "large":
        sock = getattr(ws._sock, "socket", ws._sock)
        sock.setsockopt(1, 7, 1)  # SO_SNDBUF: it takes a part
        server.broadcast(bytes(6000))
        print("half-way", ws._busy)
        tasks.append(asyncio.create_task(ws.send("from a task")))
    elif message == "nothing":
        try:
            server.broadcast(["in", "pieces"])
        except TypeError as error:
            print("TypeError", error)
    else:
        print("count", server.broadcast(message))

async def main():
    global server
    server = await aio.serve(handler, "127.0.0.1", int(sys.argv[2]), process_request=answer,
                             on_refused=refused, **options)
    print("ready")
    async with server:
        await end.wait()

asyncio.run(main())
print("over", len(server.clients))
"""


class Running:
    def __init__(self, interpreter, start, options):
        self.port = free_port()
        self.process = start(interpreter.command("-c", SERVER, json.dumps(options), self.port))
        self.wait_for = self.process.wait_for
        self.wait_for("ready")

    def connect(self, path="/", **options):
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)

    def get(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response, response.read()


@pytest.fixture
def serving(interpreter, start):
    """`serving(option=...)` starts the server above with these options of aio.serve()."""
    return lambda **options: Running(interpreter, start, options)


def test_the_hook_sees_the_request_and_answers_it(serving):
    server = serving()
    response, body = server.get("/look", **{"X-One": "1", "x-TWO": "two"})
    assert (response.status, response.reason) == (200, "OK")
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(body) == ["GET", "/look", "1", "two"]
    server.wait_for("refused /look 200")
    response, body = server.get("/look", "PUT", "body", **{"X-One": "1", "x-TWO": "two"})
    assert json.loads(body) == ["PUT", "/look", "1", "two"]


def exchange(server, *parts):
    """The answer to a request that comes in these parts, each once the one before was answered."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), 30) as peer:
        for part in parts:
            peer.sendall(part)
            answer += peer.recv(4096)
        while more := peer.recv(4096):
            answer += more
    return answer


def test_the_hook_is_given_a_body(serving):
    server = serving(max_body=600)
    for size in (0, 1, 600):
        response, body = server.get("/body", "POST", b"x" * size)
        assert (response.status, body) == (200, b"got " + b"x" * size)
    response, body = server.get("/body", "POST", b"x" * 601)
    assert (response.status, response.reason) == (413, "Content Too Large")
    assert body == b"body over 600 bytes\n"
    head = b"POST /body HTTP/1.1\r\nHost: h\r\n"
    for field, status in (
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: +5", b"400"),
        (b"Content-Length: " + b"9" * 300, b"413"),
        (b"Content-Length: 3\r\nContent-Length: 5", b"400"),
    ):
        assert exchange(server, head + field + b"\r\n\r\n").startswith(b"HTTP/1.1 " + status)
    told = head + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    answer = exchange(server, told, b"abc")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\ngot abc")
    assert exchange(server, told + b"abc").startswith(b"HTTP/1.1 200 OK\r\n")
    # What follows a body is not taken for frames, and a WebSocket has none.
    upgrade = request("Content-Length: 3") + b"abc"
    assert exchange(server, upgrade).startswith(b"HTTP/1.1 400 ")
    with server.connect() as ws:
        ws.send("hello")
        assert ws.recv() == "hello"


def test_without_max_body_none_is_read(serving):
    response, body = serving().get("/body", "POST", b"x" * 10)
    assert (response.status, body) == (200, b"got ")


def test_the_hook_answers_in_pieces(serving):
    response, body = serving().get("/pieces")
    assert response.status == 200
    assert body == b"piece 0\npiece 1\npiece 2\n"


def test_the_hook_decides_about_the_upgrade(serving):
    server = serving()
    with pytest.raises(InvalidStatus) as refused:
        server.connect("/secret?x=1")
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"
    server.wait_for("refused /secret?x=1 401")
    with server.connect("/secret", additional_headers={"Authorization": "Bearer me"}) as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_a_mistake_in_the_hook_is_told_to_both_sides(serving):
    server = serving()
    response, body = server.get("/mistake")
    assert (response.status, body) == (500, b"internal error\n")
    server.wait_for("on purpose")
    with pytest.raises(InvalidStatus) as refused:
        server.connect("/mistake")
    assert refused.value.response.status_code == 500
    with server.connect() as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_what_the_hook_leaves_is_refused_as_ever(serving):
    server = serving()
    response, _ = server.get("/other")
    assert response.status == 426
    for body in (None, "with a body"):
        response, _ = server.get("/other", "POST", body)
        assert (response.status, response.headers["Allow"]) == (405, "GET")
    server.wait_for("refused /other 405")


def test_a_client_too_many_is_told_when_to_come_again(serving):
    server = serving(max_clients=2)
    with server.connect() as first:
        server.wait_for("clients 1")
        with server.connect():
            server.wait_for("clients 2")
            with pytest.raises(InvalidStatus) as refused:
                server.connect()
            assert refused.value.response.status_code == 503
            assert int(refused.value.response.headers["Retry-After"]) > 0
            server.wait_for("refused / 503")
            # Plain requests are no clients.
            assert server.get("/pieces")[0].status == 200
        server.wait_for("one left")
        with server.connect() as third:
            server.wait_for("clients 2")
            first.send("to both")
            assert third.recv() == first.recv() == "to both"


def test_clients_that_come_at_once_are_not_too_many(serving):
    server = serving(max_clients=3)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(misbehaving.raw(server.port)) for _ in range(6)]
        for sock in sockets:
            sock.sendall(request(path="/"))
        statuses = [sock.recv(12)[9:] for sock in sockets]
    assert sorted(statuses) == [b"101"] * 3 + [b"503"] * 3


def test_a_silent_client_is_refused_in_time(serving):
    server = serving(handshake_timeout=0.2)
    with misbehaving.raw(server.port, b"GET / HTTP/1.1\r\n"):
        server.wait_for("refused Timeout")


def test_a_server_that_closes_does_not_wait_for_a_silent_client(serving):
    server = serving(handshake_timeout=3600)
    with misbehaving.raw(server.port) as silent, server.connect() as client:
        client.send("end")
        server.wait_for("over 0")
        assert silent.recv(1) == b""


def test_a_client_that_resets_while_it_is_closed_leaves_nothing(serving):
    server = serving(max_clients=50)
    for _ in range(100):
        misbehaving.reset(misbehaving.upgraded(server.port, "/brief"))
    with server.connect() as client:
        client.send("end")
        server.wait_for("over 0")  # once the last one's task has ended


def test_a_broadcast_goes_to_all_or_to_all_the_others(serving):
    server = serving()
    with server.connect() as first, server.connect() as second, server.connect() as third:
        server.wait_for("clients 3")
        first.send("text")
        server.wait_for("count 3")
        assert [client.recv() for client in (first, second, third)] == ["text"] * 3
        first.send(b"bytes")
        server.wait_for("count 2")
        first.send("")
        assert second.recv() == third.recv() == b"bytes"
        assert [client.recv() for client in (first, second, third)] == [""] * 3
        second.send("nothing")
        server.wait_for("TypeError a broadcast message is")
        second.send("end")
        server.wait_for("over 0")
        for client in (first, third):
            with pytest.raises(Exception, match="1001"):
                client.recv()


def dropped_of_thousand(quick, first):
    """Have a thousand numbers sent to all; how many of all so far were dropped."""
    quick.send(f"number {first} {first + 1000}")
    for n in range(first, first + 1000):
        assert quick.recv()[:5] == f"{n:05}"
    quick.send("dropped")
    return sum(json.loads(quick.recv()))


def test_a_slow_client_loses_the_oldest_and_nobody_else_anything(serving):
    server = serving(max_backlog=1000)
    with server.connect() as quick, misbehaving.upgraded(server.port, small=True) as slow:
        server.wait_for("clients 2")
        total = 0
        dropped = 0
        # What fits the buffers on the way depends on the system.
        while not dropped:
            dropped = dropped_of_thousand(quick, total)
            total += 1000
        # Once it reads, the newest come whole and in order.
        data = b""
        while f"{total - 1:05} ".encode() not in data[-200:]:
            more = slow.recv(65536)
            assert more, data[-200:]
            data += more
    numbers = [int(frame[:5]) for frame in data.split(b"\x81\x64")[1:]]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == total - dropped
    assert {len(frame) for frame in data.split(b"\x81\x64")[1:-1]} == {100}


def test_a_client_has_no_more_on_its_way_than_its_share(serving):
    server = serving(max_unacknowledged=1000, max_backlog=20000)
    with server.connect() as quick, misbehaving.upgraded(server.port) as slow:
        server.wait_for("clients 2")
        quick.send("number 0 100")
        for n in range(100):  # it answers the Pings, so it gets them all
            assert quick.recv()[:5] == f"{n:05}"
        # The other has read nothing. What is on its way to it is here by now.
        data = slow.recv(65536)
        found = frames(data)[0]
        assert len(data) <= 1000
        assert [opcode for opcode, _, _ in found].count(PING) == 1
        # With each Pong more of the rest comes.
        answered = 0
        while not any(payload[:5] == b"00099" for _, _, payload in found):
            pings = [payload for opcode, _, payload in found if opcode == PING]
            for payload in pings[answered:]:
                slow.sendall(frame(PONG, payload, masked=True))
            answered = len(pings)
            data += slow.recv(65536)
            found = frames_so_far(data) or found
    numbers = [int(payload[:5]) for opcode, _, payload in found if opcode == TEXT]
    assert numbers == list(range(100))


def frames_so_far(data):
    """The frames in `data`, none while the last one is not whole."""
    try:
        return frames(data)[0]
    except (AssertionError, IndexError, ValueError):
        return []


def test_nothing_gets_into_a_broadcast_that_is_half_way(serving):
    server = serving(write_size=256)
    others = [(PONG, b"?"), (TEXT, b"from a task"), (TEXT, b"later")]
    with misbehaving.upgraded(server.port, small=True) as slow:
        slow.sendall(
            misbehaving.text_frame(b"large")
            + frame(PING, b"?", masked=True)
            + misbehaving.text_frame(b"later")
        )
        server.wait_for("half-way True")
        server.wait_for("count 1")  # by now all of it waits
        data = b""
        while len(data) < 4 + 6000 + sum(2 + len(payload) for _, payload in others):
            data += slow.recv(65536)
    first, *rest = frames(data)[0]
    assert first == (BINARY, 1, bytes(6000))
    assert sorted(rest) == sorted((opcode, 1, payload) for opcode, payload in others)


def test_a_slow_client_is_closed_where_that_is_wanted(serving):
    server = serving(max_backlog=1000, slow="close")
    with server.connect() as quick, misbehaving.upgraded(server.port, small=True) as slow:
        server.wait_for("clients 2")
        total = 0
        closed = 0
        while not closed:
            closed = dropped_of_thousand(quick, total)
            total += 1000
        assert closed == 1
        # Once it reads, it is told why.
        data = b""
        while not data.endswith(b"\x88\x0a\x03\xf0too slow"):
            more = slow.recv(65536)
            assert more, data[-200:]
            data += more
        slow.sendall(close_frame(1008, masked=True))
        server.wait_for("one left")
        quick.send("still here")
        assert quick.recv() == "still here"


def test_a_handler_that_is_busy_is_no_hindrance_to_the_end(interpreter):
    code = """
import asyncio, sys
from microws import aio

async def handler(ws):
    print(await ws.recv())
    started.set()
    await asyncio.sleep(0.1)
    await ws.recv()

async def main():
    global started
    started = asyncio.Event()
    # Whoever waited for that long was not told of the end.
    server = await aio.serve(handler, "127.0.0.1", int(sys.argv[1]), close_timeout=1000)
    ws = await aio.connect("ws://127.0.0.1:" + sys.argv[1])
    await ws.send("begin")
    await started.wait()
    server.close()
    await asyncio.sleep(0.2)
    async for message in ws:
        pass
    print(ws.close_code)
    await server.wait_closed()
    print("over")

asyncio.run(main())
"""
    result = interpreter.run("-c", code, free_port())
    assert (result.stdout.split(), result.stderr) == (["begin", "1001", "over"], "")
