"""The client against the real websocketd with a script that greets and echoes lines."""

import pytest

from host_tests.library.endpoints import OURS, PROGRAMS
from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.ports import accepts, free_port
from host_tests.support.tools import tool


@pytest.mark.parametrize("client", OURS, ids="-".join)
def test_lines_are_echoed(start, client):
    name, front = client
    port = free_port()
    server = start(
        [tool("websocketd"), "--address=127.0.0.1", f"--port={port}", PROGRAMS / "echo_lines.sh"]
    )
    server.wait_for("Starting WebSocket server")
    accepts(port)
    result = INTERPRETERS[name].run(PROGRAMS / "lines_client.py", front, f"ws://127.0.0.1:{port}/")
    assert (result.stdout, result.stderr) == ("welcome\nlast\nclosed\n", "")
