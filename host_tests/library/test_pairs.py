"""Client and server on every interpreter and front, with each other and with websockets."""

import pytest

from host_tests.library.endpoints import BUFFER_SIZE, OURS, PROGRAMS, THEIRS
from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.ports import free_port
from host_tests.support.process import Process


def interpreter_of(endpoint):
    name, front = endpoint
    if front == "websockets":
        import websockets  # noqa: F401  (to ask for it)
    return INTERPRETERS[name]


@pytest.fixture(scope="module")
def server(request):
    """The interpreter, the front and the port of a server that runs."""
    name, front = request.param
    port = free_port()
    process = Process(
        interpreter_of(request.param).command(
            PROGRAMS / "server.py", front, port, BUFFER_SIZE[name]
        )
    )
    try:
        process.wait_for("listening")
        yield name, front, port
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("server", "client"),
    [(server, client) for server in [*OURS, THEIRS] for client in [*OURS, THEIRS]][:-1],
    indirect=["server"],
    ids="-".join,
)
def test_pair(server, client):
    server_name, server_front, port = server
    name, front = client
    result = interpreter_of(client).run(
        PROGRAMS / "client.py",
        front,
        f"ws://127.0.0.1:{port}",
        BUFFER_SIZE[name],
        server_front,
        BUFFER_SIZE[server_name],
    )
    assert result.stdout.splitlines()[-1:] == ["0 failed"], result.stdout + result.stderr


@pytest.mark.parametrize("party", OURS, ids="-".join)
def test_mistakes_of_the_program_are_told_and_harmless(start, party):
    name, front = party
    port = free_port()
    echo, foreign = THEIRS
    start(
        interpreter_of(THEIRS).command(PROGRAMS / "server.py", foreign, port, BUFFER_SIZE[echo])
    ).wait_for("listening")
    result = INTERPRETERS[name].run(PROGRAMS / "mistakes.py", front, f"ws://127.0.0.1:{port}/echo")
    assert result.stdout.splitlines()[-1:] == ["0 failed"], result.stdout + result.stderr


@pytest.mark.parametrize("party", OURS, ids="-".join)
@pytest.mark.parametrize("role", ["client", "server"])
def test_peer_that_is_killed_is_1006(start, party, role):
    name, front = party
    port = free_port()
    commands = {
        "server": [PROGRAMS / "server.py", front, port, 1000],
        "client": [PROGRAMS / "wait.py", front, f"ws://127.0.0.1:{port}/none"],
    }
    interpreters = {"server": INTERPRETERS["cpython"], "client": INTERPRETERS["cpython"]}
    interpreters[role] = INTERPRETERS[name]
    server = start(interpreters["server"].command(*commands["server"]))
    server.wait_for("listening")
    client = start(interpreters["client"].command(*commands["client"]))
    client.wait_for("connected")
    if role == "client":
        server.stop()
        client.wait_for("1006")
        assert client.wait() == 0
    else:
        client.stop()
        server.wait_for("/none: 1006")
