"""permessage-deflate: what is agreed on, and messages both ways, against zlib and RFC 7692."""

import ast
import random
import socket
import zlib

import pytest
from microws.compression import Deflate
from microws.core import IDLE, PIECE

from host_tests.library.front import INTO, OWN, PIECEWISE, Front, failed
from host_tests.support.interpreters import PATIENCE
from host_tests.support.ports import free_port
from host_tests.support.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
    request,
    xor,
)

SIDES = pytest.mark.parametrize("client", [True, False], ids=["client", "server"])
BOTH = "server_no_context_takeover; client_no_context_takeover"
TEXT_100 = "Wörter, Wörter, €! " * 100

# Negotiation


@pytest.mark.parametrize(
    ("window_bits", "offer", "response"),
    [
        (15, "permessage-deflate", f"permessage-deflate; {BOTH}"),
        (15, "Permessage-Deflate", f"permessage-deflate; {BOTH}"),
        (15, "x-webkit-deflate-frame", None),
        (15, "x; a=b, permessage-deflate", f"permessage-deflate; {BOTH}"),
        (15, "permessage-deflate; client_no_context_takeover", f"permessage-deflate; {BOTH}"),
        (15, "permessage-deflate; client_max_window_bits",
         f"permessage-deflate; {BOTH}; client_max_window_bits=15"),
        (10, "permessage-deflate; client_max_window_bits",
         f"permessage-deflate; {BOTH}; client_max_window_bits=10"),
        (10, "permessage-deflate; client_max_window_bits=9",
         f"permessage-deflate; {BOTH}; client_max_window_bits=9"),
        (10, "permessage-deflate", None),
        (10, "permessage-deflate, permessage-deflate; client_max_window_bits",
         f"permessage-deflate; {BOTH}; client_max_window_bits=10"),
        (15, "permessage-deflate; server_max_window_bits=10",
         f"permessage-deflate; {BOTH}; server_max_window_bits=10"),
        (15, 'permessage-deflate; server_max_window_bits="10"',
         f"permessage-deflate; {BOTH}; server_max_window_bits=10"),
        (15, "permessage-deflate; server_max_window_bits", None),
        (15, "permessage-deflate; server_max_window_bits=7", None),
        (15, "permessage-deflate; server_max_window_bits=16", None),
        (15, "permessage-deflate; server_max_window_bits=010", None),
        (15, "permessage-deflate; client_max_window_bits=x", None),
        (15, "permessage-deflate; client_no_context_takeover=1", None),
        (15, "permessage-deflate; unknown", None),
        (15, "permessage-deflate; client_max_window_bits; client_max_window_bits", None),
    ],
)  # fmt: skip
def test_server_chooses(window_bits, offer, response):
    assert Deflate(window_bits).choose(offer) == response


@pytest.mark.parametrize(
    ("window_bits", "response", "good"),
    [
        (15, f"permessage-deflate; {BOTH}", True),
        (15, "permessage-deflate; server_no_context_takeover", True),
        (15, "permessage-deflate", False),
        (15, "permessage-deflate; client_no_context_takeover", False),
        (15, f"permessage-deflate; {BOTH}; client_max_window_bits=9", True),
        (15, f"permessage-deflate; {BOTH}; client_max_window_bits", False),
        (15, f"permessage-deflate; {BOTH}; server_max_window_bits=12", True),
        (10, f"permessage-deflate; {BOTH}", False),
        (10, f"permessage-deflate; {BOTH}; server_max_window_bits=11", False),
        (10, f"permessage-deflate; {BOTH}; server_max_window_bits=10", True),
        (15, f"permessage-deflate; {BOTH}; x", False),
        (15, f"permessage-deflate; {BOTH}, permessage-deflate; {BOTH}", False),
        (15, "other", False),
    ],
)
def test_client_accepts(window_bits, response, good):
    assert Deflate(window_bits).accepted(response) == good


@pytest.mark.parametrize("bits", [0, 8, 16])
def test_window_bits_are_bounded(bits):
    with pytest.raises(ValueError):
        Deflate(bits)


