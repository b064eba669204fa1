"""Of packets and queues of the mqtt role: what test_mqtt_units.py runs, on any Python.

A line for each test that passed; the first that fails ends it.
"""

import gc
import os

from firmware import mqtt_file
from firmware import mqtt_packets as packets
from firmware.mqtt_queue import LAST_ID, Queue


class Random:
    """The same numbers on every Python."""

    def __init__(self, seed):
        self._state = seed

    def below(self, bound):
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % bound


def read_all(data, size=64, step=0, reader=None):
    """All packets in `data`, fed in steps of so many bytes: (kind, whole, length, what)."""
    reader = reader or packets.Reader(size)
    found = []
    step = step or len(data)
    for start in range(0, len(data), step):
        at = start
        end = min(start + step, len(data))
        while at < end:
            before = at
            at = reader.feed(data, at, end)
            assert at > before
            if reader.kind:
                what = None
                if reader.kind == packets.PUBLISH:
                    what = reader.publish() + (reader.is_retained(),)
                elif reader.kind in (packets.PUBACK, packets.SUBACK):
                    what = reader.packet_id()
                elif reader.kind == packets.CONNACK:
                    what = reader.connack()
                found.append((reader.kind, reader.is_whole, reader.length, what))
    return found


def refusal(data, size=64):
    try:
        read_all(data, size)
    except packets.PacketError as error:
        return str(error)
    raise AssertionError(data)


def publish(topic, payload, packet_id=5, retain=False):
    packet = bytearray(packets.publish_size(topic, payload))
    assert packets.put_publish(packet, 0, topic, payload, packet_id, retain) == len(packet)
    return packet


def test_connect():
    # As the figures of §3.1 have it.
    assert packets.connect(b"ab", 300, b"t", b"off") == (
        b"\x10\x16\x00\x04MQTT\x04\x2e\x01\x2c\x00\x02ab\x00\x01t\x00\x03off"
    )
    assert packets.connect(b"", 0, b"t", b"", b"u", b"pw") == (
        b"\x10\x18\x00\x04MQTT\x04\xee\x00\x00\x00\x00\x00\x01t\x00\x00\x00\x01u\x00\x02pw"
    )
    assert packets.connect(b"", 0, b"t", b"", b"u")[9] == 0xAE
    long = packets.connect(b"c" * 100, 0, b"t" * 100, b"")
    assert long[1:3] == bytes((len(long) - 3 & 0x7F | 0x80, len(long) - 3 >> 7))


def test_subscribe_and_puback():
    assert packets.subscribe(0x1234, b"a/+/set") == b"\x82\x0c\x12\x34\x00\x07a/+/set\x00"
    assert packets.puback(0xFFFE) == b"\x40\x02\xff\xfe"


def test_publish():
    assert publish(b"a/b", b"21.5", 0x0102) == b"\x32\x0b\x00\x03a/b\x01\x0221.5"
    assert publish(b"a", b"", 7, True) == b"\x33\x05\x00\x01a\x00\x07"
    for size in (121, 122, 123, 4000):
        packet = publish(b"t", b"x" * size)
        assert len(packet) == packets.publish_size(b"t", b"x" * size)
        (one,) = read_all(packet, 5000)
        assert one == (packets.PUBLISH, True, size + 5, (b"t", b"x" * size, 5, False))


def test_another_packet_id():
    for size in (1, 500):
        packet = publish(b"topic", b"x" * size, 1)
        packets.put_packet_id(packet, 0x4321)
        assert packet == publish(b"topic", b"x" * size, 0x4321)


STREAM = (
    b"\x20\x02\x01\x00"
    + b"\x90\x03\x00\x09\x00"
    + b"\x31\x06\x00\x03a/bon"
    + b"\x40\x02\x12\x34"
    + b"\xd0\x00"
    + b"\x30\xc8\x01\x00\x04long" + b"x" * 194
    + b"\x32\x05\x00\x01c\x00\x08"
    + b"\x20\x02\x00\x05"
)  # fmt: skip
PACKETS = [
    (packets.CONNACK, True, 2, 0),
    (packets.SUBACK, True, 3, 9),
    (packets.PUBLISH, True, 7, (b"a/b", b"on", 0, True)),
    (packets.PUBACK, True, 2, 0x1234),
    (packets.PINGRESP, True, 0, None),
    (packets.PUBLISH, False, 200, (b"long", b"x" * 58, 0, False)),
    (packets.PUBLISH, True, 5, (b"c", b"", 8, False)),
    (packets.CONNACK, True, 2, 5),
]


