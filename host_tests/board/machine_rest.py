"""The parts of `machine` that few boards use; machine.py loads this when they are asked for."""

import sys

import machine


class PWM:
    def __init__(self, pin, *, freq=5000, duty_u16=32768):
        if not isinstance(pin, machine.Pin):
            raise TypeError("expecting a Pin")
        if not 1 <= freq <= 40000000:
            raise ValueError("invalid freq")
        self._number = pin.number
        self._freq = freq
        self._duty = None
        self.duty_u16(duty_u16)

    def freq(self, *value):
        if not value:
            return self._freq
        self._freq = value[0]
        return None

    def duty_u16(self, *value):
        if not value:
            return self._duty
        if not 0 <= value[0] <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65535")
        if value[0] != self._duty:
            self._duty = value[0]
            print("pin %d: %.1f %% at %d Hz" % (self._number, self._duty / 655.35, self._freq))
        return None

    def duty_ns(self, *value):
        period = 1000000000 // self._freq
        if not value:
            return self._duty * period // 65535
        return self.duty_u16(value[0] * 65535 // period)

    def deinit(self):
        print("pin %d: no PWM" % self._number)


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
