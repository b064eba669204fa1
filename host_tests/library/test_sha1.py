"""SHA-1 against the published examples, and against hashlib around every block boundary."""

import hashlib
import random
from array import array

import pytest
from microws.loops import sha1

# FIPS 180-4's examples by NIST, and the longer ones of RFC 3174 §7.3.
PUBLISHED = [
    (b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
    ),
    (
        b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
        b"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        "a49b2446a02c645bf419f995b67091253a04a259",
    ),
    (b"01234567" * 80, "dea356a2cddd90c7a7ecedc5ebb563934f460452"),
    (b"a" * 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
]


@pytest.mark.parametrize(("data", "digest"), PUBLISHED, ids=[f"{len(d)}" for d, _ in PUBLISHED])
def test_published_vector(data, digest):
    assert sha1(data).hex() == digest


def test_every_length_over_three_blocks_agrees_with_hashlib():
    source = random.Random(1)
    for size in range(200):
        data = source.randbytes(size)
        assert sha1(data) == hashlib.sha1(data).digest(), size


def test_lengths_around_block_boundaries_agree_with_hashlib():
    source = random.Random(2)
    for _ in range(60):
        size = 64 * source.randrange(60) + source.choice((-9, -8, -1, 0, 1, 55, 56)) + 9
        data = source.randbytes(size)
        assert sha1(data) == hashlib.sha1(data).digest(), size


@pytest.mark.parametrize("kind", [bytearray, memoryview, lambda data: array("B", data)])
def test_bytes_like_input_is_left_as_it_is(kind):
    data = bytes(range(150))
    given = kind(data)
    assert sha1(given) == hashlib.sha1(data).digest()
    assert bytes(given) == data


def test_length_field_past_16_bits():
    # In bits, 8191 bytes are the last to fit two bytes of the length.
    for size in (8191, 8192, 8193):
        data = bytes(size)
        assert sha1(data) == hashlib.sha1(data).digest()
