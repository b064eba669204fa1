"""The mqtt role by itself, with a broker in the troubles that real ones have only now and then.

It speaks MQTT through the websockets package, as far as each test needs it.
"""

import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from host_tests.deploy import virtual
from host_tests.deploy.serial_port import HEAP
from host_tests.firmware.test_roles import Server
from host_tests.support.interpreters import Interpreter, environment

# The role with short patience and a die that never waits; `lines` is its log.
BEGIN = """
import asyncio, json, sys
from firmware import modules
modules.load_role("mqtt")
from firmware import mqtt, mqtt_session, net
from firmware.settings import defaults
from microws import reconnecting

class Die:
    def uniform(self, least, bound):
        return 0.01

reconnecting.random = Die()
reconnecting._SHORTEST = 0.01
count = -1

def read():
    global count
    count += 1
    return count

def run(**given):
    settings = defaults()
    settings.update({"role": "mqtt", "hostname": "shed", "sample_interval": 0.05})
    settings.update(given)
    net.start(settings)
    asyncio.run(mqtt.run(settings, read))
"""
CONNECTED = b"\x20\x02\x00\x00"
SUBSCRIBED = b"\x90\x03%s\x00"


class Peer:
    """One connection of the board's: its packets one by one."""

    def __init__(self, connection):
        self.connection = connection
        self.sizes = []  # of the messages of the WebSocket
        self._data = b""

    def packet(self):
        """The next packet: its first byte and its body."""
        while True:
            data = self._data
            length = at = 0
            for at in range(1, len(data)):
                length |= (data[at] & 0x7F) << 7 * (at - 1)
                if data[at] < 0x80:
                    if len(data) > at + length:
                        self._data = data[at + 1 + length :]
                        return data[0], data[at + 1 : at + 1 + length]
                    break
            message = self.connection.recv()
            assert isinstance(message, bytes)
            self.sizes.append(len(message))
            self._data += message

    def publish(self):
        """The next PUBLISH: topic, payload, packet identifier, DUP."""
        while True:
            first, body = self.packet()
            if first & 0xF0 == 0x30:
                assert first & 6 == 2
                end = 2 + int.from_bytes(body[:2], "big")
                topic = body[2:end].decode()
                return topic, body[end + 2 :].decode(), body[end : end + 2], bool(first & 8)

    def send(self, *packets):
        self.connection.send(b"".join(packets))

    def acknowledge(self, packet_id):
        self.send(b"\x40\x02" + packet_id)

    def welcome(self):
        """CONNECT, SUBSCRIBE and the status, each taken as it should be; the body of CONNECT."""
        first, connect = self.packet()
        assert first == 0x10
        self.send(CONNECTED)
        first, body = self.packet()
        assert first == 0x82
        self.send(SUBSCRIBED % body[:2])
        while True:
            topic, payload, packet_id, _ = self.publish()
            self.acknowledge(packet_id)
            if topic.endswith("/status"):
                assert payload == "online"
                return connect


@pytest.fixture(params=["cpython", "micropython32"])
def board(request, start, tmp_path):
    """`board(handler..., code="", settings)`: each connection is given to the next handler.

    The process of the board; the errors of handlers fail the test at its end.
    """
    with contextlib.ExitStack() as stack:
        errors = []

        def make(*handlers, code="", **settings):
            left = list(handlers)

            def handle(connection):
                handler = left.pop(0) if len(left) > 1 else left[0]
                try:
                    handler(Peer(connection))
                except Exception as error:
                    if not isinstance(error, ConnectionClosed):
                        errors.append(error)

            server = stack.enter_context(Server(handle, subprotocols=["mqtt"]))
            given = json.dumps({"url": server.url, **settings})
            env = environment(virtual.START.parent)
            script = f"{BEGIN}\n{code}\nrun(**json.loads({given!r}))"
            # What it has beside the program, in place of hardware, takes memory of its own.
            heap = ("-X", f"heapsize={HEAP['32']}") if request.param == "micropython32" else ()
            command = Interpreter(request.param, *heap).command("-c", script)
            process = start(command, env=env, cwd=tmp_path)
            stack.callback(process.stop)
            return process

        yield make
    assert errors == []


def forever(peer):
    """Take and acknowledge all that comes."""
    peer.welcome()
    while True:
        peer.acknowledge(peer.publish()[2])


