"""Ports of this computer."""

import itertools
import os
import random
import socket
import time

from host_tests.support.interpreters import PATIENCE

# Below those that systems give to whoever connects; each of pytest-xdist's workers has its own.
_FIRST = 20000 + 1000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 10)
# None comes twice soon: who asked may not have begun to listen.
_ports = itertools.cycle(random.Random().sample(range(_FIRST, _FIRST + 1000), 1000))


def free_port():
    """A port that is free; MicroPython cannot tell which one it was given for port 0."""
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def accepts(port):
    """Wait until something listens: some programs say that they start, not that they have."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
