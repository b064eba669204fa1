"""The interpreters and tools that every other test relies on are what they are taken for."""

import ast
import signal
import subprocess

import pytest

from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.interrupt import interrupt
from host_tests.support.paths import BIN, TOP
from host_tests.support.tools import tool

MICROPYTHONS = ["micropython64", "micropython32"]

# Small integers fill a word but for one bit for the tag and one for the sign; what does not fit
# is an object on the heap.
SMALL_INTEGERS = """
import gc
def allocated(bits):
    limit = (1 << bits) - 2
    gc.disable()
    before = gc.mem_alloc()
    limit + 1
    fits = gc.mem_alloc() - before
    before = gc.mem_alloc()
    limit + 2
    return fits, gc.mem_alloc() - before
print(allocated({bits}))
"""

VIPER = """
import micropython
@micropython.viper
def total(data: ptr8, n: int) -> int:
    s = 0
    for i in range(n):
        s += data[i]
    return s
print(total(bytes(range(256)), 256))
"""


def printed(name, code):
    result = INTERPRETERS[name].run("-c", code)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_cpython_is_recent_enough():
    code = "import sys; print((sys.implementation.name, sys.version_info >= (3, 11)))"
    assert ast.literal_eval(printed("cpython", code)) == ("cpython", True)


@pytest.mark.parametrize(("name", "bits"), [("micropython64", 64), ("micropython32", 32)])
def test_micropython_has_its_version_and_word_size(name, bits):
    code = "import sys; print((sys.implementation.name, sys.implementation.version, sys.maxsize))"
    found, version, maxsize = ast.literal_eval(printed(name, code))
    assert found == "micropython"
    assert version >= (1, 24)
    assert maxsize == (1 << (bits - 1)) - 1


@pytest.mark.parametrize(("name", "bits"), [("micropython64", 62), ("micropython32", 30)])
def test_small_integers_are_a_bit_shorter_than_a_word(name, bits):
    fits, does_not = ast.literal_eval(printed(name, SMALL_INTEGERS.format(bits=bits)))
    assert fits == 0
    assert does_not > 0


def test_32_bit_heap_is_that_of_a_board():
    total = int(printed("micropython32", "import gc; print(gc.mem_free() + gc.mem_alloc())"))
    assert 120 * 1024 < total <= 128 * 1024
    half = INTERPRETERS["micropython32"].run("-c", "print(len(bytearray(64 * 1024)))")
    assert half.stdout == "65536\n"
    result = INTERPRETERS["micropython32"].run("-c", "bytearray(128 * 1024)")
    assert result.returncode != 0
    assert "MemoryError" in result.stderr


@pytest.mark.parametrize("name", MICROPYTHONS)
def test_viper_code_is_compiled(name):
    assert printed(name, VIPER) == "32640\n"


def test_library_firmware_and_asyncio_can_be_imported(interpreter):
    code = "import asyncio, microws, firmware.config; print(microws.__file__)"
    assert printed(interpreter.name, code).strip() == str(TOP / "lib" / "microws" / "__init__.py")


def test_websocketd_answers():
    result = subprocess.run(
        [tool("websocketd"), "--version"], capture_output=True, text=True, timeout=30
    )
    assert result.stdout.startswith("websocketd ")


@pytest.mark.parametrize("name", MICROPYTHONS)
def test_launcher_starts_by_any_path(name, tmp_path):
    for path, cwd in ((tool(name), tmp_path), (f"./{name}", BIN)):
        result = subprocess.run(
            [path, "-c", "print(6 * 7)"], cwd=cwd, capture_output=True, text=True, timeout=30
        )
        assert result.stdout == "42\n"


def test_process_is_watched_line_by_line_and_ends_with_its_status(interpreter, start, tmp_path):
    script = tmp_path / "talk.py"
    script.write_text(
        "import sys\n"
        "print('first')\n"
        "print('got', sys.stdin.readline().strip())\n"
        "print('last')\n"
        "sys.exit(3)\n"
    )
    process = start(interpreter.command(script))
    assert process.wait_for("first") == "first"
    process.write("hello\n")
    assert process.wait_for("got") == "got hello"
    assert process.wait() == 3
    assert process.output == "first\ngot hello\nlast"


def test_waiting_for_what_never_comes_fails_with_the_output(interpreter, start):
    process = start(interpreter.command("-c", "print('something else')"))
    with pytest.raises(pytest.fail.Exception, match=r"(?s)waiting for 'ready'.*something else"):
        process.wait_for("ready")


def test_ctrl_c_reaches_a_process(interpreter, start, tmp_path):
    script = tmp_path / "wait.py"
    script.write_text(
        "import sys\n"
        "try:\n"
        "    print('waiting')\n"
        "    sys.stdin.readline()\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    process = start(interpreter.command(script))
    process.wait_for("waiting")
    interrupt(process.pid)
    process.wait_for("interrupted")
    assert process.wait() == 0


def test_what_a_process_started_ends_with_it(start):
    process = start(["sh", "-c", "sleep 600 & echo started; wait"])
    process.wait_for("started")
    # It reads the output to its end, and the sleeping child holds that open as long as it lives.
    process.stop()
    assert process.wait() == -signal.SIGTERM
