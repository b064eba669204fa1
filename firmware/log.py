"""The serial log: short lines, dated with the seconds since the start, fit to be shown."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_time: "Any" = time
# CPython has neither.
_ticks_ms: "Any" = getattr(time, "ticks_ms", None) or (lambda: int(_time.monotonic() * 1000))
_ticks_diff: "Any" = getattr(time, "ticks_diff", None) or (lambda end, start: end - start)

# Control characters, zero-width and direction marks, line separators.
_UNPRINTABLE = (
    (0x00, 0x1F),
    (0x7F, 0x9F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0xFEFF, 0xFEFF),
)

# The clock of a board wraps within days and a board runs for months: add up small steps.
_last = _ticks_ms()
_seconds = 0
_millis = 0


def uptime() -> int:
    """Seconds since the start."""
    global _last, _seconds, _millis
    now = _ticks_ms()
    _millis += _ticks_diff(now, _last)
    _last = now
    _seconds += _millis // 1000
    _millis %= 1000
    return _seconds


def log(text: str) -> None:
    """Print one line on the serial log."""
    seconds = uptime()
    try:
        text = "[%5d.%d] %s" % (seconds, _millis // 100, text)
    except MemoryError:
        pass  # without its date, then: to tell that memory is short must not take any
    print(text)


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
            code &= 0x3F if code < 0xE0 else 0x0F  # above U+FFFF nothing is looked for
            while end < len(data) and data[end] & 0xC0 == 0x80:
                code = code << 6 | data[end] & 0x3F
                end += 1
        for first, last in _UNPRINTABLE:
            if first <= code <= last:
                shown += "%s\\u{%x}" % (str(data[start:at], "utf-8"), code)
                start = end
        at = end
    return shown + str(data[start:], "utf-8") if start else text


def public_url(url: str) -> str:
    """The url without what may be secret in it: user, password and query."""
    url, _, query = url.partition("?")
    start = url.find("://") + 3 if "://" in url else 0
    authority, slash, path = url[start:].partition("/")
    host = authority.split("@")[-1]
    return url[:start] + host + slash + path + ("?..." if query else "")
