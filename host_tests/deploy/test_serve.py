"""./deploy.sh --serve: the server of a class on the teacher's computer."""

import json
import signal
import sys
import urllib.request

import pytest
from websockets.sync.client import connect

from firmware.deploy.board_files import program
from host_tests.deploy import serve, virtual
from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.paths import TOP
from host_tests.support.ports import accepts, free_port
from host_tests.support.tools import tool


@pytest.fixture
def server(start):
    """The server while it runs, and its port."""
    process = start([sys.executable, TOP / "firmware" / "deploy", "--serve", "--listen", "0"])
    line = process.wait_for("listening on ws://0.0.0.0:")
    return process, int(line.rpartition(":")[2].strip("/"))


def test_boards_and_people_hear_each_other(server, start, tmp_path):
    process, port = server
    url = f"ws://127.0.0.1:{port}/"
    assert f":{port}/?name=ada" in process.wait_for("Boards connect to ws://")
    process.wait_for(f":{port}/ in a browser to see them all and to chat.")
    settings = {"role": "client", "url": url + "?name=kitchen", "sample_interval": 0.1}
    board = virtual.Board("kitchen", tmp_path / "board", settings)
    with connect(url + "?name=ada") as ada, connect(url + "?name=bob") as bob:
        start(INTERPRETERS["micropython32"].command(virtual.START), cwd=board.folder)
        assert ada.recv().startswith("kitchen: pin0:")
        ada.send("hello")
        while (message := bob.recv()) != "ada: hello":
            assert message.startswith("kitchen: pin0:")
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()
    assert page == program()["page.html"]
    metrics = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics"))
    assert (metrics["max_clients"], metrics["chat"]) == (64, True)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert process.lines[-1] == "Stopped."
    assert "Traceback" not in process.output


def test_the_command_for_websocketd_does_what_is_said_of_it(capsys, start):
    port = free_port()
    serve.tell(port)
    told = capsys.readouterr().out.splitlines()[-1]
    name, *arguments = told.rpartition(" is: ")[2].split()
    assert name == "websocketd"
    start([tool(name), *arguments])
    accepts(port)
    with connect(f"ws://127.0.0.1:{port}/?name=ada") as ada:
        ada.send("pin0:1")
        assert ada.recv() == "pin0:1"


def test_a_computer_without_a_network_is_told(monkeypatch, capsys):
    monkeypatch.setattr(serve, "addresses", list)
    serve.tell(8080)
    assert capsys.readouterr().out.startswith("This computer has no network: only what runs on it")
