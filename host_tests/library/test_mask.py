"""Masking, against the definition in RFC 6455 §5.3."""

import random

import pytest
from microws.loops import apply_mask

KEY = bytes.fromhex("37fa213d")


def by_the_definition(data, key, phase):
    return bytes(byte ^ key[(phase + i) % 4] for i, byte in enumerate(data))


def test_rfc_example():
    # §5.7: a single-frame masked text message.
    out = bytearray(5)
    apply_mask(out, 0, bytes.fromhex("7f9f4d5158"), 0, 5, KEY, 0, 0)
    assert out == b"Hello"


@pytest.mark.parametrize("phase", range(4))
def test_every_length_from_and_to_every_alignment(phase):
    source = random.Random(phase)
    for n in range(301):
        data = source.randbytes(n + 8)
        key = source.randbytes(7)
        for dst_at, src_at, key_at in ((0, 0, 0), (1, 3, 1), (4, 2, 2), (3, 3, 3)):
            out = bytearray(b"\xa5" * (n + 8))
            seen = apply_mask(out, dst_at, data, src_at, n, key, key_at, phase)
            masked = by_the_definition(data[src_at : src_at + n], key[key_at:][:4], phase)
            assert out == b"\xa5" * dst_at + masked + b"\xa5" * (8 - dst_at)
            assert seen == (0 if masked.isascii() else 0x80)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 64])
def test_one_byte_that_is_not_ascii_is_seen_wherever_it_is(n):
    for at in range(n):
        data = bytearray(b"a" * n)
        data[at] = 0x80
        assert apply_mask(bytearray(n), 0, data, 0, n, bytes(4), 0, 0) == 0x80
    assert apply_mask(bytearray(n), 0, b"\x7f" * n, 0, n, bytes(4), 0, 0) == 0


def test_in_place_and_twice_gives_the_same_again():
    data = bytearray(range(256))
    apply_mask(data, 5, data, 5, 200, KEY, 0, 3)
    masked = by_the_definition(range(5, 205), KEY, 3)
    assert data == bytes(range(5)) + masked + bytes(range(205, 256))
    apply_mask(data, 5, data, 5, 200, KEY, 0, 3)
    assert data == bytes(range(256))


def test_in_pieces_at_every_split():
    data = random.Random(4).randbytes(40)
    whole = by_the_definition(data, KEY, 0)
    for cut in range(41):
        out = bytearray(40)
        apply_mask(out, 0, data, 0, cut, KEY, 0, 0)
        apply_mask(out, cut, data, cut, 40 - cut, KEY, 0, cut & 3)
        assert out == whole


def test_key_of_zeros_copies_backwards_within_one_buffer():
    data = bytearray(b"0123456789")
    apply_mask(data, 0, data, 2, 3, bytes(4), 0, 0)
    assert data == b"2343456789"
