"""The state machine of a connection, fed with bytes as a front feeds it."""

import itertools
import random

import pytest
from microws import core
from microws.core import ENDED, IDLE, MESSAGE, READ, WRITE
from microws.errors import ConnectionClosed, ProtocolError

from host_tests.library.front import INTO, OWN, PIECEWISE, Front, Wire, failed
from host_tests.support.wire import BINARY, CLOSE, PING, PONG, TEXT, close_frame, frame, frames

SIDES = pytest.mark.parametrize("client", [True, False], ids=["client", "server"])
BIG = bytes(range(256)) * 20  # over the size from which a read goes straight into the middle


def close_payload(code, reason=b""):
    return (CLOSE, 1, code.to_bytes(2, "big") + reason)


# Frames both ways

PAYLOADS = [b"", b"x", b"a" * 125, b"b" * 126, b"c" * 127, BIG[:600], BIG]


@SIDES
@pytest.mark.parametrize("payload", [*PAYLOADS, bytes(65535), bytes(65536)], ids=len)
def test_a_frame_goes_both_ways(client, payload):
    for opcode, masked in ((BINARY, client), (TEXT, client)):
        if opcode == TEXT and not payload.isascii():
            continue
        front = Front(client)
        front.send(opcode, payload)
        assert front.replies() == [(opcode, 1, payload)]
        assert len(front.sent) == len(frame(opcode, payload, masked))
        front.feed(frame(opcode, payload, not client))
        assert [m[:2] for m in front.messages] == [(opcode, payload)]


RFC_5_7 = [
    (True, "810548656c6c6f", [(TEXT, b"Hello")], []),
    (False, "818537fa213d7f9f4d5158", [(TEXT, b"Hello")], []),
    (True, "010348656c80026c6f", [(TEXT, b"Hello")], []),
    (True, "890548656c6c6f", [], [(PONG, 1, b"Hello")]),
    (False, "898537fa213d7f9f4d5158", [], [(PONG, 1, b"Hello")]),
    (False, "8a8537fa213d7f9f4d5158", [], []),
    (True, "827e0100" + "00" * 256, [(BINARY, bytes(256))], []),
    (True, "827f0000000000010000" + "ab" * 65536, [(BINARY, b"\xab" * 65536)], []),
]


@pytest.mark.parametrize(("client", "data", "messages", "replies"), RFC_5_7)
def test_examples_of_the_rfc(client, data, messages, replies):
    front = Front(client)
    front.feed(bytes.fromhex(data))
    assert front.outcome()[:2] == (messages, replies)


def test_server_sends_the_examples_of_the_rfc():
    front = Front(False)
    front.send(TEXT, b"Hello")
    front.send(TEXT, b"Hel", 0)
    front.send(0, b"lo")
    front.send(PING, b"Hello")
    front.drain()
    assert front.sent.hex() == "810548656c6c6f" + "010348656c80026c6f" + "890548656c6c6f"


def test_client_sends_the_example_of_the_rfc(monkeypatch):
    front = Front(True)
    monkeypatch.setattr("microws.loops.urandom", lambda n: bytes.fromhex("37fa213d")[:n])
    front.send(TEXT, b"Hello")
    assert front.sent.hex() == "818537fa213d7f9f4d5158"


def test_each_frame_has_a_key_of_its_own_from_urandom(monkeypatch):
    front = Front(True)
    keys = [bytes([i]) * 4 for i in range(4)]
    left = list(keys)
    monkeypatch.setattr("microws.loops.urandom", lambda n: left.pop(0)[:n])
    front.send(TEXT, b"ab", 0)
    front.send(PING, b"")
    front.send(0, b"cd")
    front.close()
    front.drain()
    assert all(key in front.sent for key in keys[1:])
    assert left == []
    assert [f[:2] for f in front.replies()] == [(TEXT, 0), (PING, 1), (0, 1), (CLOSE, 1)]


# The same at every split

TEXT_WITH_ALL_LENGTHS = "aé€😀 " * 3


def script(m):
    """Much of what may come on a connection, up to a close; ``m`` says if frames are masked."""
    text = TEXT_WITH_ALL_LENGTHS.encode()
    return b"".join(
        (
            frame(TEXT, b"hello", m),
            frame(TEXT, b"", m),
            frame(PING, b"p1", m),
            frame(TEXT, text, m),
            frame(BINARY, BIG[:150], m),
            # Fragments that cut characters, control frames between them
            frame(TEXT, text[:2], m, False),
            frame(PING, b"", m),
            frame(0, b"", m, False),
            frame(PONG, b"q", m),
            frame(0, text[2:5], m, False),
            frame(PING, b"\xff\x00", m),
            frame(0, text[5:], m),
            frame(BINARY, b"", m, False),
            frame(0, BIG[:200], m, False),
            frame(0, b"", m),
            frame(BINARY, BIG[:300], m),  # longer than the smallest read buffer
            frame(TEXT, b"last", m),
            close_frame(3456, "bye é", m),
        )
    )


