"""firmware/sketch.py: a file of the board's owner, and what the board does with its mistakes."""

import json
import re

import pytest

from host_tests.deploy import virtual
from host_tests.firmware.test_roles import Server
from host_tests.firmware.test_server_role import Board, next_text
from host_tests.support.interpreters import BOARDS, PATIENCE, environment
from host_tests.support.process import Process

# A sketch by itself. `said` has what it sent to everybody.
BEGIN = """
import asyncio
import machine, network
from firmware import board, net, sketch, values
from firmware.settings import defaults
settings = defaults()
settings["outputs"] = {"lamp": {"pin": 2}}
net.start(settings)
said = []

def publish(items, now, source):
    said.extend(values_.texts(items, now))

values_ = values.Values(settings, lambda: 7, 1, publish)
sketch.log = lambda text: print(text)

async def start():
    await values_.start_sketch(said.append)
    return values_.sketch

class Client:
    name = "Ann"
"""

GREETER = """
from firmware import board

def setup():
    board.outputs["lamp"].on()
    board.send("sum", 1 + board.inputs["pin0"].value())
    board.send("ready")

async def on_message(message, client):
    if message == "hello":
        return "hello " + client.name
    return 5 if message == "five" else None
"""


@pytest.fixture
def lines(interpreter, tmp_path):
    """Run code after BEGIN beside a sketch; the lines that it printed."""

    def run(text, code):
        (tmp_path / "sketch.py").write_text(text)
        env = environment(virtual.START.parent, tmp_path)
        result = interpreter.run("-c", BEGIN + code, env=env, cwd=tmp_path)
        assert result.stderr == ""
        return [line for line in result.stdout.splitlines() if not line.startswith("[")]

    return run


def test_everything_in_a_sketch_is_optional(lines):
    code = """
async def main():
    one = await start()
    for message in ("hello", "five", "other", "error: hello"):
        print(await one.message(message, Client()))
    print(await one.call("on_connect", Client()), one.errors, said)
asyncio.run(main())
"""
    assert lines(GREETER, code) == [
        "starting sketch.py",
        "pin 2: 1",
        "hello Ann",
        "5",
        "None",
        "None",
        "None 0 ['lamp:1', 'sum:8', 'ready']",
    ]
    assert lines("", code)[1:] == ["None"] * 4 + ["None 0 []"]


def test_a_mistake_is_told_with_file_line_and_text(lines):
    told = lines(
        """
from firmware import board

def setup():
    board.every(60, measure)
    board.every(60, wait)
    board.send("lamp", 1)

def measure():
    return [][1]

async def wait():
    raise ValueError("too \\x1b[2J late")

def on_message(message, client):
    return undefined
""",
        """
async def main():
    one = await start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(await one.message("hello", Client()), one.errors)
    print(said[0])
    print(len(said))
asyncio.run(main())
""",
    )
    assert "sketch.py, line 7, in setup: ValueError: no name for a value: lamp" in told
    assert told[-3] == "None 4"
    assert told[-2] == "error: sketch.py, line 7, in setup: ValueError: no name for a value: lamp"
    # Those of the same second are counted.
    assert int(told[-1]) < 4


def test_a_sketch_that_is_no_python_is_told_with_its_line(lines):
    told = lines("def setup():\n    pass\n\ndef on_message(:\n", "asyncio.run(start())")
    assert re.fullmatch(
        r"sketch.py, line 4(, in <module>)?: SyntaxError: invalid syntax", told[-1]
    )


def test_what_holds_up_the_others_is_named(lines):
    told = lines(
        """
import asyncio, time
from firmware import board

def setup():
    time.sleep(1.2)
    board.every(60, measure)

async def measure():
    await asyncio.sleep(0.01)
    time.sleep(2.3)
""",
        """
async def main():
    one = await start()
    live = asyncio.create_task(one.live())
    await asyncio.sleep(2.5)
    live.cancel()
asyncio.run(main())
""",
    )
    held = [line for line in told if "held up everything for" in line]
    assert [line.split(" ")[1] for line in held] == ["setup", "measure"]


def test_a_sketch_and_what_it_imports_are_exchanged(lines, tmp_path):
    (tmp_path / "helper.py").write_text("word = 'one'\n")
    told = lines(
        "import helper\nfrom firmware import board\n"
        "def setup(): board.every(0.01, lambda: said(helper.word))\n"
        "def said(word): board.send(word)\n"
        "def on_message(message, client): return helper.word\n",
        """
async def main():
    one = await start()
    print(await one.message("x", None))
    await asyncio.sleep(0.1)
    with open("helper.py", "w") as file:
        file.write("word = 'three'\\n")
    with open("sketch.py", "w") as file:
        file.write("import helper\\ndef on_message(message, client): return 2 * helper.word\\n")
    await one.look()
    del said[:]
    await asyncio.sleep(0.1)
    print(await one.message("x", None), said)
    import os
    os.remove("sketch.py")
    await one.look()
    print(await one.message("x", None))
asyncio.run(main())
""",
    )
    assert [line for line in told if "starting" not in line] == ["one", "threethree []", "None"]


