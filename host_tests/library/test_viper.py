"""The viper code on real MicroPython against the portable code under CPython.

One script runs on all interpreters; what it prints on CPython, where the portable code is in
place (and tested by itself elsewhere), is what each MicroPython has to print.
"""

import ast
import functools

import pytest

from host_tests.support.interpreters import INTERPRETERS

MICROPYTHONS = ["micropython64", "micropython32"]

# A generator whose numbers stay small on a 32-bit machine, and the same everywhere.
COMMON = """
from binascii import crc32

seed = 1
def random(n):
    global seed
    seed = (seed * 1103 + 12345) % 65521
    return seed % n

def random_bytes(n):
    data = bytearray(n)
    for i in range(n):
        data[i] = random(256)
    return bytes(data)
"""

LOADED = """
from microws import loops
inner = loops.inner
print(inner.__name__, inner.NATIVE, loops.apply_mask is inner.apply_mask,
      loops.validate is inner.utf8_validate)
"""

MASK = """
from microws.loops import apply_mask
data = random_bytes(308)
plain = bytes([c & 0x7F for c in data])
keys = random_bytes(8)
zeros = bytes(8)
for n in range(301):
    total = 0
    for case in range(16):
        src_at = case & 3
        dst_at = case >> 2
        # Every alignment, with phase and place of the key going through theirs as n grows.
        phase = (n + case) & 3
        key_at = (n + 3 * case >> 2) & 3
        out = bytearray(308)
        seen = [apply_mask(out, dst_at, data, src_at, n, keys, key_at, phase)]
        total = crc32(out, total)
        seen.append(apply_mask(out, dst_at, plain, src_at, n, zeros, 0, 0))
        total = crc32(out, total)
        out[:] = data
        seen.append(apply_mask(out, case & 7, out, case & 7, n, keys, key_at, phase))
        total = crc32(bytes(seen), crc32(out, total))
    print(n, total & 0xFFFFFFFF)
"""

# One character that is not ASCII at every place: what the four bytes of a word say is joined.
SEEN = """
from microws.loops import apply_mask
out = bytearray(64)
for at in range(40):
    for n in (40, 41, 43):
        data = bytearray(64)
        data[at] = 0x80
        print([apply_mask(out, shift, data, shift, n, bytes(4), 0, 0) for shift in range(8)])
"""

UTF8 = """
from microws.loops import begun, validate
# Lead, middle and end of every range, and how they may go on.
edges = bytes([0, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1,
               0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF])
def run(data):
    # The states at every split, and through one byte at a time.
    states = []
    for cut in range(len(data) + 1):
        state = validate(data, 0, cut, 0)
        states.append(state)
        if state >= 0:
            states.append(validate(data, cut, len(data), state))
    state = 0
    for i in range(len(data)):
        state = validate(data, i, i + 1, state)
        states.append(state)
        if state < 0:
            break
        states.append(begun(state))
    return crc32(repr(states).encode()) & 0xFFFFFFFF
for a in range(256):
    total = 0
    for b in edges:
        total ^= run(bytes([a, b])) ^ run(bytes([0xE0 | a & 31, b, a])) >> 1
        total ^= run(bytes([0xF0 | a & 15, b, 0x80 | a >> 2, a])) >> 2
    print(a, total)
ascii = b"the quick brown fox jumps over 13 dogs"
pieces = [b"", "é".encode(), "€".encode(), "😀".encode(), b"\\xed\\xa0\\x80", b"\\xff"]
for i in range(150):
    data = ascii[:random(39)] + pieces[random(6)] + ascii[random(39):] + pieces[random(4)]
    print(i, run(data[: len(data) - random(3)]))
for i in range(300):
    print(i, run(bytes([edges[random(len(edges))] for j in range(random(9))])))
"""