def scripted():
    text = TEXT_WITH_ALL_LENGTHS.encode()
    messages = [
        (TEXT, b"hello"),
        (TEXT, b""),
        (TEXT, text),
        (BINARY, BIG[:150]),
        (TEXT, text),
        (BINARY, BIG[:200]),
        (BINARY, BIG[:300]),
        (TEXT, b"last"),
    ]
    replies = [(PONG, 1, p) for p in (b"p1", b"", b"\xff\x00")] + [close_payload(3456)]
    return messages, replies, 1, repr(ConnectionClosed(3456, "bye é"))


MODES = [(OWN, 0), (INTO, 300), (INTO, 1000), *((PIECEWISE, n) for n in (4, 5, 131, 999))]


@SIDES
@pytest.mark.parametrize(("mode", "room"), MODES)
@pytest.mark.parametrize("read_size", [131, 132, 140, 512, 4096])
def test_script_whole_and_in_steps_of_every_size(client, mode, room, read_size):
    data = script(not client)
    for step in [1, 2, 3, 5, 7, 16, 64, 130, 131, 132, 133, 200, len(data)]:
        front = Front(client, mode, room, write=step, read_size=read_size)
        front.feed_cut(data, range(step, len(data), step))
        assert front.outcome() == scripted()


@SIDES
@pytest.mark.parametrize(("mode", "room"), MODES)
@pytest.mark.parametrize("read_size", [131, 4096])
def test_script_at_every_split(client, mode, room, read_size):
    data = script(not client)
    for cut in range(1, len(data)):
        front = Front(client, mode, room, read_size=read_size).feed_cut(data, [cut])
        assert front.outcome() == scripted(), cut


@SIDES
@pytest.mark.parametrize(("mode", "room"), [*MODES[:1], (INTO, 5120), *MODES[3:]])
def test_long_payload_is_read_straight_to_its_place(client, mode, room):
    stream = frame(BINARY, BIG, not client) + frame(TEXT, b"next", not client)
    for read_size in (131, 512):
        for step in (1, 2, 3, 127, 128, 129, 500, 1000, 6000):
            front = Front(client, mode, room, read_size=read_size)
            front.feed_cut(stream, range(step, len(stream), step))
            assert [m[:2] for m in front.messages] == [(BINARY, BIG), (TEXT, b"next")]


def test_long_payload_needs_no_reads_through_the_read_buffer():
    front = Front(True, INTO, 5120)
    header = frame(BINARY, BIG)[:4]
    front.feed(header)
    front.wire.reads.clear()
    front.feed(BIG)
    # The next header is read apart, so that its payload can go straight to its place as well.
    front.feed(header)
    # Where a header came whole, what follows it is tried at once.
    assert front.wire.reads == [len(BIG), len(header), len(BIG)]


@SIDES
@pytest.mark.parametrize("room", [4, 5, 6, 7, 50])
def test_pieces_fill_the_buffer_and_cut_text_between_characters(client, room):
    text = ("a😀é€" * 40).encode()
    for cut in range(0, len(text), 3):
        front = Front(client, PIECEWISE, room)
        front.feed(frame(TEXT, text[:cut], not client, False) + frame(0, text[cut:], not client))
        [(_, message, pieces)] = front.messages
        assert message == text
        for piece in pieces:
            piece.decode()
            assert len(piece) <= room
        assert all(len(piece) > room - 4 for piece in pieces[:-1])


# Another way of receiving, half-way


@SIDES
@pytest.mark.parametrize("second", [(OWN, 0), (INTO, 500), (PIECEWISE, 7), (PIECEWISE, 700)])
@pytest.mark.parametrize("first", [(OWN, 0), (INTO, 400)])
@pytest.mark.parametrize("read_size", [131, 512])
def test_mode_is_changed_at_every_byte(client, first, second, read_size):
    data = script(not client)
    for cut in range(1, len(data)):
        front = Front(client, *first, read_size=read_size)
        front.feed(data[:cut])
        front.receive(*second)
        front.feed(data[cut:])
        assert front.outcome() == scripted(), cut


@SIDES
def test_a_call_that_gives_up_takes_no_message_along(client):
    front = Front(client, INTO, 5120, read_size=512)
    front.wire.incoming = frame(BINARY, BIG[:3000], not client)
    while not front.wire.reads:
        assert next(front.ws._receiver) <= READ
    # The rest is there to be read, and whoever only gives up would not take it.
    assert front.ws._receive_to(None) <= READ
    front.mode = OWN
    front.feed()
    assert [message for _, message, _ in front.messages] == [BIG[:3000]]


