"""The library on the chip itself: its inner loops in the chip's own code, and conversations."""

import pytest

from host_tests.library import test_sha1, test_viper
from host_tests.rp2040.board import Board
from host_tests.rp2040.file_system import file_system, library, programs
from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.paths import TOP
from host_tests.support.tools import tool

FULL = pytest.mark.full


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("oldest", True), id="mpy"),
        pytest.param(("oldest", False), id="py", marks=FULL),
        pytest.param(("newest", True), id="newest", marks=FULL),
    ],
)
def board(request, tmp_path_factory):
    """A Pico with the library, and with sockets in memory."""
    tool("micropython64")
    firmware, is_mpy = request.param
    folder = tmp_path_factory.mktemp("board")
    groups = (
        ("lib/microws", library(TOP / "lib" / "microws"), is_mpy),
        ("lib", programs(), True),
    )
    (folder / "files").write_bytes(file_system(*groups))
    board = Board(folder, firmware, files=folder / "files")
    yield board
    board.off()


# What the chip prints has to be what CPython prints, where the portable loops are in place. In
# the quick run it does every eleventh length and fifth byte, at every alignment all the same.
LOOPS = {
    "mask": test_viper.MASK,
    "seen": test_viper.SEEN,
    "utf8": test_viper.UTF8,
    "mixed": test_viper.MIXED,
    "sha1": test_viper.SHA1,
}


def fewer(code):
    return code.replace("range(301)", "range(0, 301, 11)").replace(
        "range(256)", "range(0, 256, 5)"
    )


def printed_on_cpython(code):
    result = INTERPRETERS["cpython"].run("-c", code)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", LOOPS)
def test_the_inner_loops_in_the_code_of_the_chip(board, name):
    code = test_viper.COMMON + fewer(LOOPS[name])
    assert board.mpremote("exec", code) == printed_on_cpython(code)


@pytest.mark.full
@pytest.mark.parametrize("name", LOOPS)
def test_the_inner_loops_at_every_length(board, name):
    code = test_viper.COMMON + LOOPS[name]
    assert board.mpremote("exec", code) == printed_on_cpython(code)


def test_the_loops_are_the_chips_own(board):
    code = "import sys; print(sys.implementation._mpy >> 10)\n" + test_viper.LOADED
    armv6m = "4\n"
    assert board.mpremote("exec", code) == armv6m + "microws._viper True True True\n"


def test_the_published_vectors_of_sha_1(board):
    short = [(data, digest) for data, digest in test_sha1.PUBLISHED if len(data) < 10000]
    assert len(short) > 4
    code = "from binascii import hexlify\nfrom microws.loops import sha1\n"
    code += f"for data in {[data for data, _ in short]}: print(str(hexlify(sha1(data)), 'ascii'))"
    assert board.mpremote("exec", code).split() == [digest for _, digest in short]


FRONTS = ("blocking", "blocking_large", "asynchronous", "asynchronous_long")


@pytest.mark.parametrize("front", FRONTS)
def test_a_conversation_of_both_roles(board, front):
    call = f"conversation.{front}()"
    if front.startswith("asynchronous"):
        call = f"import asyncio; asyncio.run({call})"
    # Each in an interpreter of its own: mpremote begins with a soft reset.
    said = board.mpremote("exec", f"import conversation; {call}; print('done')")
    assert said.endswith("\ndone\n")
    assert all(line.startswith("ok: ") for line in said.splitlines()[:-1])


def test_without_a_network_the_missing_module_is_named(board):
    """The stand-in for `socket` is in /lib: without it the firmware has none."""
    code = """
import os
os.rename("/lib/socket.mpy", "/lib/socket.away")
try:
    import microws
    for use in (lambda: microws.connect("ws://192.0.2.1/"), lambda: microws.listen("", 80)):
        try:
            use()
        except ImportError as error:
            print(error)
finally:
    os.rename("/lib/socket.away", "/lib/socket.mpy")
"""
    assert board.mpremote("exec", code) == "no module named 'socket'\n" * 2
