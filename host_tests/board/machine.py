"""Stands in for a board's `machine` module: pins, a converter that shows a moving value, SPI.

It refuses what the real one refuses. What a test or a virtual board sets: `chip`, `w5500`,
`cause`, `identity`, `Pin.grounded`, `Pin.drive()`, `ADC.driven`, `WDT.speed`, `wires`; and a
virtual board `$MICROWS_CHIP`, `$MICROWS_W5500` for `chip`, `wires`.
"""

import json
import math
import os
import random
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

chip = os.getenv("MICROWS_CHIP") or "ESP32"
w5500 = True  # a chip answers on SPI
cause = PWRON_RESET
identity = b"\x24\x0a\xc4\x01\x02\x03"
# The pins of a W5500 that is all there, not only its version: {"cs": 17, "reset": 20, "int": 21}.
wires: dict = json.loads(os.getenv("MICROWS_W5500") or "{}")


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


def __getattr__(name):
    # In a module of their own, for a small heap: on a board they take none.
    if name == "PWM":
        import machine_pwm

        return machine_pwm.PWM
    if name not in ("WDT", "Timer", "mem32"):
        raise AttributeError("'module' object has no attribute '%s'" % name)
    import machine_rest

    return getattr(machine_rest, name)


def reset_cause():
    return cause


def reset():
    raise SystemExit("hard reset")


def unique_id():
    return identity


class Pin:
    """A GPIO. What it does as an output is printed; `Pin.drive()` is what is wired to an input."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    # GPIO numbers that a jumper connects to ground.
    grounded: set = set()
    _driven: dict = {}  # levels that something outside gives, by number
    _handlers: dict = {}  # of interrupts, with their trigger and Pin
    _states: dict = {}  # of outputs

    def __init__(self, number, mode=-1, pull=-1, *, value=None):
        if not isinstance(number, int) or not 0 <= number <= 48:
            raise ValueError("invalid pin")
        self.number = number
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None):
        if chip == "ESP32" and self.number >= 34:
            if mode in (Pin.OUT, Pin.OPEN_DRAIN):
                raise ValueError("pin can only be input")
            if pull in (Pin.PULL_UP, Pin.PULL_DOWN):
                raise ValueError("pins 34~39 do not have pull-up or pull-down circuitry")
        self._mode = mode
        self.pull = pull
        if value is not None:
            self._states[self.number] = 1 if value else 0

    @staticmethod
    def drive(number, level):
        """Something outside gives this level: 0 or 1."""
        before = Pin._driven.get(number)
        Pin._driven[number] = level
        handler, trigger, pin = Pin._handlers.get(number, (None, 0, None))
        now = 0 if level == before else Pin.IRQ_RISING if level else Pin.IRQ_FALLING
        if handler and now & trigger:
            handler(pin)

    def __call__(self, *level):
        if _w5500 and self.number in (wires["cs"], wires["reset"], wires["int"]):
            return _w5500.pin(self.number, *level)
        if level:  # a chip select, which nobody looks at
            self._states[self.number] = 1 if level[0] else 0
            return None
        return self.value()

    def value(self, *level):
        if level:
            new = 1 if level[0] else 0
            if self._mode in (Pin.OUT, Pin.OPEN_DRAIN) and self._states.get(self.number) != new:
                print("pin %d: %d" % (self.number, new))
            self._states[self.number] = new
            return None
        if self._mode in (Pin.OUT, Pin.OPEN_DRAIN):
            return self._states.get(self.number, 0)
        look_at_bench()
        if self.number in Pin.grounded:
            return 0
        return Pin._driven.get(self.number, 1 if self.pull == Pin.PULL_UP else 0)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(not self._states.get(self.number, 0))

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING):
        Pin._handlers[self.number] = (handler, trigger, self)


def look_at_bench():
    """What a person does to a virtual board meanwhile: see bench.py."""
    if _bench:
        _bench.look()


_bench: "object" = None
if os.getenv("MICROWS_BENCH"):
    import bench as _bench


class ADC:
    ATTN_11DB = 3

    driven: dict = {}  # what is wired to a pin, 0 to 65535; others have a moving value

    def __init__(self, pin):
        if not isinstance(pin, Pin):
            raise TypeError("expecting a Pin")
        self._number = pin.number

    def atten(self, value):
        pass

    def read_u16(self):
        look_at_bench()
        if self._number in self.driven:
            return self.driven[self._number]
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
        known = (0, 1) if chip.startswith("RP") else (1, 2)
        if chip in ("ESP32C3", "ESP32C5", "ESP32C6", "ESP32H2"):
            known = (1,)
        if number not in known:
            raise ValueError("SPI(%s) doesn't exist" % number)
        super().__init__(baudrate, sck=sck, mosi=mosi, miso=miso)
        power_w5500()
        if wires:
            for name in ("write", "readinto", "write_readinto"):
                setattr(self, name, getattr(_w5500.spi, name))


_w5500: "Any" = None


def power_w5500():
    """Give the board its W5500, all of it, where it is wired to one."""
    global _w5500
    if wires and _w5500 is None:
        import w5500_pins

        _w5500 = w5500_pins.Chip()