@SIDES
@pytest.mark.parametrize("second", [(OWN, 0), (INTO, 500), (PIECEWISE, 50)])
def test_message_left_while_it_came_in_pieces_is_skipped(client, second):
    long = ("é" * 200).encode()
    data = frame(TEXT, long[:99], not client, False) + frame(PING, b"1", not client)
    data += frame(0, long[99:], not client)
    for cut in range(len(data)):
        front = Front(client, PIECEWISE, 50)
        front.feed(data[:cut])
        front.pieces.clear()
        front.receive(*second)
        front.feed(data[cut:] + frame(TEXT, b"next", not client))
        # It has begun with its header.
        expected = [] if cut >= (2 if client else 6) else [(TEXT, long)]
        assert front.outcome()[:2] == ([*expected, (TEXT, b"next")], [(PONG, 1, b"1")]), cut


@SIDES
@pytest.mark.parametrize("third", [(OWN, 0), (INTO, 20), (PIECEWISE, 10)])
@pytest.mark.parametrize("second", [(OWN, 0), (INTO, 50)])
def test_skipped_message_stays_skipped_when_the_mode_changes_again(client, second, third):
    front = Front(client, PIECEWISE, 50)
    data = frame(TEXT, b"x" * 400, not client)
    front.feed(data[:200])
    front.pieces.clear()
    front.receive(*second)
    front.feed(data[200:210])
    front.receive(*third)
    front.feed(data[210:] + frame(TEXT, b"next", not client))
    assert front.outcome()[:2] == ([(TEXT, b"next")], [])


# Rules that a peer may break

BROKEN = {
    "reserved bit 1": (1002, [(TEXT, b"x", 1, 4)]),
    "reserved bit 2": (1002, [(TEXT, b"x", 1, 2)]),
    "reserved bit 3": (1002, [(PING, b"x", 1, 1)]),
    "reserved opcode 3": (1002, [(3, b"")]),
    "reserved opcode 7": (1002, [(7, b"")]),
    "reserved opcode 11": (1002, [(11, b"")]),
    "reserved opcode 15": (1002, [(15, b"")]),
    "ping of 126 bytes": (1002, [(PING, b"x" * 126)]),
    "ping in fragments": (1002, [(PING, b"x", 0)]),
    "close in fragments": (1002, [(CLOSE, b"\x03\xe8", 0)]),
    "continuation first": (1002, [(0, b"x")]),
    "continuation after a message": (1002, [(TEXT, b"x"), (0, b"x")]),
    "text within a text": (1002, [(TEXT, b"x", 0), (TEXT, b"y")]),
    "binary within a text": (1002, [(TEXT, b"x", 0), (PING, b""), (BINARY, b"y")]),
    "close code cut short": (1002, [(CLOSE, b"\x03")]),
    "close reason not UTF-8": (1007, [(CLOSE, b"\x03\xe8\xff")]),
    "close reason cut short": (1007, [(CLOSE, b"\x03\xe8" + "é".encode()[:1])]),
    "close reason with a surrogate": (1007, [(CLOSE, b"\x03\xe8\xed\xa0\x80")]),
    "text not UTF-8": (1007, [(TEXT, b"abc\xff")]),
    "text overlong": (1007, [(TEXT, b"abc\xc0\x80")]),
    "text with a surrogate": (1007, [(TEXT, b"\xed\xa0\x80")]),
    "text past the last code point": (1007, [(TEXT, b"\xf4\x90\x80\x80")]),
    "text ends within a character": (1007, [(TEXT, b"abc\xe2\x82")]),
    "long text ends within a character": (1007, [(TEXT, b"x" * 600 + b"\xc3")]),
    "fragments end within a character": (1007, [(TEXT, b"\xe2", 0), (0, b"\x82")]),
    "fragment cut by a bad byte": (1007, [(TEXT, b"\xe2", 0), (PING, b""), (0, b"a", 0)]),
}


@SIDES
@pytest.mark.parametrize(("code", "sent"), BROKEN.values(), ids=BROKEN)
def test_broken_rule_fails_the_connection(client, code, sent):
    data = frame(TEXT, b"good", not client)
    data += b"".join(frame(op, pay, not client, *rest) for op, pay, *rest in sent)
    after = frame(TEXT, b"not seen", not client) + frame(PING, b"not answered", not client)
    for mode, room in ((OWN, 0), (INTO, 900), (PIECEWISE, 8)):
        for step in (1, 3, len(data + after)):
            front = Front(client, mode, room, read_size=131)
            front.feed_cut(data + after, range(step, len(data + after), step))
            assert failed(front, code)
            assert front.messages[0][:2] == (TEXT, b"good")
            assert all(f[:2] in ((PONG, 1), (CLOSE, 1)) for f in front.replies())
            assert front.ws.close_code == 1006


