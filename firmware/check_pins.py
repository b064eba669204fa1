"""What check.py does, for the settings "inputs" and "outputs"; few boards load this."""

import json

from firmware import boards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INPUT_KINDS = ("analog", "digital", "count", "temperature")

_NAME_SIZE = 24  # bytes
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
# What has a meaning of its own in a message.
_RESERVED = (
    "clients", "error", "format", "inputs", "name", "outputs", "ping", "pong", "read_only", "t",
    "time",
)  # fmt: skip


def wrong_pins(settings: dict, chip: "Any") -> list:
    """A line for each mistake in these settings; where there is none, they are made complete.

    Each input and output becomes a dict, with `pin`, and `kind` for an input.
    """
    check = _Checker(settings, chip)
    for setting in ("inputs", "outputs"):
        given = settings[setting] or {}
        if len(given) > 16:
            check.problems.append('"%s" has %d; at most 16' % (setting, len(given)))
        found: dict = {}
        for name in sorted(given):
            entry = given[name]
            if isinstance(entry, int) and not isinstance(entry, bool):
                entry = {"pin": entry}
            check.place = '"%s" in "%s"' % (name, setting)
            if not _is_name(name):
                check.say(
                    "is no name: letters, digits, _ - and . make one, no digit the first, "
                    "at most %d" % _NAME_SIZE
                )
            elif name in _RESERVED or (name == "pin0" and setting == "outputs"):
                check.say("is a word with a meaning of its own; take another name")
            elif setting == "outputs" and name in (settings["inputs"] or ()):
                check.say("is an input as well; take another name")
            elif not isinstance(entry, dict):
                check.say('is %s; allowed: a GPIO, or { "pin": GPIO, ... }' % json.dumps(entry))
            else:
                found[name] = entry = dict(entry)
                check.check_entry(setting, name, entry)
        settings[setting] = found or None
    return check.problems


class _Checker:
    def __init__(self, settings, chip):
        profile = boards.profile(settings)
        self.problems: list = []
        self.place = ""
        self.able: Any = boards.CHIPS[chip]
        self.board = settings["board"]
        self._taken = {profile[name]: name for name in boards.WIRES if name in profile}
        self._taken.update(dict.fromkeys(profile.get("radio", ()), "the radio"))
        if settings["role_pin"] is not None:
            self._taken[settings["role_pin"]] = "role_pin"
        if not settings["inputs"]:  # pin0 goes on
            self._taken[settings["sample_pin"]] = "sample_pin"

    def say(self, problem):
        self.problems.append(self.place + " " + problem)

    def check_entry(self, setting, name, entry):
        able = self.able
        fits = able["free"]
        if setting == "outputs":
            pwm = entry.get("pwm") is not None
            last = 100 if pwm else 1
            rules: dict = {
                "pin": None,
                "pwm": (_whole(8, 40000), "a frequency, a whole number from 8 to 40000"),
                "start": (_level(pwm), "0 to 100" if pwm else "0 or 1"),
                "idle": (_level(pwm), "0 to 100" if pwm else "0 or 1"),
                "states": (_is_states, 'two texts, like ["off", "on"]'),
            }
            if last == 100:
                del rules["states"]
            fits = [one for one in fits if one not in able["input"]]
        else:
            if entry.get("kind") is None:
                analog = entry.get("pin") in able["analog"]
                entry["kind"] = "analog" if analog else "digital"
            kind = entry["kind"]
            rules = _input_rules(kind)
            if kind not in INPUT_KINDS:
                self.say('has "kind" %s; allowed: %s' % (json.dumps(kind), ", ".join(INPUT_KINDS)))
                return
            if kind == "analog":
                fits = able["analog"]
            elif entry.get("pull") is not None:
                fits = [one for one in fits if one not in able["floating"]]
        for key in sorted(entry):
            value = entry[key]
            if key not in rules:
                self.say(
                    "has %s, which is nothing here; there are: %s"
                    % (json.dumps(key), ", ".join(sorted(rules)))
                )
            elif key not in ("pin", "kind") and value is not None and not rules[key][0](value):
                self.say('has "%s" %s; allowed: %s' % (key, json.dumps(value), rules[key][1]))
        if "pin" in rules:
            self._check_pin(entry.get("pin"), fits, name)

    def _check_pin(self, pin, fits, name):
        if isinstance(pin, bool) or pin not in fits:
            allowed = ", ".join([str(one) for one in fits if one not in self._taken])
            found = "has no pin" if pin is None else "has pin %s" % json.dumps(pin)
            self.say('%s; allowed on board "%s": %s' % (found, self.board, allowed))
        elif pin in self._taken:
            self.say("has pin %d, which is %s" % (pin, self._taken[pin]))
        else:
            self._taken[pin] = name


def _input_rules(kind):
    number = ("a number from 0.02 to 3600", "a number above 0")
    rules: dict = {
        "kind": None,
        "interval": (lambda value: _is_number(value) and 0.02 <= value <= 3600, number[0]),
        "change": (lambda value: _is_number(value) and value > 0, number[1]),
        "unit": (_is_label, "a text of at most 16 bytes"),
    }
    if kind != "temperature":
        rules["pin"] = None
    if kind == "analog":
        rules["scale"] = (_is_scale, "two numbers, what 0 V and full scale are, like [0, 100]")
    else:
        if kind in ("digital", "count"):
            rules["pull"] = (lambda value: value in ("up", "down"), '"up", "down"')
        if kind == "digital":
            rules["states"] = (_is_states, 'two texts, like ["closed", "open"]')
            del rules["unit"], rules["change"]
    return rules


def _is_name(name):
    data = name.encode()
    return (
        0 < len(data) <= _NAME_SIZE
        and not [byte for byte in data if byte not in _LETTERS]
        and not data[:1].isdigit()
    )


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(first, last):
    return lambda value: _is_number(value) and value == int(value) and first <= value <= last


def _level(pwm):
    return lambda value: _is_number(value) and (0 <= value <= 100 if pwm else value in (0, 1))


def _is_scale(value):
    return (
        isinstance(value, list)
        and len(value) == 2
        and not [one for one in value if not _is_number(one)]
        and value[0] != value[1]
    )


def _is_label(value):
    return isinstance(value, str) and len(value.encode()) <= 16


def _is_states(value):
    return (
        isinstance(value, list)
        and len(value) == 2
        and not [one for one in value if not _is_label(one)]
    )


# As in check.py; the rest is for wrong_pins().
KINDS = {
    "inputs": (
        lambda value: isinstance(value, dict),
        '{ "light": GPIO, "door": { "pin": GPIO, "kind": "digital" }, ... }',
    ),
    "outputs": (
        lambda value: isinstance(value, dict),
        '{ "lamp": GPIO, "fan": { "pin": GPIO, "pwm": 1000 }, ... }',
    ),
}
