"""Both fronts over a socket whose every read and write is scripted."""

import asyncio
import errno
import itertools
import re
import select
import socket
import types

import pytest
from microws import _cpython
from microws.errors import ConnectionClosed, HandshakeError, ProtocolError, Timeout, WebSocketError

from host_tests.library.mock_socket import Hang, MockListener, MockSocket
from host_tests.support.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
    frames,
    request,
    response,
)

BIG = bytes(range(256)) * 3
STEPS = pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1 << 30])
BLOCKING = pytest.mark.parametrize("front", ["blocking"])
SIDES = pytest.mark.parametrize("side", ["client", "server"])


def script(masked):
    """What the peer sends once the connection is open, and closes it with."""
    return b"".join(
        (
            frame(TEXT, b"greeting", masked),
            frame(PING, b"p", masked),
            frame(TEXT, "é".encode()[:1], masked, False),
            frame(0, "é€".encode()[1:], masked),
            frame(BINARY, BIG, masked),
        )
    )


class Peer:
    """Finishes the handshake, sends ``data``, and answers a Close; ``ends`` TCP after it.

    As a client it has asked already, before this side writes anything.
    """

    def __init__(self, side, data=b"", answers=True):
        self.masked = side == "server"
        self.data = data
        self.answers = answers
        self.is_open = False
        self.head = 0

    def __call__(self, sock):
        if sock.ended:
            return
        if not self.is_open:
            head, mark, _ = bytes(sock.written).partition(b"\r\n\r\n")
            if not mark:
                return
            self.is_open = True
            self.head = len(head) + 4
            if not self.masked:
                sock.say(response(bytes(sock.written)))
            sock.say(self.data)
        if self.answers:
            try:
                found = self.found(sock)
            except (AssertionError, ValueError):
                return  # a frame is still on its way
            if found and found[-1][0] == CLOSE:
                sock.say(frame(CLOSE, found[-1][2], self.masked))
                sock.end()

    def found(self, sock):
        """The frames that came, all masked or not masked as this side's should be."""
        found, masked = frames(bytes(sock.written[self.head :]))
        assert not found or masked != self.masked
        return found


def opened(network, side, data=b"", answers=True, step=1 << 30, faults=(), **options):
    """A connection to a mock peer, with its socket and peer; it is made with these options."""
    peer = Peer(side, data, answers)
    sock = MockSocket(network, peer, request() if side == "server" else b"", step, faults)
    if side == "client":
        network.sockets.append(sock)
        return lambda: network.connect("ws://192.0.2.1/path", **options), sock, peer
    network.sockets.append(MockListener([sock]))
    listener = network.listen("0.0.0.0", 0, **options)
    return lambda: listener.accept(timeout=5), sock, peer


def talk(ws):
    """What a user does with the connection of ``script``."""
    got = [ws.recv(), ws.recv()]
    ws.send("text é")
    buffer = bytearray(1000)
    got.append(bytes(buffer[: ws.recv_into(buffer)]))
    ws.send(["in ", b"pieces"])
    ws.send(BIG)
    ws.ping(b"mine")
    ws.close(4000, "done")
    return got


@SIDES
@STEPS
def test_conversation_in_steps_of_any_size(network, side, step):
    make, sock, peer = opened(network, side, script(side == "server"), step=step)
    ws = make()
    assert ws.remote_address == ("192.0.2.1:80" if side == "client" else "192.0.2.7:50000")
    assert ws.path == "/path"
    assert ws.subprotocol is None
    assert ws.close_code is None
    assert talk(ws) == ["greeting", "é€", BIG]
    assert peer.found(sock) == [
        (PONG, 1, b"p"),
        (TEXT, 1, "text é".encode()),
        (TEXT, 0, b"in "),
        (0, 0, b"pieces"),
        (0, 1, b""),
        (BINARY, 1, BIG),
        (PING, 1, b"mine"),
        (CLOSE, 1, b"\x0f\xa0done"),
    ]
    assert (ws.close_code, ws.close_reason, sock.closed) == (4000, "done", True)
    for use in (ws.recv, ws.ping, lambda: ws.send("x"), lambda: ws.recv_into(bytearray(9))):
        with pytest.raises(ConnectionClosed) as caught:
            use()
        assert (caught.value.code, caught.value.reason) == (4000, "done")
    ws.close()


FAULTS = {
    "EAGAIN": errno.EAGAIN,
    "ECONNRESET": errno.ECONNRESET,
    "EPIPE": errno.EPIPE,
    "ETIMEDOUT": errno.ETIMEDOUT,
    "end of stream": 0,
}


@SIDES
@pytest.mark.parametrize("step", [11, 1 << 30])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_at_every_point_of_a_connection(networks, side, step, fault):
    whole = ["greeting", "é€", BIG]
    data = script(side == "server")
    failed = 0
    for at, network in enumerate(networks):
        make, sock, peer = opened(
            network, side, data, step=step, faults={at: fault}, close_timeout=1
        )
        ws = None
        try:
            ws = make()
            got = talk(ws)
        except (WebSocketError, OSError) as error:
            failed += 1
            assert fault != errno.EAGAIN
            if ws:
                assert repr(error) == repr(ConnectionClosed(1006, ""))  # noqa: PT017
                assert ws.close_code == 1006
                ws.close()
            elif side == "client":
                # The socket's own error, or what it means that the stream ended.
                ended = type(error) is HandshakeError and fault == 0
                assert ended or error.errno == fault  # noqa: PT017
            else:
                assert type(error) is Timeout  # no other client came  # noqa: PT017
        else:
            assert got == whole
            # Only the last frames may be cut short: the program was not told.
            if fault == errno.EAGAIN:
                assert peer.found(sock)[-1] == (CLOSE, 1, b"\x0f\xa0done")
                assert ws.close_code == 4000
        assert sock.closed
        if sock.calls <= at:
            break
    assert at > 12
    assert bool(failed) == (fault != errno.EAGAIN)


