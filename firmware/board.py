"""What a sketch has of its board: `from firmware import board`."""

from firmware.log import log as _log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: The inputs of config.json by name; `board.inputs["light"].value()` measures.
inputs: dict = {}
#: The outputs by name, each with `value(x)`, `value()`, `on()`, `off()` and `toggle()`.
outputs: dict = {}

_sketch: "Any" = None  # who runs it: see sketch.py


def send(name: str, value: "Any" = None) -> None:
    """Send a value of this board, `NAME:VALUE`; or, with one argument, any text.

    A server sends it to all its clients, a client to its server. ValueError for a name that has a
    space or colon in it, or is an output's.
    """
    if value is None:
        _sketch.say(name)
        return
    if not name or ":" in name or " " in name or name in outputs:
        raise ValueError("no name for a value: %s" % name)
    _sketch.values.tell([(name, value)])


def every(seconds: float, function: "Callable[[], Any]") -> "Any":
    """Call a function now, and again after so many seconds, without end.

    It may be `async def`. What this gives has `cancel()`.
    """
    return _sketch.repeat(seconds, function)


def log(*what: object) -> None:
    """Print a line on the serial log."""
    _log(" ".join([str(one) for one in what]))
