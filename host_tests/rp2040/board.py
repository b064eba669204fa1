"""An emulated Pico as a process, with its serial port as a file, and the real mpremote at it."""

import os
import re
import select
import signal
import subprocess
import sys
import time

from host_tests.support.interpreters import environment
from host_tests.support.paths import TOP
from host_tests.support.process import Process
from host_tests.support.tools import tool

# The emulated chip is six to twelve times slower than a real one, and the computer may be busy.
PATIENCE = 900.0  # seconds; a test that meets it has failed


class _Log:
    """The serial port, read."""

    def __init__(self, port):
        self._port = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self.said = ""
        self.at = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self._port)

    def write(self, data):
        os.write(self._port, data)

    def read(self, text, seconds):
        """Whether the text came in time; the next one is looked for behind it."""
        until = time.monotonic() + seconds
        while (found := self.said.find(text, self.at)) < 0:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._port], [], [], left)[0]:
                return False
            self.said += os.read(self._port, 4096).decode(errors="replace").replace("\r", "")
        self.at = found + len(text)
        return True

    def wait_for(self, texts):
        for text in texts:
            assert self.read(text, PATIENCE), f"no {text!r} in:\n{self.said}"
        return self.said


class Board:
    """A Pico that is on. ``firmware``, ``flash`` and ``files`` are as with ``start.py``."""

    def __init__(self, folder, firmware="oldest", flash=None, files=None, w5500=None):
        tool(f"{firmware}.uf2")
        self._mpremote = tool("mpremote")
        self.port = folder / "port"
        command = [sys.executable, "-m", "host_tests.rp2040.start", "--firmware", firmware]
        command += ["--link", self.port, "--patience", PATIENCE]
        for option, path in ("--flash", flash), ("--files", files):
            if path:
                command += [option, path]
        if w5500 is not None:
            command += ["--w5500", *(f"{port}:{here}" for port, here in w5500.items())]
        packages = TOP / ".cache" / "rp2040" / "packages"
        self._process = Process(command, environment(packages), TOP)
        self._process.wait_for(str(self.port), PATIENCE)

    def mpremote(self, *arguments):
        """What mpremote prints; the test fails where it does.

        It gives a board ten seconds to listen, and a second to say how it takes a program. This
        one may need longer, so it is asked again.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            result = subprocess.run(
                [self._mpremote, "connect", self.port, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            slow = re.search("could not enter raw repl|could not exec command", result.stderr)
            if not slow or time.monotonic() > deadline:
                break
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.replace("\r\n", "\n")

    def restarted(self, *texts):
        """What it says after Ctrl-D at its prompt, until these texts were in it in turn.

        As on a real one, what it says at power on, before USB is up, reaches nobody.
        """
        with _Log(self.port) as log:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                log.write(b"\r\x03\x02")  # while it starts, nobody hears it
                if log.read(">>> ", 10):
                    break
            log.said = ""
            log.at = 0
            log.write(b"\x04")
            return log.wait_for(texts)

    def says(self, *texts):
        """What it says, or has said to nobody yet, until these texts were in it in turn."""
        with _Log(self.port) as log:
            return log.wait_for(texts)

    def pull_or_plug(self):
        """The cable of a board with ``w5500``, out or in."""
        os.kill(self._process.pid, signal.SIGUSR1)

    def off(self):
        """What its process said, which is stopped."""
        self._process.stop()
        return self._process.output