# Every length at every alignment, of whole characters and broken ones.
MIXED = """
from microws.loops import begun, validate
good = [b"x", b"plain text of some words ", "\\xe9".encode(), "\\u20ac".encode(),
        "\\U0001f600".encode(), "\\ud7ff\\ue000\\U0010ffff".encode()]
def mixed(n, wrong):
    data = b""
    while len(data) < n:
        data += good[random(6)][: random(5)] if wrong and random(9) == 0 else good[random(6)]
    data = bytearray(data[:n])
    if wrong and n and random(3) == 0:
        data[random(n)] = random(256)
    return data
for n in range(301):
    states = []
    for at in range(4):
        text = mixed(n, (n + at) & 1)
        data = random_bytes(at) + text + random_bytes(3)
        end = at + n
        states.append(validate(data, at, end, 0))
        # In two pieces, the second read from another alignment.
        cut = at + random(n + 1)
        state = validate(data, at, cut, 0)
        states.append(state)
        if state >= 0:
            rest = random_bytes(random(4))
            states.append(begun(state))
            states.append(validate(data, cut, end, state))
            states.append(validate(rest + data[cut:], len(rest), len(rest) + end - cut, state))
    print(n, states)
"""

SHA1 = """
from binascii import hexlify
from microws.loops import sha1
for n in range(301):
    data = random_bytes(n)
    for at in range(4):
        print(n, at, hexlify(sha1(memoryview(bytes(at) + data)[at:])))
for n in (1000, 4095, 8192, 8193):
    data = random_bytes(n)
    print(n, hexlify(sha1(data)), hexlify(sha1(memoryview(data)[1:])))
for c in (b"\\x00", b"\\x7f", b"\\x80", b"\\xff"):
    print(hexlify(sha1(c * 130)))
"""

ALLOCATED = """
import gc
from microws.loops import apply_mask, new_key, sha1
from microws.loops import validate
text = "aé€😀".encode() * 100
out = bytearray(len(text))
key = b"\\xff\\xfe\\xfd\\xfc"
def allocated(function, *args):
    function(*args)  # what is made only once
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    function(*args)
    after = gc.mem_alloc()
    gc.enable()
    return after - before
def mask_and_validate():
    apply_mask(out, 1, text, 0, 900, key, 0, 3)
    apply_mask(out, 0, out, 0, 900, key, 0, 3)
    for cut in range(20):
        validate(text, cut, 900, validate(text, 0, cut, 0))
new = bytearray(4)
def keys():
    for i in range(100):
        new_key(new, 0)
print(allocated(mask_and_validate), allocated(keys))
print([allocated(sha1, b"x" * (64 * blocks + 60)) for blocks in (0, 1, 10, 300)])
"""


KEYS = """
from binascii import hexlify
from microws.loops import new_key
key = bytearray(4)
for i in range(2000):
    new_key(key, 0)
    print(str(hexlify(key), "ascii"))
"""


@functools.cache
def printed(name, code):
    result = INTERPRETERS[name].run("-c", COMMON + code)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize("name", MICROPYTHONS)
def test_fast_code_is_loaded_on_micropython(name):
    assert printed(name, LOADED) == ["microws._viper True True True"]


def test_portable_code_is_loaded_on_cpython():
    assert printed("cpython", LOADED) == ["microws._portable False True True"]


@pytest.mark.parametrize("name", MICROPYTHONS)
@pytest.mark.parametrize(
    ("code", "lines"),
    [(MASK, 301), (SEEN, 120), (UTF8, 706), (MIXED, 301), (SHA1, 1212)],
    ids=["mask", "seen", "utf8", "mixed", "sha1"],
)
def test_same_results_as_the_portable_code(name, code, lines):
    expected = printed("cpython", code)
    assert len(expected) == lines
    assert len(set(expected)) > 3
    assert printed(name, code) == expected


@pytest.mark.parametrize("name", MICROPYTHONS)
def test_fast_code_makes_no_objects(name):
    # mem_alloc() itself gives small integers on both, so whatever is counted is the code's.
    loops, hashes = printed(name, ALLOCATED)
    assert loops == "0 0"
    one, *more = ast.literal_eval(hashes)
    # The schedule, the state, the padded end and the digest; nothing for a further block.
    assert one < 2048
    assert all(n <= one for n in more), hashes


@pytest.mark.parametrize("name", INTERPRETERS)
def test_masking_keys_do_not_repeat_nor_start_the_same(name):
    keys = printed(name, KEYS)
    again = printed(name, KEYS + "\n")  # another process
    assert len(set(keys)) > 1990
    assert len(set(keys) & set(again)) < 10
    # Each of the four bytes takes all values.
    for at in range(0, 8, 2):
        assert len({key[at : at + 2] for key in keys}) > 240