def test_packets_cut_anywhere():
    stream = STREAM.replace(b"\x31\x06", b"\x31\x07")
    for step in range(1, 30):
        assert read_all(stream, 64, step) == PACKETS, step


def test_a_topic_that_is_too_large_is_cut():
    data = b"\x30\x66\x00\x60" + b"t" * 96 + b"on\x00\x00"
    assert read_all(data, 10) == [(packets.PUBLISH, False, 102, (b"t" * 8, b"", 0, False))]


def test_what_no_server_sends():
    for first in (0x00, 0x10, 0x21, 0x41, 0x50, 0x82, 0xA2, 0xC0, 0xD1, 0xE0, 0xF0):
        assert "no server sends" in refusal(bytes((first, 0)))
    for data in (b"\x20\x03", b"\x40\x00", b"\xd0\x01"):
        assert "wrong length" in refusal(data)
    assert "four bytes" in refusal(b"\x30\xff\xff\xff\xff\x01")
    assert "cut off" in refusal(b"\x30\x00")
    assert "cut off" in refusal(b"\x30\x01\x00")
    assert "cut off" in refusal(b"\x30\x02\x00\x01")
    assert "cut off" in refusal(b"\x32\x03\x00\x01a")
    assert "QoS 2" in refusal(b"\x34\x05\x00\x01a\x00\x07")
    assert "QoS 3" in refusal(b"\x36\x05\x00\x01a\x00\x07")


def test_a_subscription_that_is_refused():
    reader = packets.Reader(8)
    for data, granted in (b"\x90\x03\x00\x09\x80", False), (b"\x90\x03\x00\x09\x00", True):
        assert reader.feed(data, 0, 5) == 5
        assert reader.is_granted() is granted
    reader.feed(b"\x90\x02\x00\x09", 0, 4)
    assert not reader.is_granted()


def test_another_connection_begins_anew():
    reader = packets.Reader(64)
    reader.feed(b"\x30\x50\x00\x03a", 0, 5)
    reader.reset()
    assert read_all(b"\x40\x02\x00\x01", 64, 0, reader) == [(packets.PUBACK, True, 2, 1)]


# The queue


def sent(queue, size=2000):
    """All that waits, as the server reads it: [(payload, packet identifier, DUP)]."""
    buffer = bytearray(size)
    found = []
    while True:
        size = queue.take(buffer, 0)
        if not size:
            return found
        (one,) = read_all(bytes(buffer[:size]), 2000)
        payload, packet_id = one[3][1:3]
        assert packet_id == queue.taken
        found.append((payload, packet_id, bool(buffer[0] & packets.DUP)))


def payloads(found):
    return [one[0] for one in found]


def test_what_is_not_acknowledged_comes_again():
    queue = Queue(400)
    for text in (b"1", b"2", b"3"):
        queue.put(b"t", text, False)
    first = sent(queue)
    assert payloads(first) == [b"1", b"2", b"3"]
    assert [one[2] for one in first] == [False] * 3
    assert sent(queue) == []
    assert queue.acknowledge(first[0][1])
    assert not queue.acknowledge(first[0][1])
    assert not queue.acknowledge(999)
    assert queue.count == 2
    queue.rewind()
    assert sent(queue) == [(one[0], one[1], True) for one in first[1:]]
    for one in first[1:]:
        assert queue.acknowledge(one[1])
    assert queue.count == 0
    queue.rewind()
    assert sent(queue) == []


def test_acknowledged_out_of_turn():
    queue = Queue(400)
    for text in (b"1", b"2", b"3"):
        queue.put(b"t", text, False)
    first = sent(queue)
    assert queue.acknowledge(first[1][1])
    assert queue.count == 3  # it goes when those before it have gone
    assert [bytes(one) for one in queue.packets()] == [
        b"\x3a\x06\x00\x01t" + bytes((0, one[1])) + one[0] for one in (first[0], first[2])
    ]
    assert queue.acknowledge(first[0][1])
    assert queue.count == 1


