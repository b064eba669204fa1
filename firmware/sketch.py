"""The sketch of the board's owner, sketch.py: loaded, called, and kept from doing harm.

A mistake in it is told, and the board goes on. One with which the board crashes again and again,
or does not get through its start, is left out.
"""

import asyncio
import binascii
import io
import os
import sys
import time

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
_STATE = "sketch.txt"  # the check sum of the sketch, its state, crashes with it in a row
_LOOK_EVERY = 1  # seconds
_LONGEST = 1000  # milliseconds that a call may hold up all the others
_GOOD_RUN = 600  # seconds after which a crash is the first in its row
_GONE = (0, 0)
_OURS = ("firmware", "microws", "asyncio")  # modules that no exchange of the sketch concerns

renewed = 0  # how often receiving.py has brought it, or what it imports


class Sketch:
    """It and what it began; `say(text)` sends a text to who is there."""

    def __init__(self, values: "Any", say: "Callable[[str], None]") -> None:
        self.values = values
        self.say = say
        #: How many errors there were in it, and the last one in words.
        self.errors = 0
        self.error = ""
        self.module: Any = None
        self._stamp: Any = None  # of the file that is loaded
        self.starting = False
        self._before: Any = ()  # the modules that were there without it
        self._tasks: list = []
        self._calls: list = []  # what is under way, by name
        self.lines = Bound(1, "%d more errors in the sketch")

    async def live(self) -> None:
        """Load it again when the file has changed, without end."""
        while True:
            self.lines.tell()
            name = self._calls[0] if self._calls else ""
            start = ticks_ms()
            await asyncio.sleep(_LOOK_EVERY)
            late = ticks_diff(ticks_ms(), start) - 1000 * _LOOK_EVERY
            if name and late > _LONGEST:
                self._tell_blocking(name, late)
            if self._stamp is not None:
                await self.look()

    async def look(self) -> None:
        """Load it, where it is new; `setup()` is to find the network up."""
        stamp = _stamp()
        first = self._stamp is None
        if self.starting or (not first and stamp == self._stamp[: len(stamp)]):
            return
        self._stamp = stamp
        self.starting = True
        try:
            if not first:
                self.stop()
            if stamp != _GONE:
                await self._start(first)
        finally:
            self.starting = False

    def stop(self) -> None:
        """End all that it began, and forget it."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self.module = None
        for name in list(sys.modules):
            if name not in self._before and name.split(".")[0] not in _OURS:
                del sys.modules[name]
        if self.error:
            self.error = ""
            self.say('{"error": ""}')

    def has(self, name: str) -> bool:
        """Whether it has a function of this name."""
        return hasattr(self.module, name)

    async def call(self, name: str, *args: "Any") -> "Any":
        """Call a function of it, if it has that; what it returns for a peer: a text or bytes."""
        if not self.has(name):
            return None
        reply = await self._run(getattr(self.module, name), args, name)
        return reply if reply is None or isinstance(reply, (str, bytes)) else str(reply)

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

    async def _start(self, first):
        check = _check_sum()
        before, state, count = _read_state()
        if before != check:
            state, count = "", 0
        elif first and state == "running" and machine.reset_cause() == machine.WDT_RESET:
            count += 1
        if state == "starting":
            _write_state(check, "waiting", count)
            self._tell(
                "%s did not get through its start: this time the board runs without it. Put a "
                "new one on the board" % FILE
            )
            return
        if count >= 3:
            self._tell(
                "%s is left out: the board crashed %d times with it. Put a new one on the board"
                % (FILE, count)
            )
            return
        _write_state(check, "starting", count)
        log("starting sketch.py")
        board._sketch = self
        board.inputs = self.values.inputs
        board.outputs = self.values.outputs or {}
        self._before = set(sys.modules)
        await self._run(self.load, (), "import")
        await self.call("setup")
        _write_state(check, "running", count)

    def load(self):
        if hasattr(sys, "dont_write_bytecode"):  # CPython, which may take an older file for this
            _sys.dont_write_bytecode = True
            _sys.path_importer_cache.clear()
        self.module = __import__("sketch")

    async def _run(self, function, args, name):
        """Call it, and wait for its end where it is async; None where it fails."""
        start = ticks_ms()
        self._calls.append(name)
        try:
            reply = function(*args)
            late = ticks_diff(ticks_ms(), start)
            if late > _LONGEST:
                self._tell_blocking(name, late)
            if hasattr(reply, "send") and hasattr(reply, "throw"):
                reply = await reply
            return reply
        except Exception as error:
            self.errors += 1
            if self.lines.allows():
                self._tell(_where(error))
            return None
        finally:
            self._calls.remove(name)

    def _tell(self, text):
        self.error = text
        log(text)
        self.say("error: " + text)

    def _tell_blocking(self, name, late):
        log(
            "%s: %s held up everything for %.1f s; `await asyncio.sleep()` lets the others go on"
            % (FILE, name, late / 1000)
        )


def count_crash() -> None:
    """The program crashed while there was a sketch; see Sketch._start()."""
    check, state, count = _read_state()
    if state in ("running", "starting"):
        _write_state(check, "crashed", count + 1 if uptime() < _GOOD_RUN else 1)


def _stamp():
    try:
        found = os.stat(FILE)
        stamp = (found[6], found[8], renewed)
        # Files are dated in seconds, and one of the same size may follow within one.
        return stamp + (_check_sum(),) if 0 <= time.time() - found[8] < 3 else stamp
    except OSError:
        return _GONE


def _check_sum():
    check = 0
    with open(FILE, "rb") as file:
        while True:
            data = file.read(256)
            if not data:
                return "%x" % check
            check = binascii.crc32(data, check)


def _read_state():
    try:
        with open(_STATE) as file:
            check, state, count = file.read().split()
        return check, state, int(count)
    except (OSError, ValueError):
        return "", "", 0


def _write_state(check, state, count):
    try:
        with open(_STATE, "w") as file:
            file.write("%s %s %d" % (check, state, count))
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
