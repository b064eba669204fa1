"""The same frames to this library, to ``wsproto`` and to the core of ``websockets``.

Valid and not, in random sequences: the same messages, Pings and Pongs come out, and the same close
code. Where one of them is more lenient, it is told here, with the paragraph of RFC 6455 that this
library goes by.
"""

import codecs
import itertools
import struct

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from microws.errors import ConnectionClosed
from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto import events
from wsproto.connection import Connection, ConnectionState, ConnectionType

from host_tests.library.front import INTO, OWN, PIECEWISE, Front
from host_tests.support.wire import BINARY, CLOSE, KEY, PING, PONG, TEXT, frame, xor

SIDES = pytest.mark.parametrize("client", [True, False], ids=["client", "server"])
CALM = settings(derandomize=True, deadline=None, max_examples=400)
MAX_SIZE = 10000


class Sent:
    """A frame of the peer, and what makes its length longer than it has to be."""

    def __init__(self, opcode, payload=b"", fin=True, rsv=0, mask_wrong=False, wide=0):
        self.opcode = opcode
        self.payload = payload
        self.fin = fin
        self.rsv = rsv
        self.mask_wrong = mask_wrong
        self.wide = wide

    def __repr__(self):
        return f"Sent{tuple(vars(self).values())}"

    @property
    def minimal(self):
        n = len(self.payload)
        return self.wide <= (0 if n < 126 else 2)

    def bytes_for(self, client):
        masked = client == self.mask_wrong
        if self.minimal:
            return frame(self.opcode, self.payload, masked, self.fin, self.rsv)
        n = len(self.payload)
        head = bytes((0x80 * self.fin | self.rsv << 4 | self.opcode,))
        if self.wide == 2:
            head += struct.pack(">BH", 0x80 * masked | 126, n)
        else:
            head += struct.pack(">BQ", 0x80 * masked | 127, n)
        return head + (KEY + xor(self.payload, KEY) if masked else self.payload)


# Each gives the messages, the Pings, the Pongs, and how it ended: None, ("closed", code, reason)
# by the peer's Close, or ("failed", code).


def ours(data, client, mode):
    front = Front(client, mode, MAX_SIZE if mode == INTO else 5, max_size=MAX_SIZE)
    front.feed(data)
    messages = [(opcode == TEXT, payload) for opcode, payload, _ in front.messages]
    answered = [payload for opcode, _, payload in front.replies() if opcode == PONG]
    ending = None
    if front.ws.close_code is not None:
        error = front.error()
        ending = ("failed", error.code)
        if isinstance(error, ConnectionClosed):
            ending = ("closed", error.code, error.reason)
    return messages, answered, front.ws.pongs, ending


def wsproto(data, client):
    connection = Connection(ConnectionType.CLIENT if client else ConnectionType.SERVER)
    messages, pings, pongs, ending = [], [], 0, None
    parts = []
    connection.receive_data(data)
    for found in connection.events():
        if isinstance(found, events.Message):
            text = isinstance(found, events.TextMessage)
            parts.append(found.data.encode() if text else bytes(found.data))
            if found.message_finished:
                messages.append((text, b"".join(parts)))
                parts = []
        elif isinstance(found, events.Ping):
            pings.append(bytes(found.payload))
        elif isinstance(found, events.Pong):
            pongs += 1
        else:
            ending = ("failed", int(found.code))
            if connection.state is ConnectionState.REMOTE_CLOSING:
                ending = ("closed", int(found.code), found.reason)
            break
    return messages, pings, pongs, ending


def websockets(data, client):
    if client:
        core = ClientProtocol(parse_uri("ws://here/"), state=State.OPEN, max_size=MAX_SIZE)
    else:
        core = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
    messages, pings, pongs = [], [], 0
    opcode, parts = None, []
    core.receive_data(data)
    for found in core.events_received():
        if found.opcode == PING:
            pings.append(bytes(found.data))
        elif found.opcode == PONG:
            pongs += 1
        elif found.opcode != CLOSE:
            opcode = found.opcode or opcode
            parts.append(bytes(found.data))
            if found.fin:
                message = b"".join(parts)
                parts = []
                # Text is decoded by its fronts, at the end of a message.
                try:
                    message.decode()
                except UnicodeDecodeError:
                    if opcode == TEXT:
                        return messages, pings, pongs, ("failed", 1007)
                messages.append((opcode == TEXT, message))
    ending = None
    if core.parser_exc:
        ending = ("failed", 1009 if isinstance(core.parser_exc, PayloadTooBig) else
                  core.close_sent.code)  # fmt: skip
    elif core.close_rcvd:
        ending = ("closed", int(core.close_rcvd.code), core.close_rcvd.reason)
    return messages, pings, pongs, ending


