"""Both roles end to end through ./deploy.sh --virtual, with the websockets package as the peer."""

import re
import socket
import sys
import threading
from http import HTTPStatus

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from host_tests.deploy import virtual
from host_tests.support.interpreters import environment
from host_tests.support.interrupt import interrupt
from host_tests.support.paths import TOP
from host_tests.support.tools import namespaces

# The server role by itself; what happens to its board follows from what it says.
SERVER = """
import asyncio, network
from firmware import modules
modules.load_role("server")
from firmware import answers, net, server
from firmware.settings import defaults
settings = defaults()
settings["port"] = {port}
settings["sample_interval"] = 0.05
async def run():
    end = asyncio.Event()
    def log(text):
        print(text)
        if text.startswith("listening on ws://127.0.0.1:"):
            network.lease = "127.0.0.2"
        elif "127.0.0.2:" in text or "trying again" in text:
            end.set()
    server.log = log
    role = asyncio.create_task(server.run(settings, int))
    await end.wait()
    role.cancel()
asyncio.run(run())
"""


@pytest.fixture(params=["micropython", "cpython"])
def board(request, start):
    """`board(option...)` starts virtual boards, all of them or one.

    On MicroPython, 32 bit, with a board's heap; and as where there is none.
    """
    command = ["python3", "-m", virtual.__name__]
    if request.param == "micropython":
        for tool in ("mpremote", "micropython32"):
            request.getfixturevalue(tool)
        command = [TOP / "deploy.sh", "--virtual"]

    def start_board(*options):
        return start([*command, *options])

    return start_board


def url_of(process):
    line = process.wait_for("Any WebSocket client can connect to ")
    return re.search(r"ws://\S+", line)[0]


class Server:
    """A websockets server on a port of its own; each connection is given to `handler`."""

    def __init__(self, handler, port=0, **options):
        self._server = serve(handler, "127.0.0.1", port, **options)
        self.port = self._server.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._thread.join()


def test_two_boards_exchange_their_values(board):
    process = board("--listen", "0")
    process.wait_for("server | [")
    process.wait_for("listening on ws://127.0.0.1:")
    process.wait_for("client | [")
    process.wait_for("connecting to ws://127.0.0.1:")
    for _ in range(2):
        line = process.wait_for("server | ")
        while "received" not in line:
            line = process.wait_for("server | ")
        assert re.search(r"client 1: received pin0:\d+$", line)
        line = process.wait_for("client | ")
        while "received" not in line:
            line = process.wait_for("client | ")
        assert re.search(r"\] received pin0:\d+$", line)
    interrupt(process.pid)
    assert process.wait() == 130
    assert re.search(r"client \| \[ +\d+\.\d\] connected to 127.0.0.1:\d+", process.output)
    assert re.search(r"client \| \[ +\d+\.\d\] sent pin0:\d+", process.output)
    assert re.search(r"server \| \[ +\d+\.\d\] sent pin0:\d+ to 1 client", process.output)


def test_the_server_role_serves_clients_of_any_make(board):
    process = board("--role", "server", "--listen", "0")
    url = url_of(process)
    with connect(url) as first, connect(url) as second:
        process.wait_for("client 1: connected from 127.0.0.1:")
        process.wait_for("client 2: connected from 127.0.0.1:")
        for client in (first, second, first):
            assert re.fullmatch(r"pin0:\d+", client.recv())
        first.send("hello \x1b[2J\r\nboard")
        process.wait_for(r"client 1: received hello \u{1b}[2J\u{d}\u{a}board")
        second.send(b"\x01\x02\xff")
        process.wait_for("client 2: received 3 bytes: 01 02 ff")
        second.send("")
        process.wait_for("client 2: received an empty message")
        second.send("x" * 2000)
        process.wait_for("x" * 80 + "... (2000 characters)")
        first.close(4000, "enough")
        process.wait_for("client 1: closed with code 4000: enough")
        # The other one does not notice.
        assert second.recv().startswith("pin0:")
    process.wait_for("client 2: closed with code 1000 (normal)")
    with connect(url + "?who=me") as third:
        assert third.recv().startswith("pin0:")


def test_the_server_role_serves_one_path(board):
    process = board("--role", "server", "--listen", "0")
    with pytest.raises(InvalidStatus, match="404"):
        connect(url_of(process) + "other")
    process.wait_for("refused, /other is not here (HTTP 404)")


def test_the_server_role_survives_a_client_that_breaks_the_rules(board):
    process = board("--role", "server", "--listen", "0")
    url = url_of(process)
    with connect(url) as client:
        process.wait_for("client 1: connected")
        client.socket.sendall(b"\x81\x02hi")  # not masked
        process.wait_for("client 1: closed here with code 1002 (protocol error)")
    with connect(url) as client:
        client.send("x" * 3000)
        process.wait_for("client 2: closed here with code 1009 (message too big)")
    with connect(url) as client:
        assert client.recv().startswith("pin0:")


def test_the_server_role_does_as_configured(interpreter, start, tmp_path):
    port = virtual.choose_port(0)
    settings = {"port": port, "path": "/chat", "max_clients": 1, "sample_interval": 0.05}
    board = virtual.Board("board", tmp_path / "board", settings)
    process = start(interpreter.command(virtual.START), cwd=board.folder)
    url = f"ws://127.0.0.1:{port}/chat"
    process.wait_for("listening on " + url)
    with connect(url) as client:
        assert client.recv().startswith("pin0:")
        with pytest.raises(InvalidStatus, match="503"):
            connect(url)
        assert client.recv().startswith("pin0:")