@SIDES
@pytest.mark.parametrize("opcode", [0, TEXT, BINARY, CLOSE, PING, PONG])
def test_wrong_mask_bit_fails_the_connection(client, opcode):
    for before in (b"", frame(TEXT, b"", not client, False)):
        front = Front(client)
        front.feed(before + frame(opcode, b"\x03\xe8", client))
        assert failed(front, 1002)


@SIDES
@pytest.mark.parametrize(
    "length", ["7e0000", "7e007d", "7f000000000000007d", "7f000000000000ffff", "7f" + "ff" * 8,
               "7f8000000000000000"],
)  # fmt: skip
def test_length_that_is_not_minimal_fails_the_connection(client, length):
    header = bytearray.fromhex("82" + length) + b"\0\0\0\0"
    header[1] |= 0 if client else 0x80
    for mode in (OWN, PIECEWISE):
        front = Front(client, mode)
        front.feed(bytes(header))
        assert failed(front, 1002)


@SIDES
def test_bad_text_is_refused_before_the_message_is_complete(client):
    good = "é€😀".encode() * 60
    for bad in (b"\xff", b"\xed\xa0", b"\xf4\x90", b"\xe2\x82\x41", b"\xc0"):
        for at in (0, 9, 270, 540):
            data = frame(TEXT, good[:at] + bad + good, not client, False)
            front = Front(client, read_size=131)
            front.feed(data[: len(data) - len(good) - 1])
            assert not front.ended
            front.feed(data[len(data) - len(good) - 1 :][:1])
            assert failed(front, 1007)


@SIDES
@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535])
def test_close_code_that_may_not_be_sent_is_refused(client, code):
    front = Front(client)
    front.feed(close_frame(code, "", not client))
    assert failed(front, 1002)
    with pytest.raises(ValueError):
        Front(client).close(code)


# Closing


@SIDES
@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999])
@pytest.mark.parametrize("reason", ["", "é" * 61 + "."])
def test_peer_closes(client, code, reason):
    data = close_frame(code, reason, not client)
    for cut in range(0, len(data), 5):
        front = Front(client).feed_cut(data + b"\xff\xff", [cut])
        assert front.replies() == [close_payload(code)]
        error = front.error()
        assert type(error) is ConnectionClosed
        assert (error.code, error.reason) == (code, reason)
        assert (front.ws.close_code, front.ws.close_reason) == (code, reason)
        with pytest.raises(ConnectionClosed):
            front.send(TEXT, b"")


@SIDES
def test_peer_closes_without_a_code(client):
    front = Front(client)
    assert front.feed(frame(CLOSE, b"", not client)) == [ENDED]
    assert front.replies() == [(CLOSE, 1, b"")]
    assert (front.error().code, front.error().reason) == (1005, "")


@SIDES
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (3999, "é" * 61 + ".")])
def test_this_side_closes(client, code, reason):
    front = Front(client)
    front.close(code, reason)
    front.close(1001, "only the first counts")
    front.drain()
    assert front.replies() == [close_payload(code, reason.encode())]
    with pytest.raises(ConnectionClosed):
        front.send(TEXT, b"")
    # What still comes is read and dropped, pings are not answered, then the peer's code counts.
    front.feed(
        frame(TEXT, b"late", not client)
        + frame(PING, b"late", not client)
        + frame(BINARY, BIG, not client)
        + close_frame(4000, "reason", not client)
    )
    assert front.messages == []
    assert len(front.replies()) == 1
    assert (front.ws.close_code, front.ws.close_reason) == (4000, "reason")


@SIDES
@pytest.mark.parametrize(("mode", "room"), [(OWN, 0), (INTO, 6000), (PIECEWISE, 50)])
def test_this_side_closes_while_a_message_comes(client, mode, room):
    data = frame(BINARY, BIG, not client)
    end = frame(BINARY, b"", not client, False) + frame(0, BIG, not client)
    end += close_frame(1000, "", not client)
    for cut in (0, 1, 3, 20, 140, 600, 3000):
        front = Front(client, mode, room)
        front.feed(data[:cut])
        front.close()
        front.feed(data[cut:] + end)
        assert front.ended
        assert front.messages == []
        assert front.ws.close_code == 1000


@SIDES
def test_violation_while_closing_ends_it_without_a_second_close(client):
    front = Front(client)
    front.close()
    front.drain()
    front.feed(frame(3, b"", not client))
    assert front.ended
    assert front.replies() == [close_payload(1000)]


