"""Ctrl-C for a MicroPython that runs on this computer."""

import os
import signal
import time
from pathlib import Path

_PATIENCE = 1.0  # seconds for which a busy program is waited for


def interrupt(pid):
    """Send SIGINT to the process ``pid`` while it sleeps.

    A board notices Ctrl-C between two instructions of its program. The unix port's signal handler
    leaps out of whatever runs, and crashes the virtual machine if that is a garbage collection.
    """
    end = time.monotonic() + _PATIENCE
    while _state(pid) != "S" and time.monotonic() < end:
        time.sleep(0.001)
    os.kill(pid, signal.SIGINT)


def _state(pid):
    # After the name, which stands in parentheses and may contain any of them.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
