"""Inputs and outputs on the wire: what the clients of a virtual board get, and may do."""

import json
import re
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from host_tests.deploy import virtual
from host_tests.firmware.test_roles import Server
from host_tests.firmware.test_server_role import Board
from host_tests.support.interpreters import BOARDS, PATIENCE, environment
from host_tests.support.process import Process

PINS = {
    "inputs": {
        "light": {"pin": 36, "unit": "%", "scale": [0, 100]},
        "door": {"pin": 14, "kind": "digital", "pull": "up", "states": ["closed", "open"]},
    },
    "outputs": {"lamp": 2, "fan": {"pin": 25, "pwm": 1000, "idle": 10}},
}


@contextmanager
def bench(folder, settings, sketch=None):
    """A board on which a person changes the levels of pins, `board.wire(number, level)`."""
    processes = []
    wires = folder / "bench"
    wires.mkdir()

    def start(command, env, cwd):
        if sketch is not None:
            (cwd / "sketch.py").write_text(sketch)
        processes.append(Process(command, {**env, "MICROWS_BENCH": str(wires)}, cwd))
        return processes[0]

    def wire(number, level):
        with (wires / "events").open("a") as file:
            file.write(f"pin {number} {level}\n")

    try:
        board = Board(folder / "board", start, {"sample_interval": 30, **settings})
        board.wire = wire
        yield board
    finally:
        for process in processes:
            process.stop()


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """One with pins and a chat, for all tests that leave its outputs as they found them."""
    with bench(tmp_path_factory.mktemp("wire"), {**PINS, "chat": True}) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """One that talks JSON, and lets in who knows a token."""
    settings = {**PINS, "format": "json", "token": "all", "watch_token": "some", "history": 0}
    with bench(tmp_path_factory.mktemp("guarded"), settings) as running:
        yield running


@contextmanager
def joined(board, path="/"):
    """A client, past its first message, which is its `first`."""
    with board.connect(path) as client:
        client.first = json.loads(client.recv(PATIENCE))
        yield client


def next_of(client, start):
    """The next message that begins so."""
    while not (message := client.recv(PATIENCE)).startswith(start):
        pass
    return message


def test_who_connects_gets_all_names_first(board):
    with board.connect("/?name=Ann") as client:
        first = json.loads(client.recv(PATIENCE))
        light = first["inputs"].pop("light")
        assert 0 <= light.pop("value") <= 100
        assert light == {"kind": "analog", "unit": "%", "range": [0, 100]}
        assert first == {
            "name": "microws",
            "format": "text",
            "read_only": False,
            "clients": ["Ann"],
            "inputs": {
                "door": {
                    "kind": "digital",
                    "range": [0, 1],
                    "value": 1,
                    "states": ["closed", "open"],
                }
            },
            "outputs": {
                "lamp": {"range": [0, 1], "value": 0},
                "fan": {"range": [0, 100], "value": first["outputs"]["fan"]["value"], "pwm": 1000,
                        "unit": "%"},
            },
        }  # fmt: skip
        client.send("clients:")
        assert json.loads(client.recv(PATIENCE)) == {"clients": ["Ann"]}


def test_a_command_is_for_the_board_and_its_state_for_everybody(board):
    with joined(board, "/?name=Ann") as ann, joined(board, "/?name=Ben") as ben:
        ann.send("lamp:1")
        board.wait_for("pin 2: 1")
        assert ann.recv(PATIENCE) == ben.recv(PATIENCE) == "lamp:1"
        # One that changes nothing is not answered, a wrong one by an error, to who sent it.
        ann.send("lamp:1")
        ann.send("lamp:2")
        assert ann.recv(PATIENCE) == "error: lamp takes 0 or 1"
        # What is no command is a message, an error among others.
        ben.send("lampe:1")
        assert ann.recv(PATIENCE) == "Ben: lampe:1"
        ben.send("error: lamp takes 0 or 1")
        assert ann.recv(PATIENCE) == "Ben: error: lamp takes 0 or 1"
        ann.send("hello")
        assert ben.recv(PATIENCE) == "Ann: hello"
        ben.send("lamp:0")
        assert ann.recv(PATIENCE) == ben.recv(PATIENCE) == "lamp:0"


def test_a_switch_is_told_when_it_changes(board):
    with joined(board) as client:
        board.wire(14, 0)
        assert next_of(client, "door:") == "door:0"
        board.wire(14, 1)
        assert next_of(client, "door:") == "door:1"


