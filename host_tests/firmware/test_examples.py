"""firmware/examples: each of them on MicroPython, with stand-ins for the drivers of its parts."""

import json

import pytest

from host_tests.deploy import virtual
from host_tests.firmware.test_roles import Server
from host_tests.firmware.test_server_role import Board
from host_tests.firmware.test_wire import bench, joined, next_of
from host_tests.support.interpreters import BOARDS, PATIENCE, environment
from host_tests.support.paths import TOP

EXAMPLES = TOP / "firmware" / "examples"


def test_there_are_ten_of_less_than_thirty_lines():
    sizes = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert len(sizes) == 10
    assert max(sizes.values()) < 30


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A server whose sketch is exchanged: `board.run(name)`."""
    pins = {
        "inputs": {
            "button": {"pin": 14, "kind": "digital", "pull": "up"},
            "loudness": {"pin": 36, "scale": [0, 100]},
        },
        "outputs": {"lamp": 2, "relay": 26, "red": 32, "yellow": 25, "green": 33},
    }
    with bench(tmp_path_factory.mktemp("examples"), pins, "") as running:
        running.wire(36, 0)

        def run(name):
            text = (EXAMPLES / f"{name}.py").read_text()
            (running.files / "sketch.py").write_text(text)
            running.wait_for("starting sketch.py")

        running.run = run
        yield running


def test_lamp_and_button(board):
    with joined(board) as client:
        board.run("lamp_and_button")
        for state in (1, 0):
            board.wire(14, 0)
            board.wait_for(f"pin 2: {state}")
            told = {client.recv(PATIENCE), client.recv(PATIENCE)}
            assert told == {f"lamp:{state}", "button:0"}
            board.wire(14, 1)
            assert next_of(client, "button:") == "button:1"


def test_dht22_sensor(board):
    with joined(board) as client:
        board.run("dht22_sensor")
        assert next_of(client, "temperature:") == "temperature:21.5"
        assert next_of(client, "humidity:") == "humidity:48.2"


def test_ds18b20_sensor(board):
    with joined(board) as client:
        board.run("ds18b20_sensor")
        assert next_of(client, "water0:") == "water0:19.1"
        assert next_of(client, "water1:") == "water1:4.5"


def test_neopixel_ring(board):
    with joined(board) as client:
        board.run("neopixel_ring")
        client.send("red")
        assert "pixels: [(60, 0, 0), (60, 0, 0), " in board.wait_for("pixels:")
        client.send("0,50,256")
        assert next_of(client, "I know ").startswith("I know red, green, blue, off")
        client.send("0,50,100")
        assert "pixels: [(0, 50, 100), " in board.wait_for("pixels:")


def test_servo(board):
    with joined(board) as client:
        board.run("servo")
        board.wait_for("pin 27: 0.0 % at 50 Hz")
        client.send("181")
        assert next_of(client, "a number") == "a number from 0 to 180, please"
        client.send("90")
        board.wait_for("pin 27: 7.5 % at 50 Hz")
        assert next_of(client, "angle:") == "angle:90"


def test_relay_timer(board):
    with joined(board) as client:
        board.run("relay_timer")
        client.send("soon")
        assert next_of(client, "how many") == "how many seconds?"
        client.send("100")
        assert next_of(client, "on for") == "on for 100 s"
        client.send("0")
        board.wait_for("pin 26: 1")
        board.wait_for("pin 26: 0")


def test_traffic_light(board):
    with joined(board) as client:
        board.run("traffic_light")
        board.wait_for("pin 33: 1")
        for loudness, pin in ((32000, 25), (60000, 32), (0, 33)):
            board.wire(36, loudness)
            board.wait_for(f"pin {pin}: 1")
        client.send("quiet!")
        board.wait_for("pin 32: 1")


def run_client(start, folder, name, settings):
    """A board in the client role with an example as its sketch."""
    board = virtual.Board("board", folder, {"role": "client", "sample_interval": 30, **settings})
    (board.folder / "sketch.py").write_bytes((EXAMPLES / f"{name}.py").read_bytes())
    env = environment(board.folder, board.folder / "lib", virtual.START.parent)
    return start(BOARDS["micropython32"].command(virtual.START), env, board.folder)


def test_two_boards_chat(start, tmp_path):
    def start_server(command, env, cwd):
        (cwd / "sketch.py").write_bytes((EXAMPLES / "two_boards_chat.py").read_bytes())
        return start(command, env, cwd)

    server = Board(tmp_path / "server", start_server, {"sample_interval": 30})
    settings = {"url": f"ws://127.0.0.1:{server.port}/"}
    client = run_client(start, tmp_path / "client", "two_boards_chat", settings)
    client.wait_for("server says: hello, client 1")
    for process, other in ((client, "server"), (server, "client 1")):
        process.wait_for(f"{other} says: They have a watchdog.")
    client.stop()
    server.wait_for("goodbye, client 1")


def test_json_to_node_red(start, tmp_path):
    told = []

    def handler(connection):
        while len(told) < 3:
            told.append(json.loads(connection.recv()))
            connection.send('{"lamp": 1}')

    with Server(handler) as server:
        settings = {"url": server.url, "format": "json", "outputs": {"lamp": 2}}
        process = run_client(start, tmp_path / "board", "json_to_node_red", settings)
        process.wait_for("pin 2: 1")
        process.wait_for("closed with code 1000")
    states = [one["lamp_is"] for one in told if "lamp_is" in one]
    assert set(states) <= {0, 1}
    assert states
    assert all(0 < one["heap"] < 156 * 1024 for one in told if "heap" in one)


def test_subscribe(start, tmp_path):
    asked = []

    def handler(connection):
        asked.append(json.loads(connection.recv()))
        connection.send('{"type": "subscriptions"}')
        connection.send('{"type": "ticker", "product_id": "BTC-EUR", "price": "51234.5"}')
        for _ in connection:
            pass

    with Server(handler) as server:
        process = run_client(start, tmp_path / "board", "subscribe", {"url": server.url})
        process.wait_for("BTC-EUR 51234.5")
        process.stop()
    assert asked[0]["type"] == "subscribe"
