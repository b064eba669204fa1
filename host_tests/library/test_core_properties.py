"""The state machine of a connection, fed with what hypothesis thinks of."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.library.front import INTO, OWN, PIECEWISE, Front
from host_tests.library.test_core import BIG, MODES, SIDES, script, scripted
from host_tests.support.wire import BINARY, CLOSE, PING, PONG, TEXT, frame

FUZZ = settings(derandomize=True, deadline=None, max_examples=150)


@SIDES
@given(st.data())
@FUZZ
def test_script_at_random_splits(client, data):
    stream = script(not client)
    cuts = data.draw(st.lists(st.integers(1, len(stream) - 1), max_size=12).map(sorted))
    mode, room = data.draw(st.sampled_from(MODES))
    read_size = data.draw(st.integers(131, 700))
    front = Front(client, mode, room, read_size=read_size)
    assert front.feed_cut(stream, cuts).outcome() == scripted()


@SIDES
@given(st.data())
@FUZZ
def test_random_messages_in_random_frames(client, data):
    """Messages cut to frames, with pings between, and read in any pieces and mode."""
    stream = b""
    messages = []
    replies = []
    for i in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            opcode, message = TEXT, data.draw(st.text(max_size=50)).encode() * 7
        else:
            opcode, message = BINARY, BIG[i : i + data.draw(st.sampled_from([0, 3, 130, 5000]))]
        places = st.lists(st.integers(0, len(message)), max_size=4).map(sorted)
        places = [0, *data.draw(places), len(message)]
        messages.append((opcode, message))
        for k, (at, end) in enumerate(itertools.pairwise(places)):
            stream += frame(opcode if k == 0 else 0, message[at:end], not client,
                            k == len(places) - 2)  # fmt: skip
            if data.draw(st.booleans()):
                stream += frame(PING, b"%d" % len(replies), not client)
                replies.append((PONG, 1, b"%d" % len(replies)))
    mode, room = data.draw(st.sampled_from([(OWN, 0), (INTO, 5000), (PIECEWISE, 50)]))
    front = Front(client, mode, room, read_size=data.draw(st.sampled_from([131, 512, 9000])))
    cuts = st.lists(st.integers(0, len(stream)), max_size=10).map(sorted)
    front.feed_cut(stream, data.draw(cuts))
    assert front.outcome() == (messages, replies, 0, "None")


@SIDES
@given(st.data())
@FUZZ
def test_any_bytes_end_as_an_event(client, data):
    frames_ = st.builds(
        frame,
        st.integers(0, 15),
        st.binary(max_size=140),
        st.sampled_from([not client] * 9 + [client]),
        st.booleans(),
        st.sampled_from([0] * 9 + [4]),
    )
    stream = b"".join(data.draw(st.lists(frames_ | st.binary(max_size=20), max_size=8)))
    mode, room = data.draw(st.sampled_from([(OWN, 0), (INTO, 100), (PIECEWISE, 5)]))
    outcomes = []
    for step in (1, data.draw(st.integers(2, 200)), 10000):
        front = Front(client, mode, room, read_size=131)
        front.feed_cut(stream, range(step, len(stream), step))
        messages, replies, pongs, _ = front.outcome()
        # The code in a Close frame is what counts, not the words.
        replies = [(op, payload[:2] if op == CLOSE else payload) for op, _, payload in replies]
        outcomes.append((messages, replies, pongs, front.ended, front.ws.close_code))
    assert outcomes[0] == outcomes[1] == outcomes[2]
