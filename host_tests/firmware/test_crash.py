"""A crash is told, kept, shown at the next start and followed by a reset."""

import pytest

from host_tests.firmware.test_main import messages
from host_tests.support.interpreters import BOARDS, environment
from host_tests.support.interrupt import interrupt
from host_tests.support.paths import TOP

BOARD = TOP / "host_tests" / "board"

# The program with a role that crashes, on a clock that shows its pauses and lets nobody wait.
CRASH = """
import sys, time
class Time:
    def __getattr__(self, name):
        return getattr(time, name)
    def sleep(self, seconds):
        print("pause of", seconds)
sys.modules["time"] = Time()
import main
from firmware import log, values
def mistake(pin):
    log._seconds = {seconds}
    raise ValueError("a mistake" + {tail})
values.sampler = mistake
main.main()
print("prompt")
"""

# As board/flash.py says: littlefs in a file, on MicroPython.
FLASH = """
import os, sys
import ffi
from firmware import crash, log
sys.path.append({board!r})
from flash import mount
_exit = ffi.open(None).func("v", "_exit", "i")
class Time:
    def sleep(self, seconds):
        print("pause of", seconds)
crash.time = Time()
def crash_once(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        try:
            crash.end(error)
        except SystemExit:
            pass
flash = mount({image!r}, 32, {cut_at}, lambda: _exit(9))
"""


@pytest.fixture
def crash(interpreter, tmp_path):
    """Start the program, which crashes after so many seconds; the lines of its log."""

    def run(seconds=12, tail="''"):
        code = CRASH.format(seconds=seconds, tail=tail)
        result = interpreter.run("-c", code, env=environment(BOARD), cwd=tmp_path)
        assert "prompt" not in result.stdout  # but a reset
        return messages(result.stdout)

    return run


def test_a_crash_is_told_and_kept_and_shown_at_the_next_start(crash, tmp_path):
    told = crash()
    assert "  crash 1 in a row, 12 s after the start" in told
    assert told[-3:] == [
        "  ValueError: a mistake",
        "resetting the board in 2 s; Ctrl-C stops it",
        "pause of 2",
    ]
    assert any("mistake" in line and "line" in line for line in told)  # where it was
    kept = (tmp_path / "crash.txt").read_text()
    told = crash()
    assert "crash.txt, from before this start; remove it when it is of no use any more:" in told
    start = told.index("  crash 1 in a row, 12 s after the start")
    lines = kept.strip().split("\n")
    assert told[start : start + len(lines)] == ["  " + line for line in lines]
    assert "  crash 2 in a row, 12 s after the start" in told


def test_the_pauses_between_crashes_grow_up_to_a_bound(crash):
    pauses = [crash()[-1] for _ in range(10)]
    assert pauses == [f"pause of {min(2**count, 300)}" for count in range(1, 11)]
    # One that ran well for a while starts again.
    assert crash(seconds=600)[-1] == "pause of 2"


def test_a_crash_file_stays_small_and_does_the_terminal_no_harm(crash, tmp_path):
    told = crash(tail="2000 * 'x' + '\\x1b[2J'")
    assert r"\u{1b}[2J" in told[-3]
    assert (tmp_path / "crash.txt").stat().st_size < 1200
    (tmp_path / "crash.txt").write_bytes(b"\xff\x00 nonsense")
    assert crash()[-1] == "pause of 2"


def test_ctrl_c_in_the_pause_gives_the_prompt_back(interpreter, start, tmp_path):
    code = CRASH.format(seconds=0, tail="''").replace('sys.modules["time"]', "unused")
    process = start(interpreter.command("-c", code), env=environment(BOARD), cwd=tmp_path)
    process.wait_for("resetting the board in 2 s")
    interrupt(process.pid)
    process.wait_for("stopped by Ctrl-C")
    process.wait_for("prompt")


def run_on_flash(tmp_path, code, cut_at=0):
    image = tmp_path / "flash"
    if not image.exists():
        image.write_bytes(b"\xff" * 4096 * 32)
    begin = FLASH.format(board=str(BOARD), image=str(image), cut_at=cut_at)
    result = BOARDS["micropython32"].run("-c", begin + code, env=environment(BOARD))
    assert result.stderr == ""
    return result.returncode, messages(result.stdout)


def test_a_full_file_system_does_not_hurt(tmp_path):
    code = """
crash_once("the first")
try:
    for i in range(100):
        with open("data%d" % i, "w") as file:
            file.write(1024 * "x")
except OSError:
    pass
crash_once(80 * "the second")
print([name for name in os.listdir() if name.startswith("crash")])
crash.tell()
"""
    status, told = run_on_flash(tmp_path, code)
    assert status == 0
    at = told.index("crash.txt cannot be written: 28")
    assert told[at + 2] == "pause of 300"
    assert told[at + 3] == "['crash.txt']"
    assert told[-1] == "  ValueError: the first"


def test_a_power_cut_while_a_crash_is_written_leaves_the_one_before_or_this_one(tmp_path):
    found = []
    status, cut_at = 9, 0
    while status == 9:
        (tmp_path / "flash").unlink(missing_ok=True)
        run_on_flash(tmp_path, "crash_once('the first')")
        cut_at += 1
        status, _ = run_on_flash(tmp_path, "crash_once('the second')", cut_at)
        again, told = run_on_flash(tmp_path, "crash.tell()")
        assert again == 0
        found.append(told[-1])
    assert cut_at > 2
    assert set(found) == {"  ValueError: the first", "  ValueError: the second"}
    assert found == sorted(found)  # from some write on it is the new one