@SIDES
def test_every_call_blocks_once(network, side):
    # Two in a row go to the wait between them.
    faults = dict.fromkeys(range(0, 4000, 2), errno.EAGAIN)
    make, sock, peer = opened(network, side, script(side == "server"), step=5, faults=faults)
    assert talk(make()) == ["greeting", "é€", BIG]
    assert peer.found(sock)[-1] == (CLOSE, 1, b"\x0f\xa0done")


@SIDES
@pytest.mark.parametrize("step", [1, 5, 1 << 30])
def test_stream_ends_at_every_byte(networks, side, step):
    data = frame(TEXT, b"one", side == "server") + close_frame(1000, "bye", side == "server")
    for end, network in zip(range(len(data)), networks, strict=False):
        make, sock, peer = opened(network, side, data[:end], step=step, answers=False)
        ws = make()
        sock.end()
        if end >= len(frame(TEXT, b"one", side == "server")):
            assert ws.recv() == "one"
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv()
        assert (caught.value.code, ws.close_code, sock.closed) == (1006, 1006, True)
        assert peer.found(sock) == []


# Timeouts


@SIDES
@pytest.mark.parametrize("timeout", [0, 0.05, 3])
def test_recv_times_out_and_goes_on_later(network, side, timeout):
    data = frame(TEXT, b"in two parts", side == "server")
    make, sock, _ = opened(network, side, data[:7])
    ws = make()
    for receive in (ws.recv, lambda t: ws.recv_into(bytearray(20), t), ws.recv):
        start = network.clock
        with pytest.raises(Timeout) as caught:
            receive(timeout)
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.ETIMEDOUT
        assert network.clock - start < 1000 * timeout + 20
    assert not sock.closed
    sock.say(data[7:])
    assert ws.recv(timeout) == "in two parts"


@BLOCKING
@SIDES
def test_what_waits_is_given_though_the_time_is_over_before_it_is_looked_for(
    network, monkeypatch, side
):
    make, sock, _ = opened(network, side)
    ws = make()

    def monotonic():
        network.clock += 5
        return network.clock / 1000

    monkeypatch.setattr(_cpython, "time", types.SimpleNamespace(monotonic=monotonic))
    sock.say(frame(TEXT, b"here", side == "server") * 2)
    assert ws.recv(0) == ws.recv(0) == "here"
    for _ in range(2):
        with pytest.raises(Timeout):
            ws.recv(0)
    sock.say(frame(PING, b"", side == "server"))
    with pytest.raises(Timeout):
        ws.recv(0.001)


@SIDES
def test_what_is_waited_up_to_a_timeout_counts_for_the_message(network, side):
    data = frame(TEXT, b"never more", side == "server")
    make, _, _ = opened(network, side, data[:-1], message_timeout=2)
    ws = make()
    for _ in range(4):
        with pytest.raises(Timeout):
            ws.recv(0.5)
    with pytest.raises(ProtocolError) as caught:
        ws.recv(0.5)
    assert caught.value.code == 1008


class Parts(MockSocket):
    """A peer that says the next of its parts when so many milliseconds were waited for it."""

    parts = ()
    ms = 0

    def ready(self, direction):
        if direction == select.POLLIN and not (self.incoming or self.ended) and self.parts:
            self.network.clock += self.ms
            self.say(self.parts.pop(0))
        return super().ready(direction)


def in_parts(network, side, parts, ms, **options):
    sock = Parts(network, Peer(side), request() if side == "server" else b"")
    if side == "client":
        network.sockets.append(sock)
        ws = network.connect("ws://192.0.2.1/", **options)
    else:
        network.sockets.append(MockListener([sock]))
        ws = network.listen("0.0.0.0", 0, **options).accept()
    sock.parts = parts
    sock.ms = ms
    return ws, sock


RECEIVE = {
    "recv": lambda ws: ws.recv(),
    "recv_into": lambda ws: ws.recv_into(bytearray(100)),
    "recv_streaming": lambda ws: list(ws.recv_streaming()),
}


@SIDES
@pytest.mark.parametrize("receive", RECEIVE.values(), ids=RECEIVE)
def test_message_timeout(network, side, receive):
    masked = side == "server"
    ping = frame(PING, b"", masked)
    begin = frame(TEXT, b"a", masked, False)
    end = frame(0, b"b", masked)
    # What is waited for counts for each message anew, and not before it.
    ws, _ = in_parts(network, side, [begin, ping, end] * 3, 900, message_timeout=2)
    for _ in range(3):
        receive(ws)
    late = [begin[:1], begin[1:], ping, ping[:1], ping[1:], end]
    ws, sock = in_parts(network, side, late, 600, message_timeout=2)
    with pytest.raises(ProtocolError) as caught:
        receive(ws)
    assert caught.value.code == 1008
    assert sock.closed
    assert sock.peer.found(sock)[-1][2][:2] == (1008).to_bytes(2, "big")


@SIDES
def test_message_timeout_counts_for_each_piece(network, side):
    masked = side == "server"
    parts = [
        frame(BINARY if i == 0 else 0, piece, masked, False)
        for i, piece in enumerate((b"abcd", b"efgh", b"ijkl", b"m", b"n", b"o"))
    ]
    ws, _ = in_parts(network, side, parts, 1500, message_timeout=2)
    stream = ws.recv_streaming(bytearray(4))
    assert [bytes(next(stream)) for _ in range(3)] == [b"abcd", b"efgh", b"ijkl"]
    with pytest.raises(ProtocolError) as caught:
        next(stream)
    assert caught.value.code == 1008


@SIDES
def test_message_without_timeout(network, side):
    masked = side == "server"
    parts = [frame(TEXT, b"a", masked, False), frame(0, b"b", masked)]
    ws, _ = in_parts(network, side, parts, 1 << 29, message_timeout=None)
    assert ws.recv() == "ab"


