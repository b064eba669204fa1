"""The way to a board: mpremote over its serial port, and one clear line where that fails."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from firmware.deploy import attached, packages
from firmware.deploy.refusal import Refusal

NO_ANSWER = "could not enter raw repl"


class Link:
    """mpremote with the board at the serial port `device`."""

    def __init__(self, device):
        self.device = device

    def command(self, *arguments):
        # -P: what mpremote copies from the current folder is none of its own modules.
        start = [sys.executable, "-P", "-m", "mpremote", "connect", self.device]
        return [*start, *map(str, arguments)]

    def run(self, *arguments, cwd=None, told=lambda line: None):
        """Have mpremote do this; the lines that it says, of which each goes to `told` at once.

        Failure where it gives up.
        """
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=cwd,
            env=packages.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
        )
        lines = []
        try:
            with process:
                for line in process.stdout:
                    lines.append(line.rstrip("\r\n"))
                    told(lines[-1])
        except BaseException:
            process.kill()
            raise
        if process.returncode:
            raise Failure(self.device, lines)
        return lines

    def ask(self, *arguments):
        """As run(), also where the board's own boot.py never comes to an end."""
        try:
            return self.run(*arguments)
        except Failure as failure:
            if not failure.is_silent:
                raise
        # Without a soft reset it answers.
        try:
            return self.run("resume", *arguments)
        except Failure as failure:
            if failure.is_silent:
                raise
        # What it said when boot.py was stopped got in between.
        return self.run("resume", *arguments)

    def restart(self):
        """A hard reset: a soft one would leave a W5500 on an ESP32 without its interrupt."""
        self.run("resume", "reset")

    def show_log(self, *before):
        """What the board says, until the person ends the view; then its addresses once more.

        `before` is for mpremote to do first.
        """
        print("Its serial log follows; Ctrl-] ends the view.", flush=True)
        ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the board then
        with tempfile.TemporaryDirectory(prefix="microws-") as folder:
            log = Path(folder) / "log"
            # With the port open all the time, not a line of it is missed.
            if not self._show(log, *before, *(["+"] if before else [])) and before:
                # A chip with USB of its own takes its port away during a reset.
                for _ in range(50):
                    time.sleep(0.2)
                    if os.name == "nt" or os.path.exists(self.device):
                        break
                self._show(log)
            said = log.read_text("utf-8", "replace") if log.exists() else ""
        signal.signal(signal.SIGINT, ctrl_c)
        print()
        for place in re.findall(r"^.*\] ((?:listening on|the page is at) .*)$", said, re.M)[-2:]:
            print(place)

    def _show(self, log, *before):
        command = self.command("resume", *before, "repl", "--capture", log)
        return subprocess.run(command, env=packages.environment()).returncode == 0


class Failure(Refusal):
    """mpremote gave up: why, and what to do next."""

    def __init__(self, device, lines):
        self.lines = lines
        said = "\n".join(lines)
        self.is_silent = NO_ANSWER in said
        self.is_full = "No space left" in said or "ENOSPC" in said
        super().__init__(self._reason(device, said))

    def _reason(self, device, said):
        if "failed to access" in said:
            return attached.why_not_opened(device)
        if self.is_silent:
            return (
                f"No MicroPython answers at {device}. Still starting? Wait ten seconds and run "
                "this again, or press its reset button first. A new chip needs MicroPython: see "
                '"The first flash" in firmware/README.md.'
            )
        if self.is_full:
            return (
                "The board's file system is full. Remove files from it, or run this with --wipe, "
                "which keeps config.json only."
            )
        if told := re.search(
            "^OSError: (.*(?:did not arrive whole|is damaged on).*)$", said, re.M
        ):
            return f"{told[1]}. Run this again."
        if "MemoryError" in said:
            return "The board has too little memory free for this. Reset it, then run this again."
        is_gone = os.name != "nt" and not os.path.exists(device)
        if is_gone or re.search(r"SerialException|Errno 5\]|OSError|termios", said):
            return (
                f"The connection to {device} broke. Plug the board in again and run this again: "
                "it goes on where it stopped."
            )
        last = self.lines[-1] if self.lines else "without a word"
        return f"mpremote gave up: {last}. Reset the board, then run this again."


@contextlib.contextmanager
def progress(total):
    """A function for mpremote's lines that shows how many files were copied, in one line.

    Where there is no terminal, that line comes every ten seconds.
    """
    count = 0
    last = time.monotonic()
    is_terminal = sys.stdout.isatty()

    def show(line):
        nonlocal count, last
        if not line.startswith("cp "):
            return
        count += 1
        text = f"[{count:{len(str(total))}}/{total}] {line.split()[1]}"
        if is_terminal:
            print(f"\r{text}\033[K", end="", flush=True)
        elif time.monotonic() - last > 10:
            last = time.monotonic()
            print(text, flush=True)

    try:
        yield show
    finally:
        if is_terminal and count:
            print("\r\033[K", end="", flush=True)
