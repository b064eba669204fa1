"""What must hold whatever a peer sends: each check takes any bytes and raises where it does not.

The bytes are read as a script: how this side is set up, what the peer sends, what this side does
meanwhile. A script is played twice, the peer's bytes cut in two ways; both must come to the same.
"""

import base64
import hashlib
import re
import zlib

import pytest
from microws import client_handshake as connecting
from microws import compression, core
from microws.compression import Deflate
from microws.core import (
    ENDED,
    MESSAGE,
    PIECE,
    READ,
    WRITE,
    Connection,
    close_code_allowed,
    close_payload,
)
from microws.errors import ConnectionClosed, HandshakeError, ProtocolError, WebSocketError

from host_tests.library.front import Openings, Wire
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
        self.has_head = False
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


class Line(Wire):
    """A ``Wire`` that may break: what came is given, and nothing goes out any more."""

    broken = False

    def readinto(self, buffer, n):
        if self.broken and not self.incoming:
            raise OSError("reset")
        return super().readinto(buffer, n)

    def write(self, buffer, at, n):
        if self.broken:
            raise OSError("reset")
        return super().write(buffer, at, n)


class Player:
    """One side of a connection that plays a script, and looks after each step that all is well.

    ``steps`` are those of its opening handshake, None where it is open.
    """

    def __init__(self, script, ws, wire, steps, write):
        self.late = script.late
        self.ws = ws
        self.wire = wire
        wire.most = write
        wire.room = 0 if self.late else None
        self.opening = steps
        self.closing = None
        self.error = None
        self.ended = False
        self.messages = []
        self.pieces = []
        self.receive(script.mode)
        self.run()

    # What a front does

    def receive(self, mode):
        self.mode = mode
        self.room = (0, 300, 7, 150)[mode]
        target = bytearray(self.room) if mode else None
        # What came before the change to pieces goes as one.
        self.most = MAX_SIZE if self.ws._begun else self.room
        self.handle(self.ws._receive_to(target, mode > 1))

    def step(self):
        if self.opening:
            try:
                return next(self.opening)
            except StopIteration:
                self.opening = None
            except (HandshakeError, OSError) as error:
                self.error = error
                if self.ws._client:
                    self.ws._close_socket()  # nobody is to be told
                return ENDED
        if self.closing is None:
            return next(self.ws._receiver)
        try:
            return next(self.closing, ENDED)
        except OSError:
            assert self.wire.broken
            self.ws._close_socket()
            return ENDED

    def run(self):
        """Go on until there is nothing left to read, or to be written."""
        wire = self.wire
        while not self.ended:
            step = self.step()
            self.look()
            self.handle(step)
            if step == WRITE and wire.room == 0:
                break
            if step <= READ and not (wire.incoming or wire.ended or wire.broken):
                break

    def handle(self, step):
        ws = self.ws
        if step == ENDED:
            self.ended = True
            self.finish()
        elif step > WRITE:
            part = ws._data
            if self.mode == 0:
                assert type(part) is (str if ws.is_text else bytes)
                part = part.encode() if ws.is_text else part
            assert 0 <= ws._stop <= len(part)
            part = bytes(part[: ws._stop])
            if ws.is_text:
                part.decode()
            self.pieces.append(part)
            if step == PIECE:
                assert self.mode > 1
                assert len(part) <= self.most
                self.most = self.room
            else:
                assert step == MESSAGE
                message = b"".join(self.pieces)
                assert self.mode > 1 or len(message) <= (self.room or MAX_SIZE)
                self.messages.append((TEXT if ws.is_text else BINARY, message))
                self.pieces = []
                ws._data = ws._target = None
                ws._piecewise = False
                self.receive(self.mode)

    def finish(self):
        """The last steps, as far as they go without waiting."""
        for step in self.ws._receiver:
            if step != WRITE or self.wire.room == 0:
                break

    def feed(self, data):
        self.wire.incoming += data
        self.run()

    def send(self, byte0, payload):
        self.ws._byte0 = byte0
        self.ws._out = payload
        try:
            next(self.ws._sender)
        except (StopIteration, OSError):
            self.ws._mute()
            raise self.ws._closed() from None

    def drain(self):
        """The wire takes all, what waits goes out, and what waited for that goes on."""
        self.wire.room = None
        if self.ended:
            self.finish()
        elif self.ws._busy and not self.ws._closing:
            try:
                while next(self.ws._sender):
                    pass
            except OSError:
                self.ws._mute()
        self.run()
        self.wire.room = 0 if self.late else None

    def act(self, kind, argument):
        ws = self.ws
        if kind == 11:
            if self.closing is None and not self.ended:
                if self.mode > 1:
                    self.pieces = []
                self.receive(argument & 3)
        elif kind == 15:
            self.wire.ended = argument & 3 == 0
            self.wire.broken = argument & 3 == 1
        else:
            self.drain()  # a front sends one thing at a time
            if self.opening is None:
                try:
                    if kind == 12:
                        payload = NOISE[: LENGTHS[argument & 15] * (argument >> 5)]
                        self.send(0x80 | BINARY, payload)
                    elif kind == 13:
                        self.send(0x80 | PING, bytes(min(argument, 125)))
                    elif argument & 1 and not ws._closing:
                        payload = close_payload(3000 + argument, "é" * (argument >> 3))
                        self.closing = ws._close(payload)
                except WebSocketError:
                    assert ws._closing or ws.close_code is not None
        self.run()

    # What must hold

    def look(self):
        assert max(MADE, default=0) <= MAX_SIZE
        MADE.clear()
        assert self.ws._pong is None or len(self.ws._pong) <= 125
        if self.ws._deflate:
            assert len(self.ws._deflate._history) <= 1 << self.ws._deflate._in_bits

    def result(self):
        ws = self.ws
        self.drain()
        error = self.error
        if self.ended and error is None:
            error = ws._closed()
            assert type(error) in (ProtocolError, ConnectionClosed)
            if isinstance(error, ProtocolError):
                assert error.code in (1002, 1007, 1008, 1009)
                assert ws.close_code == 1006
            else:
                assert error.code in (1005, 1006) or close_code_allowed(error.code)
                assert ws.close_code == error.code
            assert ws._data is None
            assert ws._target is None
        return error


