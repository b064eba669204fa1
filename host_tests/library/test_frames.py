"""Frame headers, both ways: the bytes of a frame, and the frame of those bytes."""

import struct

import pytest
from microws.core import check_header, close_code_allowed, long_length, put_header
from microws.errors import ProtocolError

LENGTHS = [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 65537, 2**31 - 1, 2**31, 2**63 - 1]
# Length, then all of the header's bytes from the second one on, for an unmasked frame (§5.2).
PUBLISHED = [
    (5, "05"),
    (125, "7d"),
    (126, "7e007e"),
    (256, "7e0100"),
    (65535, "7effff"),
    (65536, "7f0000000000010000"),
]


def by_the_book(byte0, length, mask_bit):
    if length < 126:
        return struct.pack(">BB", byte0, mask_bit | length)
    if length < 65536:
        return struct.pack(">BBH", byte0, mask_bit | 126, length)
    return struct.pack(">BBQ", byte0, mask_bit | 127, length)


def good(byte0, byte1, mask_bit, partial=False):
    """Whether a header may begin so."""
    try:
        check_header(byte0, byte1, mask_bit, partial)
    except ProtocolError as error:
        return error.code != 1002  # a wrong one would be no refusal
    return True


@pytest.mark.parametrize(("length", "header"), PUBLISHED)
def test_headers_of_the_rfc(length, header):
    buffer = bytearray(12)
    end = put_header(buffer, 1, 0x82, length, 0)
    assert buffer[1:end].hex() == "82" + header
    assert buffer[0] == 0
    assert not any(buffer[end:])


@pytest.mark.parametrize("mask_bit", [0, 0x80])
@pytest.mark.parametrize("length", LENGTHS)
def test_header_goes_both_ways(length, mask_bit):
    expected = by_the_book(0x82, length, mask_bit)
    buffer = bytearray(20)
    end = put_header(buffer, 3, 0x82, length, mask_bit)
    assert buffer[3:end] == expected
    assert good(buffer[3], buffer[4], mask_bit)
    short = buffer[4] & 0x7F
    assert (long_length(buffer, 3) if short > 125 else short) == length


@pytest.mark.parametrize(
    ("form", "length", "minimal"),
    [
        (126, 0, False),
        (126, 125, False),
        (126, 126, True),
        (126, 65535, True),
        (127, 0, False),
        (127, 125, False),
        (127, 126, False),
        (127, 65535, False),
        (127, 65536, True),
        (127, 2**63 - 1, True),
        (127, 2**63, False),
        (127, 2**64 - 1, False),
    ],
)
@pytest.mark.parametrize("mask_bit", [0, 0x80])
def test_longer_lengths_must_be_minimal(form, length, minimal, mask_bit):
    code = ">BBH" if form == 126 else ">BBQ"
    header = b"?" + struct.pack(code, 0x82, mask_bit | form, length)
    if minimal:
        assert long_length(header, 1) == length
    else:
        with pytest.raises(ProtocolError) as caught:
            long_length(header, 1)
        assert caught.value.code == 1002


def test_every_first_byte():
    control = {0x88, 0x89, 0x8A}
    for byte0 in range(256):
        for partial, data in ((False, {1, 2, 0x81, 0x82}), (True, {0, 0x80})):
            expected = byte0 in control | data
            assert good(byte0, 0, 0, partial) == expected, (hex(byte0), partial)


@pytest.mark.parametrize("byte0", [0x88, 0x89, 0x8A])
def test_control_frames_carry_at_most_125_bytes(byte0):
    for n in range(128):
        for partial in (False, True):
            assert good(byte0, n, 0, partial) == (n <= 125)
            assert good(byte0, 0x80 | n, 0x80, partial) == (n <= 125)


@pytest.mark.parametrize("byte0", [0x00, 0x01, 0x82, 0x88, 0x89])
def test_mask_bit_must_be_that_of_the_peers_side(byte0):
    for n in (0, 1, 125):
        partial = byte0 == 0
        assert good(byte0, n, 0, partial)
        assert not good(byte0, n, 0x80, partial)
        assert good(byte0, 0x80 | n, 0x80, partial)
        assert not good(byte0, 0x80 | n, 0, partial)


def test_close_codes():
    # §7.4.1 and §7.4.2; 1012 to 1014 are in the IANA registry, 1004 to 1006 and 1015 never sent.
    allowed = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    assert {code for code in range(65536) if close_code_allowed(code)} == allowed
