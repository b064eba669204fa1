"""Whether a configuration is one that the board can have, and what is wrong with it in words."""

import gc
import json
import os

from firmware import boards
from firmware.log import public_url
from firmware.settings import TABLE, defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_os: "Any" = os  # the type stubs do not know its uname()

_SECRET_KINDS = ("secret", "token", "password", "headers", "own_wifi")
_HARD_TIMERS = (1, 26)  # the first release of MicroPython that has them on these chips
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

_WITHOUT_INT = '; MicroPython\'s driver needs that wire. Ours does not: leave out "driver"'


def check_settings(given: dict, chip: "str | None", version: tuple) -> "tuple[dict, list]":
    """All settings, `given` over the defaults, and a line for every mistake in them.

    `chip` is a key of boards.CHIPS, None for the one that runs this; `version` is MicroPython's.
    """
    settings = defaults()
    problems = []
    rows: Any = {row[0]: row for row in TABLE}
    security = False
    for name in sorted(given):
        if name not in rows:
            problems.append(_unknown(name, rows))
            continue
        value = given[name]
        kind, limits = rows[name][3], rows[name][4:]
        security = security or not (kind in KINDS or kind in ("inputs", "outputs"))
        fits, allowed = kind_of(kind)
        if fits(value, *limits) or (value is None and settings[name] is None):
            settings[name] = value
        elif kind == "board" and isinstance(value, str) and value in boards.IMPOSSIBLE:
            problems.append(
                '"board" is "%s", which cannot work: %s' % (value, boards.IMPOSSIBLE[value])
            )
        else:
            shown = "(not shown)" if kind in _SECRET_KINDS else _shown(value, kind)
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
        from firmware.check_pins import wrong_pins

        problems = wrong_pins(settings, chip)
    if not problems and (settings["role"] == "mqtt" or isinstance(settings["url"], list)):
        from firmware.check_mqtt import conflicts as mqtt_conflicts

        problems = mqtt_conflicts(settings)
    if not problems and (security or has_tls(settings)):
        from firmware.check_security import conflicts

        problems = conflicts(settings)
    return settings, problems


def kind_of(kind: str) -> tuple:
    """The test of a kind of setting, and what is allowed in words: see KINDS."""
    if kind in KINDS:
        return KINDS[kind]
    # Few boards have such a setting, so few load it. To compile it takes room in one piece.
    gc.collect()
    if kind in ("topic", "show_as"):
        from firmware import check_mqtt

        return check_mqtt.KINDS[kind]
    if kind in ("inputs", "outputs"):
        from firmware import check_pins

        return check_pins.KINDS[kind]
    from firmware import check_security

    return check_security.KINDS[kind]


def urls_of(value: "Any") -> list:
    """What the setting "url" holds, one or many, as a list."""
    return value if isinstance(value, list) else [value]


def has_tls(settings: dict) -> bool:
    """Whether one of the urls is wss://."""
    return bool([url for url in urls_of(settings["url"]) if url[:4].lower() == "wss:"])


def words(allowed: "Any", limits: tuple) -> str:
    """What KINDS says is allowed, with a setting's own limits in it."""
    return allowed % limits if isinstance(allowed, str) else allowed(*limits)


def _shown(value, kind):
    if kind == "url" and isinstance(value, (str, list)):
        shown = [public_url(url) if isinstance(url, str) else url for url in urls_of(value)]
        value = shown if isinstance(value, list) else shown[0]
    return json.dumps(value)


def _unknown(name, rows):
    nearest = min(rows, key=lambda row: _distance(name, row))
    if _distance(name, nearest) <= 1 + len(name) // 3:
        hint = 'did you mean "%s"?' % nearest
    else:
        hint = "there are: " + ", ".join(sorted(rows))
    return "%s is no setting; %s" % (json.dumps(name), hint)


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


def _wrong_board(settings, chip):
    """A board, or pins of a board of one's own, that the chip cannot have."""
    board = settings["board"]
    if board != boards.CUSTOM:
        needed = boards.PROFILES[board]["chip"]
        if needed != chip:
            return ['"board" is "%s", made for the %s; this is an %s' % (board, needed, chip)]
        return []
    pins = settings["pins"]
    able = boards.CHIPS.get(chip)
    if able is None and boards.driver_of(pins or {}) != boards.OURS:
        known = ", ".join(sorted(boards.CHIPS))
        return [
            'this firmware knows no network of an %s; set "driver": "w5500" in "pins" for a '
            "W5500, or take one of: %s" % (chip, known)
        ]
    if pins is None:
        return ['"pins" is missing; board "custom" needs { "interface": ..., "analog": ... }']
    return _wrong_pins(pins, able, chip)


