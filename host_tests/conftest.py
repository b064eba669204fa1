"""What the tests share: the three interpreters, and processes that are watched while they run."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
BIN = TOP / ".cache" / "bin"
WEBSOCKETD = BIN / "websocketd"

# Long enough for a busy machine: a test that meets it has failed, none waits for it.
PATIENCE = 30.0


class Interpreter:
    """One Python that runs the library: its ``name`` and how it is started."""

    def __init__(self, name, *command):
        self.name = name
        self._command = [str(part) for part in command]

    def __repr__(self):
        return self.name

    def command(self, script, *args):
        """The argument list that runs ``script`` (a path, or ``"-c"`` with code after it)."""
        return [*self._command, *(str(part) for part in (script, *args))]

    def run(self, script, *args, env=None, cwd=None, timeout=PATIENCE):
        """Run ``script`` to its end; returns ``subprocess.CompletedProcess``, its output as str.

        ``env`` is ``environment()`` unless given, ``timeout`` is in seconds.
        """
        return subprocess.run(
            self.command(script, *args),
            env=environment() if env is None else env,
            cwd=cwd,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
        )


INTERPRETERS = {
    "cpython": Interpreter("cpython", sys.executable),
    "micropython64": Interpreter("micropython64", BIN / "micropython64"),
    "micropython32": Interpreter("micropython32", BIN / "micropython32", "-X", "heapsize=128k"),
}


def environment(*folders):
    """An environment for any interpreter in which ``folders`` come first on the import path.

    ``lib/`` and the project's top (for ``firmware``) follow them. What the caller's own
    environment says to Python or MicroPython is left out.
    """
    path = [str(folder) for folder in (*folders, TOP / "lib", TOP)]
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MICROPY"))
    }
    env["PYTHONPATH"] = os.pathsep.join(path)
    env["PYTHONUNBUFFERED"] = "1"
    # It replaces MicroPython's own path, and asyncio is frozen.
    env["MICROPYPATH"] = ":".join([".frozen", *path])
    return env


class Process:
    """A program in the background, its output (stdout and stderr) read as it comes."""

    def __init__(self, command, env=None, cwd=None):
        self.command = [str(part) for part in command]
        self.lines = []  # all that was read so far, without line ends
        self._news = queue.SimpleQueue()
        # A group of its own, so that what it starts ends with it.
        self._popen = subprocess.Popen(
            self.command,
            env=environment() if env is None else env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            bufsize=1,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._popen.stdout:
            self._news.put(line.rstrip("\r\n"))
        self._news.put(None)

    def _next_line(self, deadline, purpose):
        try:
            line = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            self._fail(f"{purpose}: nothing more came in time")
        if line is None:
            self._news.put(None)  # the end stays the end for whoever asks again
        else:
            self.lines.append(line)
        return line

    def _fail(self, reason):
        pytest.fail(f"{' '.join(self.command)}\n{reason}. Its output:\n{self.output}")

    @property
    def output(self):
        """What was read so far, as one str."""
        return "\n".join(self.lines)

    def wait_for(self, text, timeout=PATIENCE):
        """Read on until a line that contains ``text``, and return that line.

        Each call goes on after the line at which the one before ended. Fails the test, with the
        output so far, at the end of the output or after ``timeout`` seconds.
        """
        purpose = f"waiting for {text!r}"
        deadline = time.monotonic() + timeout
        while (line := self._next_line(deadline, purpose)) is not None:
            if text in line:
                return line
        self._fail(f"{purpose}: it ended")

    def wait(self, timeout=PATIENCE):
        """Read on to the end of the output; the exit status once the program has ended."""
        deadline = time.monotonic() + timeout
        while self._next_line(deadline, "waiting for its end") is not None:
            pass
        try:
            return self._popen.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._fail("waiting for its end: it closed its output and runs on")

    def write(self, text):
        """Write ``text`` to the program's standard input."""
        self._popen.stdin.write(text)
        self._popen.stdin.flush()

    def send_signal(self, number):
        """Send a signal to the program and to what it started, as Ctrl-C in a terminal does."""
        os.killpg(self.pid, number)

    def stop(self):
        """End the program and all that it started; harmless when they have ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                self.send_signal(number)
            except ProcessLookupError:
                break
            self._reader.join(5)  # the output ends with the last of them
        self._popen.wait()
        self._reader.join()
        self._popen.stdin.close()
        self._popen.stdout.close()


@pytest.fixture(params=INTERPRETERS.values(), ids=INTERPRETERS.keys())
def interpreter(request):
    """Each of the three interpreters in turn."""
    return request.param


@pytest.fixture
def start():
    """``start(command, env=None, cwd=None)`` starts a ``Process`` that ends with the test."""
    processes = []

    def start_process(command, env=None, cwd=None):
        process = Process(command, env, cwd)
        processes.append(process)
        return process

    yield start_process
    for process in reversed(processes):
        process.stop()


def pytest_configure():
    # Whoever starts this in the background has it ignored, and so had every program started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    needed = [BIN / "micropython64", BIN / "micropython32", BIN / "chromium", WEBSOCKETD]
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        raise pytest.UsageError(
            f"{', '.join(missing)} missing in .cache/bin. Run ./host_tests/setup.sh first."
        )