def test_a_full_queue_drops_the_oldest():
    queue = Queue(100)
    for number in range(50):
        queue.put(b"topic", b"%d" % number, False)
    assert queue.count + queue.dropped == 50
    assert queue.count >= 5
    assert payloads(sent(queue)) == [b"%d" % n for n in range(queue.dropped, 50)]


def test_too_large():
    queue = Queue(200)
    assert queue.largest == 95
    queue.put(b"t", b"x" * 88, False)
    refused = ""
    try:
        queue.put(b"t", b"x" * 89, False)
    except ValueError as error:
        refused = str(error)
    assert refused == "a message of 96 bytes; 95 fit"
    assert queue.count == 1


def test_a_queue_does_what_a_list_does():
    random = Random(7)
    queue = Queue(300)
    model = []  # [payload, packet identifier or None, acknowledged]
    dropped = 0
    for number in range(6000):
        act = random.below(10)
        if act < 4:
            payload = b"%d" % number + b"." * random.below(60)
            fits = queue.fits(packets.publish_size(b"t", payload))
            queue.put(b"t", payload, False)
            model.append([payload, None, False])
            assert fits == (queue.dropped == dropped)
            while queue.dropped > dropped:
                dropped += 1
                model.pop(0)
                while model and model[0][2]:
                    model.pop(0)
        elif act < 7:
            buffer = bytearray(random.below(100))
            size = queue.take(buffer, 0)
            waits = [one for one in model if one[1] is None]
            if size:
                (one,) = read_all(bytes(buffer[:size]), 2000)
                assert one[3][1] == waits[0][0]
                waits[0][1] = queue.taken
            else:
                assert not waits or packets.publish_size(b"t", waits[0][0]) > len(buffer)
        elif act < 9:
            ways = [one for one in model if one[1] is not None and not one[2]]
            if ways:
                one = ways[random.below(len(ways))]
                assert queue.acknowledge(one[1])
                one[2] = True
                while model and model[0][2]:
                    model.pop(0)
        elif random.below(4) == 0:
            queue.rewind()
            for one in model:
                one[1:] = None, False
        assert queue.count == len(model), number
    assert dropped > 100, dropped


