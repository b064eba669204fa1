"""A sketch on its way: ./deploy.sh --sketch, over a serial port and on virtual boards."""

import sys
import time

import pytest

from firmware.deploy import sketch
from firmware.deploy.refusal import Refusal
from host_tests.deploy import serial_port, virtual
from host_tests.support.interpreters import PATIENCE
from host_tests.support.paths import TOP

FILES = {"sketch.py", "colours.py", "parts/__init__.py", "parts/knob.py", "lib/dht22.py"}
GREETER = "from firmware import board\nboard.log('one')\n"


@pytest.fixture
def folder(tmp_path):
    """A sketch that imports three files of its folder, and a fourth that it does not."""
    files = {
        "lamp.py": "import time\nimport colours, parts.knob\nfrom firmware import board\n",
        "colours.py": "import dht22\n",
        "parts/__init__.py": "",
        "parts/knob.py": "",
        "lib/dht22.py": "",
        "other.py": "",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_a_sketch_brings_what_it_imports_from_its_folder(folder):
    assert set(sketch.files_of(folder / "lamp.py")) == FILES


def test_what_is_no_python_stays_here(folder):
    (folder / "colours.py").write_text("x = 1\ny = (\n")
    with pytest.raises(Refusal, match=r"colours\.py, line 2: "):
        sketch.files_of(folder / "lamp.py")
    (folder / "lamp.py").write_bytes(b"x = '\0'\n")
    with pytest.raises(Refusal, match=r"lamp\.py"):
        sketch.files_of(folder / "lamp.py")


def test_a_sketch_comes_on_a_board_with_one_reset(mpremote, micropython32, folder, start):
    board = serial_port.SerialBoard(folder / "board", micropython32)
    board.plug_in()
    try:
        command = [sys.executable, TOP / "firmware" / "deploy", "--sketch", folder / "lamp.py"]
        process = start([*command, "--port", board.device, "--no-repl"])
        line = process.wait_for("On the board after ")
        assert " s: lamp.py and colours.py and " in line
        assert process.wait() == 0
        end = time.monotonic() + PATIENCE  # the board may be about to
        while len(board.resets) < 2 and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        board.pull_out()
    assert board.resets[1:] == [serial_port.HARD]
    files = serial_port.flash(board)
    assert files["sketch.py"] == (folder / "lamp.py").read_bytes()
    assert set(files) == FILES


def test_a_virtual_board_has_another_sketch_at_each_save(start, tmp_path):
    file = tmp_path / "greeter.py"
    file.write_text(GREETER)
    (tmp_path / "config.json").write_text('{"outputs": {"lamp": 2}, "chat": true}')
    options = ("--sketch", file, "--watch", "--config", tmp_path / "config.json")
    command = [sys.executable, "-m", virtual.__name__, *options]
    process = start([*command, "--name", "hall", "--listen", "0"])
    process.wait_for("Virtual hall on ")
    process.wait_for("hall | ")
    process.wait_for("one")
    process.wait_for("the page is at http://127.0.0.1:")
    file.write_text(GREETER.replace("one", "two, or more"))
    process.wait_for("greeter.py was saved.")
    process.wait_for("two, or more")
    file.write_text("def setup(:\n")
    process.wait_for("Not exchanged: greeter.py, line 1: ")
    assert "client |" not in process.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--watch"], "--watch goes with --virtual --sketch FILE"),
        (["--sketch", "missing.py"], "--sketch: there is no file missing.py to read"),
        (["--sketch", "README.md", "--role", "client"], "--sketch puts just that file on a board"),
        (["--virtual", "--sketch", "README.md"], "README.md, line "),
        (["--virtual", "--config", "README.md"], "README.md is not valid JSON"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(start, options, told):
    process = start([sys.executable, "-m", "firmware.deploy", *options], cwd=TOP)
    assert process.wait() in (1, 2)
    assert told in process.lines[-1]
