"""boot.py and main.py, run as a board runs them: from the folder that holds its files."""

import json
import signal

import pytest
from conftest import TOP, environment
from virtual import START, Board, choose_port

BOARD = TOP / "host_tests" / "board"

CHOICE = """
import machine, main
from firmware import config
settings = dict(config.DEFAULTS)
settings["role"] = "client"
print(main.choose_role(settings))
settings["role_pin"] = 27
print(main.choose_role(settings))
machine.Pin.grounded.add(27)
print(main.choose_role(settings))
"""

SAMPLES = """
import machine, main
attenuations = []
machine.ADC.atten = lambda adc, value: attenuations.append(value)
read = main.sampler(36)
print(0 <= read() <= 65535, attenuations == [machine.ADC.ATTN_11DB])
del machine.ADC.ATTN_11DB
read = main.sampler(26)
print(0 <= read() <= 65535, len(attenuations))
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


@pytest.mark.parametrize("role", ["server", "client"])
def test_ctrl_c_gives_the_prompt_back(interpreter, start, tmp_path, role):
    port = choose_port(0)
    settings = {"role": role, "port": port, "url": f"ws://127.0.0.1:{port}/"}
    board = Board("board", tmp_path / "board", settings)
    process = start(interpreter.command(START), cwd=board.folder)
    assert f"starting as {role}, board esp32-w5500" in process.wait_for("starting")
    process.wait_for("listening" if role == "server" else "trying again")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert "stopped by Ctrl-C" in process.lines[-1]


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