@SIDES
def test_reason_is_bounded(client):
    Front(client).close(1000, "x" * 123)
    for reason in ("x" * 124, "é" * 62):
        with pytest.raises(ValueError):
            Front(client).close(1000, reason)
    with pytest.raises(ValueError):
        Front(client).close(1000, "\ud800")


@SIDES
@pytest.mark.parametrize(("mode", "room"), [(OWN, 0), (INTO, 500), (PIECEWISE, 8)])
def test_end_of_stream_at_every_byte(client, mode, room):
    data = script(not client)
    for cut in range(len(data)):
        front = Front(client, mode, room, read_size=131)
        front.feed(data[:cut])
        assert front.end() == [ENDED]
        assert (front.error().code, front.ws.close_code) == (1006, 1006)
        whole = scripted()[0]
        assert front.outcome()[0] == whole[: len(front.messages)]


# Bounds


@SIDES
@pytest.mark.parametrize("cut", [(), (50,), (0, 99, 100)])
def test_max_size(client, cut):
    for size, good in ((100, True), (101, False)):
        places = [0, *cut, size]
        data = b"".join(
            frame(BINARY if i == 0 else 0, bytes(end - at), not client, i == len(cut))
            for i, (at, end) in enumerate(itertools.pairwise(places))
        )
        front = Front(client, max_size=100)
        front.feed(data)
        assert bool(front.messages) == good
        assert good or failed(front, 1009)
        # In pieces, no bound is needed: memory is that of the buffer.
        assert Front(client, PIECEWISE, 10, max_size=100).feed_cut(data, []).messages


@SIDES
@pytest.mark.parametrize("length", [101, 126, 65536, 2**31, 2**63 - 1])
def test_too_large_is_refused_from_the_header_on(client, length, memory):
    header = frame(BINARY, bytes(126), not client)
    if length > 65535:
        header = bytes((header[0], header[1] | 0x7F)) + length.to_bytes(8, "big") + bytes(4)
    for limits, mode, room in (({"max_size": 100}, OWN, 0), ({"max_size": 2**64}, INTO, 100)):
        front = Front(client, mode, room, **limits)
        front.settle()
        memory[:] = [0]
        front.feed(header[:14])
        assert failed(front, 1009)
        assert max(memory) <= 100


@SIDES
def test_message_larger_than_the_buffer(client):
    text = frame(TEXT, b"x" * 8, not client, False)
    for rest, good in ((b"yy", True), (b"yyy", False)):
        front = Front(client, INTO, 10)
        front.feed(text + frame(PING, b"", not client) + frame(0, rest, not client))
        assert bool(front.messages) == good
        assert good or failed(front, 1009)
    # Also when the buffer comes after the beginning of the message.
    front = Front(client)
    front.feed(text)
    front.receive(INTO, 7)
    front.drain()
    assert failed(front, 1009)


@SIDES
@pytest.mark.parametrize("mode", [OWN, INTO])
def test_max_fragments(client, mode):
    empty = frame(0, b"", not client, False) + frame(PING, b"", not client)
    front = Front(client, mode, max_fragments=5)
    for _ in range(2):  # it is counted for each message anew
        front.feed(frame(TEXT, b"", not client, False) + empty * 3 + frame(0, b"", not client))
    assert len(front.messages) == 2
    front.feed(frame(TEXT, b"", not client, False) + empty * 4)
    front.feed(frame(0, b"", not client))
    assert failed(front, 1008)


@SIDES
def test_fragments_received_by_pieces_may_be_any_number(client):
    front = Front(client, PIECEWISE, max_fragments=5)
    front.feed(frame(TEXT, b"", not client, False) + frame(0, b"x", not client, False) * 50)
    front.feed(frame(0, b"", not client))
    assert [message[:2] for message in front.messages] == [(TEXT, b"x" * 50)]


@SIDES
def test_memory_for_a_message_in_fragments_is_bounded(client, memory):
    front = Front(client, max_size=1000, max_fragments=10000)
    front.settle()
    memory[:] = [0]
    front.feed(frame(BINARY, b"", not client, False))
    for _ in range(1000):
        front.feed(frame(0, b"x", not client, False))
    assert max(memory) == 1000
    front.feed(frame(0, b"", not client))
    assert front.messages[0][1] == b"x" * 1000


@SIDES
def test_memory_is_not_taken_for_a_message_over_the_bound(client, memory):
    front = Front(client, PIECEWISE, 20, max_size=100)
    front.settle()
    memory[:] = [0]
    front.feed(frame(BINARY, BIG, not client))
    assert memory == [0]
    assert [message[:2] for message in front.messages] == [(BINARY, BIG)]


