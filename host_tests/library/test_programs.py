"""The ten programs of lib/README.md, each as it stands there but for the address."""

import contextlib
import hashlib
import http.client
import json
import re
import ssl
import struct
import threading

import pytest
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync import client, server

from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port

README = (TOP / "lib" / "README.md").read_text("utf-8")
PROGRAMS = dict(
    re.findall(r"^### ([^\n]+)\n\n```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
)

both_pythons = pytest.mark.parametrize("name", ["cpython", "micropython32"])


@pytest.fixture
def run(start, tmp_path):
    """Start a program of the README, with another address than there."""

    def start_program(name, title, port, **changes):
        program = PROGRAMS[title]
        program = program.replace("192.168.1.20", "127.0.0.1").replace("8080", str(port))
        for old, new in changes.items():
            program = re.sub(rf"(?<={old} = ).*", repr(new), program)
        file = tmp_path / "main.py"
        file.write_text(program)
        return start(INTERPRETERS[name].command(file))

    return start_program


@contextlib.contextmanager
def serving(handle, **options):
    """A server of the websockets package; gives its port."""

    def handler(ws):
        with contextlib.suppress(ConnectionClosed):
            handle(ws)

    with server.serve(handler, "127.0.0.1", 0, compression=None, **options) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield running.socket.getsockname()[1]
        finally:
            running.shutdown()
            thread.join()


def connect(port, path="/", **options):
    """A client, once the program listens."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return client.connect(f"ws://127.0.0.1:{port}{path}", **options)


def test_there_are_ten():
    assert len(PROGRAMS) == 10


@both_pythons
def test_echo_server(run, name):
    port = free_port()
    run(name, "An echo server that stays up", port)
    for _ in range(2):
        with connect(port) as ws:
            for message in ("text", b"binary"):
                ws.send(message)
                assert ws.recv(30) == message


@both_pythons
def test_chat(run, name):
    port = free_port()
    run(name, "A chat", port)
    with connect(port) as one, connect(port) as two:
        assert one.recv(30) == "one more is here"
        two.send("hello")
        assert one.recv(30) == "hello"
        one.send("you")
        assert two.recv(30) == "you"


@both_pythons
def test_telemetry(run, name):
    came = []
    done = threading.Event()

    def handle(ws):
        came.extend([ws.request.path, json.loads(ws.recv()), json.loads(ws.recv())])
        done.set()

    with serving(handle) as port:
        run(name, "Telemetry in JSON", port)
        assert done.wait(30)
    assert came == [
        "/telemetry",
        {"number": 1, "temperature": 21.5},
        {"number": 2, "temperature": 21.5},
    ]


@both_pythons
def test_client_that_connects_again(run, name):
    count = iter(range(1, 100))

    def handle(ws):
        ws.send(f"number {next(count)}")
        ws.close(4000, "again")

    with serving(handle) as port:
        program = run(name, "A client that connects again", port)
        for number in (1, 2):
            program.wait_for("connected")
            program.wait_for(f"got number {number}")
            program.wait_for("connection closed (4000): again")


@both_pythons
def test_binary(run, name):
    def handle(ws):
        number, value = struct.unpack("<Hf", ws.recv())
        ws.send(struct.pack("<Hf", number + 1, value * 2))

    with serving(handle) as port:
        program = run(name, "Binary, with no memory taken for a message", port)
        assert program.wait() == 0
    assert program.lines == ["8 43.0"]


@both_pythons
def test_two_connections(run, name):
    came = []

    def handle(ws):
        if ws.request.path == "/one":
            ws.send("from one")
            came.append(ws.recv())
        else:
            came.append(ws.recv())
            ws.send("from two")
            ws.recv()  # its end

    with serving(handle) as port:
        program = run(name, "Two connections", port)
        assert program.wait() == 0, program.output
    assert came == ["from one", "from two"]


@both_pythons
def test_wss(run, name):
    certificate = trustme.CA().issue_cert("somebody.else")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())

    def handle(ws):
        ws.send(ws.recv() + " over TLS")

    with serving(handle, ssl=context) as port:
        fingerprint = hashlib.sha256(der).hexdigest()
        program = run(name, "wss, with a certificate that you know", port, FINGERPRINT=fingerprint)
        assert program.wait() == 0, program.output
    assert program.lines == ["hello over TLS"]


@both_pythons
def test_subprotocol(run, name):
    port = free_port()
    run(name, "A subprotocol", port)
    with connect(port, subprotocols=["counter.v1", "other"]) as ws:
        assert ws.recv(30) == "you speak counter.v1"
    with connect(port) as ws:
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(30)
        assert closed.value.rcvd.reason == "speak counter.v2 or counter.v1"


@both_pythons
def test_page(run, name):
    port = free_port()
    run(name, "A page beside the WebSocket", port)
    with connect(port, "/ws") as ws:
        assert [ws.recv(30), ws.recv(30)] == ["1", "2"]
    for path, status in (("/", 200), ("/other", 404)):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, 30)) as link:
            link.request("GET", path)
            response = link.getresponse()
            assert response.status == status
            assert (b"new WebSocket(" in response.read()) == (status == 200)


@both_pythons
def test_messages_larger_than_memory(run, name):
    rows = "".join(f"{i},{i * i}\n" for i in range(1000))
    came = []

    def handle(ws):
        came.append(ws.recv())
        ws.send("é" * 50000)

    with serving(handle) as port:
        program = run(name, "Messages larger than memory", port)
        assert program.wait() == 0, program.output
    assert came == [rows]
    assert program.lines == ["50000"]
