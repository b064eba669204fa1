"""The serial log: short lines, dated with the seconds since the start, fit to be shown."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_time: "Any" = time
# CPython has neither.
_ticks_ms: "Any" = getattr(time, "ticks_ms", None) or (lambda: int(_time.monotonic() * 1000))
_ticks_diff: "Any" = getattr(time, "ticks_diff", None) or (lambda end, start: end - start)

# The first and last of each range of Unicode's categories Cc, Cf, Cs, Zl and Zp: what moves the
# cursor, is invisible, turns text round or is half a character. U+034F is as invisible.
_UNPRINTABLE = (
    0x00, 0x1F, 0x7F, 0x9F, 0xAD, 0xAD, 0x34F, 0x34F, 0x600, 0x605, 0x61C, 0x61C, 0x6DD, 0x6DD,
    0x70F, 0x70F, 0x890, 0x891, 0x8E2, 0x8E2, 0x180E, 0x180E, 0x200B, 0x200F, 0x2028, 0x202E,
    0x2060, 0x2064, 0x2066, 0x206F, 0xD800, 0xDFFF, 0xFEFF, 0xFEFF, 0xFFF9, 0xFFFB,
    0x110BD, 0x110BD, 0x110CD, 0x110CD, 0x13430, 0x1343F, 0x1BCA0, 0x1BCA3, 0x1D173, 0x1D17A,
    0xE0001, 0xE0001, 0xE0020, 0xE007F,
)  # fmt: skip

# The clock of a board wraps within days and a board runs for months: add up small steps.
_last = _ticks_ms()
_seconds = 0
_millis = 0


# Who else hears each line; it must not raise: see update.py.
tap: "Any" = None


def uptime() -> int:
    """Seconds since the start."""
    global _last, _seconds, _millis
    now = _ticks_ms()
    _millis += _ticks_diff(now, _last)
    _last = now
    _seconds += _millis // 1000
    _millis %= 1000
    return _seconds


def tenths() -> int:
    """Tenths of a second since the start."""
    return uptime() * 10 + _millis // 100


def log(text: str) -> None:
    """Print one line on the serial log."""
    seconds = uptime()
    try:
        text = "[%5d.%d] %s" % (seconds, _millis // 100, text)
    except MemoryError:
        pass  # without its date, then: to tell that memory is short must not take any
    print(text)
    if tap:
        tap(text)


def printable(text: str) -> str:
    """The text, what moves the cursor, is invisible or turns text round written as an escape."""
    # As bytes: MicroPython keeps each character that it makes a str of for ever.
    data = text.encode()
    shown = ""
    start = at = 0  # of what is not yet in it, and of a character
    while at < len(data):
        end = at + 1
        code = data[at]
        if code > 0x7F:
            code &= 0x1F if code < 0xE0 else 0x0F if code < 0xF0 else 0x07
            while end < len(data) and data[end] & 0xC0 == 0x80:
                code = code << 6 | data[end] & 0x3F
                end += 1
        if _is_unprintable(code):
            shown += "%s\\u{%x}" % (str(data[start:at], "utf-8"), code)
            start = end
        at = end
    return shown + str(data[start:], "utf-8") if start else text


def _is_unprintable(code):
    if 0x20 <= code < 0x7F:
        return False
    for i in range(0, len(_UNPRINTABLE), 2):
        if code <= _UNPRINTABLE[i + 1]:
            return code >= _UNPRINTABLE[i]
    return False


class Bound:
    """Of lines that others cause, at most so many are logged a second, and the rest is counted.

    `rest` tells of them: a text with a place for their number.
    """

    def __init__(self, most: int, rest: str) -> None:
        self.most = most
        self._rest = rest
        self._count = 0  # in this second
        self._last = 0  # when that was

    def allows(self) -> bool:
        """Whether one more line may be logged; it counts."""
        self.tell()
        self._count += 1
        return self._count <= self.most

    def tell(self) -> None:
        """Tell of what was left out, once its second is over: to be called now and then."""
        now = uptime()
        if now != self._last:
            if self._count > self.most:
                log(self._rest % (self._count - self.most))
            self._last = now
            self._count = 0
