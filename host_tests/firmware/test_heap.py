"""The heap that the server role takes, all of it from .py, on MicroPython with 32 bits."""

import json

import pytest
from websockets.sync.client import connect

from host_tests.deploy import virtual
from host_tests.support.interpreters import Interpreter, environment

INPUTS = {
    "light": {"pin": 36, "unit": "%", "scale": [0, 100]},
    "door": {"pin": 14, "kind": "digital", "pull": "up"},
}
OUTPUTS = {"lamp": 2, "fan": {"pin": 25, "pwm": 1000}}
SKETCH = """
from firmware import board

def setup():
    board.every(0.1, measure)

def measure():
    board.send("temp", 21.5)

def on_message(message, client):
    return "hello " + client.name
"""


@pytest.fixture
def board(start, tmp_path):
    """`board(KiB of heap, files, setting=...)` starts one, the stand-ins on the same heap."""

    def start_board(heap, files, **settings):
        port = virtual.choose_port(0)
        folder = virtual.Board("board", tmp_path / "board", {**settings, "port": port}).folder
        for name, text in files.items():
            (folder / name).write_text(text)
        env = environment(folder, folder / "lib", virtual.START.parent)
        command = Interpreter("micropython32", "-X", f"heapsize={heap}k").command(virtual.START)
        start(command, env, folder).wait_for("the page is at ")
        return f"ws://127.0.0.1:{port}/"

    return start_board


def test_the_server_role_takes_a_client_on_118_KiB(board):
    with connect(board(118, {}), compression=None) as client:
        assert client.recv().startswith("pin0:")


def test_a_sketch_two_inputs_and_two_outputs_take_a_client_on_128_KiB(board):
    url = board(128, {"sketch.py": SKETCH}, inputs=INPUTS, outputs=OUTPUTS)
    with connect(url, compression=None) as client:
        about = json.loads(client.recv())
        assert sorted(about["inputs"]) == sorted(INPUTS)
        assert sorted(about["outputs"]) == sorted(OUTPUTS)
        client.send("who?")
        client.send("lamp:1")
        missing = {"temp:21.5", "hello client 1", "lamp:1"}
        while missing:
            missing.discard(client.recv())
