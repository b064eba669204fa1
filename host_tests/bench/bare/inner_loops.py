"""The inner loops by themselves; beside them what the firmware has in C."""

import hashlib

from measure import count

try:
    from microws.loops import apply_mask, sha1, validate
except ImportError:  # the library up to 0.1
    from microws.mask import apply_mask
    from microws.sha1 import sha1
    from microws.utf8 import validate

KEY = b"\x9d\x17\x3c\xe5"
KEY_OF_HANDSHAKE = b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

text = b"abcdefghijklmnopqrstuvwxyz  0123" * 128
buffer = bytearray(len(text) + 1)


def ours(n):
    for _ in range(n):
        sha1(KEY_OF_HANDSHAKE)


def in_c(n):
    for _ in range(n):
        hashlib.sha1(KEY_OF_HANDSHAKE).digest()


def mask(n):
    for _ in range(n):
        apply_mask(buffer, 0, text, 0, len(text), KEY, 0, 0)


def mask_across(n):
    for _ in range(n):
        apply_mask(buffer, 1, text, 0, len(text), KEY, 0, 0)


def copy(n):
    for _ in range(n):
        buffer[: len(text)] = text


def check(n):
    for _ in range(n):
        validate(text, 0, len(text), 0)


def check_in_c(n):
    for _ in range(n):
        str(text, "utf-8")


for name, work in (
    ("SHA-1 of a key", ours),
    ("SHA-1 of a key, hashlib in C", in_c),
    ("masking 4 KiB", mask),
    ("masking 4 KiB, not aligned", mask_across),
    ("copying 4 KiB, in C", copy),
    ("UTF-8 of 4 KiB, ASCII", check),
    ("UTF-8 of 4 KiB, ASCII, str() in C, which checks less", check_in_c),
):
    count(name, work, heap=False)
