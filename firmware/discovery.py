"""What Home Assistant wants to know of a board on a broker, to find it by itself.

The keys are those of its MQTT discovery: home-assistant.io/integrations/mqtt
"""

import json
import sys

from microws import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ON_OFF = {"payload_on": "1", "payload_off": "0"}


def messages(settings: dict, name: str, base: str) -> "Iterator[tuple[str, bytes]]":
    """A topic and a payload, both to be retained, for each input and output.

    `name` is the board's on the broker, and what its topics begin with is `base`. One after the
    other: memory is to hold one.
    """
    python = "MicroPython" if sys.implementation.name == "micropython" else "CPython"
    version = ".".join([str(part) for part in sys.implementation.version[:3]])
    device = {
        "identifiers": [name],
        "name": name,
        "model": settings["board"],
        "manufacturer": "microws",
        "sw_version": "microws %s, %s %s" % (__version__, python, version),
    }
    inputs = settings["inputs"] or {"pin0": {"kind": "raw"}}
    shown = settings["show_as"] or {}
    for names, describe in ((inputs, _input), (settings["outputs"] or {}, _output)):
        for one in sorted(names):
            kind, more = describe(names[one], base + one, shown.get(one))
            more["name"] = one
            more["unique_id"] = name + "." + one
            more["availability_topic"] = base + "status"
            more["device"] = device
            # Letters, digits, _ and - alone are allowed there.
            place = (settings["discovery"], kind, name, one.replace(".", "-dot-"))
            yield "%s/%s/%s/%s/config" % place, json.dumps(more).encode()


def _input(entry, topic, shown):
    kind = entry["kind"]
    more: dict[str, Any] = {"state_topic": topic}
    if kind == "digital":
        more.update(_ON_OFF)
        return "binary_sensor", more
    more["state_class"] = "total_increasing" if kind == "count" else "measurement"
    if entry.get("unit"):
        more["unit_of_measurement"] = entry["unit"]
    if kind == "temperature":
        more["device_class"] = "temperature"
    return "sensor", more


def _output(entry, topic, shown):
    is_scale = entry.get("pwm") is not None
    more: dict[str, Any] = {"command_topic": topic + "/set"}
    if shown == "button":
        more["payload_press"] = "1"
        return "button", more
    more["state_topic"] = topic
    if shown == "light" and is_scale:
        more["brightness_command_topic"] = topic + "/set"
        more["brightness_state_topic"] = topic
        more["brightness_scale"] = 100
        more["on_command_type"] = "brightness"
        more["state_value_template"] = "{{ 1 if value | float > 0 else 0 }}"
    elif is_scale:
        more.update({"min": 0, "max": 100, "unit_of_measurement": "%"})
        return "number", more
    more.update(_ON_OFF)
    return shown or "switch", more
