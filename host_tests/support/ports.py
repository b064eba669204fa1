"""Ports of this computer."""

import socket


def free_port():
    """A port that is free; MicroPython cannot tell which one it was given for port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
