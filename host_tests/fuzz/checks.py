"""What must hold whatever a peer sends: each check takes any bytes and raises where it does not.

The bytes are read as a script: how this side is set up, what the peer sends, what this side does
meanwhile. A script is played twice, the peer's bytes cut in two ways; both must come to the same.
"""

import base64
import hashlib
import re
import zlib

from microws import handshake
from microws.errors import ConnectionClosed, HandshakeError, ProtocolError, WebSocketError
from microws.frames import close_code_allowed
from microws.handshake import ClientHandshake
from microws.permessage_deflate import _TAIL, Deflate
from microws.protocol import Protocol
from microws.upgrade import ServerHandshake

from host_tests.support.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    accept_key,
    frame,
    frames,
    request,
    switching_protocols,
)

# The numbers of protocol.py, which keeps them to itself.
CONNECTING, OPEN, CLOSING, CLOSED = range(4)
NOTHING, MESSAGE, PIECE, OPENED, ENDED = range(5)

NONCE = bytes(range(16))
SUBPROTOCOLS = ("b", "a")
MAX_SIZE = 400
MAX_FRAGMENTS = 12
MAX_HEADER = 600
WRITE_SIZE = 300
LIMITS = {"max_size": MAX_SIZE, "max_fragments": MAX_FRAGMENTS, "write_size": WRITE_SIZE}

TO_SERVER = request()
TO_CLIENT = switching_protocols(accept_key(base64.b64encode(NONCE)))


def packed(data):
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


# What a script names by a number
OPCODES = (0, 0, 0, TEXT, TEXT, TEXT, BINARY, BINARY, CLOSE, PING, PING, PONG, TEXT, BINARY, 0, 3)
LENGTHS = (0, 1, 2, 3, 7, 60, 123, 125, 126, 127, 131, 140, 200, 399, 400, 401)
CHARACTERS = "aé€😀".encode()
PAYLOADS = (
    b"plain ASCII text ",
    CHARACTERS,
    CHARACTERS[1:],
    b"\xf4\x8f\xbf\xbf\xed\x9f\xbf",
    bytes(range(256)),
    b"\x03\xe8" + CHARACTERS,
)
PACKED = [
    packed(data)
    for data in (
        b"",
        b"x",
        CHARACTERS * 10,
        CHARACTERS * 10 + b"\xe2\x82",
        bytes(MAX_SIZE),
        bytes(MAX_SIZE + 1),
        bytes(20000),
        bytes(range(256)),
    )
]
# What this side sends; it does not become smaller.
NOISE = b"".join(hashlib.sha1(bytes([i])).digest() for i in range(256))


