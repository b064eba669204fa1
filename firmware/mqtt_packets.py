"""The packets of MQTT 3.1.1, made and taken apart (OASIS Standard, 29 October 2014).

It reads and writes nothing. Of QoS a board needs 1 for what it publishes and 0 for what it gets.
"""

# The first byte of a packet without its flags (§2.2.1): of those that a server sends.
CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGRESP = 0xD0

PINGREQ = b"\xc0\x00"
LARGEST = 16383  # bytes after a packet's length, for a length of two bytes (§2.2.3)
DUP = 0x08  # a flag of PUBLISH: it was sent before (§3.3.1.1)

_RETAIN = 0x01
_QOS_1 = 0x02
_CLEAN_SESSION = 0x02  # flags of CONNECT (§3.1.2.3)
_WILL = 0x2C  # there is one, at QoS 1, retained
_USER = 0x80
_PASSWORD = 0x40

# The length after the first byte, where it is always the same.
_LENGTHS = {CONNACK: 2, PUBACK: 2, PINGRESP: 0}


class PacketError(ValueError):
    """The server sent something that is no packet, or none that it may send."""


def connect(
    client_id: bytes,
    keepalive: int,
    will_topic: bytes,
    will: bytes,
    user: "bytes | None" = None,
    password: "bytes | None" = None,
) -> bytes:
    """CONNECT for a clean session with a will that is retained, at QoS 1 (§3.1).

    `keepalive` is in seconds. A user without a password is allowed, the opposite is not.
    """
    flags = _CLEAN_SESSION | _WILL
    fields = [client_id, will_topic, will]
    if user is not None:
        flags |= _USER
        fields.append(user)
        if password is not None:
            flags |= _PASSWORD
            fields.append(password)
    body = b"\x00\x04MQTT\x04" + bytes((flags, keepalive >> 8, keepalive & 0xFF))
    for field in fields:
        body += _number(len(field)) + field
    return b"\x10" + _length(len(body)) + body


def subscribe(packet_id: int, topic: bytes) -> bytes:
    """SUBSCRIBE to one filter at QoS 0 (§3.8)."""
    body = _number(packet_id) + _number(len(topic)) + topic + b"\x00"
    return b"\x82" + _length(len(body)) + body


def puback(packet_id: int) -> bytes:
    """PUBACK, for what comes at QoS 1 all the same (§3.4)."""
    return b"\x40\x02" + _number(packet_id)


def publish_size(topic: bytes, payload: bytes) -> int:
    """The bytes of a PUBLISH at QoS 1."""
    size = 4 + len(topic) + len(payload)
    return size + (2 if size < 128 else 3)


def put_publish(
    buffer: bytearray, at: int, topic: bytes, payload: bytes, packet_id: int, retain: bool
) -> int:
    """Write a PUBLISH at QoS 1 into `buffer` (§3.3); where it ends.

    It is at most LARGEST bytes after its length, and there is room for it.
    """
    size = 4 + len(topic) + len(payload)
    buffer[at] = PUBLISH | _QOS_1 | (_RETAIN if retain else 0)
    at += 1
    if size > 127:
        buffer[at] = size & 0x7F | 0x80
        size >>= 7
        at += 1
    buffer[at] = size
    at = _put_number(buffer, at + 1, len(topic))
    buffer[at : at + len(topic)] = topic
    at = _put_number(buffer, at + len(topic), packet_id)
    buffer[at : at + len(payload)] = payload
    return at + len(payload)


def put_packet_id(packet: "bytearray | memoryview", packet_id: int) -> None:
    """Give a PUBLISH that put_publish() wrote another packet identifier."""
    at = 3 if packet[1] & 0x80 else 2
    at += 2 + (packet[at] << 8 | packet[at + 1])
    packet[at] = packet_id >> 8
    packet[at + 1] = packet_id & 0xFF


class Reader:
    """Takes packets apart that come in pieces, cut anywhere.

    `kind` is that of the packet that is complete, 0 where none is. `size` is the most that is
    kept of a packet: the rest of a longer one is passed over, and `is_whole` tells.
    """

    def __init__(self, size: int) -> None:
        self.kind = 0
        self.is_whole = True
        self.length = 0  # bytes after the packet's own length
        self._body = bytearray(size)
        self._first = 0  # the first byte, 0 between two packets
        self._shift = 0  # of the next digit of the length; -1 where that is known
        self._got = 0

    def reset(self) -> None:
        """Begin with another connection."""
        self.kind = self._first = 0

    def feed(self, data: "bytes | bytearray | memoryview", at: int, end: int) -> int:
        """Take `data[at:end]`, at most to the end of a packet; where it has come to.

        PacketError for what no server may send.
        """
        if self.kind:
            self.reset()
        if self._first == 0 and at < end:
            self._begin(data[at])
            at += 1
        while self._shift >= 0 and at < end:
            byte = data[at]
            at += 1
            if self._shift > 21:
                raise PacketError("a packet with a length of over four bytes")
            self.length |= (byte & 0x7F) << self._shift
            self._shift += 7
            if byte < 0x80:
                self._shift = -1
                if self.length != _LENGTHS.get(self._first & 0xF0, self.length):
                    raise PacketError("a packet of a wrong length")
                self.is_whole = self.length <= len(self._body)
        if self._shift < 0 and self._first:
            count = min(self.length - self._got, end - at)
            kept = min(count, max(len(self._body) - self._got, 0))
            if kept:
                self._body[self._got : self._got + kept] = data[at : at + kept]
            self._got += count
            at += count
            if self._got == self.length:
                self.kind = self._first & 0xF0
        return at

    def connack(self) -> int:
        """What CONNACK answers, 0 for welcome (§3.2.2.3)."""
        return self._body[1]

    def packet_id(self) -> int:
        """The packet identifier of PUBACK or SUBACK."""
        return self._body[0] << 8 | self._body[1]

    def is_granted(self) -> bool:
        """Whether SUBACK grants what was asked for (§3.9.3)."""
        return self.is_whole and self.length == 3 and self._body[2] != 0x80

    def is_retained(self) -> bool:
        """Whether a PUBLISH was kept by the server, and is not of now (§3.3.1.3)."""
        return self._first & _RETAIN != 0

    def publish(self) -> "tuple[bytes, bytes, int]":
        """The topic, the payload and the packet identifier, 0 at QoS 0, of a PUBLISH (§3.3).

        Of one that is not whole the topic and payload are cut off. PacketError where it is none.
        """
        body = self._body
        size = body[0] << 8 | body[1]
        qos = self._first >> 1 & 3
        end = 2 + size + (2 if qos else 0)
        if self.length < end or qos > 1:
            raise PacketError("a PUBLISH " + ("at QoS %d" % qos if qos > 1 else "cut off"))
        number = 0
        if qos and end <= len(body):
            number = body[end - 2] << 8 | body[end - 1]
        # What is kept of it.
        last = min(self.length, len(body))
        return bytes(body[2 : min(2 + size, last)]), bytes(body[min(end, last) : last]), number

    def _begin(self, first):
        kind = first & 0xF0
        if kind != PUBLISH and (first & 0x0F or (kind not in _LENGTHS and kind != SUBACK)):
            raise PacketError("a packet that no server sends: %02x" % first)
        self._first = first
        self._shift = self.length = self._got = 0
        self.is_whole = True


def _number(value):
    return bytes((value >> 8, value & 0xFF))


def _put_number(buffer, at, value):
    buffer[at] = value >> 8
    buffer[at + 1] = value & 0xFF
    return at + 2


def _length(size):
    if size < 128:
        return bytes((size,))
    return bytes((size & 0x7F | 0x80, size >> 7))
