"""An emulated Pico as a process, with its serial port as a file, and the real mpremote at it."""

import os
import select
import subprocess
import sys
import time

from host_tests.support.interpreters import environment
from host_tests.support.paths import TOP
from host_tests.support.process import Process
from host_tests.support.tools import tool

# The emulated chip is six to twelve times slower than a real one, and the computer may be busy.
PATIENCE = 900.0  # seconds; a test that meets it has failed


class Board:
    """A Pico that is on. ``firmware``, ``flash`` and ``files`` are as with ``start.py``."""

    def __init__(self, folder, firmware="oldest", flash=None, files=None):
        tool(f"{firmware}.uf2")
        self._mpremote = tool("mpremote")
        self.port = folder / "port"
        command = [sys.executable, "-m", "host_tests.rp2040.start", "--firmware", firmware]
        command += ["--link", self.port, "--patience", PATIENCE]
        for option, path in ("--flash", flash), ("--files", files):
            if path:
                command += [option, path]
        packages = TOP / ".cache" / "rp2040" / "packages"
        self._process = Process(command, environment(packages), TOP)
        self._process.wait_for(str(self.port), PATIENCE)

    def mpremote(self, *arguments):
        """What mpremote prints; the test fails where it does.

        It gives a board ten seconds to listen. This one may need longer, so it is asked again.
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
            deaf = "could not enter raw repl" in result.stderr
            if not deaf or time.monotonic() > deadline:
                break
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.replace("\r\n", "\n")

    def restarted(self, *texts):
        """What it says after Ctrl-D at its prompt, until these texts were in it in turn.

        As on a real one, what it says at power on, before USB is up, reaches nobody.
        """
        port = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        deadline = time.monotonic() + PATIENCE
        said = ""

        def read(text, at, seconds):
            nonlocal said
            until = min(deadline, time.monotonic() + seconds)
            while (found := said.find(text, at)) < 0:
                left = until - time.monotonic()
                if left <= 0 or not select.select([port], [], [], left)[0]:
                    return -1
                said += os.read(port, 4096).decode(errors="replace").replace("\r", "")
            return found + len(text)

        try:
            while time.monotonic() < deadline:
                os.write(port, b"\r\x03\x02")  # while it starts, nobody hears it
                if read(">>> ", 0, 10) >= 0:
                    break
            said = ""
            os.write(port, b"\x04")
            at = 0
            for text in texts:
                at = read(text, at, PATIENCE)
                assert at >= 0, f"no {text!r} in:\n{said}"
        finally:
            os.close(port)
        return said

    def off(self):
        self._process.stop()