def _wrong_pins(pins, able, chip):
    """What is wrong with the setting "pins" on this chip; `able` is its entry in CHIPS, if any."""
    driver = boards.driver_of(pins)
    if driver not in ("firmware", boards.OURS):
        allowed = _names("firmware", boards.OURS)
        return ['"driver" in "pins" is %s; allowed: %s' % (json.dumps(driver), allowed)]
    interfaces = ("W5500",) if driver == boards.OURS else able["interfaces"]
    interface = "W5500" if driver == boards.OURS else pins.get("interface")
    if interface not in interfaces:
        allowed = _names(*interfaces)
        found = "is missing" if interface is None else "is " + json.dumps(interface)
        return ['"interface" in "pins" %s; allowed on an %s: %s' % (found, chip, allowed)]
    needed = ["analog"] if driver == boards.OURS else ["interface", "analog"]
    if interface != "WLAN":
        needed += ["spi", "sck", "mosi", "miso", "cs"]
        if driver != boards.OURS:
            needed.append("int")
        if interface == "WIZNET5K":
            needed.append("reset")
    problems = []
    for name in needed:
        if pins.get(name) is None:
            problems.append(
                '"%s" in "pins" is missing%s' % (name, _WITHOUT_INT if name == "int" else "")
            )
    taken: dict = {}
    for name in sorted(pins):
        pin = pins[name]
        if name in ("driver", "interface") or pin is None:
            continue
        if name not in boards.WIRES + ("spi", "analog", "led"):
            problems.append('%s in "pins" is no pin; there are: %s' % (
                json.dumps(name), ", ".join(needed + ["reset", "led"])
            ))  # fmt: skip
            continue
        if able is None:
            continue  # a chip whose pins are not known here; some have names
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


def _conflicts(settings, chip, version):
    """Values that are right by themselves and wrong together, or for this chip."""
    board = settings["board"]
    profile = boards.profile(settings)
    able: Any = boards.CHIPS.get(chip)
    wires = {profile[wire]: wire for wire in boards.WIRES if wire in profile}
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
            allowed = ", ".join([str(fit) for fit in fits[key] if fit not in wires])
            problems.append('"%s" is %d; allowed on board "%s": %s' % (key, pin, board, allowed))
    if settings["role_pin"] == settings["sample_pin"]:
        problems.append('"role_pin" and "sample_pin" are both %d' % settings["role_pin"])
    on_wifi = profile["interface"] == "WLAN"
    if on_wifi and settings["wifi_ssid"] is None and settings["wifi_ap"] is None:
        problems.append('"wifi_ssid" is missing; board "%s" needs the name of your Wi-Fi' % board)
    if settings["wifi_ap"] and not on_wifi:
        problems.append('"wifi_ap" is of no use to board "%s", whose network is a cable' % board)
    if settings["watchdog"] and chip in ("RP2040", "RP2350") and version < _HARD_TIMERS:
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


def _is_own_wifi(value):
    return (
        isinstance(value, dict)
        and sorted(value) == ["name", "password"]
        and _is_text(value["name"], 1, 32)
        and _is_text(value["password"], 8, 63)
    )


def _is_hostname(value):
    return (
        isinstance(value, str)
        and 1 <= len(value) <= 32
        and all(letter in _LETTERS for letter in value.encode())
        and not (value.startswith("-") or value.endswith("-"))
    )


def _is_ip(value, example=""):
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


def _is_path(value):
    return (
        isinstance(value, str)
        and all(0x20 < letter < 0x7F for letter in value.encode())
        and value[:1] == "/"
        and "?" not in value
        and "#" not in value
    )


def _is_url(value):
    # Not at the top: boot.py starts the network sooner without the library.
    from microws.url import parse_url

    try:
        for url in urls_of(value):
            parse_url(url)
    except (TypeError, ValueError):
        return False
    return value != []


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
    "own_wifi": (
        _is_own_wifi,
        '{ "name": 1 to 32 bytes, "password": 8 to 63 bytes }, nobody comes in without one',
    ),
    "hostname": (
        _is_hostname,
        "1 to 32 letters, digits and hyphens, with no hyphen at either end",
    ),
    "ip": (_is_ip, 'four numbers, like "%s"'),
    "netmask": (_is_netmask, 'like "255.255.255.0"'),
    "path": (_is_path, 'a text that starts with / and has no space, ? or #, like "/"'),
    "url": (_is_url, 'ws:// or wss://, a host, a port and a path, like "ws://127.0.0.1:8080/"'),
}
