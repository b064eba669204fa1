"""The setting "inputs": what a board measures."""

import machine

from firmware.config import ConfigError
from firmware.values import Input, sampler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_machine: "Any" = machine  # the type stubs are those of one chip

_FULL = 65535  # of machine.ADC.read_u16()
_LOOK_EVERY = 0.02  # seconds, at a switch; what is shorter is its bouncing


def make_inputs(entries: dict, interval: float) -> dict:
    """{name: Input}; `interval` in seconds is that of each that has none of its own.

    ConfigError where the chip cannot have one.
    """
    found = {}
    for name in sorted(entries):
        entry = entries[name]
        try:
            found[name] = _MAKE[entry["kind"]](entry, entry.get("interval") or interval)
        except (AttributeError, ImportError, OSError, RuntimeError, ValueError) as error:
            raise ConfigError(['this chip cannot have "%s" in "inputs": %s' % (name, error)])
        found[name].entry = entry
    return found


def scaled(read: "Callable[[], int]", first: float, last: float) -> "Callable[[], Any]":
    """A function that gives what is read on a scale from `first` to `last`."""
    step: float = 1
    digits = 0
    # About a thousand steps of it are told apart: the converter has few more.
    while step > abs(last - first) / 1000 and digits < 6:
        digits += 1
        step /= 10

    def read_scaled():
        value = round(first + (last - first) * read() / _FULL, digits)
        return value if digits else int(value)

    return read_scaled


class _Switch(Input):
    """A pin that is 0 or 1, told at once when it changes, and not when it bounces.

    It has changed where it reads the same twice.
    """

    kind = "digital"

    def __init__(self, read, interval):
        super().__init__(read, _LOOK_EVERY, 1)
        self._wait = int(interval / _LOOK_EVERY)  # looks, after a message
        self._waited = self._wait
        self._before: Any = None

    def look(self):
        value = self.read()
        same = value == self._before or self.told is None
        self._before = value
        self._waited += 1
        if not same:
            return False
        self.newest = value
        if value == self.told or self._waited < self._wait:
            return False
        self._waited = 0
        return True


class _Counter(Input):
    """Pulses on a pin, since the start: the times it goes from 0 to 1."""

    kind = "count"

    def __init__(self, pin, interval, change):
        super().__init__(self._read, interval, change)
        self._count = 0
        pin.irq(self.add, machine.Pin.IRQ_RISING)

    def add(self, pin):
        # It may be an interrupt, which must not allocate.
        self._count += 1

    def _read(self):
        return self._count


def _analog(entry, interval):
    read = sampler(entry["pin"])
    scale = entry.get("scale")
    if scale:
        read = scaled(read, scale[0], scale[1])
    return Input(read, interval, entry.get("change"))


def _input_pin(entry):
    pull = entry.get("pull")
    if pull:
        pull = machine.Pin.PULL_UP if pull == "up" else machine.Pin.PULL_DOWN
        return machine.Pin(entry["pin"], machine.Pin.IN, pull)
    return machine.Pin(entry["pin"], machine.Pin.IN)


def _digital(entry, interval):
    return _Switch(_input_pin(entry).value, entry.get("interval") or 0.05)


def _count(entry, interval):
    return _Counter(_input_pin(entry), interval, entry.get("change") or 1)


def _temperature(entry, interval):
    found = Input(_thermometer(), interval, entry.get("change"))
    found.kind = "temperature"
    entry["unit"] = entry.get("unit") or "\u00b0C"
    return found


def _thermometer():
    """A function that reads the chip's own temperature in degrees Celsius."""
    if hasattr(_machine.ADC, "CORE_TEMP"):  # RP2040, RP2350
        adc = _machine.ADC(_machine.ADC.CORE_TEMP)
        return lambda: round(27 - (adc.read_u16() * 3.3 / _FULL - 0.706) / 0.001721, 1)
    import esp32

    chip: Any = esp32
    if hasattr(chip, "mcu_temperature"):
        return chip.mcu_temperature
    return lambda: round((chip.raw_temperature() - 32) / 1.8, 1)  # the first of them tells F


_MAKE: dict = {
    "analog": _analog,
    "digital": _digital,
    "count": _count,
    "temperature": _temperature,
}
