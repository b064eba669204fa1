"""./deploy.sh --virtual: how virtual boards are deployed to, how they start and how they end."""

import re
import signal
import socket
import subprocess

import pytest

from host_tests.deploy import virtual
from host_tests.support.interpreters import PATIENCE
from host_tests.support.paths import TOP

WITHOUT = ["python3", "-m", virtual.__name__]


@pytest.fixture
def deploy(mpremote, micropython32):
    """deploy.sh, and what it would fetch if it were not there."""
    return TOP / "deploy.sh"


def test_both_boards_are_deployed_to_and_talk(start, deploy):
    """Each with a W5500 to its last register; other tests have MicroPython's driver before it."""
    board = "pico-w5500"
    process = start([deploy, "--virtual", "--listen", "0", "--board", board])
    for name in ("server", "client"):
        process.wait_for(f"{name} | Asking the board at /dev/")
        process.wait_for(f"{name} | Role {name}, board {board}.")
        process.wait_for(f"{name} | Every file on the board has the right hash.")
        process.wait_for("starting as " + name)
    process.wait_for("client 1: received pin0:")
    process.wait_for("sent pin0:")


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("server | Role", signal.SIGINT),
        ("client | Role", signal.SIGINT),
        ("client | Role", signal.SIGTERM),
        ("client | [  ", signal.SIGINT),
    ],
)
def test_a_signal_ends_both_boards_without_a_word_too_much(start, deploy, moment, number):
    process = start([deploy, "--virtual", "--listen", "0"])
    if moment.startswith("client"):
        process.wait_for("server | Done. The board starts now.")
    if moment == "client | [  ":
        process.wait_for("client | Done. The board starts now.")
    process.wait_for(moment)
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert "Traceback" not in process.output
    if number == signal.SIGINT:
        assert process.lines[-1] == "Stopped."


def test_it_says_which_interpreter_runs_and_where_to_connect(start, deploy):
    process = start([deploy, "--virtual", "--role", "server", "--listen", "0"])
    line = process.wait_for("Virtual server")
    assert re.search(r"Virtual server on MicroPython 1\.\d+\.\d+, 32 bit, 128k of heap\. ", line)
    url = process.wait_for("Any WebSocket client can connect to ")
    assert re.search(r"ws://127\.0\.0\.1:[1-9]\d+/", url)


@pytest.mark.parametrize("board", ["esp32-w5500", "pico-w5500"])
def test_without_micropython_it_says_so(start, board):
    process = start([*WITHOUT, "--listen", "0", "--board", board])
    assert re.search(
        r"server and client on CPython 3\.\d+\.\d+, for want of MicroPython \(as asked for\)",
        process.wait_for("Virtual server"),
    )
    process.wait_for("client 1: received pin0:")


def test_a_board_that_does_not_take_its_configuration_is_reported(start, deploy):
    process = start([deploy, "--virtual", "--role", "client", "--url", "http://127.0.0.1/"])
    process.wait_for('client | config.json: "url" is "http://127.0.0.1/"')
    assert process.wait() == 1
    assert "the program has ended" not in process.output


def test_a_board_that_ends_is_reported(start):
    process = start([*WITHOUT, "--role", "client", "--url", "http://127.0.0.1/"])
    assert '"url" is "http://127.0.0.1/"' in process.wait_for("client | ")
    process.wait_for("client | the program has ended")
    assert process.wait() == 1


def test_the_serial_port_of_a_virtual_board_is_for_mpremote(start, deploy, mpremote):
    options = ["--virtual", "--role", "client", "--url", "ws://127.0.0.1:9/"]
    process = start([deploy, *options])
    device = process.wait_for("client has the serial port /dev/").rstrip(".").split()[-1]

    def run(*words):
        command = [mpremote, "connect", device, *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    assert run("exec", "print(6 * 7)") == "42\n"
    process.wait_for("stopped by Ctrl-C")
    process.wait_for("client | the program has ended; a board shows its prompt now")
    assert "main.py" in run("fs", "ls")
    run("reset")
    process.wait_for("starting as client, board esp32-w5500")
    process.wait_for("trying again in")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130


def test_the_addresses_come_last_and_again_at_the_end(start, deploy):
    process = start([deploy, "--virtual", "--listen", "0"])
    process.wait_for("client | [")
    page = process.wait_for("Open http://127.0.0.1:").split()[1]
    process.wait_for("received pin0:")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert process.lines[-2:] == [f"The page was at {page}", "Stopped."]


def test_a_port_that_is_taken_is_told(start, deploy):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start([deploy, "--virtual", "--listen", str(port)])
        process.wait_for(f"Port {port}: Address already in use. Give another one after --listen")
        assert process.wait() == 1


def test_the_usual_port_gives_way_to_a_free_one(monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(virtual, "DEFAULT_PORT", port)
        chosen = virtual.choose_port(None)
    assert chosen not in (0, port)
    assert capsys.readouterr().out == f"Port {port} is taken; the server takes {chosen}.\n"
    assert virtual.choose_port(None) == port
