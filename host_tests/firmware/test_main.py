"""boot.py and main.py, run as a board runs them: from the folder that holds its files."""

import contextlib
import json
import threading
from socket import create_connection

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from host_tests.deploy.virtual import START, Board, choose_port
from host_tests.firmware.test_roles import Server
from host_tests.support.interpreters import environment
from host_tests.support.interrupt import interrupt
from host_tests.support.paths import TOP
from host_tests.support.wire import request

BOARD = TOP / "host_tests" / "board"

CHOICE = """
import machine, main
from firmware.settings import defaults
settings = defaults()
settings["role"] = "client"
print(main.choose_role(settings))
settings["role_pin"] = 27
print(main.choose_role(settings))
settings["role"] = "mqtt"
print(main.choose_role(settings))
machine.Pin.grounded.add(27)
print(main.choose_role(settings))
"""

SAMPLES = """
import machine
from firmware.values import sampler
attenuations = []
machine.ADC.atten = lambda adc, value: attenuations.append(value)
read = sampler(36)
print(0 <= read() <= 65535, attenuations == [machine.ADC.ATTN_11DB])
del machine.ADC.ATTN_11DB
read = sampler(26)
print(0 <= read() <= 65535, len(attenuations))
"""

# The program, and then whatever goes on at the prompt.
PROMPT = """
import main, socket
main.main()
try:
    socket.socket().connect(socket.getaddrinfo("127.0.0.1", {port})[0][-1])
    print("prompt; the port is taken")
except OSError:
    print("prompt; the port is free")
"""


def messages(text):
    """The lines of a log without their dates."""
    return [line.split("] ", 1)[-1] for line in text.splitlines()]


def test_the_jumper_chooses_the_role_where_there_is_one(interpreter):
    result = interpreter.run("-c", CHOICE, env=environment(BOARD))
    assert messages(result.stdout) == [
        "client",
        "pin 27 is open: client",
        "client",
        "pin 27 is open: mqtt",
        "mqtt",
        "pin 27 is at ground: server",
        "server",
    ]


def test_an_esp32_samples_up_to_its_supply(interpreter):
    result = interpreter.run("-c", SAMPLES, env=environment(BOARD))
    assert result.stdout.splitlines() == ["True True", "True 1"]


@pytest.mark.parametrize(
    "text", ['{"role": "sever", "prot": 80}', "not a configuration"], ids=["values", "file"]
)
def test_a_wrong_configuration_waits_for_a_person(interpreter, tmp_path, text):
    board = Board("board", tmp_path / "board", {})
    (board.folder / "config.json").write_text(text)
    result = interpreter.run(START, cwd=board.folder)
    # It has ended by itself, without a failure: on a board that is the prompt.
    assert (result.returncode, result.stderr) == (0, "")
    *problems, last = messages(result.stdout)
    assert len(problems) == (2 if "prot" in text else 1)
    for problem in problems:
        assert problem.startswith("config.json")
    assert last == "stopped; correct config.json, then reset the board"


def test_a_firmware_without_a_network_waits_for_a_person(interpreter, tmp_path):
    (tmp_path / "network.py").write_text("raise ImportError(\"no module named 'network'\")\n")
    (tmp_path / "config.json").write_text('{"board": "esp32-wifi", "wifi_ssid": "some"}')
    code = "import boot, main; main.main(); print('prompt')"
    result = interpreter.run("-c", code, env=environment(tmp_path, BOARD), cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    start, told, prompt = messages(result.stdout)
    assert start.startswith("starting as server, board esp32-wifi")
    assert told.endswith("from https://micropython.org/download, then run ./deploy.sh again")
    assert prompt == "prompt"


@pytest.fixture
def running(interpreter, start, tmp_path):
    """`running(role, port)` starts the program with a prompt of its own after it."""

    def run(role, port):
        settings = {"role": role, "port": port, "url": f"ws://127.0.0.1:{port}/"}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        command = interpreter.command("-c", PROMPT.format(port=port))
        process = start(command, env=environment(BOARD), cwd=tmp_path)
        assert f"starting as {role}, board esp32-w5500" in process.wait_for("starting")
        return process

    return run


def test_ctrl_c_takes_the_server_role_to_an_end(running):
    port = choose_port(0)
    process = running("server", port)
    process.wait_for("listening")
    url = f"ws://127.0.0.1:{port}/"
    with (
        create_connection(("127.0.0.1", port)),  # it says nothing
        create_connection(("127.0.0.1", port)) as silent,  # it says nothing more
        connect(url) as first,
        connect(url) as second,
    ):
        silent.sendall(request(path="/"))
        assert silent.recv(12) == b"HTTP/1.1 101"
        for client in (first, second):
            assert client.recv().startswith("pin0:")
        interrupt(process.pid)
        for client in (first, second):
            list(client)  # up to the end
            assert client.close_code == 1001
        process.wait_for("stopped by Ctrl-C")
        assert process.wait() == 0
    assert process.lines[-1] == "prompt; the port is free"


def test_ctrl_c_takes_the_client_role_to_an_end(running):
    def handler(connection):
        connection.recv()
        interrupt(process.pid)
        with contextlib.suppress(ConnectionClosed):
            while True:
                connection.recv()
        codes.append(connection.close_code)

    codes = []
    started = threading.Event()
    with Server(lambda connection: started.wait() and handler(connection)) as server:
        process = running("client", server.port)
        started.set()  # `process` is known to the handler now
        process.wait_for("stopped by Ctrl-C")
        assert process.wait() == 0
    assert codes == [1001]
    assert process.lines[-1] == "prompt; the port is taken"


def test_ctrl_c_ends_a_client_role_that_waits(running):
    process = running("client", choose_port(0))
    process.wait_for("trying again")
    interrupt(process.pid)
    process.wait_for("stopped by Ctrl-C")
    assert process.wait() == 0


def test_no_configuration_is_a_configuration(interpreter, start, tmp_path):
    board = Board("board", tmp_path / "board", {})
    (board.folder / "config.json").unlink()
    process = start(interpreter.command(START), cwd=board.folder)
    assert "starting as server" in process.wait_for("starting")


def test_a_virtual_board_has_what_a_board_has(tmp_path):
    board = Board("board", tmp_path / "board", {"role": "client"})
    assert sorted(file.name for file in board.folder.iterdir()) == [
        "boot.py",
        "config.json",
        "firmware",
        "lib",
        "main.py",
        "page.html",
        "page.html.gz",
    ]
    assert json.loads((board.folder / "config.json").read_text()) == {"role": "client"}
