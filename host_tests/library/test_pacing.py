"""Clients that read nothing, on a network as lwIP's: one buffer for all, whose writes block."""

import asyncio
import errno

import pytest
from microws import HandshakeError, Timeout, aio

from host_tests.library.mock_socket import MockListener, MockSocket, Network
from host_tests.support.wire import CLOSE, PING, PONG, TEXT, close_frame, frame, frames, request

SHARE = 1000
PIECE = 1024


class Lwip:
    """What MicroPython's ports for RP2040 and STM32 have for all that is sent and not yet read."""

    size = 8000
    send_buffer = 6400  # bytes of one connection, of which alone poll() knows
    headers = 80  # of each write

    def __init__(self, network):
        self.network = network
        self.used = 0
        self.events = []  # in the order in which they were


class Peer(MockSocket):
    """A client of the server's: it reads what comes at once, or from some time on no more."""

    def __init__(self, lwip, name, incoming, reads=True):
        super().__init__(lwip.network, incoming=incoming)
        self.lwip = lwip
        self.name = name
        self.reads = reads
        self.held = []  # its writes that nobody has read, as what they take
        self.seen = 0  # of what was written
        self.heard = []

    def send(self, data):
        self._call()
        lwip = self.lwip
        n = min(len(data), lwip.send_buffer - sum(self.held))
        if n <= 0:
            raise BlockingIOError(errno.EAGAIN, "its own window is full")
        for _ in range(200):
            if lwip.used + n + lwip.headers <= lwip.size:
                break
            lwip.events.append("blocked")
            self.network.clock += 50
        else:
            raise OSError(errno.ENOMEM, "fault")
        lwip.used += n + lwip.headers
        self.held.append(n)
        self.written += data[:n]
        self.read()
        return n

    def read(self):
        head, end, _ = bytes(self.written).partition(b"\r\n\r\n")
        upgraded = end and b"101 Switching" in head
        if not self.reads and not (end and not self.seen and upgraded):
            return
        self.free()
        if not self.seen:
            self.seen = len(head) + 4
        if upgraded:
            found, _ = frames(bytes(self.written[self.seen :]))
            self.seen = len(self.written)
            for opcode, _, payload in found:
                self.hear(opcode, payload)

    def free(self):
        self.lwip.used -= sum(self.held) + self.lwip.headers * len(self.held)
        self.held = []

    def hear(self, opcode, payload):
        if opcode == PING:
            self.say(frame(PONG, payload, masked=True))
        elif opcode == TEXT:
            self.heard.append(payload)
            if payload.startswith(b"answer"):
                self.lwip.events.append(f"{self.name} has its {payload.decode()}")

    def ready(self, direction):
        if direction == 4:
            return sum(self.held) < self.lwip.send_buffer
        return super().ready(direction)

    def close(self):
        super().close()
        self.free()

    @property
    def unread(self):
        return bytes(self.written[self.seen :])


@pytest.fixture
def lwip(monkeypatch):
    network = Network(monkeypatch, "asyncio")
    network.patience = 200_000
    yield Lwip(network)
    network.end()


def serve(lwip, peers, talk, **options):
    """Serve these peers; ``await talk(server)`` is what the program does meanwhile."""

    async def answer(ws):
        async for message in ws:
            await ws.send("answer to " + message)

    async def run():
        server = await aio.serve(answer, "board", 80, keepalive_timeout=None, **options)
        while len(server.clients) < sum(b"Upgrade" in peer.incoming for peer in peers):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await talk(server)

    lwip.network.sockets.append(MockListener(peers))
    lwip.network.run(run)


def peers_of(lwip, readers, stopped):
    opening = request()
    return [
        *(Peer(lwip, f"reader {i}", opening) for i in range(readers)),
        *(Peer(lwip, f"stopped {i}", opening, reads=False) for i in range(stopped)),
    ]


async def send_and_ask(lwip, server, reader, count=200):
    """Broadcast, and let the reader ask something amid that."""
    for number in range(count):
        server.broadcast(f"{number:05} ".ljust(60, "."))
        if number == count // 2:
            reader.say(frame(TEXT, b"a question", masked=True))
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("stopped", [2, 3])
def test_clients_that_read_nothing_delay_nobody(lwip, stopped):
    peers = peers_of(lwip, 1, stopped)
    serve(
        lwip,
        peers,
        lambda server: send_and_ask(lwip, server, peers[0]),
        max_unacknowledged=SHARE,
    )
    assert lwip.events == ["reader 0 has its answer to a question"]
    numbers = [int(message[:5]) for message in peers[0].heard if message[5:6] == b" "]
    assert numbers == list(range(200))
    for peer in peers[1:]:
        assert 0 < sum(peer.held) + 100 * len(peer.held) <= SHARE + 106  # and the Ping


