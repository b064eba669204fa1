"""The chip's watchdog, which resets it where the program makes no progress.

Loaded only where the configuration asks for one.
"""

import os
import sys

import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_machine: "Any" = machine  # the type stubs are those of another chip
_os: "Any" = os

_DAY = 24 * 3600 * 1000  # milliseconds

# The watchdog of an RP2040 or RP2350 counts to 8.3 s, and a write to the network may take 10.
_SHORT = 8000  # milliseconds
_PERIOD = 2  # seconds
# Its control register, at the address that clears bits, and the bit that lets it count.
_CLEAR = {"RP2040": 0x4005B000, "RP2350": 0x400DB000}
_ENABLE = 1 << 30


class _FedByTimer:
    """A short watchdog that a hard timer feeds, as long as feed() is called every `seconds`.

    A hard timer strikes while C code runs, too. Where that hangs nobody calls feed() any more.
    """

    def __init__(self, seconds):
        self._most = seconds // _PERIOD
        self._left = self._most
        self._watchdog = _machine.WDT(timeout=_SHORT)
        self._timer = _machine.Timer(period=1000 * _PERIOD, callback=self._tick, hard=True)

    def feed(self):
        self._left = self._most

    def _tick(self, timer):
        # An interrupt, which must not allocate: nothing but small numbers and C.
        if self._left > 0:
            self._left -= 1
            self._watchdog.feed()

    def let_sleep(self):
        self._timer.deinit()
        # A soft reset, as each deployment begins with, would leave it without its timer.
        chip = "RP2350" if "RP2350" in _os.uname().machine else "RP2040"
        _machine.mem32[_CLEAR[chip]] = _ENABLE


class _Long:
    def __init__(self, seconds):
        self.feed = _machine.WDT(timeout=seconds * 1000).feed

    def let_sleep(self):
        _machine.WDT(timeout=_DAY)  # nothing stops it


def start(seconds: int) -> "Any":
    """Start it. Who makes progress calls `feed()` of what this gives at least every `seconds`.

    `let_sleep()` makes it wait for a person at the prompt.
    """
    return _FedByTimer(seconds) if sys.platform == "rp2" else _Long(seconds)
