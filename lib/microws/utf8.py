"""Incremental validation of UTF-8 (RFC 3629 §4), as a text message arrives in pieces.

A state is a small integer: 0 between two characters, INVALID after an error, else what the
character begun still needs. MicroPython's own ``str(buffer, "utf-8")`` lets overlong forms,
surrogates and code points past U+10FFFF through.
"""

from ._compat import MICROPYTHON, const, fast

INVALID = const(-1)

if fast:
    validate = fast.utf8_validate
else:

    def validate(buffer, at: int, end: int, state: int) -> int:
        """The state after ``buffer[at:end]``, where ``state`` is that before it."""
        need = state & 3
        have = state >> 2 & 3
        low = state >> 8 & 0xFF
        high = state >> 16
        while at < end:
            c = buffer[at]
            at += 1
            if need:
                if not low <= c <= high:
                    return INVALID
                low, high = 0x80, 0xBF
                need -= 1
                have += 1
            elif c >= 0x80:
                if not 0xC2 <= c <= 0xF4:
                    return INVALID
                have = 1
                need = 1 if c < 0xE0 else 2 if c < 0xF0 else 3
                # The second byte's range keeps out overlong forms, surrogates, > U+10FFFF.
                low = 0xA0 if c == 0xE0 else 0x90 if c == 0xF0 else 0x80
                high = 0x9F if c == 0xED else 0x8F if c == 0xF4 else 0xBF
        return need and (need | have << 2 | low << 8 | high << 16)


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
