"""Whether a configuration is one that the board can have, and what is wrong with it in words."""

import json
import os

from firmware import boards
from firmware.config import public_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_os: "Any" = os  # the type stubs do not know its uname()


def settle(given: dict, defaults: dict, chip: "str | None") -> "tuple[dict, list]":
    """The settings, `given` over `defaults`, and a line for every mistake in them.

    `chip` is a key of boards.CHIPS, None for the one that runs this.
    """
    settings = dict(defaults)
    problems = []
    for key in sorted(given):
        if key not in defaults:
            problems.append(_unknown(key, defaults))
            continue
        value = given[key]
        check, allowed = _check_of(key)
        if check(value) or (value is None and defaults[key] is None):
            settings[key] = value
        elif key == "board" and _one_of(boards.IMPOSSIBLE)[0](value):
            problems.append(
                '"board" is "%s", which cannot work: %s' % (value, boards.IMPOSSIBLE[value])
            )
        else:
            problems.append('"%s" is %s; allowed: %s' % (key, _shown(key, value), allowed))
    if chip is None:
        chip = boards.chip_of(_os.uname().machine)
    if not problems:
        problems = _chip_misfits(settings, chip)
    if not problems:
        if settings["sample_pin"] is None:
            settings["sample_pin"] = boards.profile(settings)["analog"]
        problems = _misfits(settings, chip)
    trust = [key for key in given if key not in _CHECKS]
    if not problems and (trust or settings["url"].lower().startswith("wss:")):
        from firmware.check_trust import misfits

        problems = misfits(settings)
    return settings, problems


def _check_of(key):
    if key in _CHECKS:
        return _CHECKS[key]
    from firmware.check_trust import CHECKS

    return CHECKS[key]


def _shown(key, value):
    if key in _SECRETS:
        return "(not shown)"
    if key == "url" and isinstance(value, str):
        value = public_url(value)
    return json.dumps(value)


def _unknown(key, names):
    nearest = min(names, key=lambda name: _distance(key, name))
    if _distance(key, nearest) <= 1 + len(key) // 3:
        hint = 'did you mean "%s"?' % nearest
    else:
        hint = "there are: " + ", ".join(sorted(names))
    return "%s is no setting; %s" % (json.dumps(key), hint)


def _distance(one, other):
    """How many letters to change, add or drop to get from one to the other."""
    row = list(range(len(other) + 1))
    for letter in one:
        diagonal = row[0]
        row[0] += 1
        for i in range(len(other)):
            cost = min(row[i] + 1, row[i + 1] + 1, diagonal + (letter != other[i]))
            diagonal = row[i + 1]
            row[i + 1] = cost
    return row[-1]


def _chip_misfits(settings, chip):
    """A board, or pins of a board of one's own, that the chip cannot have."""
    board = settings["board"]
    if board != boards.CUSTOM:
        needed = boards.PROFILES[board]["chip"]
        if needed != chip:
            return ['"board" is "%s", made for the %s; this is an %s' % (board, needed, chip)]
        return []
    if chip not in boards.CHIPS:
        known = ", ".join(sorted(boards.CHIPS))
        return ["this firmware does not know the pins of an %s; it knows: %s" % (chip, known)]
    pins = settings["pins"]
    if pins is None:
        return ['"pins" is missing; board "custom" needs { "interface": ..., "analog": ... }']
    return _pin_problems(pins, boards.CHIPS[chip], chip)


def _pin_problems(pins, able, chip):
    """What is wrong with the setting "pins" on this chip; `able` is its entry in CHIPS."""
    interfaces = (able["wired"], "WLAN")
    interface = pins.get("interface")
    if interface not in interfaces:
        allowed = _one_of(interfaces)[1]
        found = "is missing" if interface is None else "is " + json.dumps(interface)
        return ['"interface" in "pins" %s; allowed on an %s: %s' % (found, chip, allowed)]
    needed = ["interface", "analog"]
    if interface != "WLAN":
        needed += ["spi", "sck", "mosi", "miso", "cs", "int"]
        if interface == "WIZNET5K":
            needed.append("reset")
    problems = []
    for name in needed:
        if pins.get(name) is None:
            problems.append(
                '"%s" in "pins" is missing%s'
                % (name, "; the driver of a W5500 needs that wire" if name == "int" else "")
            )
    taken: dict = {}
    for name in sorted(pins):
        pin = pins[name]
        if name == "interface" or pin is None:
            continue
        if name not in boards.WIRES + ("spi", "analog", "led"):
            problems.append('%s in "pins" is no pin; there are: %s' % (
                json.dumps(name), ", ".join(needed + ["reset", "led"])
            ))  # fmt: skip
            continue
        fits = able.get(name, able["free"])
        if name in ("sck", "mosi", "cs", "reset", "led"):
            fits = [fit for fit in fits if fit not in able["input"]]
        if isinstance(pin, bool) or pin not in fits:
            problems.append('"%s" in "pins" is %s; allowed on an %s: %s' % (
                name, json.dumps(pin), chip, ", ".join([str(fit) for fit in fits])
            ))  # fmt: skip
        elif name != "spi" and pin in taken:
            problems.append('"%s" and "%s" in "pins" are both %d' % (taken[pin], name, pin))
        elif name != "spi":
            taken[pin] = name
    return problems


