"""The three interpreters that run the library, and the environment for them."""

import os
import subprocess
import sys

from host_tests.support.paths import TOP
from host_tests.support.tools import tool

# Long enough for a busy machine: a test that meets it has failed, none waits for it.
PATIENCE = 30.0


class Interpreter:
    """One Python that runs the library: its ``name``, which is that of a tool but for CPython."""

    def __init__(self, name, *options):
        self.name = name
        self._options = options

    def __repr__(self):
        return self.name

    def command(self, script, *args):
        """The argument list that runs ``script`` (a path, or ``"-c"`` with code after it)."""
        program = sys.executable if self.name == "cpython" else tool(self.name)
        return [str(part) for part in (program, *self._options, script, *args)]

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
    "cpython": Interpreter("cpython"),
    "micropython64": Interpreter("micropython64"),
    "micropython32": Interpreter("micropython32", "-X", "heapsize=128k"),
}

# For the board's program: 128 KiB for itself, and 21 for the stand-ins, which a board has in C:
# `import machine, network` takes 10.7 KB, the PWM of `machine` 1 KB more, and with their 110 names
# MicroPython's table of names doubles, by 9 KB, where a sketch has some of its own. The rest is
# for tests with hostile clients, which on less take minutes.
BOARDS = {**INTERPRETERS, "micropython32": Interpreter("micropython32", "-X", "heapsize=164k")}


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