@SIDES
def test_every_byte_after_a_timeout(network, side):
    data = frame(BINARY, BIG, side == "server") + frame(TEXT, b"x" * 20, side == "server")
    make, sock, _ = opened(network, side)
    ws = make()
    buffers = itertools.cycle([bytearray(len(BIG)), bytearray(len(BIG))])
    got = []
    for i, byte in enumerate(data):
        sock.say(bytes([byte]))
        try:
            if i % 3:
                buffer = next(buffers)
                n = ws.recv_into(buffer, 0.01)
                got.append(bytes(buffer[:n]))
            else:
                got.append(ws.recv(0.01))
        except Timeout:
            pass
    assert [m.encode() if isinstance(m, str) else m for m in got] == [BIG, b"x" * 20]


def test_recv_times_out_although_pings_keep_coming(network):
    make, sock, _ = opened(network, "client")
    ws = make()
    sock.network.patience = 5000
    sock.peer = lambda sock: sock.say(frame(PING, b"again"))
    sock.say(frame(PING, b"first"))
    try:
        with pytest.raises(Timeout):
            ws.recv(0.1)
    except Hang:
        pytest.fail("recv(0.1) went on for seconds")


@SIDES
def test_a_call_without_a_timeout_waits_as_long_as_it_takes(network, side):
    make, sock, _ = opened(network, side, frame(TEXT, b"half", side == "server")[:5])
    ws = make()
    with pytest.raises(Hang):
        ws.recv()
    network.sockets.append(MockListener([]))
    listener = network.listen("0.0.0.0", 0)
    with pytest.raises(Hang):
        listener.accept()
    assert not sock.closed
    assert network.patience > 19000  # it sleeps meanwhile


@SIDES
@pytest.mark.parametrize(
    "message", ["x", "x" * 10000, ["x", "y"]], ids=["short", "long", "pieces"]
)
def test_a_send_waits_as_long_as_the_peer_takes_nothing(network, side, message):
    make, sock, _ = opened(network, side)
    ws = make()
    sock.full = True
    with pytest.raises(Hang):
        ws.send(message)
    assert network.patience > 19000


def test_connect_times_out(network):
    make, sock, _ = opened(network, "client", timeout=2)
    sock.peer = None
    start = network.clock
    with pytest.raises(Timeout):
        make()
    assert 2000 <= network.clock - start < 2100
    assert sock.closed


def test_accept_times_out(network):
    network.sockets.append(MockListener([]))
    listener = network.listen("0.0.0.0", 0)
    with pytest.raises(Timeout):
        listener.accept(timeout=3)
    assert 3000 <= network.clock < 3100


@BLOCKING
def test_closed_listener_accepts_nobody(network):
    network.sockets.append(MockListener([]))
    listener = network.listen("0.0.0.0", 0)
    for _ in range(2):
        listener.close()
        with pytest.raises(OSError, match="closed"):
            listener.accept()


@SIDES
def test_close_waits_for_the_peer_no_longer_than_close_timeout(network, side):
    make, sock, _ = opened(network, side, answers=False, close_timeout=2)
    ws = make()
    start = network.clock
    ws.close()
    assert 2000 <= network.clock - start < 4500
    assert (sock.closed, ws.close_code) == (True, 1006)


ENDLESS = {
    "messages": frame(TEXT, b"x" * 50),
    "pings": frame(PING, b"x"),
    "nothing but fragments": frame(TEXT, b"", False, False) + frame(0, b"", False, False) * 9,
}


class Endless(MockSocket):
    """A peer that sends for ever: what is read is there again."""

    def recv_into(self, buffer, n):
        if len(self.incoming) < n and self.again:
            self.incoming += self.again * 20
        return super().recv_into(buffer, n)

    again = b""


@pytest.mark.parametrize("data", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("closes", [False, True])
def test_close_ends_although_the_peer_sends_for_ever(network, closes, data):
    peer = Peer("client", answers=False)
    sock = Endless(network, peer)
    network.sockets.append(sock)
    ws = network.connect("ws://192.0.2.1", close_timeout=1)
    if closes:
        sock.say(close_frame(1000))
    sock.again = data
    network.patience = 10000
    try:
        ws.close()
    except Hang:
        pytest.fail("close() with a timeout of 1 s went on for 10 s")
    assert sock.closed


class Slow(MockSocket):
    """A peer that sends one more byte whenever nine seconds have gone by."""

    slow = False

    def ready(self, direction):
        if self.slow and not self.incoming:
            self.network.clock += 9000
            self.say(b"x")
        return super().ready(direction)


def test_close_ends_although_the_peer_sends_now_and_then(network):
    network.sockets.append(sock := Slow(network, Peer("client", answers=False)))
    ws = network.connect("ws://192.0.2.1", close_timeout=10)
    sock.say(close_frame(1000))
    sock.slow = True
    start = network.clock
    ws.close()
    assert sock.closed
    assert network.clock - start < 40000  # by the mock's clock: twice the timeout, and a read


def test_failed_connection_is_left_although_the_peer_sends_for_ever(network):
    network.sockets.append(MockListener([sock := Endless(network, Peer("server"), request())]))
    ws = network.listen("0.0.0.0", 0, close_timeout=1).accept()
    sock.say(frame(3, b"", True))
    sock.again = frame(TEXT, b"x" * 50, True)
    network.patience = 10000
    try:
        with pytest.raises(ProtocolError):
            ws.recv()
    except Hang:
        pytest.fail("recv() went on for 10 s after it had failed the connection")
    assert sock.closed


# Closing


@SIDES
@STEPS
def test_peer_closes_and_iteration_ends(network, side, step):
    masked = side == "server"
    data = frame(TEXT, b"1", masked) + frame(BINARY, b"2", masked)
    make, sock, peer = opened(network, side, data + close_frame(1001, "away", masked), step=step)
    ws = make()
    assert list(ws) == ["1", b"2"]
    assert (ws.close_code, ws.close_reason, sock.closed) == (1001, "away", True)
    assert peer.found(sock) == [(CLOSE, 1, b"\x03\xe9")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (close_frame(1000), None),
        (close_frame(1001), None),
        (frame(CLOSE), None),
        (close_frame(1011, "x"), 1011),
        (close_frame(4000), 4000),
        (b"", 1006),
    ],
)
def test_iteration_raises_unless_the_end_is_clean(network, data, code):
    make, sock, _ = opened(network, "client", data, answers=False)
    ws = make()
    sock.end()
    if code is None:
        assert list(ws) == []
    else:
        with pytest.raises(ConnectionClosed) as caught:
            list(ws)
        assert caught.value.code == code
    assert sock.closed


