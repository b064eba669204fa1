"""What ended the program: told on the log, kept in a file, shown at the next start."""

import io
import os
import sys
import time

import machine

from firmware.log import log, printable, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_sys: "Any" = sys

FILE = "crash.txt"
_SIZE = 1024  # bytes of a traceback: its end
_GOOD_RUN = 600  # seconds after which a crash counts as the first in its row
_LONGEST_PAUSE = 300  # seconds


def tell() -> None:
    """Show on the log what the last crash left behind, if anything."""
    text = _read()
    if text:
        log("%s, from before this start; remove it when it is of no use any more:" % FILE)
        _show(text)


def end(error: Exception) -> None:
    """Tell and keep `error`, pause the longer the more crashes there are in a row, then reset.

    Returns where a person presses Ctrl-C in the pause.
    """
    seconds = uptime()
    count = 1
    if seconds < _GOOD_RUN:
        count += _count(_read())
    text = "crash %d in a row, %d s after the start\n%s" % (count, seconds, _traceback(error))
    _show(text)
    pause = _LONGEST_PAUSE  # also where the crashes cannot be counted
    if _keep(text):
        pause = min(1 << min(count, 10), _LONGEST_PAUSE)
    try:
        log("resetting the board in %d s; Ctrl-C stops it" % pause)
        time.sleep(pause)
    except KeyboardInterrupt:
        log("stopped by Ctrl-C")
        return
    machine.reset()


def _read():
    try:
        with open(FILE) as file:
            return file.read()
    except (OSError, UnicodeError):
        return ""


def _count(text):
    words = text.split(" ", 2)
    return int(words[1]) if len(words) == 3 and words[1].isdigit() else 0


class _End(io.IOBase):
    """The end of what is written to it: memory may be short."""

    def __init__(self):
        self.data = bytearray()

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        self.data = (self.data + data[-_SIZE:])[-_SIZE:]
        return len(data)


def _traceback(error):
    end = _End()
    if hasattr(sys, "print_exception"):
        _sys.print_exception(error, end)
    else:
        import traceback  # type: ignore[import-not-found]

        traceback.print_exception(error, file=end)
    data = end.data
    for at, byte in enumerate(data):
        if byte > 0x7F:  # it may be half a character
            data[at] = 0x3F
    return str(data, "utf-8")


def _show(text):
    for line in text.split("\n"):
        if line:
            log("  " + printable(line))


def _keep(text):
    """Whether the file holds the text now; the one before stays where this one does not fit."""
    new = FILE + ".new"
    try:
        with open(new, "w") as file:
            file.write(text)
        os.rename(new, FILE)
        return True
    except OSError as error:
        log("%s cannot be written: %s" % (FILE, error))
    try:
        os.remove(new)
    except OSError:
        pass
    return False
