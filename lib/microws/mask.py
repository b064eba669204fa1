"""Masking (RFC 6455 §5.3): the payload XOR a four-byte key, while it is copied or in place."""

from array import array
from os import urandom

from ._compat import loops
from .sha1 import K, W

ZERO = b"\0\0\0\0"  # the key that makes masking a plain copy

apply_mask = loops.apply_mask

if loops.NATIVE:
    # A key must be unpredictable, and os.urandom() allocates. So keys are cut from blocks that
    # SHA-1 makes of a counter, with a secret start value from os.urandom().
    _secret = array("I", urandom(20))
    _keys = array("I", urandom(20))
    _counter = bytearray(64)
    _used = 20

    def new_key(buffer: bytearray, at: int) -> None:
        """Put a new masking key into the four bytes of ``buffer`` from ``at`` on."""
        global _used
        if _used == 20:
            _used = i = 0
            while _counter[i] == 255:
                _counter[i] = 0
                i += 1
            _counter[i] += 1
            apply_mask(_keys, 0, _secret, 0, 20, ZERO, 0, 0)
            loops.sha1_compress(_keys, W, K, _counter, 0)
        apply_mask(buffer, at, _keys, _used, 4, ZERO, 0, 0)
        _used += 4

else:

    def new_key(buffer: bytearray, at: int) -> None:
        """Put a new masking key into the four bytes of ``buffer`` from ``at`` on."""
        buffer[at : at + 4] = urandom(4)
