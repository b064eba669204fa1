"""No memory, at each of the places where the receiver takes some: it ends, and raises nothing."""

import ast
import itertools
from operator import attrgetter

import pytest
from microws import compression, core
from microws.compression import Deflate
from microws.errors import ConnectionClosed, ProtocolError

from host_tests.library.front import INTO, OWN, PIECEWISE, Front
from host_tests.library.test_bounds import ON_THE_BOARD
from host_tests.library.test_compression import packed
from host_tests.support.interpreters import Interpreter
from host_tests.support.paths import TOP
from host_tests.support.wire import BINARY, CLOSE, PING, TEXT, close_frame, frame, frames

SIDES = pytest.mark.parametrize("client", [True, False], ids=["client", "server"])
MODES = pytest.mark.parametrize(("mode", "room"), [(OWN, 0), (INTO, 6000), (PIECEWISE, 50)])
BIG = bytes(range(256)) * 20
WORDS = b"one and two and three " * 40
MESSAGES = [(TEXT, b"hello"), (BINARY, BIG), (TEXT, "aé€😀".encode() * 9), (TEXT, WORDS)]


def of_several(node):
    """What an except clause or isinstance() asks for, where it is a tuple made on the spot."""
    if isinstance(node, ast.ExceptHandler):
        return node.type if isinstance(node.type, ast.Tuple) else None
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
        return node.args[1] if isinstance(node.args[1], ast.Tuple) else None
    return None


ON_A_BOARD = sorted((*(TOP / "lib" / "microws").glob("*.py"), *(TOP / "firmware").glob("*.py")))


@pytest.mark.parametrize("path", ON_A_BOARD, ids=attrgetter("stem"))
def test_no_error_is_looked_for_with_what_takes_memory(path):
    """MicroPython makes such a tuple when it gets there, which may be for want of memory."""
    if path.stem == "_cpython":
        return
    word = "Error" if "lib" in path.parts else "MemoryError"
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    errors = [
        found.lineno
        for function in functions
        for node in ast.walk(function)
        if (found := of_several(node)) and word in ast.unparse(found)
    ]
    assert errors == []


class Short:
    """Takes the place of what makes bytes: from call ``at`` on it fails ``times`` times."""

    def __init__(self, replace):
        self.at = 1 << 30
        self.times = 0
        self.calls = 0
        for kind in (bytearray, bytes, memoryview, str):
            for module in (core, compression):
                replace(module, kind.__name__, self.instead_of(kind), raising=False)

    def instead_of(short, kind):
        class Instead(type):
            def __instancecheck__(cls, thing):
                return isinstance(thing, kind)

            def __call__(cls, *of):
                short.calls += 1
                if short.at < short.calls <= short.at + short.times:
                    raise MemoryError
                return kind(*of)

        return Instead(kind.__name__, (), {})


def script(masked):
    _, big, text, words = (message for _, message in MESSAGES)
    return b"".join(
        (
            frame(TEXT, b"hello", masked),
            frame(PING, b"p", masked),
            frame(BINARY, big[:100], masked, False),
            frame(0, big[100:], masked),
            frame(TEXT, text[:5], masked, False),
            frame(PING, b"q", masked),
            frame(0, text[5:], masked),
            frame(TEXT, packed(words), masked, True, 4),
            close_frame(1000, "bye", masked),
        )
    )


@SIDES
@MODES
@pytest.mark.parametrize("times", [1, 3, 1 << 30], ids=["once", "thrice", "for ever"])
def test_no_memory_at_every_allocation(monkeypatch, client, mode, room, times):
    data = script(not client)
    endings = set()
    for at in itertools.count():
        with monkeypatch.context() as patch:
            short = Short(patch.setattr)
            front = Front(client, mode, room, extension=Deflate(10))
            short.at = short.calls + at
            short.times = times
            front.feed_cut(data, range(97, len(data), 97))
            failed = short.calls > short.at
        assert front.ended
        error = front.error()
        found = [message[:2] for message in front.messages]
        assert found == MESSAGES[: len(found)]
        if not failed:
            assert (repr(error), len(found)) == (repr(ConnectionClosed(1000, "bye")), 4)
            break
        endings.add((type(error), error.code))
        sent, _ = frames(bytes(front.sent))
        assert [payload[:2] for opcode, _, payload in sent if opcode == CLOSE] in (
            [],
            [error.code.to_bytes(2, "big")],
        )
        front.wire.ended = True
        assert core.ENDED in front.ws._receiver  # the last steps
        assert next(front.ws._receiver) == core.ENDED
        front.ws._close_socket()
        assert front.wire.closed
    assert at > 10
    assert (ProtocolError, 1009) in endings or times > 1


ROOMS = """
data = %r

def play(room):
    ws = opened(Deflate(9)).ws
    wire = ws._sock
    wire.incoming = data
    messages = 0
    step = 0
    leave(room)
    while step != ENDED:
        step = next(ws._receiver)
        if step == MESSAGE:
            ws._data = None
            messages += 1
    for i in range(3):
        step = next(ws._receiver)
    for i in range(len(taken)):
        taken[i] = None
    gc.collect()
    ws._close_socket()
    print(room, messages, ws._closed().code, ws.close_code)

for room in range(0, 20000, 400):
    play(room)
"""


@pytest.mark.parametrize("name", ["micropython64", "micropython32"])
def test_no_memory_on_a_heap_that_is_full(name):
    interpreter = Interpreter(name, "-X", "heapsize=256k")
    result = interpreter.run("-c", ON_THE_BOARD + ROOMS % script(False))
    assert result.stderr == ""
    lines = [[int(word) for word in line.split()] for line in result.stdout.splitlines()]
    assert len(lines) == 50
    for room, messages, code, told in lines:
        if (messages, code, told) != (4, 1000, 1000):
            assert code in (1006, 1009), room
            assert told == 1006, room
    assert lines[0][1:3] != [4, 1000]
    assert lines[-1][1:3] == [4, 1000]