def test_packet_identifiers_are_never_those_of_the_other_half():
    for half, first, last in (0, 1, LAST_ID // 2), (1, LAST_ID // 2 + 1, LAST_ID):
        queue = Queue(60, half)
        queue._id = LAST_ID // 2 - 10
        seen = []
        for _ in range(20):
            queue.put(b"t", b"", False)
            seen += [one[1] for one in sent(queue, 20)]
            queue.clear()
        assert [min(seen), max(seen)] == [first, last]
        assert len(seen) == 20


# The queue with a file


FILE = "queue.bin"


def restarted(size=400, file_size=4000):
    """A queue as it is after a reset."""
    mqtt_file.uptime = lambda: clock[0]
    mqtt_file.log = lines.append
    del lines[:]
    return mqtt_file.FileQueue(size, FILE, file_size)


def fresh(size=400, file_size=4000):
    """The same, with no files left of another test."""
    for name in (FILE, FILE + ".old"):
        if name in os.listdir():
            os.remove(name)
    return restarted(size, file_size)


def put_all(queue, first, end):
    for number in range(first, end):
        queue.put(b"t", b"%d" % number, False)


def numbers(found):
    return [int(one[0]) for one in found]


def acknowledge_all(queue):
    """What is sent with every message acknowledged, as often as something waits."""
    found = []
    while True:
        some = sent(queue)
        if not some:
            return numbers(found)
        found += some
        for one in some:
            assert queue.acknowledge(one[1])


clock = [0]
lines = []


def test_nothing_is_written_while_the_broker_answers():
    queue = fresh()
    for number in range(100):
        put_all(queue, number, number + 2)
        clock[0] += 9
        queue.look()
        assert queue.acknowledge(sent(queue)[0][1])
        clock[0] += 9
        queue.look()
        assert acknowledge_all(queue) == []
        queue.rewind()
        assert len(acknowledge_all(queue)) == 1
        clock[0] += 100
        queue.look()
    assert FILE not in os.listdir()
    assert queue.count == queue.dropped == 0


def test_what_has_waited_outlives_a_reset():
    queue = fresh()
    put_all(queue, 0, 3)
    clock[0] += 9
    queue.look()
    assert FILE not in os.listdir()
    clock[0] += 1
    queue.look()
    assert FILE in os.listdir()
    put_all(queue, 3, 5)
    assert queue.count == 5
    assert lines == []
    queue = restarted()
    assert queue.count == 3
    assert lines == ["3 messages from before the reset wait in queue.bin"]
    put_all(queue, 5, 7)
    assert acknowledge_all(queue) == [0, 1, 2, 5, 6]
    assert queue.count == 0
    assert FILE not in os.listdir()
    assert restarted().count == 0


def test_what_has_no_room_in_memory_goes_to_the_file_in_order():
    queue = fresh()
    put_all(queue, 100, 200)
    assert queue.count == 100
    assert queue.dropped == 0
    assert numbers(sent(queue))[:2] == [100, 101]
    queue.rewind()
    put_all(queue, 200, 210)
    assert acknowledge_all(queue) == list(range(100, 210))
    assert queue.count == 0
    assert os.listdir().count(FILE) == os.listdir().count(FILE + ".old") == 0


def test_the_files_are_bounded_and_the_oldest_goes():
    queue = fresh()
    put_all(queue, 1000, 2000)
    sizes = [os.stat(name)[6] for name in (FILE, FILE + ".old")]
    assert 2000 < sum(sizes) < 4000 + 400, sizes
    assert queue.count + queue.dropped == 1000
    assert queue.dropped > 700
    assert acknowledge_all(queue) == list(range(1000 + queue.dropped, 2000))


def test_half_acknowledged_comes_again():
    queue = fresh()
    put_all(queue, 0, 60)
    for one in sent(queue)[:5]:
        queue.acknowledge(one[1])
    queue = restarted()
    found = acknowledge_all(queue)
    assert found[:10] == list(range(10))


def test_the_old_file_goes_first_and_is_removed_first():
    queue = fresh(400, 1000)
    put_all(queue, 100, 190)
    assert FILE + ".old" in os.listdir()
    while FILE + ".old" in os.listdir():
        found = sent(queue)
        for one in found:
            assert queue.acknowledge(one[1])
    left = queue.count
    assert left > 0
    assert FILE in os.listdir()
    assert acknowledge_all(queue) == list(range(190 - left, 190))


def four_records():
    queue = fresh()
    put_all(queue, 0, 4)
    clock[0] += 10
    queue.look()
    with open(FILE, "rb") as file:
        return file.read()


def test_a_record_that_was_cut_off_is_skipped():
    data = four_records()
    record = len(data) // 4
    for end in range(len(data) + 1):
        with open(FILE, "wb") as file:
            file.write(data[:end])
        queue = restarted()
        assert queue.count == end // record, end
        # And what is written behind it is found.
        put_all(queue, 7, 9)
        clock[0] += 10
        queue.look()
        queue = restarted()
        assert acknowledge_all(queue) == list(range(end // record)) + [7, 8], end


def test_a_record_that_is_spoilt_is_skipped():
    data = four_records()
    record = len(data) // 4
    for at in range(len(data)):
        with open(FILE, "wb") as file:
            file.write(data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :])
        queue = restarted()
        found = [0, 1, 2, 3]
        del found[at // record]
        assert acknowledge_all(queue) == found, at
    with open(FILE, "wb") as file:
        file.write(b"\xa5" * 3000 + data)
    assert acknowledge_all(restarted()) == [0, 1, 2, 3]


def test_a_file_that_cannot_be_written():
    queue = fresh()
    queue._names = ("no/folder/old", "no/folder/new")
    put_all(queue, 100, 200)
    assert queue.count + queue.dropped == 100
    (line,) = lines
    assert line.startswith("no/folder/new cannot be written: ")
    assert acknowledge_all(queue) == list(range(100 + queue.dropped, 200))


for name in sorted(globals()):
    if name.startswith("test_"):
        gc.collect()
        globals()[name]()
        print(name)