def test_the_server_role_moves_with_its_address(interpreter):
    port = virtual.choose_port(0)
    env = environment(virtual.START.parent)
    result = interpreter.run("-c", SERVER.format(port=port), env=env)
    assert result.stderr == ""
    assert [line for line in result.stdout.splitlines() if not line.startswith("[")] == [
        f"listening on ws://127.0.0.1:{port}/",
        f"the page is at http://127.0.0.1:{port}/",
        "the address 127.0.0.1 is gone",
        f"listening on ws://127.0.0.2:{port}/",
        f"the page is at http://127.0.0.2:{port}/",
    ]


def run_until_it_leaves(interpreter, change):
    """Run the server role with a change of the test's; its last line says what it left with."""
    code = """
import asyncio
from firmware import modules
modules.load_role("server")
from firmware import answers, net, server
from firmware.settings import defaults
%s
settings = defaults()
settings["port"] = %d
settings["sample_interval"] = 0.05
try:
    asyncio.run(server.run(settings, int))
except RuntimeError as error:
    print("left with", error)
"""
    env = environment(virtual.START.parent)
    return interpreter.run("-c", code % (change, virtual.choose_port(0)), env=env)


def test_the_server_role_does_not_stay_deaf(interpreter):
    code = """
real = server.serve
async def serve(*args, **options):
    made = await real(*args, **options)
    made._accepting.cancel()
    return made
server.serve = serve
"""
    result = run_until_it_leaves(interpreter, code)
    assert result.stdout.splitlines()[-1] == "left with the server takes no clients any more"


def test_a_heap_in_pieces_is_made_whole_by_a_reset(interpreter):
    code = """
class Client:
    remote_address = "10.0.0.1:2"
seconds = 0
answers.uptime = lambda: seconds
real = server.serve
async def serve(*args, on_refused, **options):
    asyncio.create_task(refuse(on_refused))
    return await real(*args, on_refused=on_refused, **options)
rounds = 0
hold = net.sleep_with_address
async def counted(*args):
    global rounds
    rounds += 1
    return await hold(*args)
net.sleep_with_address = counted
async def refuse(on_refused):
    global seconds
    short = MemoryError()
    for error, later in (short, 599), (short, 1), (OSError(), 0), (short, 600):
        on_refused(Client(), error)
        seen = rounds
        while rounds < seen + 2:  # up to a whole one of the role's loop
            await asyncio.sleep(0)
        seconds += later
    print("one more")
    on_refused(Client(), short)
server.serve = serve
"""
    result = run_until_it_leaves(interpreter, code)
    assert result.stdout.splitlines()[-1] == "left with no memory for a single client in 600 s"
    assert "one more" in result.stdout


def test_the_server_role_waits_for_a_port_that_is_taken(interpreter):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment(virtual.START.parent)
        result = interpreter.run("-c", SERVER.format(port=port), env=env)
    assert result.stderr == ""
    _, told, again = result.stdout.splitlines()
    assert told.startswith(f"cannot listen on port {port}: ")
    assert again == "trying again in 5 s"


def test_the_client_role_greeted_closed_and_back(board):
    sent = []

    def handler(connection):
        connection.send("Request served by a test")
        sent.append(connection.recv())
        connection.send(b"\x00")
        connection.close(4001, "come back")

    with Server(handler) as server:
        process = board("--role", "client", "--url", server.url)
        for _ in range(2):
            process.wait_for(f"connecting to {server.url}")
            process.wait_for(f"connected to 127.0.0.1:{server.port}, handshake done")
            process.wait_for("received Request served by a test")
            process.wait_for("received 1 bytes: 00")
            process.wait_for("closed with code 4001: come back")
            process.wait_for("trying again in ")
    assert all(re.fullmatch(r"pin0:\d+", message) for message in sent)
    assert len(sent) >= 2


def test_the_client_role_outlives_its_server(board):
    def handler(connection):
        connection.send("hello")
        for _ in connection:
            pass

    with Server(handler) as server:
        process = board("--role", "client", "--url", server.url)
        process.wait_for("received hello")
    process.wait_for("closed with code 1001 (going away)")
    process.wait_for("connection refused, no server listens there")
    with Server(handler, server.port):
        process.wait_for("received hello")


def test_the_client_role_tells_of_a_refused_handshake(board):
    def refuse(connection, request):
        return connection.respond(HTTPStatus.FORBIDDEN, "not here\n")

    with Server(None, process_request=refuse) as server:
        process = board("--role", "client", "--url", server.url + "?token=secret")
        for _ in range(2):
            process.wait_for("handshake failed: the server answered 403")
            process.wait_for("trying again in ")
    assert "secret" not in process.output


@pytest.mark.parametrize("role", ["server", "client"])
def test_a_peer_that_vanishes_is_noticed(interpreter, start, tmp_path, role):
    namespaces()
    board = virtual.Board("board", tmp_path / "board", {})
    process = start(
        [
            *(
                "unshare",
                "-Urn",
                sys.executable,
                TOP / "host_tests" / "firmware" / "vanish.py",
                role,
                board.folder,
            ),
            *interpreter.command(virtual.START),
        ]
    )
    process.wait_for("sent pin0:")
    process.wait_for("closed with code 1006 (connection lost)")
    if role == "client":
        process.wait_for("handshake done")
        process.wait_for("closed with code 1006 (connection lost)")
    assert process.wait() == 0