class Source:
    """The bytes of a script, one at a time; zeros follow the last."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n : self.at]

    def left(self):
        return self.at < len(self.data)


class Script:
    """What ``data`` tells: how to set up, the peer's bytes, and acts of this side at places."""

    def __init__(self, data, begin):
        source = Source(data)
        setup = source.byte()
        self.client = bool(setup & 1)
        self.deflate = (0, 9, 15, 15)[setup >> 1 & 3]
        self.mode = setup >> 3 & 3
        self.late = bool(setup & 32)  # nothing is written before it has to be
        self.read_size = 131 + (setup >> 6) * 43
        self.step = source.byte() % 200 + 1
        self.stream = bytearray()
        self.acts = []
        begin(self, source)

    def random_frames(self, source):
        for _ in range(40):
            if not source.left():
                break
            kind = source.byte()
            if kind & 15 == 10:
                self.stream += source.take(kind >> 4)
            elif kind & 15 > 10:
                self.acts.append((len(self.stream), kind & 15, source.byte()))
            else:
                self.random_frame(kind, source)

    def random_frame(self, kind, source):
        flags = source.byte()
        n = LENGTHS[kind >> 4]
        what = source.byte()
        rsv = 4 if flags & 32 and self.deflate else 0
        if rsv and what & 1:
            payload = PACKED[what >> 1 & 7]
        elif what & 1:
            pattern = PAYLOADS[(what >> 1) % len(PAYLOADS)]
            payload = (pattern * (n // len(pattern) + 1))[:n]
        else:
            pattern = source.take(what >> 1 & 15)
            payload = (pattern * (n // len(pattern) + 1))[:n] if pattern else bytes(n)
        masked = self.client == (flags & 0xC0 == 0xC0)
        self.stream += frame(OPCODES[flags & 15], payload, masked, not flags & 16, rsv)


class Player:
    """One side of a connection that plays a script, and looks after each step that all is well."""

    def __init__(self, script, handshake_, write):
        self.client = script.client
        self.late = script.late
        self.write = write
        self.p = Protocol(
            handshake_, script.client, max_header=MAX_HEADER, read_size=script.read_size, **LIMITS
        )
        self.messages = []
        self.pieces = []
        self.sent = bytearray()
        self.receive(script.mode)

    # What a front does

    def receive(self, mode):
        self.mode = mode
        self.room = (0, 300, 7, 150)[mode]
        target = bytearray(self.room) if mode else None
        event = self.p.receive_into(target, mode > 1)
        if event == PIECE:
            self.handle(event, MAX_SIZE)  # what came before the change to pieces goes as one

    def handle(self, event, most=0):
        p = self.p
        part = bytes(p.data[p.start : p.stop])
        assert 0 <= p.start <= p.stop <= len(p.data)
        if p.opcode == TEXT:
            part.decode()
        else:
            assert p.opcode == BINARY
        self.pieces.append(part)
        if event == PIECE:
            assert self.mode > 1
            assert len(part) <= (most or self.room)
            p.next_piece()
        else:
            message = b"".join(self.pieces)
            assert self.mode > 1 or len(message) <= (self.room or MAX_SIZE)
            self.messages.append((p.opcode, message))
            self.pieces = []
            p.release()
            self.receive(self.mode)

    def parse(self):
        p = self.p
        while True:
            event = p.parse()
            self.look()
            if not self.late:
                self.drain()
            if event in (MESSAGE, PIECE):
                self.handle(event)
            elif event == OPENED:
                assert p.state not in (CLOSED, CONNECTING)
            else:
                assert event in (NOTHING, ENDED)
                assert (event == ENDED) == (p.state == CLOSED)
                return

    def feed(self, data):
        p = self.p
        while data and p.state != CLOSED:
            buffer = p.get_buffer()
            n = min(p.read_size, len(data))
            assert 0 < n <= len(buffer)
            memoryview(buffer)[:n] = data[:n]
            data = data[n:]
            p.buffer_updated(n)
            self.parse()

    def drain(self):
        p = self.p
        while p.data_to_send():
            n = min(self.write, p.tx_end - p.tx_start)
            assert n > 0
            self.sent += p.tx[p.tx_start : p.tx_start + n]
            p.sent(n)

    def act(self, kind, argument):
        p = self.p
        if kind == 11:
            if self.mode > 1:
                self.pieces = []
            self.receive(argument & 3)
        elif kind == 15:
            if argument & 3 == 0 and p.state != CLOSED:
                p.get_buffer()
                p.buffer_updated(0)
                self.parse()
        else:
            self.drain()  # a front sends one thing at a time
            try:
                if kind == 12:
                    p.send_message(BINARY, NOISE[: LENGTHS[argument & 15] * (argument >> 5)])
                elif kind == 13:
                    p.ping(bytes(min(argument, 125)))
                elif argument & 1:
                    p.close(3000 + argument, "é" * (argument >> 3))
            except WebSocketError:
                assert p.state != OPEN
            if not self.late:
                self.drain()
        self.look()

    # What must hold

    def look(self):
        p = self.p
        assert 0 <= p._rx_start <= p._rx_end <= len(p._rx)
        assert 0 <= p.tx_start <= p.tx_end <= len(p.tx)
        # Enough for the handshake's answer, and not more than a few small frames beside a message.
        assert len(p.tx) <= 1024
        assert len(p._later) <= 4
        if p.data is not None and p.data is not p._rx:
            assert len(p.data) <= max(MAX_SIZE + 1, self.room)
        if p._collected is not None:
            assert p._collected.tell() <= MAX_SIZE
        if p._inflater is not None:
            assert len(p._inflater._rest) <= MAX_SIZE + len(_TAIL)
        if p._head is not None:
            assert len(p._head) <= MAX_HEADER

    def result(self):
        p = self.p
        self.drain()
        error = None
        if p.state == CLOSED:
            error = p.closed_error()
            assert type(error) in (HandshakeError, ProtocolError, ConnectionClosed)
            if isinstance(error, ProtocolError):
                assert error.code in (1002, 1007, 1008, 1009)
                assert p.close_code == 1006 or p.client is None
            elif isinstance(error, ConnectionClosed):
                assert error.code in (1005, 1006) or close_code_allowed(error.code)
            assert p.data is None
        return error


def play(script, make_handshake, cuts, write):
    player = Player(script, make_handshake(), write)
    acts = iter([*script.acts, (len(script.stream), 0, 0)])
    place, kind, argument = next(acts)
    at = 0
    for end in cuts:
        player.feed(script.stream[at:end])
        at = end
        while at == place:
            if kind == 0:
                break
            player.act(kind, argument)
            place, kind, argument = next(acts)
    error = player.result()
    head, body = b"", bytes(player.sent)
    if isinstance(error, HandshakeError) and not script.client:
        return (head + body, error.status, error.reason)
    if player.p.state != CONNECTING or script.client:
        head, empty_line, body = body.partition(b"\r\n\r\n")
        assert empty_line
    elif body:
        raise AssertionError("an answer before the question is complete")
    replies, masked = frames(body)
    assert not replies or masked == script.client
    closes = [i for i, (opcode, _, _) in enumerate(replies) if opcode == CLOSE]
    assert closes in ([], [len(replies) - 1]), "something after Close"
    pongs = [payload for opcode, _, payload in replies if opcode == PONG]
    others = [
        # A reason may name a number, the code is what counts.
        (opcode, payload[:2] if opcode == CLOSE else payload)
        for opcode, _, payload in replies
        if opcode != PONG
    ]
    failure = getattr(error, "code", None), getattr(error, "status", None)
    outcome = (head, player.messages, others, player.p.pongs, failure, type(error))
    return outcome, pongs, player


def same_however_cut(script, make_handshake):
    places = {place for place, _, _ in script.acts} | {len(script.stream)}
    coarse = sorted(places)
    fine = sorted(places.union(range(0, len(script.stream), script.step)))
    a = play(script, make_handshake, coarse, 1 << 30)
    b = play(script, make_handshake, fine, script.step)
    assert a[0] == b[0], (a[0], b[0])
    if len(a) == 3 and len(a[0]) == 6:
        # Of several Pongs that wait only the newest goes out (§5.5.3), so their number may
        # differ; the last Ping that was answered is the same.
        assert a[1][-1:] == b[1][-1:]
    return a


# The checks


def frame_bytes(data):
    """The open connection, either side, with and without compression."""

    def begin(script, source):
        script.stream += b"\r\n\r\n"
        script.random_frames(source)

    script = Script(data, begin)

    class Done:
        """A handshake that is done with an empty line."""

        request = b"\r\n\r\n" if script.client else b""
        extension = Deflate(script.deflate) if script.deflate else None

        def respond(self, head):
            return None if script.client else b"\r\n\r\n"

    same_however_cut(script, Done)


def open_connection(data):
    """As ``frame_bytes``, with the peer's bytes as they come."""

    def begin(script, source):
        script.stream += b"\r\n\r\n" + source.take(len(data))

    script = Script(data, begin)

    class Done:
        request = b"\r\n\r\n" if script.client else b""
        extension = Deflate(script.deflate) if script.deflate else None

        def respond(self, head):
            return None if script.client else b"\r\n\r\n"

    same_however_cut(script, Done)


def server_handshake(data):
    """Any bytes as a request, frames behind it among them."""

    def begin(script, source):
        script.client = False
        script.stream += source.take(len(data))

    script = Script(data, begin)

    def make_handshake():
        return ServerHandshake(SUBPROTOCOLS, Deflate(script.deflate) if script.deflate else None)

    result = same_however_cut(script, make_handshake)
    head = result[0] if isinstance(result[0], bytes) else result[0][0]
    if head:
        lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
        status = re.fullmatch(rb"HTTP/1\.1 ([1-5]\d\d) [A-Z][A-Za-z ]+", lines[0])
        assert status, lines[0]
        for line in lines[1:]:
            assert re.fullmatch(rb"[A-Za-z-]+: [ -~]+", line), line
        if status[1] == b"101":
            asked = bytes(script.stream).partition(b"\r\n\r\n")[0].lower()
            for needed in (rb"get /|get http", rb"\r\nhost:", rb"\r\nupgrade:.*websocket",
                           rb"\r\nconnection:.*upgrade",
                           rb"\r\nsec-websocket-version:[ \t]*13[ \t]*(\r|$)",
                           rb"\r\nsec-websocket-key:[ \t]*[a-z0-9+/]{22}=="):  # fmt: skip
                assert re.search(needed, asked), needed


def client_handshake(data):
    """Any bytes as a response, frames behind it among them."""

    def begin(script, source):
        script.client = True
        script.stream += source.take(len(data))

    script = Script(data, begin)

    def make_handshake():
        extension = Deflate(script.deflate) if script.deflate else None
        return ClientHandshake("ws://here/path", (), SUBPROTOCOLS, extension)

    handshake.urandom = lambda n: NONCE[:n]
    result = same_however_cut(script, make_handshake)
    if result[2].p.state != CONNECTING and result[0][5] is not HandshakeError:
        answer = bytes(script.stream).partition(b"\r\n\r\n")[0]
        assert re.match(rb"HTTP/1\.[1-9] 101[ \r]", answer)
        assert TO_CLIENT.split(b"\r\n")[3].partition(b": ")[2] in answer


CHECKS = {
    check.__name__: check
    for check in (server_handshake, client_handshake, open_connection, frame_bytes)
}
