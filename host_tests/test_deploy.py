"""./deploy.sh: its options, and how virtual boards start and end."""

import re
import signal
import socket
import subprocess

import pytest
import virtual
from conftest import TOP

DEPLOY = TOP / "deploy.sh"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--virtul", "There is no option --virtul. Did you mean --virtual?"),
        ("--virtual --rol client", "There is no option --rol. Did you mean --role?"),
        ("--Listen 0 --virtual", "There is no option --Listen. Did you mean --listen?"),
        ("--flash", "There is no option --flash. See ./deploy.sh --help"),
        ("virtual", "There is no option virtual. Did you mean --virtual?"),
        ("--virtual --role", "--role needs a value. See ./deploy.sh --help"),
        ("--url --virtual", "--url needs a value. See ./deploy.sh --help"),
        ("--virtual --listen=", "--listen needs a value. See ./deploy.sh --help"),
        ("--virtual --role sever", "--role is sever; allowed: server, client"),
        ("--virtual --role=sever", "--role is sever; allowed: server, client"),
        ("--virtual --listen http", "--listen is http; allowed: a number from 0 to 65535"),
        ("--virtual --listen 65536", "--listen is 65536; allowed: a number from 0 to 65535"),
        ("--virtual --url ws://127.0.0.1/", "--url goes with --role client"),
        ("--virtual --role client --listen 0", "--listen is for a server, not for --role client"),
        ("--virtual --port /dev/ttyUSB0", "--port is the serial device of a real board; "),
        ("--role client", "--role, --url and --listen go with --virtual. "),
    ],
)
def test_a_wrong_option_is_one_clear_line(options, told):
    result = subprocess.run([DEPLOY, *options.split()], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1


def test_help_names_every_option():
    result = subprocess.run([DEPLOY, "--help"], capture_output=True, text=True, check=True)
    for option in ("--virtual", "--role", "--url", "--listen", "--port", "--help"):
        assert f"  {option} " in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_boards_without_a_word_too_much(start, number):
    process = start([DEPLOY, "--virtual", "--listen", "0"])
    process.wait_for("client | ")
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert "Traceback" not in process.output
    if number == signal.SIGINT:
        assert process.lines[-1] == "Stopped."


def test_it_says_which_interpreter_runs_and_where_to_connect(start):
    process = start([DEPLOY, "--virtual", "--role", "server", "--listen", "0"])
    line = process.wait_for("Virtual server")
    assert re.search(r"Virtual server on MicroPython 1\.\d+\.\d+, 32 bit, 128k of heap\. ", line)
    url = process.wait_for("Any WebSocket client can connect to ")
    assert re.search(r"ws://127\.0\.0\.1:[1-9]\d+/", url)


def test_without_micropython_it_says_why(start):
    command = ["python3", virtual.__file__, "--reason", "none here", "--listen", "0"]
    line = start(command).wait_for("Virtual server")
    assert re.search(
        r"server and client on CPython 3\.\d+\.\d+, for want of MicroPython \(none here\)", line
    )


def test_a_board_that_ends_is_reported(start):
    process = start([DEPLOY, "--virtual", "--role", "client", "--url", "http://127.0.0.1/"])
    assert '"url" is "http://127.0.0.1/"' in process.wait_for("client | ")
    process.wait_for("client | the program has ended with exit status 0")
    assert process.wait() == 1


def test_a_port_that_is_taken_is_told(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start([DEPLOY, "--virtual", "--listen", str(port)])
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