# Sending


@SIDES
@pytest.mark.parametrize("write_size", [256, 300, 4096])
@pytest.mark.parametrize("payload", [*PAYLOADS, BIG * 3], ids=len)
def test_message_through_a_small_transmit_buffer(client, write_size, payload, memory):
    for write in (1, 7, 1 << 30):
        front = Front(client, write=write, write_size=write_size)
        memory.clear()
        front.send(BINARY, payload)
        front.send(TEXT, b"after")
        assert front.replies() == [(BINARY, 1, payload), (TEXT, 1, b"after")]
        assert max(memory) <= max(256, write_size + 64)


def test_message_that_fits_is_one_write():
    for client in (True, False):
        front = Front(client)
        front.send(BINARY, BIG[:4000])
        assert front.replies() == [(BINARY, 1, BIG[:4000])]
        assert front.wire.writes == 1


def half_way(client):
    """A front with a message half-way out, and how much of it has gone."""
    front = Front(client, write_size=256)
    front.wire.room = 100
    front.begin(0x80 | BINARY, BIG)
    assert front.ws._busy
    assert len(front.sent) == 100
    return front


@SIDES
def test_newest_pong_only_waits_for_the_message_half_way(client):
    front = half_way(client)
    for data in (b"old", b"older", b"new" * 40):
        front.feed(frame(PING, data, not client))
    front.drain()
    assert front.replies() == [(BINARY, 1, BIG), (PONG, 1, b"new" * 40)]


@SIDES
def test_close_waits_for_the_message_half_way(client):
    front = half_way(client)
    front.feed(frame(PING, b"p", not client) + close_frame(1001, "", not client))
    front.drain()
    assert front.ws.close_code == 1001
    assert front.replies() == [(BINARY, 1, BIG), (PONG, 1, b"p"), close_payload(1001)]


@SIDES
def test_failure_waits_for_the_message_half_way(client):
    front = half_way(client)
    front.feed(frame(TEXT, b"\xff", not client))
    front.drain()
    assert front.replies()[0] == (BINARY, 1, BIG)
    assert failed(front, 1007)


@SIDES
def test_ping_stays_a_ping_while_a_message_is_half_way(client):
    front = half_way(client)
    front.wire.room = None
    front.send(PING, b"mine")
    assert front.replies() == [(BINARY, 1, BIG), (PING, 1, b"mine")]


@SIDES
@pytest.mark.parametrize("sizes", [(125,) * 9, (125, 125, 5), (125, 100, 125, 5), (0,) * 90])
def test_pongs_keep_their_order_and_come_before_the_close(client, sizes):
    front = Front(client, read_size=4096)
    pings = [bytes([i]) * n for i, n in enumerate(sizes)]
    data = b"".join(frame(PING, data, not client) for data in pings)
    front.feed(data + close_frame(1000, "", not client))
    front.drain()
    *pongs, close = front.replies()
    assert close == close_payload(1000)
    assert {opcode for opcode, _, _ in pongs} == {PONG}
    answered = [payload for _, _, payload in pongs]
    rest = iter(pings)
    assert all(payload in rest for payload in answered)  # in the order of the pings
    assert answered[-1] == pings[-1]


@SIDES
def test_pongs_are_counted(client):
    front = Front(client)
    front.feed(frame(PONG, b"", not client) + frame(PONG, b"x" * 125, not client))
    assert front.ws.pongs == 2
    assert front.replies() == []


@SIDES
def test_transmit_buffer_does_not_grow_with_what_a_peer_sends(client, memory):
    front = Front(client)
    front.wire.room = 0
    source = random.Random(5)
    for _ in range(300):
        front.feed(frame(PING, source.randbytes(source.randrange(126)), not client))
    assert max(memory) <= 1024
    front.drain()
    assert len(front.replies()) < 3


@SIDES
def test_lost_connection_sends_nothing_more(client):
    front = half_way(client)
    front.feed(frame(PING, b"", not client))
    front.ws._close_socket()
    assert front.wire.closed
    with pytest.raises(ConnectionClosed) as caught:
        front.send(PING, b"")
    assert caught.value.code == 1006
    assert len(front.sent) == 100


def test_opening_a_second_message_on_a_closed_connection_gives_the_reason():
    front = Front(True)
    front.feed(frame(3, b""))
    with pytest.raises(ProtocolError) as caught:
        front.send(TEXT, b"x")
    assert caught.value.code == 1002


# The rules that core.py keeps, by their numbers there


def until_it_waits(ws):
    """Go on until there is nothing left to read, with what it yields then."""
    while (step := next(ws._receiver)) > WRITE or ws._sock.incoming:
        assert step not in (WRITE, ENDED)
    return step