def test_both_sides_of_this_library_agree():
    for client_bits in range(9, 16):
        for server_bits in range(9, 16):
            client, server = Deflate(client_bits), Deflate(server_bits)
            response = server.choose(client.offer())
            assert client.accepted(response)
            for sender, receiver in ((client, server), (server, client)):
                data = random.Random(client_bits).randbytes(300) * 20
                here = Front(sender is client, extension=sender)
                there = Front(sender is not client, extension=receiver)
                here.send(BINARY, data)
                assert here.sent[0] == 0xC2
                there.feed(bytes(here.sent))
                assert there.messages == [(BINARY, data, [data])]


def test_handshake_offers_only_what_it_was_given(openings):
    assert b"Extensions" not in openings.client().wire.sent
    request = openings.client(compression=10).wire.sent
    offer = request.partition(b"Sec-WebSocket-Extensions: ")[2].partition(b"\r\n")[0].decode()
    assert offer.startswith("permessage-deflate; ")
    assert "server_max_window_bits=10" in offer
    for given in ("deflate", None):
        server = openings.server(compression=given)
        server.feed(request)
        agreed = b"Sec-WebSocket-Extensions: permessage-deflate" in server.wire.sent
        assert agreed == bool(given) == bool(server.ws._deflate)


# Messages


def deflating(client, mode=OWN, room=8192, **limits):
    """A front whose handshake has agreed on the extension."""
    return Front(client, mode, room, extension=Deflate(), **limits)


def packed(data):
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


RFC_7692 = {
    "one block": "c107f248cdc9c90700",
    "two fragments": "4103f248cd" + "8004c9c90700",
    "no compression": "c10b000500faff48656c6c6f00",
    "last block": "c108f348cdc9c9070000",
    "two blocks": "c10df248050000" + "00ffffcac9c90700",
}


@pytest.mark.parametrize("data", RFC_7692.values(), ids=RFC_7692)
def test_examples_of_the_rfc(data):
    for mode, room in ((OWN, 0), (INTO, 5), (PIECEWISE, 4)):
        for step in (1, 100):
            front = deflating(True, mode, room)
            data_bytes = bytes.fromhex(data)
            front.feed_cut(data_bytes, range(step, len(data_bytes), step))
            assert [m[:2] for m in front.messages] == [(TEXT, b"Hello")]


@SIDES
@pytest.mark.parametrize(
    ("mode", "room"), [(OWN, 0), (INTO, 4000), (PIECEWISE, 4), (PIECEWISE, 333)]
)
def test_messages_at_every_split(client, mode, room):
    whole = TEXT_100.encode()
    small = packed(whole)
    data = frame(TEXT, small[:20], not client, False, 4) + frame(PING, b"p", not client)
    data += frame(0, small[20:], not client) + frame(TEXT, b"plain", not client)
    data += frame(BINARY, packed(b""), not client, True, 4)
    for cut in range(1, len(data)):
        front = deflating(client, mode, room, read_size=131).feed_cut(data, [cut])
        assert front.outcome()[:2] == (
            [(TEXT, whole), (TEXT, b"plain"), (BINARY, b"")],
            [(PONG, 1, b"p")],
        )


@SIDES
@pytest.mark.parametrize(
    ("code", "frames_"),
    [
        (1002, [(PING, b"", True, 4)]),
        (1002, [(TEXT, packed(b"x"), False, 4), (0, b"", True, 4)]),
        (1002, [(TEXT, b"x", True, 2)]),
        (1007, [(TEXT, b"\xff\xff\xff\xff", True, 4)]),
        (1007, [(BINARY, packed(b"x" * 90)[:-4] + b"\xff\xff", True, 4)]),
        (1007, [(TEXT, packed(b"abc\xff"), True, 4)]),
        (1007, [(TEXT, packed("é".encode()[:1]), True, 4)]),
        (1009, [(BINARY, packed(bytes(100_000)), True, 4)]),
        (1009, [(BINARY, packed(bytes(1001)), True, 4)]),
    ],
)
def test_broken_rule_fails_the_connection(client, code, frames_, memory):
    data = b"".join(frame(op, payload, not client, *rest) for op, payload, *rest in frames_)
    for mode, room in ((OWN, 0), (INTO, 1000)):
        front = deflating(client, mode, room, max_size=1000)
        memory.clear()
        front.feed(data)
        assert failed(front, code)
        assert front.messages == []
        assert max(memory) <= 1001