@SIDES
@STEPS
def test_violation_is_told_to_both_sides(network, side, step):
    masked = side == "server"
    bad = frame(TEXT, b"good", masked) + frame(TEXT, b"\xff", masked)
    make, sock, peer = opened(network, side, bad, step=step)
    ws = make()
    assert ws.recv() == "good"
    for _ in range(2):
        with pytest.raises(ProtocolError) as caught:
            ws.recv()
        assert caught.value.code == 1007
    with pytest.raises(ProtocolError):
        ws.send("x")
    assert sock.closed
    [(opcode, _, payload)] = peer.found(sock)
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xef")


def test_with_closes(network):
    make, sock, peer = opened(network, "client")
    with make():
        pass
    assert sock.closed
    assert peer.found(sock) == [(CLOSE, 1, b"\x03\xe8")]
    make, sock, peer = opened(network, "client")
    with pytest.raises(ZeroDivisionError), make():
        raise ZeroDivisionError
    assert sock.closed


@SIDES
def test_wrong_close_is_the_users_mistake_and_changes_nothing(network, side):
    make, sock, _ = opened(network, side, frame(TEXT, b"still open", side == "server"))
    ws = make()
    for code, reason in ((1005, ""), (999, ""), (5000, ""), (1000, "x" * 124)):
        with pytest.raises(ValueError):
            ws.close(code, reason)
    assert ws.recv() == "still open"
    assert not sock.closed


def test_reason_of_the_close_survives_a_write_that_fails(network):
    make, sock, _ = opened(network, "client", close_frame(1001, "away"), answers=False)
    ws = make()
    sock.faults = {sock.calls + 1: errno.EPIPE}
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv()
    assert (caught.value.code, caught.value.reason) == (1001, "away")
    assert sock.closed


# Pieces of a message


@SIDES
@STEPS
@pytest.mark.parametrize("size", [4, 5, 100, 2000])
def test_streaming(network, side, step, size):
    text = "aé€😀" * 70
    masked = side == "server"
    data = frame(TEXT, text.encode()[:333], masked, False) + frame(PING, b"", masked)
    data += frame(0, text.encode()[333:], masked) + frame(TEXT, b"", masked) * 2
    data += frame(BINARY, BIG * 2, masked)
    make, _, _ = opened(network, side, data, step=step, max_size=10)
    ws = make()
    buffer = bytearray(size)
    assert b"".join(map(bytes, ws.recv_streaming(buffer))).decode() == text
    assert list(ws.recv_streaming(buffer)) == []
    assert list(ws.recv_streaming()) == [""]
    pieces = list(ws.recv_streaming())
    assert all(0 < len(piece) <= 1024 for piece in pieces)
    assert b"".join(pieces) == BIG * 2


@SIDES
@pytest.mark.parametrize("room", [None, 8])
def test_streaming_left_half_way(network, side, room):
    masked = side == "server"
    data = frame(BINARY, BIG * 4, masked) + frame(TEXT, b"next", masked)
    make, sock, _ = opened(network, side, data)
    ws = make()
    next(ws.recv_streaming(room and bytearray(room)))
    assert ws.recv() == "next"
    ws.close()
    assert sock.closed


@SIDES
def test_close_while_a_message_is_left_half_way(network, side):
    make, sock, _ = opened(network, side, frame(BINARY, BIG, side == "server"), close_timeout=1)
    ws = make()
    stream = ws.recv_streaming(bytearray(8))
    assert bytes(next(stream)) == BIG[:8]
    ws.close()
    assert sock.closed


def test_streaming_again_with_the_same_buffer_gives_no_piece_twice(network):
    data = frame(BINARY, BIG) + frame(TEXT, b"next")
    make, _, _ = opened(network, "client", data)
    ws = make()
    buffer = bytearray(8)
    next(ws.recv_streaming(buffer))
    rest = b"".join(map(bytes, ws.recv_streaming(buffer)))
    assert rest in (b"next", BIG[8:])  # skipped, as with another buffer, or gone on with


def test_recv_into_refuses_what_does_not_fit(network):
    make, sock, peer = opened(network, "client", frame(TEXT, b"x" * 11))
    ws = make()
    with pytest.raises(ProtocolError) as caught:
        ws.recv_into(bytearray(10))
    assert caught.value.code == 1009
    assert sock.closed
    assert peer.found(sock)[0][2][:2] == b"\x03\xf1"


def test_recv_into_tells_the_kind_and_leaves_the_rest_alone(network):
    data = frame(TEXT, b"abc") + frame(BINARY) + frame(BINARY, b"z")
    make, _, _ = opened(network, "client", data)
    ws = make()
    buffer = bytearray(b".....")
    found = []
    for _ in range(3):
        n = ws.recv_into(buffer)
        found.append((n, ws.is_text, bytes(buffer)))
    assert found == [(3, True, b"abc.."), (0, False, b"abc.."), (1, False, b"zbc..")]


