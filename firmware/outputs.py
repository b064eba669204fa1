"""The setting "outputs": pins that a message, the page or a sketch switches."""

import json

import machine

from firmware.config import ConfigError
from firmware.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_COMMAND_SIZE = 40  # characters; the name and the number of a command have no more
_FULL = 65535  # of machine.PWM.duty_u16()


class Output:
    """One output: 0 or 1, or, with `pwm` (a frequency in Hz), 0 to 100 percent."""

    range = "0 or 1"

    def __init__(self, name: str, entry: dict, tell: "Callable") -> None:
        self.name = name
        self.pwm = entry.get("pwm")
        self.entry = entry
        #: Its state once the last client has left; None: as it is.
        self.idle = entry.get("idle")
        self._start = self._level = entry.get("start") or 0
        self._tell = tell
        if self.pwm:
            self.range = "0 to 100"
            pin = machine.Pin(entry["pin"])
            self.pin: Any = machine.PWM(pin, freq=self.pwm, duty_u16=self._duty())
        else:
            self.pin = machine.Pin(entry["pin"], machine.Pin.OUT, value=self._level)

    def value(self, level: "Any" = None) -> "Any":
        """Its state; with a level it is set, and told where that changes it.

        ValueError for a level that it cannot have.
        """
        if level is None:
            return self._level
        wanted = self.level_of(level)
        if wanted is None:
            raise ValueError("%s takes %s" % (self.name, self.range))
        if self.switch(wanted):
            self._tell([(self.name, wanted)])
        return None

    def on(self) -> None:
        """1, or 100 percent."""
        self.value(100 if self.pwm else 1)

    def off(self) -> None:
        """0."""
        self.value(0)

    def toggle(self) -> None:
        """Off where it is on, and on where it is off."""
        if self._level:
            self.off()
        else:
            self.on()

    def level_of(self, value: "Any") -> "Any":
        """The level that a value stands for, None for none."""
        if not isinstance(value, (bool, int, float)):  # to MicroPython True is no int
            return None
        if self.pwm:
            if not 0 <= value <= 100:
                return None
            value = round(value, 1)
        elif value not in (0, 1):
            return None
        whole = int(value)
        return whole if whole == value else value

    def switch(self, level: "Any") -> bool:
        """Set it without telling anybody; whether that changes it."""
        if level == self._level:
            return False
        self._level = level
        self._write()
        log("%s is %s" % (self.name, level))
        return True

    def reset(self) -> None:
        """As it was at the start."""
        self._level = self._start
        self._write()

    def _write(self):
        if self.pwm:
            self.pin.duty_u16(self._duty())
        else:
            self.pin.value(self._level)

    def _duty(self):
        return int(self._level * _FULL / 100)


class Outputs(dict):
    """{name: Output}, each in its state of the start.

    `tell(pairs)` hears of changes by value(). ConfigError where the chip cannot have one.
    """

    def __init__(self, entries: dict, tell: "Callable") -> None:
        super().__init__()
        for name in sorted(entries):
            try:
                self[name] = Output(name, entries[name], tell)
            except (OSError, RuntimeError, ValueError) as error:
                raise ConfigError(['this chip cannot have "%s" in "outputs": %s' % (name, error)])

    def commanded(self, message: str, is_json: bool) -> "dict | None":
        """What a text gives to outputs, `NAME:VALUE` or an object of JSON; None for no command."""
        if is_json and message.startswith("{") and message.rstrip().endswith("}"):
            # MicroPython takes a text without its end for a whole one.
            try:
                given = json.loads(message)
            except ValueError:
                return None
            return given if isinstance(given, dict) else None
        name, colon, value = message[:_COMMAND_SIZE].partition(":")
        if not colon or name not in self:
            return None
        try:
            return {name: float(value) if len(message) <= _COMMAND_SIZE else None}
        except ValueError:
            return {name: None}

    def set(self, given: dict, may: bool) -> "tuple[list, str]":
        """Set these, all or none: what changed, pairs of name and level, and what is wrong."""
        wanted = []
        for name in given:
            if name not in self:
                if "t" in given:  # another board's sample, which has names of its own
                    continue
                return [], "error: there is no output %s" % str(name)[:_COMMAND_SIZE]
            if not may:
                return [], "error: %s cannot be switched from here" % name
            level = self[name].level_of(given[name])
            if level is None:
                return [], "error: %s takes %s" % (name, self[name].range)
            wanted.append((name, level))
        return [one for one in wanted if self[one[0]].switch(one[1])], ""

    def idle(self) -> None:
        """The last peer has left."""
        for one in self.values():
            if one.idle is not None:
                one.value(one.idle)

    def rest(self) -> None:
        """The program ends: each as it was at the start."""
        for one in self.values():
            one.reset()
