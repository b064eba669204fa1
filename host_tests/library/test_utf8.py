"""UTF-8 as it arrives, against CPython's own strict decoder."""

import itertools
import random

import pytest
from microws.loops import begun, encode, validate

BOUNDARIES = [
    0x00, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFFFD,
    0xFFFE, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF,
]  # fmt: skip
BAD = [
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff",
    b"\xc3\xc3", b"\xe2\x82\x41", b"\xf0\x9f\x98\x41", b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80",
]  # fmt: skip
# The bytes where a rule begins or ends.
EDGES = bytes((0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1,
               0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF))  # fmt: skip


# What completes any character that was begun well. CPython's incremental decoder is no help here:
# it tells a surrogate only by its last byte.
ENDINGS = [b"", b"\x80", b"\x80\x80", b"\xa0\x80", b"\x80\x80\x80", b"\x90\x80\x80"]


def expected(data):
    """``(valid so far, complete, bytes of an unfinished character)`` by CPython's decoder."""
    for ending in ENDINGS:
        try:
            text = (data + ending).decode()
        except UnicodeDecodeError:
            continue
        return True, not ending, len(text[-1].encode()) - len(ending) if ending else 0
    return False, False, 0


def found(data, *cuts):
    """The same by ``validate``, the data cut at ``cuts``."""
    state = 0
    places = [0, *cuts, len(data)]
    for at, end in itertools.pairwise(places):
        state = validate(data, at, end, state)
        if state == -1:
            return False, False, 0
    return True, state == 0, begun(state)


def test_all_sequences_of_two_bytes():
    for a in range(256):
        for b in range(256):
            data = bytes((a, b))
            assert found(data) == found(data, 1) == expected(data), data


def test_all_sequences_of_four_edge_bytes():
    for parts in itertools.product(EDGES, EDGES, EDGES, (0x41, 0x7F, 0x80, 0xBF, 0xC0)):
        data = bytes(parts)
        assert found(data) == expected(data), data


@pytest.mark.parametrize("code", BOUNDARIES, ids=hex)
def test_boundary_code_points_with_every_truncation_and_split(code):
    data = b"x" + chr(code).encode() + b"y"
    for end in range(len(data) + 1):
        cut_off = data[:end]
        for a in range(end + 1):
            for b in range(a, end + 1):
                assert found(cut_off, a, b) == expected(cut_off)


@pytest.mark.parametrize("data", BAD, ids=bytes.hex)
def test_bad_sequences_at_every_split_and_after_ascii(data):
    for before in (b"", b"a", b"abcdefgh", "é".encode()):
        whole = before + data + b"z"
        for cut in range(len(whole) + 1):
            assert found(whole, cut) == (False, False, 0)


def test_every_code_point_and_no_surrogate():
    for code in range(0, 0x110000, 61):
        data = chr(code).encode("utf-8", "surrogatepass")
        assert found(data)[1] == (not 0xD800 <= code < 0xE000), hex(code)
    for code in range(0xD800, 0xE000):
        assert found(chr(code).encode("utf-8", "surrogatepass")) == (False, False, 0)


def test_random_bytes():
    source = random.Random(3)
    good = 0
    for _ in range(20000):
        data = bytes(source.choices(EDGES, k=source.randrange(6)))
        good += expected(data)[0]
        assert found(data, source.randint(0, len(data))) == expected(data), data
    assert 1000 < good < 19000  # both outcomes were met


def test_only_the_part_asked_for_is_looked_at():
    data = b"\xff\xffok\xff"
    assert validate(data, 2, 4, 0) == 0
    assert validate(data, 2, 5, 0) == -1
    assert validate(memoryview(bytearray(data)), 3, 3, 0) == 0


def test_encode():
    assert encode("aé€😀") == b"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
    with pytest.raises(ValueError):
        encode("\ud800")