@SIDES
def test_bounds_are_exact(client):
    for size, good in ((1000, True), (1001, False)):
        data = frame(BINARY, packed(bytes(size)), not client, True, 4)
        for mode, limits in ((OWN, {"max_size": 1000}), (INTO, {})):
            front = deflating(client, mode, 1000, **limits)
            front.feed(data)
            assert [m[1] for m in front.messages] == [bytes(size)] * good
            assert good or failed(front, 1009)


@SIDES
@pytest.mark.parametrize(("mode", "room"), [(OWN, 0), (INTO, 100), (PIECEWISE, 100)])
@pytest.mark.parametrize("fragments", [1, 2])
def test_what_is_collected_is_bounded(client, mode, room, fragments):
    """Data that inflates to nothing: only what is collected of it can strike the bound."""
    nothing = b"\0\0\0\xff\xff" * 200 + b"\0"
    if fragments == 1:
        data = frame(BINARY, nothing, not client, True, 4)
    else:
        data = frame(BINARY, nothing[:600], not client, False, 4)
        data += frame(0, nothing[600:], not client)
    for max_size, good in ((len(nothing), True), (len(nothing) - 1, False)):
        front = deflating(client, mode, room, max_size=max_size)
        front.feed(data)
        assert [m[1] for m in front.messages] == [b""] * good
        assert good or failed(front, 1009)


@SIDES
def test_bomb_in_pieces_takes_the_buffer_only(client, memory):
    front = deflating(client, PIECEWISE, 1000, max_size=2000)
    memory.clear()
    front.feed(frame(BINARY, packed(bytes(1_000_000)), not client, True, 4))
    assert len(front.messages[0][1]) == 1_000_000
    assert max(memory) <= 2000


@SIDES
@pytest.mark.parametrize("last", [b"", b"end"])
def test_change_to_pieces_between_two_frames_leaves_the_next_message_alone(client, last):
    """A part of it was once given as it came, not inflated."""
    front = deflating(client)
    front.feed(frame(BINARY, b"begin", not client, False))
    front.receive(PIECEWISE, 100)
    front.feed(frame(0, last, not client))
    data = frame(TEXT, packed(TEXT_100.encode()), not client, True, 4)
    front.feed_cut(data, range(len(data)))
    assert front.outcome()[0] == [(BINARY, b"begin" + last), (TEXT, TEXT_100.encode())]


@SIDES
def test_sends_compressed_what_becomes_smaller_and_each_message_by_itself(client):
    front = deflating(client)
    front.send(TEXT, TEXT_100.encode())
    first = bytes(front.sent)
    front.send(TEXT, TEXT_100.encode())
    assert len(front.sent) == 2 * len(first) < 400
    assert first[0] == 0xC1
    size = first[1] & 0x7F
    assert size < 126
    payload = first[-size:]
    if client:
        payload = xor(payload, first[2:6])
    found = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
    assert found.decode() == TEXT_100
    # Too short to gain by it, and fragments, go as they are.
    front.sent.clear()
    front.send(TEXT, b"a")
    front.send(TEXT, TEXT_100.encode(), False)
    front.send(0, b"")
    assert [(op, fin) for op, fin, _ in front.replies()] == [(TEXT, 1), (TEXT, 0), (0, 1)]


@SIDES
def test_close_while_a_message_is_left_half_inflated_ends(client):
    front = deflating(client, PIECEWISE, 10)
    data = frame(BINARY, packed(bytes(1000)), not client, True, 4)
    data += close_frame(1000, "", not client)
    front.wire.incoming = data
    step = IDLE
    while step != PIECE:
        step = next(front.ws._receiver)
    # What comes is not wanted any more: the pieces that are still to be inflated among it.
    front.close()
    assert (front.ended, front.ws.close_code) == (True, 1000)
    assert front.replies()[-1][0] == CLOSE
    assert front.messages == []


# Peers that refer to what they sent before, although they were asked not to


