"""SHA-1 (FIPS 180-4 §6.1), which the opening handshake needs and not every board brings."""

from array import array

from ._compat import loops

# Words are kept in buffers, not in names: on a 32-bit board a name would hold a big integer.
# §5.3.1 and §4.2.1
_START = bytes(array("I", (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)))
K = array("I", (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6))
W = array("I", bytes(320))  # the message schedule, used anew for each block


def sha1(data: bytes) -> bytes:
    """The 20-byte SHA-1 digest of ``data``, a bytes-like object of any length."""
    size = len(data)
    state = array("I", _START)
    whole = size & ~63
    for at in range(0, whole, 64):
        loops.sha1_compress(state, W, K, data, at)
    # §5.1.1: a one bit, zeros, and the length in bits as 64 bits, in one block or two.
    rest = size - whole
    tail = bytearray(128 if rest > 55 else 64)
    tail[:rest] = data[whole:]
    tail[rest] = 0x80
    at = len(tail) - 1
    tail[at] = size << 3 & 0xFF
    size >>= 5
    while size:
        at -= 1
        tail[at] = size & 0xFF
        size >>= 8
    for at in range(0, len(tail), 64):
        loops.sha1_compress(state, W, K, tail, at)
    # The words are little-endian in memory, on every processor that MicroPython runs on.
    raw = bytes(state)
    return bytes(raw[i ^ 3] for i in range(20))
