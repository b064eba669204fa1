"""SHA-1 (FIPS 180-4 §6.1), which the opening handshake needs and not every board brings."""

from array import array

from ._compat import loops

# Words are kept in buffers, not in names: on a 32-bit board a name would hold a big integer.
# §5.3.1 and §4.2.1. The state stands in reverse: read backwards, its bytes are the digest, as the
# words are little-endian in memory, on every processor that MicroPython runs on.
_START = bytes(array("I", (0xC3D2E1F0, 0x10325476, 0x98BADCFE, 0xEFCDAB89, 0x67452301)))
K = array("I", (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6))
W = array("I", bytes(320))  # the message schedule, used anew for each block


def sha1(data: bytes) -> bytes:
    """The 20-byte SHA-1 digest of ``data``, a bytes-like object of any length."""
    size = len(data)
    state = array("I", _START)
    for at in range(0, size & ~63, 64):
        loops.sha1_compress(state, W, K, data, at)
    # §5.1.1: a one bit, zeros, and the length in bits as 64 bits, in one block or two.
    rest = size & 63
    block = bytearray(64)
    loops.apply_mask(block, 0, data, size - rest, rest, b"\0\0\0\0", 0, 0)
    block[rest] = 0x80
    if rest > 55:
        loops.sha1_compress(state, W, K, block, 0)
        block = bytearray(64)
    size <<= 3
    at = 63
    while size:
        block[at] = size & 0xFF
        size >>= 8
        at -= 1
    loops.sha1_compress(state, W, K, block, 0)
    return bytes(reversed(bytes(state)))