def test_outputs_have_a_state_for_nobody(board):
    with joined(board) as client:
        client.send("fan:70")
        assert next_of(client, "fan:") == "fan:70"
    board.wait_for("pin 25: 10.0 % at 1000 Hz")
    board.wait_for("fan is 10")


def test_the_log_tells_that_anybody_may_switch(board, guarded):
    text = "anybody in this network can switch the outputs: "
    for running, times in ((board, 1), (guarded, 0)):
        running.metrics_once(bool) if times else None
        assert running.process.output.count(text) == times


def test_values_can_be_asked_for(board):
    with joined(board) as client:
        client.send("lamp:1")
        next_of(client, "lamp:1")
        response, body = board.get("/values")
        assert response.headers["Content-Type"] == "application/json"
        found = json.loads(body)
        assert found.keys() == {"light", "door", "lamp", "fan"}
        assert found["light"]["unit"] == "%"
        assert found["lamp"]["value"] == 1
        assert found["lamp"]["time"] - found["light"]["time"] >= 0
        assert found["lamp"]["t"] >= found["light"]["t"]
        assert board.metrics()["values"]["lamp"] == 1
        client.send("lamp:0")
        next_of(client, "lamp:0")


def test_outputs_can_be_set_by_http(board):
    with joined(board) as client:
        response, body = board.get("/values", "POST", b'{"lamp": 1, "fan": 12.5}')
        assert response.status == 200
        assert json.loads(body)["lamp"]["value"] == 1
        assert {client.recv(PATIENCE), client.recv(PATIENCE)} == {"lamp:1", "fan:12.5"}
        for wrong, told in {
            b'{"lamp": 2}': b"error: lamp takes 0 or 1\n",
            b'{"bell": 1}': b"error: there is no output bell\n",
            b'{"lamp": 0': b"error: not an object of JSON",
            b"[1]": b"error: not an object of JSON",
            b"\xff}": b"error: not an object of JSON",
            b"": b"error: not an object of JSON",
        }.items():
            response, body = board.get("/values", "POST", wrong)
            assert (response.status, body[: len(told)]) == (400, told)
        assert board.get("/values", "POST", b"{" + 600 * b" " + b"}")[0].status == 413
        assert board.get("/", "POST", b'{"lamp": 0}')[0].status == 405
        assert board.get("/values", "POST", b'{"lamp": 0}')[0].status == 200
        assert next_of(client, "lamp:") == "lamp:0"


def test_no_page_from_elsewhere_switches_a_lamp(board):
    """What a browser says of itself along with a form or a fetch() of a foreign page."""
    plain = {"Content-Type": "text/plain"}
    for number, origin in enumerate(("https://example.org", "null")):
        headers = {**plain, "Origin": origin}
        status = board.get("/values", "POST", b'{"lamp": 1}', headers)[0].status
        assert status == (403 if number == 0 else 429)
    # DNS rebinding: a name of its own that points here.
    headers = {**plain, "Origin": "http://evil.example", "Host": "evil.example"}
    assert board.get("/values", "POST", b'{"lamp": 1}', headers)[0].status in (403, 429)
    assert board.metrics()["values"]["lamp"] == 0
    # The board's own page may.
    headers = {"Origin": f"http://127.0.0.1:{board.port}"}
    assert board.get("/values", "POST", b'{"lamp": 0}', headers)[0].status == 200


def test_the_last_minutes_can_be_asked_for(board):
    with joined(board, "/?name=Ann") as ann, joined(board, "/?name=Ben") as ben:
        ann.send("light:41.5")
        ann.send("no value: 5 of them")
        ann.send("lamp:1")
        assert next_of(ben, "lamp:1")
        response, body = board.get("/history")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        ann.send("lamp:0")
        assert next_of(ben, "lamp:0")
    rows = [line.split(" ", 1) for line in body.decode().splitlines()]
    assert [float(ago) for ago, _ in rows] == sorted((float(ago) for ago, _ in rows), reverse=True)
    values = [value for _, value in rows]
    assert re.fullmatch(r"light:\d+(\.\d)?", values[0]) or values[0] == "door:1"
    assert values[-2:] == ["Ann: light:41.5", "lamp:1"]


def test_json_comes_and_is_taken(guarded):
    with joined(guarded, "/?token=all") as client:
        assert (client.first["format"], client.first["read_only"]) == ("json", False)
        client.send('{"lamp": 1, "fan": 30}')
        told = json.loads(client.recv(PATIENCE))
        assert told.keys() == {"t", "time", "lamp", "fan"}
        assert (told["lamp"], told["fan"]) == (1, 30)
        client.send('{"lamp": 0, "bell": 1}')
        assert client.recv(PATIENCE) == "error: there is no output bell"
        client.send("lamp:0")
        assert json.loads(client.recv(PATIENCE))["lamp"] == 0


