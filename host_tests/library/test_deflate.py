"""permessage-deflate with ``websockets``, both ways: what is agreed on, and messages under it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from host_tests.library.front import INTO, OWN, PIECEWISE, Front, Openings

CALM = settings(derandomize=True, deadline=None, max_examples=100)
BITS = st.none() | st.integers(9, 15)
FLAGS = st.booleans()
MODES = st.sampled_from([OWN, INTO, PIECEWISE])
MESSAGES = st.lists(
    st.tuples(
        FLAGS, st.text(max_size=40), st.sampled_from([1, 7, 400]), st.lists(st.integers(0, 999))
    ),
    max_size=3,
)


def exchange(client, opening, core, mode, messages):
    """Send each message both ways, the peer's in fragments, over what was agreed on."""
    front = Front(client, mode, 20000 if mode == INTO else 100, opening=opening)
    wanted = []
    for text, words, times, places in messages:
        message = words.encode() * times
        opcode = 1 if text else 2
        front.send(opcode, message)
        core.receive_data(bytes(front.sent))
        front.sent.clear()
        received = core.events_received()
        assert core.parser_exc is None
        assert (received[0].opcode, b"".join(bytes(f.data) for f in received)) == (opcode, message)
        assert received[-1].fin
        cuts = [0, *sorted(at for at in places if at < len(message)), len(message)]
        for i, at in enumerate(cuts[:-1]):
            part, fin = message[at : cuts[i + 1]], i == len(cuts) - 2
            if i == 0:
                (core.send_text if text else core.send_binary)(part, fin=fin)
            else:
                core.send_continuation(part, fin=fin)
        for data in core.data_to_send():
            front.feed(data)
        wanted.append((opcode, message))
    assert [(opcode, message) for opcode, message, _ in front.messages] == wanted
    core.send_close(1000)
    for data in core.data_to_send():
        front.feed(data)
    assert front.ws.close_code == 1000


@given(BITS, BITS, FLAGS, FLAGS, FLAGS, st.integers(9, 15), MODES, MESSAGES)
@CALM
def test_server(server_bits, client_bits, any_client_bits, server_alone, client_alone, bits, mode,
                messages):  # fmt: skip
    offer = ClientPerMessageDeflateFactory(
        server_alone, client_alone, server_bits, client_bits or any_client_bits or None
    )
    core = ClientProtocol(parse_uri("ws://here/"), extensions=[offer])
    core.send_request(core.connect())
    with pytest.MonkeyPatch.context() as patch:
        server = Openings(patch.setattr).server(compression=bits)
        server.feed(b"".join(core.data_to_send()))
    core.receive_data(bytes(server.wire.sent))
    core.events_received()
    assert core.handshake_exc is None
    # One that cannot do with a smaller window goes on without compression (RFC 7692 §7.1.2.2).
    possible = bits == 15 or bool(client_bits or any_client_bits)
    assert bool(server.ws._deflate) == bool(core.extensions) == possible
    exchange(False, server, core, mode, messages)


@given(BITS, BITS, FLAGS, FLAGS, st.integers(9, 15), MODES, MESSAGES)
@CALM
def test_client(server_bits, client_bits, server_alone, client_alone, bits, mode, messages):
    factory = ServerPerMessageDeflateFactory(server_alone, client_alone, server_bits, client_bits)
    core = ServerProtocol(extensions=[factory])
    with pytest.MonkeyPatch.context() as patch:
        client = Openings(patch.setattr).client("ws://here/", compression=bits)
        core.receive_data(bytes(client.wire.sent))
        core.send_response(core.accept(core.events_received()[0]))
        client.feed(b"".join(core.data_to_send()))
    assert client.ws._deflate
    assert core.extensions
    exchange(True, client, core, mode, messages)
