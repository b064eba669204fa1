"""Who takes part in the tests of interoperation, and where."""

import socket

from conftest import INTERPRETERS, TOP

PROGRAMS = TOP / "host_tests" / "programs"
OURS = [(name, front) for name in INTERPRETERS for front in ("blocking", "asyncio")]
THEIRS = ("cpython", "websockets")
# Bytes in one piece; most of a board's heap is taken by the programs, compiled there.
ROOM = {"cpython": 70000, "micropython64": 70000, "micropython32": 4096}


def free_port():
    """A port that is free; MicroPython cannot tell which one it was given for port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
