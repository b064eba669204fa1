"""Who did not know a secret, and has to wait longer each time."""

from microws.compat import ticks_diff, ticks_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST_PAUSE = 64  # seconds
_MOST = 16  # the one that was wrong longest ago makes room


class Offenders:
    """By any name of theirs, as an address."""

    def __init__(self) -> None:
        self._list: list[Any] = []  # (who, since when in ticks, pause in seconds)

    def pause_of(self, who: str) -> int:
        """The seconds that this one has to wait, 0 for others."""
        for name, start, pause in self._list:
            passed = ticks_diff(ticks_ms(), start) // 1000
            if name == who and 0 <= passed < pause:
                return pause - passed
        return 0

    def punish(self, who: str) -> None:
        """This one was wrong."""
        now = ticks_ms()
        longer = 1
        for name, start, pause in self._list:
            if name == who and ticks_diff(now, start) < (pause + _LONGEST_PAUSE) * 1000:
                longer = min(2 * pause, _LONGEST_PAUSE)
        self.pardon(who)
        if len(self._list) == _MOST:
            self._list.pop(0)
        self._list.append((who, now, longer))

    def pardon(self, who: str) -> None:
        """This one was right."""
        self._list = [one for one in self._list if one[0] != who]


def same(given: bytes, secret: bytes) -> bool:
    """Whether these are the same; how long it takes tells only the length of `given`."""
    different = len(given) ^ len(secret)
    for i in range(len(given)):
        different |= given[i] ^ secret[i % len(secret)]
    return different == 0
