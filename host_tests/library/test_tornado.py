"""The client against the real Tornado, which agrees to compression as nobody offered it."""

import importlib
import sys

import pytest

from host_tests.library.endpoints import OURS, PROGRAMS
from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.process import Process


@pytest.fixture(scope="module")
def url():
    importlib.import_module("tornado")  # asks for it
    server = Process([sys.executable, PROGRAMS / "tornado_server.py"])
    try:
        yield f"ws://127.0.0.1:{server.wait_for('listening').split()[1]}/"
    finally:
        server.stop()


@pytest.mark.parametrize("client", OURS, ids="-".join)
def test_without_an_agreement_on_compression_there_is_a_connection_without(url, client):
    name, front = client
    result = INTERPRETERS[name].run(PROGRAMS / "without_agreement.py", front, url)
    answer = "permessage-deflate"
    if name != "cpython":
        answer += "; server_max_window_bits=10"
    assert (result.stdout, result.stderr) == (f"None\n1000\n101 {answer}\n", "")
