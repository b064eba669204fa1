"""How far a download is: a bar on a terminal, elsewhere a line every few seconds."""

import contextlib
import subprocess
import sys

WIDTH = 30
EVERY = {True: 0.2, False: 10.0}  # seconds between two looks: on a terminal, elsewhere


def megabytes(size):
    return f"{size / 1e6:.1f} MB"


class Progress:
    """Shows how files in ``folder`` grow; of ``total`` bytes ``done`` are elsewhere."""

    def __init__(self, total, folder, done=0):
        self.total = total
        self.folder = folder
        self.done = done
        self.is_terminal = sys.stdout.isatty()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.is_terminal:
            print("\r\033[K", end="", flush=True)

    def watch(self, process):
        """Show it until ``process``, a Popen, ends."""
        while True:
            try:
                process.wait(EVERY[self.is_terminal])
                return
            except subprocess.TimeoutExpired:
                self.show()

    def show(self):
        size = self.done
        for path in self.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
                size += path.stat().st_size
        size = min(size, self.total)
        if self.is_terminal:
            bar = "#" * (WIDTH * size // self.total)
            text = f"\r  [{bar:<{WIDTH}}] {megabytes(size)} of {megabytes(self.total)}\033[K"
            print(text, end="", flush=True)
        else:
            print(f"  {megabytes(size)} of {megabytes(self.total)}", flush=True)