# The size of each bytearray that the core made since it was last looked at.
MADE = []


def _counted(*of):
    new = bytearray(*of)
    MADE.append(len(new))
    return new


def play(script, begin, cuts, write):
    player = Player(script, *begin(), write)
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
    sent = bytes(player.wire.sent)
    if player.error and not script.client:
        return sent, getattr(error, "status", None), repr(error)
    head, body = b"", sent
    if script.has_head:
        head, empty_line, body = sent.partition(b"\r\n\r\n")
        if player.opening is not None and not script.client:
            assert sent == b"", "an answer before the question is complete"
        else:
            assert empty_line or player.wire.broken
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
    outcome = (head, player.messages, others, player.ws.pongs, failure, type(error))
    return outcome, pongs, player


def same_however_cut(script, begin):
    places = {place for place, _, _ in script.acts} | {len(script.stream)}
    coarse = sorted(places)
    fine = sorted(places.union(range(0, len(script.stream), script.step)))
    with pytest.MonkeyPatch.context() as patch:
        for module in (core, compression):
            patch.setattr(module, "bytearray", _counted, raising=False)
        a = play(script, begin, coarse, 1 << 30)
        b = play(script, begin, fine, script.step)
    assert a[0] == b[0], (a[0], b[0])
    if len(a[0]) == 6:
        # Of several Pongs that wait only the newest goes out (§5.5.3), so their number may
        # differ; the last Ping that was answered is the same.
        assert a[1][-1:] == b[1][-1:]
    return a


# The checks


def is_open(script):
    """What begins a player whose handshake is done."""
    ws = Connection(script.client, 10, read_size=script.read_size, **LIMITS)
    ws._sock = wire = Line()
    ws._start(0, 0)
    if script.deflate:
        Deflate(script.deflate).begin(ws)
    return ws, wire, None


def frame_bytes(data):
    """The open connection, either side, with and without compression."""

    def begin(script, source):
        script.random_frames(source)

    script = Script(data, begin)
    same_however_cut(script, lambda: is_open(script))


def open_connection(data):
    """As ``frame_bytes``, with the peer's bytes as they come."""

    def begin(script, source):
        script.stream += source.take(len(data))

    script = Script(data, begin)
    same_however_cut(script, lambda: is_open(script))


def handshake(script, make):
    """What ``make(openings, **options)`` begins comes to the same, however it is cut."""
    options = {
        "max_header": MAX_HEADER,
        "limits": {"read_size": script.read_size, **LIMITS},
        "compression": script.deflate or None,
    }

    def begin():
        opening = make(openings, **options)
        return opening.ws, opening.wire, opening.steps

    script.has_head = True
    with pytest.MonkeyPatch.context() as patch:
        openings = Openings(patch.setattr, Line)
        patch.setattr(connecting, "urandom", lambda n: NONCE[:n])
        return same_however_cut(script, begin)


def server_handshake(data):
    """Any bytes as a request, frames behind it among them."""

    def begin(script, source):
        script.client = False
        script.stream += source.take(len(data))

    script = Script(data, begin)
    result = handshake(
        script, lambda openings, **options: openings.server(SUBPROTOCOLS, **options)
    )
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
    result = handshake(
        script,
        lambda openings, **options: openings.client("ws://here/path", (), SUBPROTOCOLS, **options),
    )
    player = result[2]
    if player.opening is None:
        answer = bytes(script.stream).partition(b"\r\n\r\n")[0]
        assert re.match(rb"HTTP/1\.[1-9] 101[ \r]", answer)
        assert TO_CLIENT.split(b"\r\n")[3].partition(b": ")[2] in answer


CHECKS = {
    check.__name__: check
    for check in (server_handshake, client_handshake, open_connection, frame_bytes)
}