def test_one_that_hangs_at_its_start_is_left_out_once(lines, tmp_path):
    hangs = (
        "def setup(): raise KeyboardInterrupt\ndef on_message(message, client): return 'here'\n"
    )
    code = """
async def main():
    try:
        one = await start()
        print(await one.message("x", None), said)
    except KeyboardInterrupt:
        print("hangs")
asyncio.run(main())
"""
    assert lines(hangs, code) == ["starting sketch.py", "hangs"]
    told = (
        "sketch.py did not get through its start: this time the board runs without it. "
        "Put a new one on the board"
    )
    assert lines(hangs, code) == [told, f"None ['error: {told}']"]
    assert lines(hangs, code)[-1] == "hangs"
    # Another one is not blamed for it.
    assert lines(hangs.replace("raise KeyboardInterrupt", "pass"), code)[-1] == "here []"


def test_one_with_which_the_board_crashed_three_times_is_left_out(lines):
    text = "def on_message(message, client): return 'here'\n"
    crash = """
asyncio.run(start())
print(values_.sketch.has("on_message"))
sketch.count_crash()
"""
    for _ in range(3):
        assert lines(text, crash) == ["starting sketch.py", "True"]
    told = lines(text, crash)
    assert told[0].startswith("sketch.py is left out: the board crashed 3 times with it. ")
    assert told[-1] == "False"
    assert lines(text + "\n", crash)[-1] == "True"
    # A reset by the watchdog is a crash, and one after a good run is the first in its row.
    hang = "machine.cause = machine.WDT_RESET\nasyncio.run(start())"
    for _ in range(2):
        lines(text + "\n", hang)
    assert "is left out" in lines(text + "\n", hang)[0]
    late = "sketch.uptime = lambda: 600\n" + crash
    for _ in range(5):
        assert lines(text + "#", late)[-1] == "True"


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A board in the server role with a sketch; tests change it by `board.sketch(text)`."""
    processes = []
    folder = tmp_path_factory.mktemp("sketch") / "board"

    def start(command, env, cwd):
        (folder / "sketch.py").write_text("")
        processes.append(Process(command, env, cwd))
        return processes[0]

    try:
        running = Board(folder, start, {"sample_interval": 30, "chat": True})

        def sketch(text):
            (folder / "sketch.py").write_text(text)
            running.wait_for("starting sketch.py")

        running.sketch = sketch
        yield running
    finally:
        for process in processes:
            process.stop()


def test_clients_stay_while_the_sketch_of_a_server_is_exchanged(board):
    with board.connect("/?name=Ann") as ann:
        board.sketch("def on_message(message, client): return message.upper() + client.name")
        ann.send("hello ")
        assert next_text(ann) == "HELLO Ann"
        board.sketch(
            "from firmware import board\n"
            "def setup(): board.every(0.05, lambda: board.send('temp', 21.55))\n"
            "def on_connect(client): return 'welcome ' + client.name\n"
            "def on_disconnect(client): board.send('bye ' + client.name)\n"
            "def on_message(message, client): return missing\n"
        )
        assert next_text(ann) == "temp:21.55"
        with board.connect("/?name=Ben") as ben:
            while next_text(ben) != "welcome Ben":
                pass
            ben.send("x")
            told = next_text(ben)
            while not told.startswith("error: "):
                told = next_text(ben)
            assert told.startswith("error: sketch.py, line 5, in on_message: NameError: ")
        while next_text(ann) != "bye Ben":
            pass
        metrics = board.metrics()
        assert metrics["values"]["temp"] == 21.55
        assert metrics["sketch"] == {"errors": 1, "error": told[len("error: ") :]}
        board.sketch("")
        while next_text(ann) != '{"error": ""}':
            pass


def test_a_sketch_runs_in_the_client_role(start, tmp_path):
    heard = []

    def handler(connection):
        connection.send("hello")
        for message in connection:
            heard.append(message)
            if message == "answer to done":
                break
            if len(heard) == 4:
                connection.send("done")

    with Server(handler) as server:
        settings = {"role": "client", "url": server.url, "sample_interval": 30}
        board = virtual.Board("board", tmp_path / "board", settings)
        (board.folder / "sketch.py").write_text(
            "from firmware import board\n"
            "def on_connect(client): return 'subscribe ' + client.name\n"
            "async def on_message(message, client): return 'answer to ' + message\n"
            "def setup(): board.every(0.1, lambda: board.send('temp', 20))\n"
            "def on_disconnect(client): board.log('gone:', client.name)\n"
        )
        env = environment(board.folder, board.folder / "lib", virtual.START.parent)
        process = start(BOARDS["micropython32"].command(virtual.START), env, board.folder)
        process.wait_for("gone: server", PATIENCE)
    assert heard[0] == "subscribe server"
    assert set(heard[1:]) >= {"answer to hello", "temp:20", "answer to done"}
    assert json.dumps(heard).count("subscribe") == 1