@SIDES
def test_rule_1_what_the_receiver_yields(client):
    front = Front(client)
    receiver = front.ws._receiver
    stream = [
        (frame(TEXT, b"one", not client), MESSAGE),
        (frame(PING, b"", not client), None),
        (frame(BINARY, BIG[:200], not client), MESSAGE),
    ]
    for data, step in stream:
        # Too early, any number of times, at any byte: it asks again.
        for i, byte in enumerate(data):
            assert [next(receiver) for _ in range(3)] == [READ if i else IDLE] * 3
            front.wire.incoming = bytes([byte])
        if step:
            assert next(receiver) == step
    assert next(receiver) == IDLE
    assert front.replies() == [(PONG, 1, b"")]


ENDINGS = {
    "Close": (lambda m: close_frame(4000, "why", m), ConnectionClosed(4000, "why"), 4000),
    "Close without a code": (lambda m: frame(CLOSE, b"", m), ConnectionClosed(1005, ""), 1005),
    "broken rule": (lambda m: frame(3, b"", m), ProtocolError(1002, "reserved opcode"), 1006),
    "bound": (lambda m: frame(TEXT, bytes(101), m), ProtocolError(1009, "message too big"), 1006),
    "end of stream": (None, ConnectionClosed(1006, ""), 1006),
    "reset": (OSError(104, "reset"), ConnectionClosed(1006, ""), 1006),
}


class Line(Wire):
    """A ``Wire`` of which every read, or every write, may fail."""

    reading = writing = None

    def readinto(self, buffer, n):
        if self.reading and not self.incoming:
            raise self.reading
        return super().readinto(buffer, n)

    def write(self, buffer, at, n):
        if self.writing:
            raise self.writing
        return super().write(buffer, at, n)


def on_a_line(client, **limits):
    line = Line()
    ws = core.Connection(client, 10, **limits)
    ws._sock = line
    ws._start(0, 0)
    return ws, line


@SIDES
@pytest.mark.parametrize(("end", "error", "code"), ENDINGS.values(), ids=ENDINGS)
def test_rule_2_the_end_and_the_steps_after_it(client, end, error, code):
    ws, line = on_a_line(client, max_size=100)
    assert next(ws._receiver) == IDLE
    assert ws.close_code is None
    line.room = 0
    if end is None:
        line.ended = True
    elif isinstance(end, OSError):
        line.reading = end
    else:
        line.incoming = end(not client)
    # At once, though nothing can be sent as yet.
    assert next(ws._receiver) == ENDED
    assert (repr(ws._closed()), ws.close_code) == (repr(error), code)
    if code != 1006 or isinstance(error, ProtocolError):
        assert [next(ws._receiver) for _ in range(3)] == [WRITE] * 3
        line.room = None
        if client or isinstance(error, ProtocolError):
            # It hears the peer out, so that TCP does not reset what has just been said.
            line.incoming = bytes(1000)
            assert until_it_waits(ws) == READ
            line.ended = True
        expected = b"" if code == 1005 else error.code.to_bytes(2, "big")
        assert next(ws._receiver) == ENDED
        [(opcode, _, payload)] = frames(bytes(line.sent))[0]
        assert (opcode, payload[:2]) == (CLOSE, expected)
    assert [next(ws._receiver) for _ in range(100)] == [ENDED] * 100


THROWN = [
    (ProtocolError(1008, "message takes too long"), 1008),
    (ConnectionClosed(1006, ""), 1006),
    (OSError(110, "timed out"), 1006),
    (MemoryError(), 1009),
]


@SIDES
@pytest.mark.parametrize(("error", "code"), THROWN, ids=repr)
def test_rule_3_whatever_ends_it_ends_it_in_one_place(client, error, code):
    data = script(not client)[:-20]
    for cut in range(0, len(data), 7):
        ws, line = on_a_line(client)
        line.incoming = data[:cut]
        assert until_it_waits(ws) <= READ
        line.sent.clear()
        assert ws._receiver.throw(error) == ENDED
        assert (ws._closed().code, ws.close_code) == (code, 1006)
        assert ws._data is ws._target is None
        line.ended = True
        assert next(ws._receiver) == ENDED
        told = [payload[:2] for _, _, payload in frames(bytes(line.sent))[0]]
        assert told == ([] if code == 1006 else [code.to_bytes(2, "big")])
        # And it ends once: what comes later changes nothing.
        assert next(ws._receiver) == ENDED
        assert ws._closed().code == code


