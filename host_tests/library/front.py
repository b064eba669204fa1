"""A front that waits for nothing: it plays the core's generators, fed with bytes."""

import itertools
import types

from microws import client_handshake, server_handshake
from microws.core import ENDED, MESSAGE, PIECE, READ, WRITE, Connection, close_payload
from microws.errors import HandshakeError, ProtocolError

from host_tests.support.wire import BINARY, CLOSE, TEXT, frames

OWN, INTO, PIECEWISE = "own", "into", "piecewise"


class Wire:
    """A socket with MicroPython's face: ``incoming`` is there to be read, then ``ended`` counts.

    A write takes at most ``write`` bytes, and ``room`` of them in all, or, where that is None, any
    number.
    """

    def __init__(self, write=1 << 30):
        self.incoming = b""
        self.ended = False
        self.sent = bytearray()
        self.most = write
        self.room = None
        self.reads = []  # how many bytes each read asked for
        self.writes = 0
        self.closed = False

    def readinto(self, buffer, n):
        assert not self.closed
        assert 0 < n <= len(buffer)
        self.reads.append(n)
        if not self.incoming:
            return 0 if self.ended else None
        n = min(n, len(self.incoming))
        memoryview(buffer)[:n] = self.incoming[:n]
        self.incoming = self.incoming[n:]
        return n

    def write(self, buffer, at, n):
        assert not self.closed
        assert 0 <= at < at + n <= len(buffer)
        n = min(n, self.most)
        if self.room is not None:
            n = min(n, self.room)
            if n == 0:
                return None
            self.room -= n
        self.writes += 1
        self.sent += buffer[at : at + n]
        return n

    def close(self):
        self.closed = True

    def setblocking(self, flag):
        assert flag is False

    def setsockopt(self, level, option, value):
        pass

    def connect(self, address):
        pass


class Opening:
    """The opening handshake, either side, as steps over a ``Wire``."""

    def __init__(self, wire, ws, steps):
        self.wire = wire
        self.ws = ws
        self.steps = steps
        self.is_open = False
        self.error = None

    def feed(self, data=b""):
        """Let ``data`` come, and go on until there is nothing left to read."""
        self.wire.incoming += data
        try:
            for step in self.steps:
                if step == READ and not self.wire.incoming and not self.wire.ended:
                    return
            self.is_open = True
        except HandshakeError as error:
            self.error = error

    def feed_cut(self, data, cuts):
        for at, end in itertools.pairwise([0, *cuts, len(data)]):
            self.feed(data[at:end])
        return self


class Openings:
    """Makes them, once ``replace``, which is as ``setattr()``, has put ``Wire`` in its place."""

    def __init__(self, replace, wire=Wire):
        self.make = wire
        self.wire = None
        for module in (client_handshake, server_handshake):
            replace(module, "adapt", lambda sock: sock)
        replace(client_handshake, "connected", lambda sock: None)
        self._pool = types.SimpleNamespace(
            SOCK_STREAM=1,
            getaddrinfo=lambda *asked: [(2, 1, 6, "", asked[:2])],
            socket=lambda *kind: self.wire,
        )

    def client(
        self,
        url="ws://host",
        headers=(),
        subprotocols=(),
        compression=None,
        max_header=4096,
        max_fields=64,
        limits=(),
    ):
        """One whose request has gone out; the arguments are those of ``microws.connect()``."""
        self.wire = self.make()
        ws = Connection(True, 10, **dict(limits))
        steps = client_handshake.connecting(
            ws,
            url,
            headers,
            compression,
            subprotocols,
            None,
            max_header,
            max_fields,
            self._pool,
        )
        opening = Opening(self.wire, ws, steps)
        opening.feed()
        return opening

    def server(self, *handshake, max_header=4096, max_fields=64, limits=(), **options):
        """One that has heard nothing; the arguments are those of ``ServerHandshake``."""
        wire = self.make()
        ws = Connection(False, 10, **dict(limits))
        handshake = server_handshake.ServerHandshake(*handshake, **options)
        address = ("10.0.0.1", 2)
        return Opening(
            wire,
            ws,
            server_handshake.accepting(ws, wire, address, handshake, None, max_header, max_fields),
        )


