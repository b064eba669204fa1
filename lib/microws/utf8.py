"""Incremental validation of UTF-8 (RFC 3629 §4), as a text message arrives in pieces.

A state is a small integer: 0 between two characters, -1 after an error, else what the
character begun still needs. MicroPython's own ``str(buffer, "utf-8")`` lets overlong forms,
surrogates and code points past U+10FFFF through.
"""

from ._compat import MICROPYTHON, loops

validate = loops.utf8_validate


def begun(state: int) -> int:
    """How many bytes of an unfinished character (0 to 3) lie before ``state``."""
    return state >> 2 & 3


if MICROPYTHON:

    def encode(text: str) -> bytes:
        """``text`` as UTF-8; ``ValueError`` for a lone surrogate, which ``encode()`` lets pass."""
        data = text.encode()
        if validate(data, 0, len(data), 0):
            raise ValueError("text holds a lone surrogate")
        return data

else:
    encode = str.encode
