"""What check.py does, for the setting "pins" of a board of one's own; few boards load this."""

import json

from firmware import boards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WITHOUT_INT = '; MicroPython\'s driver needs that wire. Ours does not: leave out "driver"'


def wrong_pins(pins: "Any", chip: str) -> list:
    """A line for each mistake in them, on this chip."""
    able = boards.CHIPS.get(chip)
    if able is None and boards.driver_of(pins or {}) != boards.OURS:
        known = ", ".join(sorted(boards.CHIPS))
        return [
            'this firmware knows no network of an %s; set "driver": "w5500" in "pins" for a '
            "W5500, or take one of: %s" % (chip, known)
        ]
    if pins is None:
        return ['"pins" is missing; board "custom" needs { "interface": ..., "analog": ... }']
    return _wrong(pins, able, chip)


def _wrong(pins, able, chip):
    """What is wrong with the setting "pins" on this chip; `able` is its entry in CHIPS, if any."""
    driver = boards.driver_of(pins)
    if driver not in ("firmware", boards.OURS):
        return ['"driver" in "pins" is %s; allowed: "firmware", "w5500"' % json.dumps(driver)]
    interfaces = ("W5500",) if driver == boards.OURS else able["interfaces"]
    interface = "W5500" if driver == boards.OURS else pins.get("interface")
    if interface not in interfaces:
        allowed = json.dumps(sorted(interfaces))[1:-1]
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
