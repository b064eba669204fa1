"""The inner loops in portable Python, where ``_viper`` cannot be had."""

NATIVE = False


def apply_mask(dst, dst_at: int, src, src_at: int, n: int, key, key_at: int, phase: int) -> int:
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


def utf8_validate(buffer, at: int, end: int, state: int) -> int:
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
                return -1
            low, high = 0x80, 0xBF
            need -= 1
            have += 1
        elif c >= 0x80:
            if not 0xC2 <= c <= 0xF4:
                return -1
            have = 1
            need = 1 if c < 0xE0 else 2 if c < 0xF0 else 3
            # The second byte's range keeps out overlong forms, surrogates, > U+10FFFF.
            low = 0xA0 if c == 0xE0 else 0x90 if c == 0xF0 else 0x80
            high = 0x9F if c == 0xED else 0x8F if c == 0xF4 else 0xBF
    return need and (need | have << 2 | low << 8 | high << 16)


def sha1_compress(state, w, k, block, at: int) -> None:
    """Add the 64 bytes at ``block[at]`` to ``state``, with ``w`` as the schedule (§6.1.2)."""
    mask = 0xFFFFFFFF
    for t in range(16):
        w[t] = int.from_bytes(block[at + 4 * t : at + 4 * t + 4], "big")
    for t in range(16, 80):
        x = w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]
        w[t] = (x << 1 | x >> 31) & mask
    e, d, c, b, a = state
    for t in range(80):
        if t < 20:
            f = b & c ^ ~b & d
        elif 40 <= t < 60:
            f = b & c ^ b & d ^ c & d
        else:
            f = b ^ c ^ d
        f = ((a << 5 | a >> 27) + f + e + k[t // 20] + w[t]) & mask
        a, b, c, d, e = f, a, (b << 30 | b >> 2) & mask, c, d
    for i, x in enumerate((e, d, c, b, a)):
        state[i] = (state[i] + x) & mask
