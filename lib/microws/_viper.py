"""The inner loops in machine words (MicroPython's viper emitter); each has a portable twin.

Only the low 32 bits of a name count here: on a 64-bit machine the bits above are left as they
fall. No constant goes past 30 bits, which would make it an object.
"""

import micropython
from micropython import const

NATIVE = True

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:

    def apply_mask(dst, dst_at, src, src_at, n, key, key_at, phase) -> int: ...
    def utf8_validate(buffer, at, end, state) -> int: ...
    def sha1_compress(state, w, k, block, at) -> None: ...

else:

    @micropython.viper
    def apply_mask(
        dst: ptr8,
        dst_at: int,
        src: ptr8,
        src_at: int,
        n: int,
        key: ptr8,
        key_at: int,
        phase: int,
    ) -> int:
        # The emitter keeps the first three names in registers, so what the loop needs moves there.
        src = ptr8(int(src) + src_at)
        dst = ptr8(int(dst) + dst_at)
        key = ptr8(int(key) + key_at)
        end = int(src) + n
        seen = 0
        while int(src) < end and (n < 4 or int(dst) & 3):
            x = src[0] ^ key[phase & 3]
            dst[0] = x
            seen |= x
            src = ptr8(int(src) + 1)
            dst = ptr8(int(dst) + 1)
            phase += 1
        if int(src) < end:
            x = phase & 3
            # dst_at: the key as a word, from this phase on
            dst_at = key[x] | key[x + 1 & 3] << 8 | key[x + 2 & 3] << 16 | key[x + 3 & 3] << 24
            if int(src) & 3 == 0:
                last = end - 15
                while int(src) < last:
                    ptr32(dst)[0] = ptr32(src)[0] ^ dst_at
                    ptr32(dst)[1] = ptr32(src)[1] ^ dst_at
                    ptr32(dst)[2] = ptr32(src)[2] ^ dst_at
                    ptr32(dst)[3] = ptr32(src)[3] ^ dst_at
                    seen |= ptr32(dst)[0] | ptr32(dst)[1] | ptr32(dst)[2] | ptr32(dst)[3]
                    src = ptr8(int(src) + 16)
                    dst = ptr8(int(dst) + 16)
            last = end - 3
            while int(src) < last:
                x = (src[0] | src[1] << 8 | src[2] << 16 | src[3] << 24) ^ dst_at
                ptr32(dst)[0] = x
                seen |= x
                src = ptr8(int(src) + 4)
                dst = ptr8(int(dst) + 4)
            while int(src) < end:
                x = src[0] ^ dst_at
                dst[0] = x
                seen |= x & 0xFF
                dst_at = dst_at >> 8
                src = ptr8(int(src) + 1)
                dst = ptr8(int(dst) + 1)
        seen |= seen >> 16
        seen |= seen >> 8
        return seen & 0x80

    @micropython.viper
    def utf8_validate(buffer: ptr8, at: int, end: int, state: int) -> int:
        p = int(buffer) + at
        stop = int(buffer) + end
        need = state & 3
        low = state >> 8 & 0xFF
        high = state >> 16
        have = state >> 2 & 3
        while p < stop:
            c = ptr8(p)[0]
            p += 1
            if need:
                if c < low or c > high:
                    return -1
                low = 0x80
                high = 0xBF
                need -= 1
                have += 1
            elif c < 0x80:
                if p & 3 == 0:
                    # Words of four ASCII characters; the top bit of each byte is tested apart,
                    # as the four together make a constant past 30 bits.
                    while p + 3 < stop:
                        c = ptr32(p)[0]
                        c |= c >> 16
                        if (c | c >> 8) & 0x80:
                            break
                        p += 4
            elif c < 0xC2 or c > 0xF4:
                return -1
            else:
                have = 1
                low = 0x80
                high = 0xBF
                if c < 0xE0:
                    need = 1
                elif c < 0xF0:
                    need = 2
                    if c == 0xE0:
                        low = 0xA0
                    elif c == 0xED:
                        high = 0x9F
                else:
                    need = 3
                    if c == 0xF0:
                        low = 0x90
                    elif c == 0xF4:
                        high = 0x8F
        if need == 0:
            return 0
        return need | have << 2 | low << 8 | high << 16

    @micropython.viper
    def sha1_compress(state: ptr32, w: ptr32, k: ptr32, block: ptr8, at: int):
        p = int(block) + at
        t = 0
        while t < 16:
            q = ptr8(p)
            w[t] = q[0] << 24 | q[1] << 16 | q[2] << 8 | q[3]
            p += 4
            t += 1
        while t < 80:
            x = w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]
            w[t] = x << 1 | (x >> 31 & 1)
            t += 1
        a = state[4]
        b = state[3]
        c = state[2]
        d = state[1]
        e = state[0]
        t = 0
        while t < 80:
            if t < 20:
                f = (b & (c ^ d) ^ d) + k[0]
            elif t < 40:
                f = (b ^ c ^ d) + k[1]
            elif t < 60:
                f = (b & c | d & (b | c)) + k[2]
            else:
                f = (b ^ c ^ d) + k[3]
            f += (a << 5 | (a >> 27 & 0x1F)) + e + w[t]
            e = d
            d = c
            c = b << 30 | (b >> 2 & 0x3FFFFFFF)
            b = a
            a = f
            t += 1
        state[4] = state[4] + a
        state[3] = state[3] + b
        state[2] = state[2] + c
        state[1] = state[1] + d
        state[0] = state[0] + e