@SIDES
@pytest.mark.parametrize(
    ("message", "text", "sent"),
    [
        ("é", None, [(TEXT, 1, b"\xc3\xa9")]),
        ("é", False, [(BINARY, 1, b"\xc3\xa9")]),
        (b"e", None, [(BINARY, 1, b"e")]),
        (b"e", True, [(TEXT, 1, b"e")]),
        (bytearray(b"b"), None, [(BINARY, 1, b"b")]),
        (memoryview(b"abc")[1:], None, [(BINARY, 1, b"bc")]),
        ("", None, [(TEXT, 1, b"")]),
        ([], None, [(BINARY, 1, b"")]),
        (["a", "b"], None, [(TEXT, 0, b"a"), (0, 0, b"b"), (0, 1, b"")]),
        ((b"a",), True, [(TEXT, 0, b"a"), (0, 1, b"")]),
    ],
    ids=lambda value: "memoryview" if isinstance(value, memoryview) else repr(value),
)
def test_kinds_of_messages(network, side, message, text, sent):
    make, sock, peer = opened(network, side)
    ws = make()
    ws.send(message, text)
    assert peer.found(sock) == sent


@pytest.mark.parametrize(
    ("message", "text", "error"),
    [
        (1, None, TypeError),
        (None, None, TypeError),
        ("\ud800", None, ValueError),
        (b"\xff", True, ValueError),
    ],
    ids=ascii,
)
def test_no_message_is_the_users_mistake_and_changes_nothing(network, message, text, error):
    make, sock, peer = opened(network, "client", frame(TEXT, b"still open"))
    ws = make()
    with pytest.raises(error):
        ws.send(message, text)
    assert peer.found(sock) == []
    assert ws.recv() == "still open"


@SIDES
def test_ping_is_bounded(network, side):
    make, sock, peer = opened(network, side)
    ws = make()
    ws.ping(bytes(125))
    with pytest.raises(ValueError):
        ws.ping(bytes(126))
    with pytest.raises(TypeError):
        ws.ping("text")
    assert peer.found(sock) == [(PING, 1, bytes(125))]


def test_pieces_that_fail_half_way_close_the_connection(network):
    def pieces():
        yield "a"
        raise ZeroDivisionError

    make, sock, peer = opened(network, "client")
    ws = make()
    with pytest.raises(ZeroDivisionError):
        ws.send(pieces())
    with pytest.raises(ConnectionClosed):
        ws.recv()
    (opcode, _, payload) = peer.found(sock)[-1]
    assert (opcode, payload[:2], sock.closed) == (CLOSE, b"\x03\xf3", True)


# Handshakes


def let_pass(ws, seconds):
    """Have asyncio's server deal with who came before ``ws``; the blocking one has by now."""
    with pytest.raises(Timeout):
        ws.recv(seconds)


@STEPS
def test_client_is_refused(network, step):
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n"
    sock = MockSocket(network, lambda sock: sock.incoming or sock.say(answer), step=step)
    network.sockets.append(sock)
    with pytest.raises(HandshakeError) as caught:
        network.connect("ws://192.0.2.1/")
    assert (caught.value.status, sock.closed) == (404, True)


@STEPS
def test_server_answers_and_leaves_who_speaks_something_else(network, step):
    wrong = [request("Content-Length: 5"), b"\x16\x03\x01\r\n\r\n", request("X: " + "y" * 5000)]
    socks = [MockSocket(network, None, data, step) for data in wrong]
    good = MockSocket(network, Peer("server"), request(), step)
    network.patience = 100000
    network.sockets.append(MockListener([*socks, OSError(errno.ECONNABORTED, "gone"), good]))
    ws = network.listen("0.0.0.0", 0, handshake_timeout=90).accept(timeout=100)
    assert ws._sock.socket is good
    let_pass(ws, 30)
    for sock, status in zip(socks, (b"400", b"400", b"431"), strict=True):
        assert sock.closed
        assert sock.written.startswith(b"HTTP/1.1 " + status)
        assert sock.written.endswith(b"\n")


def test_server_leaves_who_says_nothing(network):
    silent = MockSocket(network)
    good = MockSocket(network, Peer("server"), request())
    network.sockets.append(MockListener([silent, good]))
    ws = network.listen("0.0.0.0", 0, handshake_timeout=2).accept(timeout=60)
    assert ws._sock.socket is good
    let_pass(ws, 30)
    assert (silent.closed, silent.written) == (True, b"")


def test_accept_times_out_although_no_socket_can_be_had(network):
    class Full(MockListener):
        def accept(self):
            network.tick()
            raise OSError(errno.EMFILE, "too many open files")

    network.sockets.append(Full([None]))
    listener = network.listen("0.0.0.0", 0)
    try:
        with pytest.raises(OSError):
            listener.accept(timeout=1)
    except Hang:
        pytest.fail("accept(1) went on for 20 s")


def test_connect_tries_the_next_address_with_the_whole_request(networks):
    for at, network in zip(range(4), networks, strict=False):
        network.addresses = 2
        first = MockSocket(network, step=20, faults={at: errno.ECONNRESET})
        second = MockSocket(network, Peer("client", frame(TEXT, b"hello")))
        network.sockets += [first, second]
        assert network.connect("ws://name/").recv() == "hello"
        assert first.closed
        assert second.written.startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ETIMEDOUT])
def test_connect_that_fails_in_the_background(network, number):
    make, sock, _ = opened(network, "client")
    sock.getsockopt = lambda level, option: number
    with pytest.raises(OSError) as caught:
        make()
    assert (caught.value.errno, sock.closed, sock.written) == (number, True, b"")


def test_connect_that_fails_at_once(network):
    make, sock, _ = opened(network, "client")

    def refuse(address):
        raise OSError(errno.ENETUNREACH, "no network")

    sock.connect = refuse
    with pytest.raises(OSError) as caught:
        make()
    assert (caught.value.errno, sock.closed) == (errno.ENETUNREACH, True)


