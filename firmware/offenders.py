"""Who did not know a secret, and has to wait longer each time."""

from microws.compat import ticks_diff, ticks_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST_PAUSE = 64  # seconds
_MOST_OFFENDERS = 16  # the one that was wrong longest ago makes room


class Offenders:
    """By any name of theirs, as an address."""

    def __init__(self) -> None:
        self._offenders: list[Any] = []  # (address, since when in ticks, pause in seconds)

    def pause_of(self, address: str) -> int:
        """The seconds that this one has to wait, 0 for others."""
        for name, start, pause in self._offenders:
            seconds = ticks_diff(ticks_ms(), start) // 1000
            if name == address and 0 <= seconds < pause:
                return pause - seconds
        return 0

    def punish(self, address: str) -> None:
        """This one was wrong."""
        now = ticks_ms()
        wait = 1
        for name, start, pause in self._offenders:
            if name == address and ticks_diff(now, start) < (pause + _LONGEST_PAUSE) * 1000:
                wait = min(2 * pause, _LONGEST_PAUSE)
        self.pardon(address)
        if len(self._offenders) == _MOST_OFFENDERS:
            self._offenders.pop(0)
        self._offenders.append((address, now, wait))

    def pardon(self, address: str) -> None:
        """This one was right."""
        self._offenders = [one for one in self._offenders if one[0] != address]


def same(given: bytes, secret: bytes) -> bool:
    """Whether these are the same; how long it takes tells only the length of `given`."""
    wrong = len(given) ^ len(secret)
    for i in range(len(given)):
        wrong |= given[i] ^ secret[i % len(secret)]
    return wrong == 0
