"""Whether a configuration is one that the board can have, and what is wrong with it in words."""

import gc
import json
import os
import sys

from firmware import boards
from firmware.settings import TABLE, defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_os: "Any" = os  # the type stubs do not know its uname()

# Kinds that few boards need are in modules of their own.
_ELSEWHERE = {
    "check_mqtt": ("topic", "show_as"),
    "check_network": ("hostname", "ip", "netmask", "own_wifi", "path", "url"),
    "check_pins": ("inputs", "outputs"),
    "check_security": (
        "file", "fingerprint", "headers", "host", "key", "origins", "password", "subprotocols",
        "token", "user",
    ),
}  # fmt: skip


def check_settings(given: dict, chip: "str | None", version: tuple) -> "tuple[dict, list]":
    """All settings, `given` over the defaults, and a line for every mistake in them.

    `chip` is a key of boards.CHIPS, None for the one that runs this; `version` is MicroPython's.
    """
    settings = defaults()
    problems = []
    known: Any = {row[0]: row for row in TABLE}
    security = False
    for name in sorted(given):
        if name not in known:
            from firmware import check_names

            problems.append(check_names.unknown(name, known))
            continue
        value = given[name]
        kind, limits = known[name][3], known[name][4:]
        security = security or kind in _ELSEWHERE["check_security"]
        fits, allowed = kind_of(kind)
        if fits(value, *limits) or (value is None and settings[name] is None):
            settings[name] = value
        elif kind == "board" and isinstance(value, str) and value in boards.IMPOSSIBLE:
            problems.append(
                '"board" is "%s", which cannot work: %s' % (value, boards.IMPOSSIBLE[value])
            )
        else:
            secret = kind in ("secret", "token", "key", "password", "headers", "own_wifi")
            shown = "(not shown)" if secret else _shown(value, kind)
            problems.append('"%s" is %s; allowed: %s' % (name, shown, words(allowed, limits)))
    if chip is None:
        chip = boards.chip_of(_os.uname().machine)
    if not problems:
        problems = _wrong_board(settings, chip)
    if not problems:
        if settings["sample_pin"] is None:
            settings["sample_pin"] = boards.profile(settings)["analog"]
        problems = _conflicts(settings, chip, version)
    if not problems and (settings["inputs"] or settings["outputs"]):
        from firmware import check_pins

        problems = check_pins.wrong_pins(settings, chip)
    if not problems and (settings["role"] == "mqtt" or isinstance(settings["url"], list)):
        from firmware import check_mqtt

        problems = check_mqtt.conflicts(settings)
    # A url that has this elsewhere does no harm: it is looked at there.
    if not problems and (security or "wss:" in str(settings["url"]).lower()):
        from firmware import check_security

        problems = check_security.conflicts(settings)
    return settings, problems


def kind_of(kind: str) -> tuple:
    """The test of a kind of setting, and what is allowed in words: see KINDS."""
    if kind in KINDS:
        return KINDS[kind]
    gc.collect()  # to compile it takes room in one piece
    for module, kinds in _ELSEWHERE.items():
        if kind in kinds:
            __import__("firmware." + module)
            return sys.modules["firmware." + module].KINDS[kind]
    raise KeyError(kind)


def words(allowed: "Any", limits: tuple) -> str:
    """What KINDS says is allowed, with a setting's own limits in it."""
    return allowed % limits if isinstance(allowed, str) else allowed(*limits)


def _shown(value, kind):
    if kind == "url":
        from firmware import check_network

        value = check_network.without_secrets(value)
    return json.dumps(value)


def _wrong_board(settings, chip):
    """A board, or pins of a board of one's own, that the chip cannot have."""
    board = settings["board"]
    if board != boards.CUSTOM:
        wanted = boards.PROFILES[board]["chip"]
        if wanted != chip:
            return ['"board" is "%s", made for the %s; this is an %s' % (board, wanted, chip)]
        return []
    from firmware import check_custom

    return check_custom.wrong_pins(settings["pins"], chip)


def _conflicts(settings, chip, version):
    """Values that are right by themselves and wrong together, or for this chip."""
    board = settings["board"]
    profile = boards.profile(settings)
    able: Any = boards.CHIPS.get(chip)
    wires = {profile[name]: name for name in boards.WIRES if name in profile}
    wires.update(dict.fromkeys(profile.get("radio", ()), "radio"))
    fits = {}
    if able:
        fits = {
            "sample_pin": able["analog"],
            "role_pin": [pin for pin in able["free"] if pin not in able["floating"]],
        }
    problems = []
    for key in sorted(fits):
        pin = settings[key]
        if pin is None:
            continue
        if pin in wires:
            problems.append(
                '"%s" is %d, the pin that board "%s" uses as %s of its network'
                % (key, pin, board, wires[pin])
            )
        elif pin not in fits[key]:
            allowed = ", ".join([str(one) for one in fits[key] if one not in wires])
            problems.append('"%s" is %d; allowed on board "%s": %s' % (key, pin, board, allowed))
    if settings["role_pin"] == settings["sample_pin"]:
        problems.append('"role_pin" and "sample_pin" are both %d' % settings["role_pin"])
    wanted = profile["interface"] == "WLAN"
    if wanted and settings["wifi_ssid"] is None and settings["wifi_ap"] is None:
        problems.append('"wifi_ssid" is missing; board "%s" needs the name of your Wi-Fi' % board)
    if settings["wifi_ap"] and not wanted:
        problems.append('"wifi_ap" is of no use to board "%s", whose network is a cable' % board)
    if settings["watchdog"] and chip in ("RP2040", "RP2350") and version < (1, 26):
        problems.append(
            '"watchdog" on an %s needs MicroPython 1.26, whose timers can feed the chip\'s own: '
            "that one waits 8 s at most, and a write may take 10 s" % chip
        )
    if settings["address"] is None and (settings["gateway"] or settings["dns"]):
        problems.append('"address" is missing; "gateway" and "dns" go with it')
    return problems


def _all_boards():
    return list(boards.PROFILES) + [boards.CUSTOM]


def _names(*names):
    return ", ".join([json.dumps(name) for name in sorted(names)])


def _is_number(value, first, last, kinds=(int, float)):
    # True is an int to Python and a mistake to a person.
    return isinstance(value, kinds) and not isinstance(value, bool) and first <= value <= last


def _is_text(value, first, last):
    return isinstance(value, str) and first <= len(value.encode()) <= last


# For each kind of setting a test, which gets the value and the setting's limits, and what is
# allowed in words: a text with a place for each limit, or what makes one of them. None is allowed,
# too, where it is the default.
KINDS: dict = {
    "choice": (lambda value, *names: isinstance(value, str) and value in names, _names),
    "board": (
        lambda value: isinstance(value, str) and value in _all_boards(),
        lambda: _names(*_all_boards()),
    ),
    "pins": (lambda value: isinstance(value, dict), '{ "interface": "LAN", "spi": 1, ... }'),
    "whole": (
        lambda value, first, last: _is_number(value, first, last, int),
        "a whole number from %s to %s",
    ),
    "number": (_is_number, "a number from %s to %s"),
    "flag": (lambda value: isinstance(value, bool), "true, false"),
    "text": (_is_text, "a text of %d to %d bytes"),
    "secret": (_is_text, "a text of %d to %d bytes"),
}
