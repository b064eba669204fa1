"""The parts of `machine` that few boards use; machine.py loads this when they are asked for."""

import sys

import machine


def _alarm(seconds):
    """Have this process killed after so long, unless it is called again before."""
    if sys.implementation.name == "micropython":
        import ffi

        ffi.open(None).func("I", "alarm", "I")(seconds)
    else:
        import signal

        signal.alarm(seconds)


class WDT:
    """The one watchdog of a chip: nothing stops it, and a later one only changes its time."""

    speed = 1  # makes its time shorter for a test
    _seconds = 0

    def __init__(self, id=0, timeout=5000):
        if id != 0 or timeout <= 0:
            raise ValueError("WDT timeout too short")
        if machine.chip in ("RP2040", "RP2350") and timeout > 8388:
            raise ValueError("timeout exceeds 8388")
        WDT._seconds = max(1, timeout // 1000 // self.speed)
        self.feed()

    def feed(self):
        _alarm(WDT._seconds)


class Timer:
    """A timer as of MicroPython 1.26 on an RP2040; a test calls `tick()` of the one that runs."""

    running = None

    def __init__(self, id=-1, *, period, callback, hard=False):
        if id != -1:
            raise ValueError("Timer doesn't exist")
        self.period = period
        self.hard = hard
        self._callback = callback
        Timer.running = self

    def tick(self):
        self._callback(self)

    def deinit(self):
        Timer.running = None


mem32: dict = {}  # what was written to a chip's registers
