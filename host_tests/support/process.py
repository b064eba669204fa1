"""A program in the background that is watched while it runs."""

import os
import queue
import signal
import subprocess
import threading
import time

import pytest

from host_tests.support.interpreters import PATIENCE, environment


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
