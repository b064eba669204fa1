"""What goes over every byte: masking (RFC 6455 §5.3), UTF-8 (RFC 3629 §4) and SHA-1 (FIPS 180-4).

The loops themselves are in ``_viper``, as machine code for a board, and in ``_portable``, for
CPython. Here is what the rest of the library calls.
"""

from array import array
from os import urandom

from .compat import MICROPYTHON

try:
    from . import _viper as inner
except (ImportError, SyntaxError, ValueError):
    # CPython; a port without a native emitter; an .mpy file for another processor.
    from . import _portable as inner  # type: ignore[no-redef]

ZERO = b"\0\0\0\0"  # the key that makes masking a plain copy

apply_mask = inner.apply_mask

# A state of UTF-8 is a small integer: 0 between two characters, -1 after an error, else what the
# character begun still needs. MicroPython's own str(buffer, "utf-8") lets overlong forms,
# surrogates and code points past U+10FFFF through.
validate = inner.utf8_validate


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


# SHA-1, which the opening handshake needs and not every board brings. Words are kept in buffers,
# not in names: on a 32-bit board a name would hold a big integer. §5.3.1 and §4.2.1. The state
# stands in reverse: read backwards, its bytes are the digest, as the words are little-endian in
# memory, on every processor that MicroPython runs on.
_START = bytes(array("I", (0xC3D2E1F0, 0x10325476, 0x98BADCFE, 0xEFCDAB89, 0x67452301)))
_K = array("I", (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6))
_W = array("I", bytes(320))  # the message schedule, used anew for each block


def sha1(data: bytes) -> bytes:
    """The 20-byte SHA-1 digest of ``data``, a bytes-like object of any length (§6.1)."""
    size = len(data)
    state = array("I", _START)
    for at in range(0, size & ~63, 64):
        inner.sha1_compress(state, _W, _K, data, at)
    # §5.1.1: a one bit, zeros, and the length in bits as 64 bits, in one block or two.
    rest = size & 63
    block = bytearray(64)
    apply_mask(block, 0, data, size - rest, rest, ZERO, 0, 0)
    block[rest] = 0x80
    if rest > 55:
        inner.sha1_compress(state, _W, _K, block, 0)
        block = bytearray(64)
    size <<= 3
    at = 63
    while size:
        block[at] = size & 0xFF
        size >>= 8
        at -= 1
    inner.sha1_compress(state, _W, _K, block, 0)
    return bytes(reversed(bytes(state)))


if inner.NATIVE:
    # A key must be unpredictable, and os.urandom() allocates. So keys are cut from blocks that
    # SHA-1 makes of a counter, with a secret start value from os.urandom().
    _secret = array("I", urandom(20))
    _keys = array("I", urandom(20))
    _counter = bytearray(64)
    _used = 20

    def _new_keys() -> None:
        i = 0
        while _counter[i] == 255:
            _counter[i] = 0
            i += 1
        _counter[i] += 1
        apply_mask(_keys, 0, _secret, 0, 20, ZERO, 0, 0)
        inner.sha1_compress(_keys, _W, _K, _counter, 0)

    def new_key(buffer: bytearray, at: int) -> None:
        """Put a new masking key into the four bytes of ``buffer`` from ``at`` on."""
        global _used
        if _used == 20:
            _used = 0
            _new_keys()
        apply_mask(buffer, at, _keys, _used, 4, ZERO, 0, 0)
        _used += 4

else:

    def new_key(buffer: bytearray, at: int) -> None:
        """Put a new masking key into the four bytes of ``buffer`` from ``at`` on."""
        buffer[at : at + 4] = urandom(4)