def test_without_a_share_they_stop_everybody(lwip):
    """That the stand-in does what lwIP does."""
    peers = peers_of(lwip, 1, 2)
    serve(lwip, peers, lambda server: send_and_ask(lwip, server, peers[0]))
    assert lwip.events[0] == "blocked"


def test_who_reads_again_gets_what_waits(lwip):
    peers = peers_of(lwip, 0, 1)

    async def talk(server):
        for number in range(30):
            server.broadcast(f"{number:05}")
        await asyncio.sleep(1)
        (ws,) = server.clients
        assert not ws.dropped
        assert len(frames(peers[0].unread)[0]) < 15
        peers[0].reads = True
        peers[0].read()
        await asyncio.sleep(1)

    serve(lwip, peers, talk, max_unacknowledged=SHARE)
    assert peers[0].heard == [f"{number:05}".encode() for number in range(30)]


def test_a_message_larger_than_the_share_goes_alone_and_whole(lwip):
    peers = peers_of(lwip, 1, 1)
    large = "x" * 3000

    async def talk(server):
        for message in ("first", large, "second", large):
            server.broadcast(message)
            await asyncio.sleep(1)
        server.close()
        await server.wait_closed()

    serve(lwip, peers, talk, max_unacknowledged=SHARE, max_backlog=8000, close_timeout=1)
    assert peers[0].heard == [b"first", large.encode(), b"second", large.encode()]
    found = frames(peers[1].unread)[0]
    # It had no Pong for the Ping that asked for room. At the end all is told that can be.
    assert [opcode for opcode, _, _ in found if opcode != CLOSE] == [TEXT, PING]


def test_a_pong_that_was_not_asked_for_makes_no_room(lwip):
    peers = peers_of(lwip, 0, 1)

    async def talk(server):
        for number in range(100):
            server.broadcast(f"{number:05}")
            peers[0].say(frame(PONG, b"\0\0\0\0", masked=True) + frame(PONG, b"", masked=True))
            await asyncio.sleep(0.01)

    serve(lwip, peers, talk, max_unacknowledged=SHARE)
    assert sum(peers[0].held) + 100 * len(peers[0].held) <= SHARE + 106


def test_an_answer_to_one_client_waits_for_nothing(lwip):
    """A handler that waited for a Pong would not receive it."""
    peers = peers_of(lwip, 0, 1)

    async def talk(server):
        (ws,) = server.clients
        for number in range(300):
            assert server.post(ws, f"{number:05}")
        assert ws.dropped

    serve(lwip, peers, talk, max_unacknowledged=SHARE, max_backlog=1000)


def test_a_client_that_leaves_while_its_turn_is_waited_for(lwip):
    peers = peers_of(lwip, 0, 1)

    async def talk(server):
        for number in range(100):
            server.broadcast(f"{number:05}")
        await asyncio.sleep(0.1)
        peers[0].say(close_frame(1000, masked=True))
        peers[0].end()
        while server.clients:
            await asyncio.sleep(0.1)

    serve(lwip, peers, talk, max_unacknowledged=SHARE)
    assert peers[0].closed


def page(request):
    if request.headers.get("upgrade"):
        return None
    return 200, (), (bytes(PIECE) for _ in range(12))


@pytest.mark.parametrize("others", [0, 1])
def test_a_reader_of_a_page_that_stops_is_ended(lwip, others):
    """By itself, and where it keeps others out; no client is kept from what it says."""
    refused = []
    get = b"GET / HTTP/1.1\r\nHost: board\r\n\r\n"
    client = Peer(lwip, "client", request())
    stopped = Peer(lwip, "stopped", get, reads=False)
    readers = [Peer(lwip, f"reader {i}", get) for i in range(others)]

    async def talk(server):
        while not all(peer.closed for peer in (stopped, *readers)):
            server.broadcast("a value")
            for reader in readers:
                reader.ended = len(reader.written) > 12 * PIECE
            await asyncio.sleep(0.05)
        client.say(frame(TEXT, b"a question", masked=True))
        await asyncio.sleep(0.1)

    serve(
        lwip,
        [client, stopped, *readers],
        talk,
        process_request=page,
        on_refused=lambda ws, error: refused.append(type(error)),
        max_pending=1,
        max_unacknowledged=SHARE,
        handshake_timeout=3600,
    )
    assert len(stopped.written) == lwip.send_buffer
    assert all(len(reader.written) > 12 * PIECE for reader in readers)
    assert refused == [Timeout] + [HandshakeError] * others
    assert lwip.events == ["client has its answer to a question"]
