"""The inner loops alone, and an object of a message's size to compare with."""

import hashlib

from measure import SIZE, WORK, run

data = bytearray(SIZE)
for i in range(SIZE):
    data[i] = 0x20 + i % 95
key = b"\x9d\x17\x3c\xe5"
into = bytearray(SIZE)
text = b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

if WORK.endswith("microws"):
    from microws.loops import apply_mask, sha1, validate


def sha1_ours(n):
    for _ in range(n):
        sha1(text)


def sha1_hashlib(n):
    for _ in range(n):
        hashlib.sha1(text).digest()


def mask_ours(n):
    for _ in range(n):
        apply_mask(into, 0, data, 0, SIZE, key, 0, 0)


def mask_loop(n):
    for _ in range(n):
        bytes(x ^ key[i & 3] for i, x in enumerate(data))


def utf8_ours(n):
    for _ in range(n):
        validate(data, 0, SIZE, 0)


def utf8_str(n):
    for _ in range(n):
        str(data, "utf-8")


run(
    {
        "sha1 microws": sha1_ours,
        "sha1 hashlib": sha1_hashlib,
        "mask microws": mask_ours,
        "mask loop": mask_loop,
        "utf8 microws": utf8_ours,
        "utf8 str": utf8_str,
        "object str": utf8_str,
    }[WORK]
)
