"""Ports of this computer."""

import socket
import time

from host_tests.support.interpreters import PATIENCE


def free_port():
    """A port that is free; MicroPython cannot tell which one it was given for port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    """Wait until something listens: some programs say that they start, not that they have."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