def test_there_may_be_no_history(guarded):
    response, _ = guarded.get("/history", headers={"Authorization": "Bearer all"})
    assert response.status == 404


def test_who_has_the_watch_token_may_watch_and_nothing_else(guarded):
    with joined(guarded, "/?token=some") as watching, joined(guarded, "/?token=all") as other:
        assert watching.first["read_only"] is True
        for said, answer in {
            "lamp:1": "error: lamp cannot be switched from here",
            '{"lamp": 1}': "error: lamp cannot be switched from here",
            "hello": "error: you may only watch",
            "error: hello": "",
            "ping:5": "pong:5 clients:2",
        }.items():
            watching.send(said)
            if answer:
                assert watching.recv(PATIENCE) == answer
        may_not = guarded.get("/values?token=some", "POST", b'{"lamp": 1}')
        assert (may_not[0].status, may_not[1]) == (
            403,
            b"error: lamp cannot be switched from here\n",
        )
        assert guarded.get("/values?token=all", "POST", b'{"lamp": 0}')[0].status == 200
        other.send("lamp:1")
        assert json.loads(watching.recv(PATIENCE))["lamp"] == 1
        other.send("lamp:0")
        assert json.loads(watching.recv(PATIENCE))["lamp"] == 0
    bearer = {"Authorization": "Bearer some"}
    assert json.loads(guarded.get("/values", headers=bearer)[1])["lamp"]["value"] == 0
    assert guarded.get("/values")[0].status == 401
    with pytest.raises(InvalidStatus, match="401"):
        guarded.connect("/?token=none")


def test_the_client_role_takes_commands_and_answers_nothing(start, tmp_path):
    """Its server sends back all that it gets, and says some of its own."""
    heard = []

    def handler(connection):
        connection.send("lamp:1")
        connection.send("lamp:1")
        connection.send("lamp:2")
        connection.send("error: you")
        connection.send("fan:40")
        for message in connection:
            heard.append(message)
            connection.send(message)
            if message == "door:0":
                break

    with Server(handler) as server:
        (tmp_path / "bench").mkdir()
        settings = {**PINS, "role": "client", "url": server.url, "sample_interval": 0.1}
        board = virtual.Board("board", tmp_path / "board", settings)
        env = environment(board.folder, board.folder / "lib", virtual.START.parent)
        env["MICROWS_BENCH"] = str(tmp_path / "bench")
        command = BOARDS["micropython32"].command(virtual.START)
        process = start(command, env, board.folder)
        process.wait_for("pin 2: 1")
        process.wait_for("pin 25: 40.0 % at 1000 Hz")
        for _ in range(3):
            process.wait_for("received light:")
        (tmp_path / "bench" / "events").write_text("pin 14 0\n")
        process.wait_for("closed with code 1000")
        # Its clients have left: all of them was the server.
        process.wait_for("pin 25: 10.0 % at 1000 Hz")
    names = {message.partition(":")[0] for message in heard}
    assert names == {"light", "door"}
    assert heard.count("door:1") == 1


def test_two_boards_with_the_same_outputs_do_not_answer_each_other(board, start, tmp_path):
    url = f"ws://127.0.0.1:{board.port}/?name=kitchen"
    settings = {**PINS, "role": "client", "url": url, "sample_interval": 30}
    kitchen = virtual.Board("kitchen", tmp_path / "kitchen", settings)
    process = start(BOARDS["micropython32"].command(virtual.START), cwd=kitchen.folder)
    with connect(f"ws://127.0.0.1:{board.port}/?name=Ann", compression=None) as ann:
        assert next_of(ann, "kitchen: door:") == "kitchen: door:1"
        said = []
        for i in range(20):
            ann.send(f"lamp:{(i + 1) % 2}")
            ann.send("lamp:none")
        ann.send("lamp:1")
        process.wait_for("pin 2: 1")
        while (message := ann.recv(PATIENCE)) != "lamp:1" or said.count("lamp:1") < 10:
            said.append(message)
        # Whatever were still under way would come before the answer to this.
        for text in ("lamp:0", "ping:1"):
            ann.send(text)
        while not (message := ann.recv(PATIENCE)).startswith("pong:1"):
            said.append(message)
        process.wait_for("received lamp:0")
        board.wait_for("lamp is 0")
    assert [text for text in said if "kitchen: lamp" in text or "kitchen: error" in text] == []
    assert said.count("error: lamp takes 0 or 1") == 20