@SIDES
def test_rule_4_what_came_before_the_end_is_given_before_it(client):
    data = script(not client)
    for cut in range(0, len(data), 11):
        whole = Front(client).feed_cut(data[:cut], [])
        ws, line = on_a_line(client)
        line.incoming = data[:cut]
        line.reading = OSError(104, "reset")
        given = []
        while (step := next(ws._receiver)) != ENDED:
            if step == MESSAGE:
                given.append(ws._data if type(ws._data) is bytes else ws._data.encode())
        assert given == [message for _, message, _ in whole.messages]


@SIDES
def test_rule_4_a_failed_write_stops_the_sender_alone(client):
    ws, line = on_a_line(client)
    next(ws._receiver)
    line.writing = OSError(32, "broken pipe")
    line.incoming = b"".join(
        (
            frame(TEXT, b"one", not client),
            frame(PING, b"", not client),
            frame(TEXT, b"two", not client),
            close_frame(4001, "bye", not client),
        )
    )
    given = []
    while (step := next(ws._receiver)) != ENDED:
        if step == MESSAGE:
            given.append(ws._data)
    assert given == ["one", "two"]
    assert (ws.close_code, ws.close_reason) == (4001, "bye")
    assert next(ws._sender, None) is None
    assert line.sent == b""


@SIDES
@pytest.mark.parametrize("again", [(OWN, 0), (INTO, 6000)])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_rule_5_a_call_that_gives_up_takes_nothing_along(client, again, opcode):
    message = (("a😀é€" * 500) if opcode == TEXT else "x" * 5000).encode()
    data = frame(opcode, message[:100], not client, False) + frame(0, message[100:], not client)
    for cut in (*range(0, 150, 3), 1000, 3000, len(data) - 1):
        front = Front(client, INTO, 6000)
        front.feed(data[:cut])
        buffer = front.ws._target
        front.receive(OWN)  # as a front does that gives up
        assert front.ws._target is None
        if buffer is not None:
            buffer[:] = b"?" * 6000  # it is the caller's again
        front.feed(data[cut : cut + 40])
        front.receive(*again)
        front.feed(data[cut + 40 :])
        assert front.outcome()[0] == [(opcode, message)], cut


class Interrupted(Line):
    """Ctrl-C strikes in the call of that name."""

    strikes = None

    def readinto(self, buffer, n):
        if self.strikes == "readinto":
            raise KeyboardInterrupt
        return super().readinto(buffer, n)

    def write(self, buffer, at, n):
        if self.strikes == "write":
            super().write(buffer, at, min(n, 1))
            raise KeyboardInterrupt
        return super().write(buffer, at, n)


@SIDES
@pytest.mark.parametrize("strikes", ["readinto", "write"])
def test_rule_6_an_interrupt_ends_the_generator_that_it_strikes(client, strikes):
    front = Front(client)
    front.ws._sock = front.wire = line = Interrupted()
    front.ws._start(0, 0)
    front.feed(frame(TEXT, b"one", not client))
    line.strikes = strikes
    line.incoming = frame(PING, b"p", not client) + frame(TEXT, b"two", not client)
    with pytest.raises(KeyboardInterrupt):
        front.feed()
    line.strikes = None
    assert front.ws.close_code == 1006
    assert [next(front.ws._receiver) for _ in range(3)] == [ENDED] * 3
    assert front.ws._closed().code == 1006
    with pytest.raises(ConnectionClosed):
        front.send(TEXT, b"x")
    line.ended = True
    front.close(1001)
    # A Pong was half-way where it struck the write, and no Close may stand within it.
    if strikes == "write":
        assert len(line.sent) == 1
    else:
        assert front.replies() == [close_payload(1001)]


@SIDES
@pytest.mark.parametrize("room", [1, 5, 100, 300])
def test_rule_7_a_frame_that_has_begun_is_sent_to_its_end_or_nothing_is(client, room):
    def begun():
        front = Front(client, write_size=256)
        front.ws._sock = front.wire = Line()
        front.ws._start(0, 0)
        front.wire.room = room
        front.begin(0x80 | BINARY, BIG)
        assert len(front.sent) == room
        return front

    # Whatever wants to be sent meanwhile waits for its end ...
    front = begun()
    front.feed(frame(PING, b"p", not client))
    front.close(1001)
    front.wire.room = None
    front.feed(close_frame(1001, "", not client))
    assert front.replies() == [(BINARY, 1, BIG), (PONG, 1, b"p"), close_payload(1001)]
    # ... and if that cannot be, is not sent at all.
    front = begun()
    front.wire.room = None
    front.wire.writing = OSError(32, "broken pipe")
    front.ws._push()
    front.wire.writing = None
    front.feed(frame(PING, b"p", not client) + frame(3, b"", not client))
    assert front.ended
    with pytest.raises(ProtocolError):
        front.send(PING, b"")
    assert len(front.sent) == room
