"""The sketch of the board's owner, sketch.py: loaded, called, and kept from doing harm.

A mistake in it is told, and the board goes on. One with which the board crashes again and again,
or does not get through its start, is left out.
"""

import asyncio
import binascii
import io
import os
import sys

import machine
from microws.compat import ticks_diff, ticks_ms

from firmware import board
from firmware.log import Bound, log, printable, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_sys: "Any" = sys

FILE = "sketch.py"
_STATE = "sketch.txt"  # the check sum of the sketch, what it was doing, crashes with it in a row
_LOOK_EVERY = 1  # seconds
_LONGEST = 1000  # milliseconds that a call may hold up all the others
_MOST_CRASHES = 3
_GOOD_RUN = 600  # seconds after which a crash is the first in its row
_OURS = ("firmware", "microws", "asyncio")  # modules that no exchange of the sketch concerns


class Sketch:
    """It and what it began; `say(text)` sends a text to who is there."""

    def __init__(self, values: "Any", say: "Callable[[str], None]") -> None:
        self.values = values
        self.say = say
        #: How many errors there were in it, and the last one in words.
        self.errors = 0
        self.error = ""
        self._module: Any = None
        self._stamp: Any = None  # of the file that is loaded
        self._is_starting = False
        self._before: Any = ()  # the modules that were there without it
        self._tasks: list = []
        self._calls: list = []  # what is under way, by name
        self._lines = Bound(1, "%d more errors in the sketch")

    async def live(self) -> None:
        """Load it again when the file has changed, without end."""
        while True:
            self._lines.tell()
            calls = list(self._calls)
            start = ticks_ms()
            await asyncio.sleep(_LOOK_EVERY)
            late = ticks_diff(ticks_ms(), start) - 1000 * _LOOK_EVERY
            if calls and late > _LONGEST:
                self._tell_blocking(calls[0], late)
            if self._stamp is not None:
                await self.look()

    async def look(self) -> None:
        """Load it, where it is new; `setup()` is to find the network up."""
        stamp = _stamp()
        if stamp == self._stamp or self._is_starting:
            return
        is_first = self._stamp is None
        self._stamp = stamp
        self._is_starting = True
        try:
            if not is_first:
                self.stop()
            if stamp:
                await self._start(is_first)
        finally:
            self._is_starting = False

    def stop(self) -> None:
        """End all that it began, and forget it."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._module = None
        for name in list(sys.modules):
            if name not in self._before and name.split(".")[0] not in _OURS:
                del sys.modules[name]
        if self.error:
            self.error = ""
            self.say('{"error": ""}')

    def has(self, name: str) -> bool:
        """Whether it has a function of this name."""
        return hasattr(self._module, name)

    async def call(self, name: str, *args: "Any") -> "Any":
        """Call a function of it, if it has that; what it returns for a peer: a text or bytes."""
        if not self.has(name):
            return None
        result = await self._run(getattr(self._module, name), args, name)
        return result if result is None or isinstance(result, (str, bytes)) else str(result)

    async def message(self, message: "str | bytes", client: "Any") -> "Any":
        """What it answers to a message. What begins with "error:" is never answered."""
        reply = await self.call("on_message", message, client)
        return None if isinstance(message, str) and message.startswith("error:") else reply

    def repeat(self, seconds: float, function: "Callable[[], Any]") -> "Any":
        """The task that calls a function again and again."""
        task = asyncio.create_task(self._repeat(seconds, function))
        self._tasks.append(task)
        return task

    async def _repeat(self, seconds, function):
        name = getattr(function, "__name__", "every()")
        while True:
            await self._run(function, (), name)
            await asyncio.sleep(seconds)

    async def _start(self, is_first):
        total = _check_sum()
        before, doing, crashes = _read_state()
        if before != total:
            doing, crashes = "", 0
        elif is_first and doing == "running" and machine.reset_cause() == machine.WDT_RESET:
            crashes += 1
        if doing == "starting":
            _write_state(total, "waiting", crashes)
            self._tell(
                "%s did not get through its start: this time the board runs without it. Put a "
                "new one on the board" % FILE
            )
            return
        if crashes >= _MOST_CRASHES:
            self._tell(
                "%s is left out: the board crashed %d times with it. Put a new one on the board"
                % (FILE, crashes)
            )
            return
        _write_state(total, "starting", crashes)
        log("starting " + FILE)
        board._sketch = self
        board.inputs = self.values.inputs
        board.outputs = self.values.outputs or {}
        self._before = set(sys.modules)
        await self._run(self._load, (), "import")
        await self.call("setup")
        _write_state(total, "running", crashes)

    def _load(self):
        if hasattr(sys, "dont_write_bytecode"):  # CPython, which may take an older file for this
            _sys.dont_write_bytecode = True
            _sys.path_importer_cache.clear()
        self._module = __import__("sketch")

    async def _run(self, function, args, name):
        """Call it, and wait for its end where it is async; None where it fails."""
        start = ticks_ms()
        self._calls.append(name)
        try:
            result = function(*args)
            took = ticks_diff(ticks_ms(), start)
            if took > _LONGEST:
                self._tell_blocking(name, took)
            if hasattr(result, "send") and hasattr(result, "throw"):
                result = await result
            return result
        except Exception as error:
            self.errors += 1
            if self._lines.allows():
                self._tell(_where(error))
            return None
        finally:
            self._calls.remove(name)

    def _tell(self, text):
        self.error = text
        log(text)
        self.say("error: " + text)

    def _tell_blocking(self, name, took):
        log(
            "%s: %s held up everything for %.1f s; `await asyncio.sleep()` lets the others go on"
            % (FILE, name, took / 1000)
        )


def count_crash() -> None:
    """The program crashed while there was a sketch; see Sketch._start()."""
    total, doing, crashes = _read_state()
    if doing in ("running", "starting"):
        _write_state(total, "crashed", crashes + 1 if uptime() < _GOOD_RUN else 1)


def _stamp():
    try:
        found = os.stat(FILE)
    except OSError:
        return ()
    return (found[6], found[8])


def _check_sum():
    total = 0
    with open(FILE, "rb") as file:
        while True:
            piece = file.read(256)
            if not piece:
                return "%x" % total
            total = binascii.crc32(piece, total)


def _read_state():
    try:
        with open(_STATE) as file:
            total, doing, crashes = file.read().split()
        return total, doing, int(crashes)
    except (OSError, ValueError):
        return "", "", 0


def _write_state(total, doing, crashes):
    try:
        with open(_STATE, "w") as file:
            file.write("%s %s %d" % (total, doing, crashes))
    except OSError as error:
        log("%s cannot be written: %s" % (_STATE, error))


def _where(error):
    """File, line, function and text of an error in the sketch; its traceback goes to the log."""
    text = io.StringIO()
    if hasattr(sys, "print_exception"):
        _sys.print_exception(error, text)
    else:
        import traceback  # type: ignore[import-not-found]

        traceback.print_exception(error, file=text)
    lines = text.getvalue().strip().split("\n")
    place = ""
    for line in lines:
        log("  " + printable(line))
        before, found, rest = line.partition('", line ')
        file = before.partition('"')[2]
        if found and not [one for one in _OURS if file.find(one + "/") >= 0]:
            place = "%s, line %s: " % (file.split("/")[-1], rest.strip())
    return place + printable(lines[-1])
