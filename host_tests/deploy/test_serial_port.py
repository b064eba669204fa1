"""serial_port.py: a virtual board is to mpremote what a board is, and loses power like one."""

import errno
import time

import pytest
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from host_tests.deploy.serial_port import HARD, PWRON, SOFT, WDT, SerialBoard
from host_tests.support.interpreters import PATIENCE
from host_tests.support.tools import tool


@pytest.fixture
def serial_board(tmp_path):
    boards = []

    def make(*args, **options):
        board = SerialBoard(tmp_path / f"board{len(boards)}", *args, **options)
        boards.append(board)
        board.plug_in()
        return board

    yield make
    for board in boards:
        board.pull_out()
        assert board.errors == b""


@pytest.fixture(params=["micropython32", "micropython64"])
def board(request, serial_board):
    return serial_board(tool(request.param))


class Terminal(SerialTransport):
    """mpremote's own serial connection to a board, closed at the end of a `with`."""

    def __init__(self, board):
        super().__init__(board.device)
        # mpremote blocks on a pty, and these tests want an end to it.
        self.is_pty = False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.serial.close()  # and ask nothing of a port that may be gone

    def type(self, keys):
        self.serial.write(keys)

    def wait_for(self, text):
        data = self.read_until(1, text, timeout=PATIENCE)
        assert data.endswith(text), data
        return data


def test_code_is_run_pasted_raw_and_plain(board):
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        assert terminal.use_raw_paste
        assert terminal.exec("print(6 * 7)") == b"42\r\n"
        assert terminal.use_raw_paste
        long = "#" + "x" * 3000 + "\nprint('long')"
        assert terminal.exec(long) == b"long\r\n"
        terminal.use_raw_paste = False
        assert terminal.exec("a = 1\nprint('plain')") == b"plain\r\n"
        with pytest.raises(TransportExecError, match="ZeroDivisionError"):
            terminal.exec("1 / 0")
        with pytest.raises(TransportExecError, match="SyntaxError"):
            terminal.exec("1 +")
        assert terminal.eval("a") == 1


TASK = """
import asyncio
async def fail():
    1 / 0
async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0.01)
    print("goes on")
asyncio.run(main())
"""


def test_what_a_task_did_not_catch_is_told(board):
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        terminal.exec_raw_no_follow(TASK)
        said = terminal.wait_for(b"ZeroDivisionError: divide by zero\r\n")
        if b"goes on" not in said:  # which comes by another way
            terminal.wait_for(b"goes on\r\n")


def test_bytes_of_any_value_come_through(board):
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        data = bytes(range(256)) * 3
        terminal.fs_writefile("bytes", data)
        assert bytes(terminal.fs_readfile("bytes")) == data


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(1000)"])
def test_ctrl_c_stops_what_runs(board, code):
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        terminal.exec_raw_no_follow("print('runs')\n" + code)
        terminal.wait_for(b"runs\r\n")
        terminal.type(b"\x03")
        assert b"KeyboardInterrupt" in terminal.follow(PATIENCE)[1]


def test_the_prompt_takes_lines(board):
    with Terminal(board) as terminal:
        terminal.type(b"\x03\x02")
        terminal.wait_for(b">>> ")
        terminal.type(b"6 * 7\r")
        terminal.wait_for(b"\r\n42\r\n>>> ")
        terminal.type(b"1 / 0\r")
        terminal.wait_for(b"ZeroDivisionError: divide by zero\r\n>>> ")
        terminal.type(b"\x01")
        terminal.wait_for(b"raw REPL; CTRL-B to exit\r\n>")
        terminal.type(b"\x02")
        terminal.wait_for(b"MicroPython v")


