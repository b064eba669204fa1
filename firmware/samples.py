"""Values as JSON, with the time: the setting "format", GET /values."""

import json
import time

from firmware.values import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0  # seconds from 1970 to the clock's zero
_SET = 2024  # a clock that tells an earlier year was not set


def stamp(now: int) -> dict:
    """The time of a sample: `t` in seconds since the start, `time` where the clock is set.

    `now` is in tenths of a second since the start.
    """
    found: dict = {"t": now / 10}
    if time.gmtime()[0] >= _SET:
        found["time"] = int(time.time()) + _EPOCH
    return found


def sample(now: int, items: "Any") -> str:
    """What was measured together, pairs of name and value, as one object."""
    found = stamp(now)
    found.update(items)
    return dumps(found)


def dumps(value: "Any") -> str:
    """JSON of it; of numbers that are not whole no more digits than are known."""
    if isinstance(value, float):
        text = text_of(value)
        return "null" if "n" in text else text  # neither nan nor inf is JSON
    if isinstance(value, dict):
        pairs = [json.dumps(name) + ": " + dumps(value[name]) for name in value]
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(value)
