"""A bytearray that is laid over a part of another buffer, without memory: on 32-bit boards.

Two words of MicroPython's ``mp_obj_array_t`` say how many bytes it has and where they are. Here
viper sets them. ``ImportError`` or ``ValueError`` where that object looks different, which is
tried on one that nobody uses.
"""

import sys

import micropython
from micropython import const

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:

    def lay(window, buffer, at, n) -> None: ...

else:

    @micropython.viper
    def lay(window: int, buffer: ptr8, at: int, n: int):
        words = ptr32(window)
        words[2] = n
        words[3] = int(buffer) + at


def new_window():
    return bytearray(4)


def _try():
    if sys.maxsize >> 32:
        raise ImportError("for 32-bit boards")
    window = new_window()
    lay(id(window), b"abcdef", 2, 3)
    if len(window) != 3 or bytes(window) != b"cde":
        raise ValueError("another layout")


_try()
