"""The last minutes of every value, in a buffer that is never larger: GET /history."""

import gc
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RECORD = "<IBf"  # tenths of a second since the start, which name, the value
_SIZE = 9  # bytes of it
_MOST_NAMES = 64
_PIECE = 20  # lines that are sent at once


class History:
    """At most `size` bytes of values. What is older is thinned out as the buffer fills.

    Each time it is full, half of its older half goes, so that the newest is dense and the oldest
    far back. Of values that are on or off two of four go, else only one of both would be left.
    Where memory is short the buffer is smaller: clients need that more.
    """

    def __init__(self, size: int) -> None:
        if hasattr(gc, "mem_free"):  # CPython has none
            gc.collect()
            size = min(size, gc.mem_free() // 8)
        while True:
            try:
                self._data = bytearray(size // _SIZE * _SIZE)
                break
            except MemoryError:
                size //= 2
        self.end = 0  # of the records
        self._names: list = []
        self.steps = 0  # a bit for each name whose values are on or off as yet

    def add(self, now: int, name: str, value: object) -> None:
        """Keep a value of a name; what is no number is left out. `now` is in tenths of seconds."""
        if not isinstance(value, (int, float)) or not self._data:
            return
        if name in self._names:
            number = self._names.index(name)
        elif len(self._names) < _MOST_NAMES:
            number = len(self._names)
            self._names.append(name)
            self.steps |= 1 << number
        else:
            return
        if value not in (0, 1):
            self.steps &= ~(1 << number)
        if self.end == len(self._data):
            self._thin_out()
        struct.pack_into(_RECORD, self._data, self.end, now, number, value)
        self.end += _SIZE

    def lines(self, now: int) -> "Any":
        """`SECONDS-AGO NAME:VALUE` in bytes, the oldest first, some lines at a time."""
        at = 0
        while at < self.end:
            text = ""
            last = min(at + _PIECE * _SIZE, self.end)
            while at < last:
                start, number, value = struct.unpack_from(_RECORD, self._data, at)
                ago = max(0, now - start)
                text += "%d.%d %s:%.6g\n" % (ago // 10, ago % 10, self._names[number], value)
                at += _SIZE
            yield text.encode()

    def _thin_out(self):
        data = memoryview(self._data)
        seen = bytearray(len(self._names))
        end = len(data) // _SIZE // 2 * _SIZE
        to = 0
        for at in range(0, end, _SIZE):
            number = data[at + 4]
            seen[number] = (seen[number] + 1) & 3
            if seen[number] in ((0, 1) if self.steps >> number & 1 else (1, 3)):
                data[to : to + _SIZE] = data[at : at + _SIZE]
                to += _SIZE
        if to == end:
            to -= _SIZE  # each name was there once
        self.end = to + len(data) - end
        data[to : self.end] = data[end:]
