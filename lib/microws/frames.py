"""Frame headers, both ways (RFC 6455 §5.2), and close codes (§7.4).

byte 0   FIN, RSV1-3, opcode (4 bits)
byte 1   MASK, length (7 bits: up to 125, or 126: two more bytes, or 127: eight more)
then     the longer length, and the masking key if MASK is set
"""


def header_error(byte0: int, byte1: int, mask_bit: int) -> "str | None":
    """What is wrong with a header's first two bytes, where the peer is to set ``mask_bit``."""
    if byte0 & 0x70:
        return "reserved bit set"
    opcode = byte0 & 0x0F
    if 2 < opcode < 8 or opcode > 10:
        return "reserved opcode"
    if byte1 & 0x80 != mask_bit:
        return "frame not masked" if mask_bit else "frame masked"
    if opcode >= 8:
        if not byte0 & 0x80:
            return "control frame fragmented"
        if byte1 & 0x7F > 125:  # §5.5
            return "control frame too long"
    return None


def long_length(buffer, at: int) -> int:
    """The length in the header at ``at`` whose second byte says 126 or 127.

    Gives -1 where the encoding is not minimal or the most significant bit is set.
    """
    if buffer[at + 1] & 0x7F == 126:
        n = buffer[at + 2] << 8 | buffer[at + 3]
        return n if n > 125 else -1
    n = 0
    for i in range(at + 2, at + 10):
        n = n << 8 | buffer[i]
    return -1 if n < 0x10000 or buffer[at + 2] & 0x80 else n


def put_header(buffer, at: int, byte0: int, size: int, mask_bit: int) -> int:
    """Write a header without its masking key at ``at``; gives the place after it."""
    buffer[at] = byte0
    if size < 126:
        buffer[at + 1] = mask_bit | size
        return at + 2
    if size < 0x10000:
        buffer[at + 1] = mask_bit | 126
        buffer[at + 2] = size >> 8
        buffer[at + 3] = size & 0xFF
        return at + 4
    buffer[at + 1] = mask_bit | 127
    for i in range(at + 9, at + 1, -1):
        buffer[i] = size & 0xFF
        size >>= 8
    return at + 10


def close_code_allowed(code: int) -> bool:
    """Whether ``code`` may stand in a Close frame (§7.4.1, §7.4.2 and the IANA registry)."""
    return 3000 <= code < 5000 or (1000 <= code <= 1014 and not 1004 <= code <= 1006)
