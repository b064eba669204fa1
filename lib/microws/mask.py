"""Masking (RFC 6455 §5.3): the payload XOR a four-byte key, while it is copied or in place."""

from ._compat import fast

if fast:
    apply_mask = fast.apply_mask
else:

    def apply_mask(
        dst, dst_at: int, src, src_at: int, n: int, key, key_at: int, phase: int
    ) -> int:
        """Write ``n`` bytes of ``src`` from ``src_at`` on, masked, to ``dst`` at ``dst_at``.

        The key is the four bytes of ``key`` from ``key_at`` on, and ``phase`` the place in the
        payload of the first byte. ``dst`` may be ``src`` where both places are the same. Gives 0
        if all that was written is ASCII, else 0x80. A key of zeros makes it a plain copy.
        """
        if n <= 0:
            return 0
        phase &= 3
        key = bytes(key[key_at : key_at + 4])
        key = (key[phase:] + key[:phase]) * (n + 3 >> 2)
        x = int.from_bytes(src[src_at : src_at + n], "little")
        x ^= int.from_bytes(key[:n], "little")
        dst[dst_at : dst_at + n] = x.to_bytes(n, "little")
        return 0x80 if x & int.from_bytes(b"\x80" * n, "little") else 0
