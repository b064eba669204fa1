"""A network that is handed in, on each interpreter; MicroPython has no module ``socket`` then."""

import socket

import pytest

from host_tests.library.endpoints import OURS, PROGRAMS
from host_tests.support.interpreters import INTERPRETERS, environment
from host_tests.support.ports import free_port
from host_tests.support.wire import CLOSE, TEXT, close_frame, frame, frames, request, response

SIDES = pytest.mark.parametrize(("name", "front"), OURS)
WAYS = pytest.mark.parametrize("way", ["pool", "sock"])


@pytest.fixture
def run(start, tmp_path):
    def start_program(name, front, *arguments):
        for module in ("socket", "tls"):
            (tmp_path / f"{module}.py").write_text(f"raise ImportError('asked for {module}')\n")
        env = environment()
        env["MICROPYPATH"] = f"{tmp_path}:{env['MICROPYPATH']}"  # even before what is built in
        command = INTERPRETERS[name].command(PROGRAMS / "pools.py", front, *arguments)
        return start(command, env=env)

    return start_program


def head(sock):
    """The head of a request or a response."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += received(sock, 1)
    return data


def received(sock, n):
    """The next ``n`` bytes."""
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        assert more
        data += more
    return data


@SIDES
@WAYS
def test_a_client_over_sockets_that_are_handed_in(run, name, front, way):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        # A name that no other than the pool knows.
        program = run(name, front, "connect", way, "nowhere.invalid", listener.getsockname()[1])
        peer, _ = listener.accept()
    with peer:
        peer.settimeout(30)
        peer.sendall(response(head(peer)) + frame(TEXT, b"there"))
        size = len(frame(TEXT, b"from there", True) + close_frame(1000, "", True))
        found, masked = frames(received(peer, size))
        assert masked
        assert found == [(TEXT, 1, b"from there"), (CLOSE, 1, b"\x03\xe8")]
        peer.sendall(close_frame(1000))
    program.wait_for("closed 1000")
    assert program.wait() == 0
    seen = ["asked for nowhere.invalid", "made"] if way == "pool" else []
    assert program.lines == [*seen, "at /p", "closed 1000"]


@SIDES
@WAYS
def test_a_server_on_sockets_that_are_handed_in(run, name, front, way):
    port = free_port()
    program = run(name, front, "listen", way, "127.0.0.1", port)
    program.wait_for("listening")
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        peer.sendall(request(path="/p") + frame(TEXT, b"there", True))
        assert head(peer).startswith(b"HTTP/1.1 101 ")
        said = frame(TEXT, b"from there") + close_frame(1000)
        assert received(peer, len(said)) == said
        peer.sendall(close_frame(1000, "", True))
    program.wait_for("closed 1000")
    seen = ["asked for 127.0.0.1", "made"] if way == "pool" else []
    assert program.lines == [*seen, "listening", "at /p", "closed 1000"]