def test_messages_that_come_with_the_handshake_are_not_lost(network):
    # The client here asks and speaks in one segment.
    data = request() + frame(TEXT, b"early", True)
    network.sockets.append(MockListener([MockSocket(network, Peer("server"), data)]))
    assert network.listen("0.0.0.0", 0).accept().recv() == "early"


@BLOCKING
def test_listener_closes_alone(network):
    make, sock, _ = opened(network, "server", frame(TEXT, b"goes on", True))
    ws = make()
    network.sockets.append(mock := MockListener([]))
    with network.listen("0.0.0.0", 0) as listener:
        assert listener.port == 54321
    assert mock.closed
    assert not sock.closed
    assert ws.recv() == "goes on"


@SIDES
def test_a_frame_leaves_at_once(network, side):
    make, sock, _ = opened(network, side)
    make()
    assert sock.options == {(socket.IPPROTO_TCP, socket.TCP_NODELAY): 1}


def test_a_port_is_free_again_as_soon_as_its_server_is_gone(network):
    network.sockets.append(mock := MockListener([]))
    network.listen("0.0.0.0", 0)
    assert mock.options == {(socket.SOL_SOCKET, socket.SO_REUSEADDR): 1}


# RFC 9110 §5.5: no control character but TAB, and of those DEL is one.
CONTROLS = sorted({*range(32), 127} - {9, 10, 13})


@pytest.mark.parametrize("front", ["blocking"])  # which of them it is, is nothing to a head
@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_character_in_a_header_field(network, control):
    field = b"X: a" + bytes([control]) + b"b"

    def answer(sock):
        if not sock.ended:
            head = response(bytes(sock.written))
            sock.say(head[:-2] + field + b"\r\n\r\n")
            sock.end()

    network.sockets.append(sock := MockSocket(network, answer))
    with pytest.raises(HandshakeError, match="control character"):
        network.connect("ws://192.0.2.1/")
    assert sock.closed
    sock = MockSocket(network, lambda sock: sock.end(), request(field.decode()))
    network.sockets.append(MockListener([sock]))
    with pytest.raises(Timeout):
        network.listen("0.0.0.0", 0).accept(1)
    assert sock.written.startswith(b"HTTP/1.1 400 ")
    with pytest.raises(ValueError, match="malformed header"):
        network.connect("ws://192.0.2.1/", headers=[("X", "a" + chr(control) + "b")])


@SIDES
def test_other_bytes_in_a_header_field_mean_nothing(network, side):
    field = "X: \t~ é"

    def answer(sock):
        if not sock.incoming:
            head = response(bytes(sock.written))
            sock.say(head[:-2] + field.encode() + b"\r\n\r\n")

    if side == "client":
        network.sockets.append(MockSocket(network, answer))
        ws = network.connect("ws://192.0.2.1/", headers=[("X", "\t~ é")])
    else:
        network.sockets.append(MockListener([MockSocket(network, None, request(field))]))
        ws = network.listen("0.0.0.0", 0).accept(1)
    assert ws.close_code is None