def _misfits(settings, chip):
    """Values that are right by themselves and wrong together, or for this chip."""
    board = settings["board"]
    profile = boards.profile(settings)
    able: Any = boards.CHIPS[chip]
    wires = {profile[wire]: wire for wire in boards.WIRES if wire in profile}
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
            allowed = ", ".join([str(fit) for fit in fits[key] if fit not in wires])
            problems.append('"%s" is %d; allowed on board "%s": %s' % (key, pin, board, allowed))
    if settings["role_pin"] == settings["sample_pin"]:
        problems.append('"role_pin" and "sample_pin" are both %d' % settings["role_pin"])
    if profile["interface"] == "WLAN" and settings["wifi_ssid"] is None:
        problems.append('"wifi_ssid" is missing; board "%s" needs the name of your Wi-Fi' % board)
    if settings["watchdog"] is not None and chip == "RP2040":
        problems.append(
            '"watchdog" is not for an RP2040: its own waits 8 s at most, and a write may take 10 s'
        )
    if settings["address"] is None and (settings["gateway"] or settings["dns"]):
        problems.append('"address" is missing; "gateway" and "dns" go with it')
    return problems


def _one_of(names):
    allowed = ", ".join([json.dumps(name) for name in sorted(names)])
    return (lambda value: isinstance(value, str) and value in names), allowed


def _number(first, last, kinds=(int,)):
    def check(value):
        # True is an int to Python and a mistake to a person.
        return isinstance(value, kinds) and not isinstance(value, bool) and first <= value <= last

    kind = "number" if float in kinds else "whole number"
    return check, "a %s from %s to %s" % (kind, first, last)


def _text(first, last):
    def check(value):
        return isinstance(value, str) and first <= len(value.encode()) <= last

    return check, "a text of %d to %d bytes" % (first, last)


def _is_hostname(value):
    return (
        isinstance(value, str)
        and 1 <= len(value) <= 32
        and all(letter in _HOSTNAME_LETTERS for letter in value.encode())
        and not (value.startswith("-") or value.endswith("-"))
    )


def _is_ip(value):
    if not isinstance(value, str):
        return False
    parts = value.split(".")
    return len(parts) == 4 and all(
        part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts
    )


def _is_netmask(value):
    if not _is_ip(value):
        return False
    bits = 0
    for part in value.split("."):
        bits = bits << 8 | int(part)
    hosts = ~bits & 0xFFFFFFFF
    return bits != 0 and hosts & (hosts + 1) == 0


def _is_visible(value):
    return isinstance(value, str) and all(0x20 < letter < 0x7F for letter in value.encode())


def _is_path(value):
    return _is_visible(value) and value[:1] == "/" and "?" not in value and "#" not in value


def _is_url(value):
    # Not at the top: boot.py starts the network sooner without the library.
    from microws.url import parse_url

    try:
        parse_url(value)
    except (TypeError, ValueError):
        return False
    return True


_SECRETS = ("wifi_password", "token", "password", "headers")
_HOSTNAME_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

# For each setting a test, and what is allowed in words; None is, too, where it is the default.
_CHECKS = {
    "role": _one_of(("server", "client")),
    "role_pin": _number(0, 48),
    "board": _one_of(tuple(boards.PROFILES) + (boards.CUSTOM,)),
    "pins": (lambda value: isinstance(value, dict), '{ "interface": "LAN", "spi": 1, ... }'),
    "hostname": (
        _is_hostname,
        "1 to 32 letters, digits and hyphens, with no hyphen at either end",
    ),
    "address": (_is_ip, 'four numbers, like "192.168.1.20"'),
    "netmask": (_is_netmask, 'like "255.255.255.0"'),
    "gateway": (_is_ip, 'four numbers, like "192.168.1.1"'),
    "dns": (_is_ip, 'four numbers, like "192.168.1.1"'),
    "url": (_is_url, 'ws:// or wss://, a host, a port and a path, like "ws://127.0.0.1:8080/"'),
    "port": _number(1, 65535),
    "path": (_is_path, 'a text that starts with / and has no space, ? or #, like "/"'),
    "sample_pin": _number(0, 48),
    "sample_interval": _number(0.05, 3600, (int, float)),
    "keepalive": _number(1, 3600, (int, float)),
    "queue": _number(0, 1000),
    "watchdog": _number(60, 3600),  # a search for a name may block for half of it
    "max_clients": _number(1, 11),  # an ESP32 has 12 sockets, and one of them listens
    "slow": _one_of(("drop", "close")),
    "chat": (lambda value: isinstance(value, bool), "true, false"),
    "wifi_ssid": _text(1, 32),
    "wifi_password": _text(8, 63),
}
