"""What the set-up shows: a line for each step, and how far it is."""

import contextlib
import os
import sys
import time

WIDTH = 30
EVERY = 10.0  # seconds between two lines where there is no terminal
STEP = os.environ.get("SETUP_STEP", "")  # "[2/7] ", from setup.sh


class Failure(Exception):
    """Something that the person at the terminal can put right."""


def say(text):
    print(f"{STEP}{text}", flush=True)


def megabytes(size):
    return f"{size / 1e6:.1f} MB"


def size_of(folder):
    """The bytes of the files in ``folder``, which may come and go meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


class Progress:
    """A bar on a terminal, taken away at the end; elsewhere a line every few seconds."""

    def __init__(self, total):
        self.total = total
        self.is_terminal = sys.stdout.isatty()
        self.last = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.is_terminal:
            print("\r\033[K", end="", flush=True)

    def show(self, done, text):
        """``done`` of the total, and how to say that."""
        if self.is_terminal:
            bar = "#" * (WIDTH * min(done, self.total) // self.total)
            print(f"\r  [{bar:<{WIDTH}}] {text}\033[K", end="", flush=True)
        elif time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            print(f"  {text}", flush=True)
