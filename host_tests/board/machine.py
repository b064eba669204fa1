"""Stands in for a board's `machine` module: pins, a converter that shows a moving value, SPI.

It refuses what the real one refuses. What a test or a virtual board sets: `chip`, `w5500`,
`cause`, `identity`, `Pin.grounded`, `WDT.speed`.
"""

import math
import os
import random
import sys
import time

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

chip = "ESP32"
w5500 = True  # a chip answers on SPI
cause = PWRON_RESET
identity = b"\x24\x0a\xc4\x01\x02\x03"


class Uname:
    @property
    def machine(self):
        return "Virtual board with " + chip


class _Os:
    """The unix port's `os` with the uname() that boards have."""

    def __init__(self, real):
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def uname(self):
        return Uname()


sys.modules["os"] = _Os(os)


def reset_cause():
    return cause


def reset():
    raise SystemExit("hard reset")


def unique_id():
    return identity


class Pin:
    IN = 1
    OUT = 3
    PULL_UP = 2

    # GPIO numbers that a jumper connects to ground.
    grounded: set = set()

    def __init__(self, number, mode=-1, pull=-1, *, value=None):
        if not isinstance(number, int) or not 0 <= number <= 48:
            raise ValueError("invalid pin")
        if mode == Pin.OUT and chip == "ESP32" and number >= 34:
            raise ValueError("pin can only be input")
        self.number = number
        self.pull = pull

    def __call__(self, level):
        pass

    def value(self):
        return 1 if self.pull == Pin.PULL_UP and self.number not in Pin.grounded else 0


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
        if chip in ("RP2040", "RP2350") and timeout > 8388:
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


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin):
        if not isinstance(pin, Pin):
            raise TypeError("expecting a Pin")

    def atten(self, attenuation):
        pass

    def read_u16(self):
        slow = math.sin(2 * math.pi * time.time() / 20)
        return int(32768 + 20000 * slow + random.uniform(-500, 500))


class SoftSPI:
    def __init__(self, baudrate=500000, *, sck, mosi, miso):
        for pin in (sck, mosi, miso):
            if not isinstance(pin, Pin):
                raise TypeError("expecting a Pin")

    def write(self, data):
        self._written = bytes(data)

    def read(self, count):
        """What a W5500 says to a request for its version, or a bus with nothing on it."""
        if w5500 and self._written == b"\x00\x39\x00" and count == 1:
            return b"\x04"
        return b"\xff" * count


class SPI(SoftSPI):
    def __init__(self, number, baudrate=1000000, *, sck, mosi, miso):
        numbers = (0, 1) if chip.startswith("RP") else (1, 2)
        if chip in ("ESP32C3", "ESP32C5", "ESP32C6", "ESP32H2"):
            numbers = (1,)
        if number not in numbers:
            raise ValueError("SPI(%s) doesn't exist" % number)
        super().__init__(baudrate, sck=sck, mosi=mosi, miso=miso)