TEXTS = st.text(max_size=20).map(str.encode)
PAYLOADS = st.binary(max_size=10) | TEXTS | st.sampled_from([b"x" * 125, b"x" * 126, b"x" * 300])
CODES = st.sampled_from([0, 999, *range(1000, 1017), 1100, 2999, 3000, 3999, 4000, 4999, 5000])
CLOSES = st.builds(lambda code, reason: struct.pack(">H", code) + reason, CODES, TEXTS)
GOOD_TEXT = st.builds(Sent, st.just(TEXT), TEXTS)
FRAGMENTS = st.builds(
    lambda opcode, payload, cut: [Sent(opcode, payload[:cut], False), Sent(0, payload[cut:])],
    st.sampled_from([TEXT, BINARY]),
    TEXTS,
    st.integers(0, 9),
)
CONTROL = st.builds(Sent, st.sampled_from([PING, PONG]), st.binary(max_size=125))
ANY = st.builds(
    Sent,
    st.sampled_from([0, TEXT, BINARY, PING, PONG] * 4 + [CLOSE, 3, 7, 11, 15]),
    PAYLOADS,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0] * 20 + [1, 2, 4]),
    st.sampled_from([False] * 20 + [True]),
    st.sampled_from([0] * 20 + [2, 8]),
)
STEPS = st.one_of(
    GOOD_TEXT.map(lambda sent: [sent]),
    FRAGMENTS,
    CONTROL.map(lambda sent: [sent]),
    st.tuples(FRAGMENTS, CONTROL).map(lambda pair: [pair[0][0], pair[1], pair[0][1]]),
    ANY.map(lambda sent: [sent]),
    CLOSES.map(lambda payload: [Sent(CLOSE, payload)]),
)
SEQUENCES = st.lists(STEPS, max_size=6).map(lambda steps: list(itertools.chain(*steps)))


# Where they differ: what is seen at a frame, given the frames before it; and how this library
# ends then.


def length_not_minimal(before, sent):
    """Taken by websockets. §5.2: "the minimal number of bytes MUST be used"."""
    return ("failed", 1002) if not sent.minimal else None


def bad_text_in_a_message_that_goes_on(before, sent):
    """Seen by websockets at the end of the message. §8.1: "MUST" fail when it finds the stream is
    not UTF-8, and that is so from the first bad byte on, as the suite's strict verdict has it.
    """
    message = message_in_progress(before)
    if sent.opcode == 0:
        message.append(sent)
    elif sent.opcode == TEXT:
        message = [sent]
    if sent.fin or not message or message[0].opcode != TEXT or sent.opcode > TEXT:
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(b"".join(part.payload for part in message))
    except UnicodeDecodeError:
        return ("failed", 1007)
    return None


def close_within_a_message(before, sent):
    """Refused by websockets. §5.4: "Control frames MAY be injected in the middle of a fragmented
    message", and a Close is one (§5.5).
    """
    if sent.opcode == CLOSE and message_in_progress(before):
        return ours(frame(CLOSE, sent.payload), True, OWN)[3]
    return None


def close_code_1014(before, sent):
    """Refused by wsproto. §7.4.2: 1000-2999 are those of the registry (§11.7), where 1014 stands
    since 2012.
    """
    if sent.opcode == CLOSE and sent.payload[:2] == (1014).to_bytes(2, "big"):
        return ours(frame(CLOSE, sent.payload), True, OWN)[3]
    return None


def bad_code_and_bad_reason(before, sent):
    """Told by websockets as 1007, the reason's fault. §7.4.1 and §8.1 name a code for each, and
    neither goes first.
    """
    if sent.opcode != CLOSE or len(sent.payload) < 3:
        return None
    try:
        sent.payload[2:].decode()
    except UnicodeDecodeError:
        ending = ours(frame(CLOSE, sent.payload[:2]), True, OWN)[3]
        return ending if ending[0] == "failed" else None
    return None


DIFFERENT = {
    wsproto: [close_code_1014],
    websockets: [
        length_not_minimal,
        bad_text_in_a_message_that_goes_on,
        close_within_a_message,
        bad_code_and_bad_reason,
    ],
}


def message_in_progress(before):
    """The frames of the message that ``before``, all of them valid, does not end."""
    message = []
    for sent in before:
        if sent.opcode < CLOSE:
            message = [] if sent.fin else [*message, sent]
    return message


def is_valid_alone(sent):
    return not (sent.rsv or sent.mask_wrong or (sent.opcode >= CLOSE and not sent.fin)
                or (sent.opcode >= CLOSE and len(sent.payload) > 125))  # fmt: skip


def where_they_differ(peer, sequence):
    """The number of the first frame at which a difference shows, and this library's ending."""
    for i, sent in enumerate(sequence):
        for difference in DIFFERENT[peer]:
            ending = is_valid_alone(sent) and difference(sequence[:i], sent)
            if ending:
                return i, ending
    return len(sequence), None


@SIDES
@given(SEQUENCES, st.sampled_from([OWN, INTO, PIECEWISE]))
@CALM
def test_sequence(client, sequence, mode):
    for peer in DIFFERENT:
        end, ending = where_they_differ(peer, sequence)
        data = b"".join(sent.bytes_for(client) for sent in sequence[:end])
        found = ours(data, client, mode)
        assert peer(data, client) == found
        if ending and not found[3]:
            event(f"{peer.__name__}, {ending}")
            data += sequence[end].bytes_for(client)
            assert ours(data, client, mode) == (*found[:3], ending)


DIFFERENCES = {
    length_not_minimal: [Sent(TEXT, b"x", wide=2)],
    bad_text_in_a_message_that_goes_on: [Sent(TEXT, b"\xff", False)],
    close_within_a_message: [Sent(TEXT, b"x", False), Sent(CLOSE, b"\x03\xe8")],
    bad_code_and_bad_reason: [Sent(CLOSE, b"\0\0\xff")],
    close_code_1014: [Sent(CLOSE, b"\x03\xf6")],
}


@SIDES
@pytest.mark.parametrize("peer", DIFFERENT)
def test_they_still_differ(client, peer):
    """Else the exception for it is not needed any more."""
    for difference in DIFFERENT[peer]:
        sequence = DIFFERENCES[difference]
        data = b"".join(sent.bytes_for(client) for sent in sequence)
        assert where_they_differ(peer, sequence)[0] == len(sequence) - 1
        assert ours(data, client, OWN)[3] == where_they_differ(peer, sequence)[1]
        assert peer(data, client) != ours(data, client, OWN)
