"""Where MicroPython and CPython differ, asked for once, at import."""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

if MICROPYTHON:
    from io import IOBase as Stream
    from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

    from micropython import const

    error = OSError  # made of an errno
else:
    import os
    import time

    def error(code):
        return OSError(code, os.strerror(code))

    class Stream:
        """Nothing: only MicroPython polls an object that is written in Python."""

    def const(value):
        return value

    def ticks_ms():
        return int(time.monotonic() * 1000)

    def ticks_add(ticks, ms):
        return ticks + ms

    def ticks_diff(end, start):
        return end - start

    def sleep_ms(ms):
        time.sleep(ms / 1000)


try:
    from ._window import lay, new_window
except (ImportError, SyntaxError, ValueError):  # not a 32-bit board
    lay = new_window = None  # type: ignore[assignment]
