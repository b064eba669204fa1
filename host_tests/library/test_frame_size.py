"""The frames of calls on MicroPython: which have to stay off its heap."""

import re
import subprocess

import pytest

from host_tests.support.paths import TOP
from host_tests.support.tools import tool

# py/objfun.c: a larger frame is taken from the heap and given back at the end of the call. The
# allocator then looks from there on for what a message needs, over all that is in use.
WORDS_ON_STACK = 11
WORDS_PER_TRY = 3

FRAME = re.compile(r"code block '(\w+)' .*?\(N_STATE (\d+)\)\s*\(N_EXC_STACK (\d+)\)", re.DOTALL)


@pytest.mark.parametrize(
    ("module", "functions"),
    [
        ("blocking", {"send", "recv", "recv_into", "_receive", "_await", "_wait", "_flush"}),
        ("core", {"_receive_to", "_control", "_push"}),
    ],
)
def test_what_a_message_takes_has_no_frame_on_the_heap(module, functions):
    # What it prints of each function that it compiles; then the imports fail, out of the package.
    printed = subprocess.run(
        [tool("micropython32"), "-v", "-v", "-v", TOP / "lib" / "microws" / f"{module}.py"],
        capture_output=True,
        text=True,
    ).stdout
    words = {
        name: int(state) + WORDS_PER_TRY * int(tries)
        for name, state, tries in FRAME.findall(printed)
    }
    assert functions <= words.keys()
    assert {name: words[name] for name in functions if words[name] > WORDS_ON_STACK} == {}
