"""What is told of a board's values as a whole, in JSON: the first message, and GET /values."""

import json

from firmware.log import tenths
from firmware.samples import dumps, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FULL = 65535  # of an analog input without a scale


def first_message(values: "Any", more: dict) -> str:
    """All names with their kinds, units, ranges and states, and `more` about the board."""
    message: dict = {"inputs": {}, "outputs": {}}
    message.update(more)
    for name, one in values.inputs.items():
        entry = one.entry
        found: dict = {"kind": one.kind, "value": one.newest}
        if one.kind == "analog":
            found["range"] = entry.get("scale") or (0, _FULL)
        elif one.kind == "digital":
            found["range"] = (0, 1)
        message["inputs"][name] = _labelled(found, entry)
    for name, one in (values.outputs or {}).items():
        found = {"value": one.value(), "range": (0, 100 if one.pwm else 1)}
        if one.pwm:
            found["pwm"] = one.pwm
            found["unit"] = "%"
        message["outputs"][name] = _labelled(found, one.entry)
    return dumps(message)


def newest(values: "Any") -> str:
    """{name: {"value": ..., "unit": ..., "t": ...}} of all; "time" where the clock is set."""
    now = stamp(tenths())
    found = {}
    for name, (value, at) in values.newest.items():
        more: dict = {"value": value, "t": at / 10}
        if "time" in now:
            more["time"] = now["time"] - int(now["t"] - at / 10)
        one = values.inputs.get(name)
        if one and one.entry.get("unit"):
            more["unit"] = one.entry["unit"]
        one = values.outputs and values.outputs.get(name)
        if one and one.pwm:
            more["unit"] = "%"
        found[name] = more
    return dumps(found)


def set_outputs(values: "Any", body: "bytes | bytearray", may: bool) -> str:
    """Set the outputs that a body of JSON gives, `{"lamp": 1}`; what is wrong, "" for nothing."""
    try:
        # MicroPython takes a text without its end for a whole one.
        given = json.loads(str(body, "utf-8")) if bytes(body).strip().endswith(b"}") else None
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return 'error: not an object of JSON, like {"lamp": 1}'
    return values.set(given, "HTTP", may)


def _labelled(found, entry):
    for key in ("unit", "states", "change"):
        if entry.get(key):
            found[key] = entry[key]
    return found