def test_each_reset_runs_what_it_runs_on_a_board(board):
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        assert board.resets == [PWRON, SOFT]
        tell = "import machine; print('%s', machine.reset_cause())"
        terminal.fs_writefile("boot.py", (tell % "boot").encode())
        terminal.fs_writefile("main.py", (tell % "main").encode())
        terminal.exec("kept = 1")
        terminal.exec_raw_no_follow("import machine; machine.reset()")
        assert b"main" not in terminal.wait_for(b"boot %d\r\n" % HARD)
        terminal.wait_for(b"main %d\r\n" % HARD)
        terminal.wait_for(b">>> ")
        terminal.type(b"\x04")
        terminal.wait_for(b"MPY: soft reboot\r\nboot %d\r\nmain %d\r\n" % (SOFT, SOFT))
        terminal.wait_for(b">>> ")
        terminal.type(b"\r\x01")
        terminal.wait_for(b"CTRL-B to exit\r\n>")
        terminal.type(b"\x04")
        said = terminal.wait_for(b"raw REPL; CTRL-B to exit\r\n")
        assert said.startswith(b"OK\r\nMPY: soft reboot\r\nboot %d\r\n" % SOFT)
        assert b"main" not in said
        assert terminal.eval("'kept' in globals()") is False


def test_a_watchdog_that_nobody_feeds_resets_the_board(board):
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        tell = b"import machine; print('boot', machine.reset_cause())"
        terminal.fs_writefile("boot.py", tell)
        terminal.exec_raw_no_follow("import machine; machine.WDT(timeout=1000)\nwhile True: pass")
        terminal.wait_for(b"boot %d\r\n" % WDT)
        terminal.wait_for(b">>> ")
    assert board.resets == [PWRON, SOFT, WDT]


def test_the_flash_outlives_the_power_and_is_full_at_its_end(serial_board):
    board = serial_board(tool("micropython32"), blocks=16)
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        terminal.fs_writefile("kept", b"x" * 5000)
        with pytest.raises(OSError) as caught:
            terminal.fs_writefile("big", b"x" * 16 * 4096, chunk_size=4096)
        assert caught.value.errno == errno.ENOSPC
    board.pull_out()
    board.plug_in()
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        assert bytes(terminal.fs_readfile("kept")) == b"x" * 5000


def test_the_heap_is_that_of_a_board(serial_board):
    with Terminal(serial_board(tool("micropython32"))) as terminal:
        terminal.enter_raw_repl()
        # 128 KiB, and 10 for the table of names that doubles with those of the stand-ins.
        assert 132 < terminal.eval("__import__('gc').mem_free()") // 1024 < 142


def test_it_is_cut_off_after_as_many_bytes_as_wanted(serial_board):
    board = serial_board(tool("micropython32"))
    board.cut_at = 100
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        with pytest.raises((OSError, TransportError)):
            terminal.fs_writefile("file", b"x" * 1000)
    assert board.wait_until_off(PATIENCE)
    assert board.received == 100


def test_the_power_fails_in_the_middle_of_a_write(serial_board):
    board = serial_board(tool("micropython32"))
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        terminal.fs_writefile("kept", b"x" * 5000)
    board.pull_out()
    board.cut_at_write = 3
    board.plug_in()
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        with pytest.raises((OSError, TransportError)):
            terminal.fs_writefile("kept", b"y" * 9000)
    assert board.wait_until_off(PATIENCE)
    board.pull_out()
    board.plug_in()
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        assert bytes(terminal.fs_readfile("kept")) == b"x" * 5000


def test_it_answers_late(serial_board):
    board = serial_board(tool("micropython32"))
    board.delay = 0.05
    with Terminal(board) as terminal:
        terminal.enter_raw_repl()
        began = time.monotonic()
        assert terminal.eval("6 * 7") == 42
        assert time.monotonic() - began >= board.delay


def test_nothing_answers_where_there_is_no_micropython(serial_board):
    board = serial_board(None)
    silent = pytest.raises(TransportError, match="could not enter raw repl")
    with Terminal(board) as terminal, silent:
        terminal.enter_raw_repl(timeout_overall=0.2)
    assert board.received > 0


def test_two_programs_cannot_have_the_port(serial_board):
    board = serial_board(tool("micropython32"))
    with Terminal(board), pytest.raises(TransportError, match="failed to access"):
        Terminal(board)


def test_an_interpreter_that_fails_is_told(tmp_path):
    broken = tmp_path / "micropython"
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    broken.chmod(0o755)
    board = SerialBoard(tmp_path / "board", broken)
    board.plug_in()
    try:
        assert board.wait_until_off(PATIENCE)
    finally:
        board.pull_out()
    assert board.errors == b"broken\nthe interpreter ended with status 1\n"
