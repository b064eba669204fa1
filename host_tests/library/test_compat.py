"""The face that CPython's sockets get, over real ones, and the public names."""

import socket

import microws
import pytest
from microws import compat, errors

from host_tests.support.interpreters import INTERPRETERS, environment


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(False)
        yield compat.adapt(a), b


def test_readinto_gives_the_count_then_none_then_zero(pair):
    sock, peer = pair
    buffer = bytearray(b"......")
    assert sock.readinto(buffer, 6) is None
    peer.sendall(b"abcde")
    assert sock.readinto(buffer, 3) == 3
    assert buffer == b"abc..."
    assert sock.readinto(memoryview(buffer)[3:], 3) == 2
    assert buffer == b"abcde."
    assert sock.readinto(buffer, 6) is None
    peer.close()
    assert sock.readinto(buffer, 6) == 0


def test_write_gives_the_count_then_none_then_an_error(pair):
    sock, peer = pair
    assert sock.write(bytearray(b"0123456"), 2, 3) == 3
    assert peer.recv(100) == b"234"
    data = bytes(1 << 20)
    while (n := sock.write(data, 0, len(data))) is not None:
        assert 0 < n <= len(data)
    peer.close()
    with pytest.raises(OSError):
        sock.write(data, 0, 1)


def test_every_public_name_is_there():
    for name in microws.__all__:
        assert getattr(microws, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = microws.no_such_name


# What MicroPython itself says of a module that it has not.
MISSING = "raise ImportError(\"no module named '%s'\")\n"

LOADED_WITHOUT = """
import gc
import microws
print(microws.Timeout.__name__)
for use in (
    lambda: microws.connect("ws://192.0.2.1/"),
    lambda: microws.listen("0.0.0.0", 8080),
    lambda: microws.aio,
    lambda: microws.aio,
    lambda: microws.no_such_name,
):
    gc.collect()  # compiling takes memory
    try:
        print(use())
    except (ImportError, AttributeError) as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("name", ["micropython64", "micropython32"])
def test_it_loads_on_a_board_without_a_network_and_names_the_module_that_is_missing(
    name, tmp_path
):
    for module in ("asyncio", "socket"):
        (tmp_path / f"{module}.py").write_text(MISSING % module)
    env = environment()
    env["MICROPYPATH"] = f"{tmp_path}:{env['MICROPYPATH']}"  # even before what is frozen
    result = INTERPRETERS[name].run("-c", LOADED_WITHOUT, env=env)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "Timeout",
        "ImportError no module named 'socket'",
        "ImportError no module named 'socket'",
        "ImportError no module named 'asyncio'",
        "ImportError no module named 'asyncio'",
        "AttributeError no_such_name",
    ]


def test_errors_are_what_a_user_catches():
    for error in (
        errors.HandshakeError("reason", 404),
        errors.ProtocolError(1002, "reason"),
        errors.ConnectionClosed(1000, "reason"),
    ):
        assert isinstance(error, microws.WebSocketError)
        assert not isinstance(error, OSError)
        assert error.reason == "reason"
        assert "reason" in str(error)
    assert isinstance(microws.Timeout("too slow"), OSError)
