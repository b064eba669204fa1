"""The setting "flood": "newest", for a client that sends more than the board takes.

Of what waits, each name's newest value is taken, `NAME:VALUE`, and all that has no name.
"""

from microws import WebSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_AT_ONCE = 256  # messages that are looked through
_MOST_KEPT = 32
_NAME_SIZE = 32  # characters; what stands before a colon further on is no name


async def take(ws: "Any", first: "str | bytes") -> "tuple[list, int]":
    """The messages to go on with, the oldest first, and how many others came; `first` is one."""
    kept: list = []
    count = 1
    message = first
    while True:
        name = _name_of(message)
        if name:
            kept = [one for one in kept if _name_of(one) != name]
        kept.append(message)
        if count == _MOST_AT_ONCE or len(kept) == _MOST_KEPT:
            break
        try:
            message = await ws.recv(0)
        except (OSError, WebSocketError):
            break  # nothing more waits; of an end the next recv() tells
        count += 1
    return kept, count - len(kept)


def _name_of(message):
    if not isinstance(message, str):
        return ""
    name, colon, _ = message[: _NAME_SIZE + 1].partition(":")
    return name if colon else ""