class Front:
    """Feeds an open connection, does what its generators ask for, and notes what comes of it.

    ``mode`` and ``room`` say how messages are received, ``write`` bounds one write. The handshake
    has agreed on ``extension``; or it was ``opening``.
    """

    def __init__(
        self, client, mode=OWN, room=8192, write=1 << 30, extension=None, opening=None, **limits
    ):
        if opening:
            assert opening.is_open
            self.wire = opening.wire
            self.wire.sent.clear()
            self.ws = opening.ws
        else:
            self.wire = Wire(write)
            self.ws = Connection(client, 10, **limits)
            self.ws._sock = self.wire
            self.ws._start(0, 0)
            if extension:
                extension.begin(self.ws)
        self.closing = None  # the steps of a close from this side
        self.ended = False
        self.messages = []
        self.pieces = []
        self.flush()
        self.receive(mode, room)

    # Receiving

    def receive(self, mode, room=8192):
        """Begin to receive, or go on, in this mode."""
        self.mode = mode
        self.room = room
        target = None if mode == OWN else bytearray(room)
        self.handle(self.ws._receive_to(target, mode == PIECEWISE))

    def handle(self, step):
        ws = self.ws
        if step == ENDED:
            self.ended = True
            self.finish()
        elif step > WRITE:
            data = ws._data
            if self.mode == OWN:
                assert type(data) is (str if ws.is_text else bytes)
                data = data.encode() if ws.is_text else data
            self.pieces.append(bytes(data[: ws._stop]))
            if step == PIECE:
                assert self.mode == PIECEWISE
            else:
                assert step == MESSAGE
                opcode = TEXT if ws.is_text else BINARY
                self.messages.append((opcode, b"".join(self.pieces), self.pieces))
                self.pieces = []
                ws._target = ws._data = None
                ws._piecewise = False
                self.receive(self.mode, self.room)

    def settle(self):
        """Let both generators take the memory that they keep."""
        self.step()
        self.feed()

    def feed(self, data=b""):
        """Let ``data`` come, and go on until there is nothing left to read; the events."""
        events = []
        self.wire.incoming += data
        while not self.ended:
            step = next(self.closing or self.ws._receiver, ENDED)
            if step > WRITE:
                events.append(step)
            self.handle(step)
            if step <= READ and not self.wire.incoming:
                break
            if step == WRITE and self.wire.room == 0:
                break
        return events

    def feed_cut(self, data, cuts):
        for at, end in itertools.pairwise([0, *cuts, len(data)]):
            self.feed(data[at:end])
        return self

    def end(self):
        """The peer's end of the stream."""
        self.wire.ended = True
        return self.feed()

    def finish(self):
        """The last steps after the end, as far as they go without waiting."""
        for step in self.ws._receiver:
            if step != WRITE or self.wire.room == 0:
                break

    # Sending

    def begin(self, byte0, payload):
        """A frame, sent as far as the wire takes it."""
        self.flush()
        self.ws._byte0 = byte0
        self.ws._out = payload
        self.step()

    def step(self):
        try:
            return next(self.ws._sender)
        except StopIteration:
            self.ws._mute()
            raise self.ws._closed() from None

    def send(self, opcode, payload, fin=True):
        self.begin(0x80 * fin | opcode, payload)
        self.flush()

    def flush(self):
        while self.ws._busy and self.step():
            assert self.wire.room != 0

    def drain(self):
        """The wire takes all again, and what waits goes out."""
        self.wire.room = None
        if self.ended:
            self.finish()
        else:
            self.flush()

    def close(self, code=1000, reason=""):
        """Close, up to where the peer's Close is awaited."""
        payload = close_payload(code, reason)
        if not self.ws._closing:
            self.closing = self.ws._close(payload)
            self.feed()

    # What came of it

    @property
    def sent(self):
        return self.wire.sent

    def error(self):
        return self.ws._closed()

    def replies(self):
        found, masked = frames(bytes(self.sent))
        assert not found or masked == self.ws._client
        return found

    def outcome(self):
        """What a user and a peer see of it."""
        error = self.error() if self.ended else None
        messages = [(opcode, message) for opcode, message, _ in self.messages]
        return messages, self.replies(), self.ws.pongs, repr(error)


def failed(front, code):
    """Whether this side failed the connection with ``code``, and told both sides so."""
    error = front.error()
    *_, (opcode, fin, payload) = front.replies()
    return (
        front.ended
        and isinstance(error, ProtocolError)
        and error.code == code
        and (opcode, fin, payload[:2]) == (CLOSE, 1, code.to_bytes(2, "big"))
        and payload[2:].decode() == error.reason != ""
    )