@SIDES
@pytest.mark.parametrize("size", [20, 400, 15000])
@pytest.mark.parametrize("part", ["nothing", "header", "half"])
def test_the_buffer_is_the_callers_again_after_a_timeout(network, side, size, part):
    """Nothing holds it, nothing is written to it any more, and nothing is read from it."""
    message = bytes(range(1, 251)) * 60
    data = frame(BINARY, message[:size], side == "server")
    cut = {"nothing": 0, "header": 2, "half": len(data) - size // 2}[part]
    make, sock, _ = opened(network, side, data[:cut])
    ws = make()
    buffer = bytearray(size)
    with pytest.raises(Timeout):
        ws.recv_into(buffer, 0.1)
    buffer += b"more"  # BufferError where a view of it is kept
    buffer[:] = before = bytes(len(buffer))
    sock.say(data[cut:] + frame(BINARY, b"next", side == "server"))
    assert ws.recv() == message[:size]
    assert ws.recv() == b"next"
    assert buffer == before


class Lingering(MockSocket):
    """A peer that ends TCP a while after this side wrote its last, and sends until then."""

    later = b""
    came = None  # what was written before that

    def ready(self, direction):
        left = self.came is not None and len(self.written) > self.came
        if direction == select.POLLIN and left and not self.ended:
            self.network.clock += 100
            self.say(self.later)
            self.end()
        return super().ready(direction)

    def close(self):
        self.unread = len(self.incoming)
        super().close()


LAST = {
    # What this side sends last; the peer's next bytes would make TCP reset it, if it were closed.
    "of a broken rule": (frame(3), frame(3, b"", True)),
    "of a message too big": (frame(BINARY, BIG), frame(BINARY, BIG, True)),
}


@SIDES
@pytest.mark.parametrize("last", LAST)
def test_what_it_says_last_is_read_before_tcp_ends(network, side, last):
    peer = Peer(side, answers=False)
    sock = Lingering(network, peer, request() if side == "server" else b"")
    if side == "client":
        network.sockets.append(sock)
        ws = network.connect("ws://192.0.2.1/", max_size=100)
    else:
        network.sockets.append(MockListener([sock]))
        ws = network.listen("0.0.0.0", 0, max_size=100).accept(1)
    sock.came = len(sock.written)
    sock.later = frame(TEXT, b"x" * 90, side == "server") * 50
    sock.say(LAST[last][side == "server"])
    with pytest.raises(ProtocolError):
        ws.recv()
    assert sock.closed
    assert (sock.unread, sock.ends_read) == (0, 1)
    assert [opcode for opcode, _, _ in peer.found(sock)] == [CLOSE]


def test_who_is_refused_reads_why_before_tcp_ends(network):
    sock = Lingering(network, None, request("Content-Length: 5000"))
    sock.came = 0
    sock.later = b"x" * 5000
    network.sockets.append(MockListener([sock]))
    with pytest.raises(Timeout):
        network.listen("0.0.0.0", 0).accept(20)
    assert sock.written.startswith(b"HTTP/1.1 400 ")
    assert sock.closed
    assert (sock.unread, sock.ends_read) == (0, 1)


@pytest.mark.parametrize("closes", ["client", "server"])
def test_the_server_ends_tcp_first(network, closes):
    """RFC 6455 §7.1.1: so a client waits for it, whoever of them closes."""
    peer = Peer("client", answers=False)
    sock = Lingering(network, peer)
    network.sockets.append(sock)
    ws = network.connect("ws://192.0.2.1/")
    sock.say(close_frame(1000))
    sock.came = len(sock.written)
    if closes == "client":
        ws.close()
    else:
        with pytest.raises(ConnectionClosed):
            ws.recv()
    assert (ws.close_code, sock.closed, sock.ends_read) == (1000, True, 1)


@SIDES
@pytest.mark.parametrize("front", ["asyncio"])
@pytest.mark.parametrize("cut", [20, 200, len(BIG)])
def test_a_call_that_gives_up_as_the_peer_hangs_up_leaves_the_message(network, side, cut):
    data = frame(BINARY, BIG, side == "server")
    make, sock, _ = opened(network, side, data[:cut])
    ws = make()

    async def give_up():
        receiving = asyncio.ensure_future(ws._ws.recv_into(bytearray(len(BIG))))
        await asyncio.sleep(0.1)
        sock.say(data[cut:])
        ws._ws._hung_up = True  # as poll() told MicroPython
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        assert receiving.cancelled()
        return await ws._ws.recv()

    assert network.run(give_up) == BIG


@SIDES
@pytest.mark.parametrize("front", ["asyncio"])
@pytest.mark.parametrize("cut", [1, 3, 20, 200, len(BIG)])
@pytest.mark.parametrize("into", [False, True])
def test_a_message_half_received_when_this_side_closes_is_dropped(network, side, cut, into):
    data = frame(BINARY, BIG, side == "server")
    make, sock, peer = opened(network, side, data[:cut])
    ws = make()

    def rest(sock):
        if peer.found(sock):
            sock.peer = None
            sock.say(data[cut:] + frame(TEXT, b"late", side == "server"))
            sock.say(close_frame(1000, "", side == "server"))
            sock.end()

    sock.peer = rest

    async def receive():
        return await (ws._ws.recv_into(bytearray(len(BIG))) if into else ws._ws.recv())

    async def both():
        receiving = asyncio.ensure_future(receive())
        await asyncio.sleep(0.1)
        await ws._ws.close()
        return await receiving

    with pytest.raises(ConnectionClosed):
        network.run(both)
    assert (ws.close_code, sock.closed) == (1000, True)


@SIDES
def test_a_peer_that_takes_no_answers_may_still_speak(network, side):
    make, sock, peer = opened(network, side)
    ws = make()
    sock.full = True
    masked = side == "server"
    sock.say(frame(PING, b"first", masked) + frame(TEXT, b"said", masked))
    sock.say(frame(PING, b"second", masked) + frame(TEXT, b"more", masked))
    assert [ws.recv(), ws.recv()] == ["said", "more"]
    assert peer.found(sock) == []
    sock.full = False
    sock.say(frame(TEXT, b"last", masked))
    assert ws.recv() == "last"
    with pytest.raises(Timeout):
        ws.recv(0.1)
    # §5.5.3: a Pong for the most recent Ping is enough.
    assert peer.found(sock)[-1] == (PONG, 1, b"second")


def heads():
    """Requests that may end anywhere, and whether they have, or have a line that ends wrongly."""
    for ending in map(bytes, itertools.product(b"\r\nx", repeat=5)):
        head = b"GET / HTTP/1.1\r\nHost: here" + ending
        until = head.find(b"\r\n\r\n")
        alone = re.search(rb"(?<!\r)\n", head[:until] if until >= 0 else head)
        yield head, until >= 0, bool(alone)


@pytest.mark.parametrize("step", [1, 1 << 30])
def test_a_head_ends_at_an_empty_line_or_where_a_line_ends_in_lf_alone(networks, step):
    for (head, is_whole, is_wrong), network in zip(heads(), networks, strict=False):
        sock = MockSocket(network, None, head, step)
        network.sockets.append(MockListener([sock]))
        with pytest.raises(Timeout):
            network.listen("0.0.0.0", 0, handshake_timeout=1).accept(5)
        assert sock.closed
        assert sock.written.startswith(b"HTTP/1.1 4" if is_whole or is_wrong else b"")
        assert bool(sock.written) == (is_whole or is_wrong), head
        assert (b"LF" in sock.written) >= is_wrong


@SIDES
@pytest.mark.parametrize("step", [1, 7, 1 << 30])
def test_the_bounds_of_a_head_are_exact(networks, side, step):
    asked = request("X: y")

    def connection(network, **bounds):
        make, sock, _ = opened(network, side, step=step, **bounds)
        if side == "server":
            sock.incoming[:] = asked
        return make, sock

    network = next(networks)
    make, sock = connection(network)
    make()
    head = asked if side == "server" else response(bytes(sock.written))
    for bounds in ({"max_header": len(head)}, {"max_fields": head.count(b"\r\n") - 2}):
        make, _ = connection(next(networks), **bounds)
        make()
        [(name, bound)] = bounds.items()
        make, sock = connection(next(networks), **{name: bound - 1})
        with pytest.raises(HandshakeError if side == "client" else Timeout):
            make()
        assert sock.closed
        if side == "server":
            assert sock.written.startswith(b"HTTP/1.1 431 ")


VISIBLE = bytes(range(33, 127)).decode()


def test_a_client_sends_every_visible_character_of_a_url(network):
    path = "/" + VISIBLE.replace("#", "")  # which ends it
    network.sockets.append(sock := MockSocket(network, Peer("client")))
    network.connect("ws://192.0.2.1" + path)
    assert sock.written.startswith(f"GET {path} HTTP/1.1\r\n".encode())


# What only the asyncio front has

ASYNCIO = pytest.mark.parametrize("front", ["asyncio"])


def served(network, socks, **options):
    """A server that these come to, all of them open."""
    network.sockets.append(MockListener(socks))
    listener = network.listen("0.0.0.0", 0, **options)
    for _ in socks:
        listener.accept(5)
    return listener.server


def clients(network, count, **options):
    return [MockSocket(network, Peer("server"), request(), **options) for _ in range(count)]


@ASYNCIO
def test_a_silent_peer_is_pinged_and_then_lost(network):
    make, sock, peer = opened(network, "client", keepalive_timeout=40)
    ws = make()
    start = network.clock
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv()
    assert caught.value.code == 1006
    assert 40000 <= network.clock - start <= 50000  # by the mock's clock
    assert peer.found(sock) == [(PING, 1, b"")] * 2
    assert sock.closed


@ASYNCIO
def test_a_peer_that_answers_pings_stays(network):
    make, sock, _ = opened(network, "client", keepalive_timeout=40)
    ws = make()
    pings = 0

    def answer(sock):
        nonlocal pings
        pings += 1
        sock.say(frame(PONG) if pings < 20 else frame(TEXT, b"at last"))

    sock.peer = answer
    assert ws.recv() == "at last"
    assert ws.pongs == 19


@ASYNCIO
def test_a_client_is_one_as_soon_as_its_handshake_is_done(network):
    """Else it would miss what another says meanwhile, which its own program may have seen sent."""
    seen = []

    def look(sock):
        if sock.written.endswith(b"\r\n\r\n"):
            # Before anything else that the loop has to do.
            asyncio.get_running_loop().call_soon(lambda: seen.append(len(listener.server.clients)))

    network.sockets.append(MockListener([MockSocket(network, look, request())]))
    listener = network.listen("0.0.0.0", 0)
    listener.accept(5)
    assert seen == [1]


@ASYNCIO
@pytest.mark.parametrize("step", [1, 7, 1 << 30])
@pytest.mark.parametrize("blocks", [False, True])
def test_broadcasts_come_whole_and_in_order(network, step, blocks):
    faults = dict.fromkeys(range(0, 4000, 2), errno.EAGAIN) if blocks else {}
    socks = clients(network, 3, step=step, faults=faults)
    server = served(network, socks)
    broadcasts = [b"1" * 300, b"2", b"3" * 100]

    async def send():
        for message in broadcasts:
            assert server.broadcast(message) == 3
        await asyncio.sleep(10)

    network.run(send)
    for sock in socks:
        assert sock.peer.found(sock) == [(BINARY, 1, message) for message in broadcasts]


@ASYNCIO
@pytest.mark.parametrize(
    ("slow", "max_backlog", "kept"),
    [("drop", 202, [b"8", b"9"]), ("drop", 201, [b"9"]), ("close", 300, [])],
)
def test_who_is_too_slow_for_broadcasts(network, slow, max_backlog, kept):
    quick, late = socks = clients(network, 2)
    server = served(network, socks, slow=slow, max_backlog=max_backlog)
    [ws] = [ws for ws in server.clients if ws._sock.socket is late]
    late.full = True

    async def send():
        for i in range(10):
            server.broadcast(b"%d" % i + bytes(98))  # a frame of 101 bytes
            await asyncio.sleep(0.1)
        late.full = False
        await asyncio.sleep(10)

    network.run(send)
    assert [message[:1] for _, _, message in quick.peer.found(quick)] == [
        b"%d" % i for i in range(10)
    ]
    found = late.peer.found(late)
    messages = [message[:1] for opcode, _, message in found if opcode == BINARY]
    # The first one is half-way. Where one that is missing ends it, none follows.
    assert messages == [b"0", *kept]
    if slow == "drop":
        assert (ws.dropped, late.closed) == (9 - len(kept), False)
    else:
        assert (found[-1][0], found[-1][2][:2]) == (CLOSE, (1008).to_bytes(2, "big"))
        assert (ws.dropped, late.closed) == (1, True)


@ASYNCIO
@pytest.mark.parametrize("count", [1, 2])
def test_a_server_that_closes_says_that_it_goes_away_and_waits_for_its_handlers(network, count):
    socks = clients(network, count)
    network.sockets.append(mock := MockListener(socks))
    listener = network.listen("0.0.0.0", 0)
    for _ in socks:
        listener.accept(5)

    async def close():
        waiting = asyncio.ensure_future(listener.server.wait_closed())
        await asyncio.sleep(1)
        listener.server.close()
        await asyncio.sleep(1)
        assert not waiting.done()  # the handlers have not returned
        listener.leave()
        await waiting

    network.run(close)
    assert mock.closed
    for sock in socks:
        assert sock.closed
        assert sock.peer.found(sock) == [(CLOSE, 1, b"\x03\xe9")]


@ASYNCIO
def test_no_more_clients_than_max_clients_though_answers_are_on_their_way(network):
    first, second = clients(network, 2)
    first.full = True
    network.sockets.append(MockListener([first, second]))
    listener = network.listen("0.0.0.0", 0, max_clients=1)

    async def wait():
        await asyncio.sleep(1)
        first.full = False

    network.run(wait)
    assert listener.accept(1).close_code is None
    assert second.written.startswith(b"HTTP/1.1 503 ")
    assert first.written.startswith(b"HTTP/1.1 101 ")