def test_a_puback_that_does_not_come_ends_the_connection(board):
    seen = []

    def silent(peer):
        connect = peer.welcome()
        assert connect[:10] == b"\x00\x04MQTT\x04\x2e\x00\x28"
        assert connect[10:] == b"\x00\x04shed\x00\x13microws/shed/status\x00\x07offline"
        for _ in range(8):
            seen.append(peer.publish())
        # No more than that is on its way.
        with contextlib.suppress(TimeoutError):
            pytest.fail(f"{peer.connection.recv(timeout=0.2)} came")
        peer.publish()

    def good(peer):
        peer.welcome()
        for before in seen:
            topic, payload, packet_id, dup = peer.publish()
            assert (topic, payload, packet_id, dup) == (*before[:3], True)
            peer.acknowledge(packet_id)
        for number in range(8, 20):
            topic, payload, packet_id, dup = peer.publish()
            assert (topic, payload, dup) == ("microws/shed/pin0", str(number), False)
            peer.acknowledge(packet_id)
        peer.connection.close()

    process = board(
        silent, good, forever, code="mqtt.LEAST_PATIENCE = mqtt_session.LEAST_PATIENCE = 1"
    )
    process.wait_for("no PUBACK for 1 s")
    process.wait_for("waiting, 0 older ones were dropped")
    process.wait_for("closed with code 1000")
    assert [(one[0], one[1], one[3]) for one in seen] == [
        ("microws/shed/pin0", str(number), False) for number in range(8)
    ]


def test_a_slow_broker_is_waited_for_longer_and_longer(board):
    def slow(peer):
        peer.welcome()
        _, payload, packet_id, _ = peer.publish()
        assert payload == "0"
        with contextlib.suppress(TimeoutError):
            while True:
                peer.connection.recv(timeout=2.5)
        peer.acknowledge(packet_id)
        peer.connection.close(1000, "as it should be")

    code = "mqtt.LEAST_PATIENCE = mqtt_session.LEAST_PATIENCE = 1"
    process = board(slow, code=code, sample_interval=3600)
    process.wait_for("no PUBACK for 1 s")
    process.wait_for("as it should be")


def test_packets_cut_anywhere(board):
    def cut(peer):
        peer.packet()
        for byte in CONNECTED:
            peer.send(bytes((byte,)))
        peer.connection.send([b"", b"\x90", b"\x03", b""])  # a message in fragments
        _, body = peer.packet()
        numbers = []
        peer.send(body[:1])
        peer.send(body[1:2], b"\x00\x30\x0b\x00\x03odd")
        peer.send(b"abc", b"def")
        while len(numbers) < 3:
            topic, payload, packet_id, _ = peer.publish()
            peer.acknowledge(packet_id)
            if topic.endswith("pin0"):
                numbers.append(int(payload))
        assert numbers == [0, 1, 2]
        # Each of its packets came as one message, and some as several in one.
        peer.connection.close(1000, "well")

    process = board(cut)
    process.wait_for("well")


ODD = [
    ("text", "not MQTT: a text message"),
    (b"\x82\x00", "not MQTT: a packet that no server sends: 82"),
    (b"\x20\x02\x00\x05", "the broker refuses: not allowed"),
    (b"\x20\x02\x00\x04", 'the broker refuses: "user" or "password" is wrong'),
    (b"\x20\x02\x00\x99", "the broker refuses: code 153"),
    (CONNECTED + b"\x90\x03\xea\x61\x80", "does not let us subscribe"),
    (CONNECTED + b"\x34\x05\x00\x01a\x00\x01", "not MQTT: a PUBLISH at QoS 2"),
]


def test_a_broker_that_says_something_else(board):
    left = [data for data, _ in ODD]

    def odd(peer):
        peer.packet()
        peer.connection.send(left.pop(0))
        while True:
            peer.packet()

    process = board(*[odd] * len(ODD), forever)
    for _, told in ODD:
        process.wait_for(told)
    process.wait_for("the broker knows this board as shed")


def test_a_broker_that_says_nothing(board):
    process = board(
        lambda peer: peer.connection.recv(), forever, code="mqtt_session._CONNECT_PATIENCE = 1"
    )
    process.wait_for("trying again")
    process.wait_for("the broker knows this board as shed")


def test_what_waits_outlives_a_reset_in_a_file(board, tmp_path):
    taken = []

    def refuse(peer):
        peer.connection.close()

    def good(peer):
        peer.welcome()
        while len(taken) < 12:
            _, payload, packet_id, _ = peer.publish()
            taken.append(int(payload))
            peer.acknowledge(packet_id)
        peer.connection.close(1000, "enough")

    code = "from firmware import mqtt_file\nmqtt_file._WAIT = 0\n"
    first = board(refuse, code=code, queue_file="queue.bin")
    first.wait_for("trying again")
    while not (tmp_path / "queue.bin").exists() or (tmp_path / "queue.bin").stat().st_size < 300:
        first.wait_for("trying again")
    first.send_signal(9)
    first.wait()
    code += "count = 1000\n"
    second = board(good, forever, code=code, queue_file="queue.bin")
    line = second.wait_for("messages from before the reset wait in queue.bin")
    kept = int(line.split("] ")[1].split()[0])
    assert kept >= 5
    second.wait_for("enough")
    assert taken[:5] == [0, 1, 2, 3, 4]
    assert taken == list(range(12)) or taken[kept:] == list(range(1001, 1001 + 12 - kept))