class Keeping:
    """A compressor that keeps its context over messages, as Tornado's does."""

    def __init__(self, window_bits=10):
        self._stream = zlib.compressobj(wbits=-window_bits)

    def __call__(self, message):
        return (self._stream.compress(message) + self._stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


# Messages of which each refers to the one before; some are larger than the window, some empty.
VALUES = [b"temperature=%d.5, humidity=40" % i for i in range(20, 24)]
LONG = b", ".join(b"value %d of the board" % (i * i) for i in range(100))
RELATED = [*VALUES, b"", LONG, LONG[:500] + VALUES[0], VALUES[1], LONG[-900:], b"", VALUES[2]]


@SIDES
@pytest.mark.parametrize(
    ("mode", "room"), [(OWN, 0), (INTO, 3000), (PIECEWISE, 4), (PIECEWISE, 333)]
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_context_that_was_kept_is_followed(client, mode, room, opcode):
    pack = Keeping()
    front = Front(client, mode, room, extension=Deflate(10))
    for i, message in enumerate(RELATED):
        front.feed(frame(TEXT, b"not compressed", not client))
        small = pack(message)
        cut = i % (len(small) + 1)
        front.feed(frame(opcode, small[:cut], not client, False, 4))
        front.feed(frame(0, small[cut:], not client))
    assert [message[:2] for message in front.messages[1::2]] == [(opcode, m) for m in RELATED]


def lost(message, window_bits=10):
    """``message`` compressed behind another one that nobody gets."""
    pack = Keeping(window_bits)
    pack(VALUES[0])
    small = pack(message)
    with pytest.raises(zlib.error):  # it does refer to the other one
        zlib.decompressobj(-window_bits).decompress(small + b"\0\0\xff\xff")
    return small


@SIDES
@pytest.mark.parametrize(
    ("mode", "room"), [(OWN, 0), (INTO, 3000), (PIECEWISE, 4), (PIECEWISE, 333)]
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("message", [VALUES[1], VALUES[1] + LONG], ids=["short", "long"])
def test_reference_to_before_the_first_message_is_refused(client, mode, room, opcode, message):
    front = Front(client, mode, room, extension=Deflate(10))
    front.feed(frame(opcode, lost(message), not client, True, 4))
    assert failed(front, 1007)
    assert front.messages == []
    assert message.startswith(b"".join(front.pieces))


@SIDES
def test_history_that_was_left_is_not_made_up(client):
    """Who leaves a message half-way has not inflated the rest of it."""
    pack = Keeping()
    front = Front(client, PIECEWISE, 10, extension=Deflate(10))
    front.wire.incoming = frame(TEXT, pack(LONG), not client, True, 4)
    while next(front.ws._receiver) != PIECE:
        pass
    front.receive(OWN)
    front.feed(frame(TEXT, pack(LONG[-300:]), not client, True, 4))
    assert failed(front, 1007) or [m[1] for m in front.messages] == [LONG[-300:]]


RECEIVING = """
import sys
from binascii import crc32
import microws

port, way = sys.argv[1:]
listener = microws.listen("127.0.0.1", int(port), compression="deflate")
buffer = bytearray(3000)
print("listening")
while True:
    ws = listener.accept()
    given = []
    try:
        while True:
            if way == "recv":
                given = [ws.recv()]
            elif way == "recv_into":
                given = [bytes(memoryview(buffer)[: ws.recv_into(buffer)])]
            else:
                given = []
                for piece in ws.recv_streaming(memoryview(buffer)[:50]):
                    given.append(bytes(piece))
            data = b"".join([p.encode() if type(p) is str else p for p in given])
            print("message", ws.is_text, len(data), crc32(data) & 0xFFFFFFFF)
            given = []
    except microws.WebSocketError as error:
        print("end", error.code, b"".join(given))
"""


@pytest.mark.parametrize("way", ["recv", "recv_into", "recv_streaming"])
def test_context_is_followed_or_refused_on_every_python(interpreter, start, way):
    port = free_port()
    process = start(interpreter.command("-c", RECEIVING, port, way))
    process.wait_for("listening")
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    def upgraded():
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        sock.sendall(request(offer))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        assert b"permessage-deflate" in answer
        return sock

    with upgraded() as sock:
        pack = Keeping()
        for i, message in enumerate(RELATED):
            opcode = (TEXT, BINARY)[i & 1]
            sock.sendall(frame(opcode, pack(message), True, True, 4))
            told = f"message {opcode == TEXT} {len(message)} {zlib.crc32(message)}"
            assert process.wait_for("m") == told
        sock.sendall(close_frame(1000, "", True))
    assert process.wait_for("end") == "end 1000 b''"
    for message in (VALUES[1], VALUES[1] + LONG):
        for opcode in (TEXT, BINARY):
            with upgraded() as sock:
                sock.sendall(frame(opcode, lost(message), True, True, 4))
                end = process.wait_for("e")
                assert end.startswith("end 1007 b'")
                assert message.startswith(ast.literal_eval(end[9:]))
