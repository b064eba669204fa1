"""What the mqtt role publishes, kept until the broker says that it has it. Bounded, in order."""

from firmware.mqtt_packets import DUP, LARGEST, publish_size, put_packet_id, put_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 5  # bytes before each packet: its size, its packet identifier, its state
_WAITS, _SENT, _DONE = 0, 1, 2
_IDS = 30000
LAST_ID = 2 * _IDS  # packet identifiers above are for what does not wait here


class Queue:
    """PUBLISH packets at QoS 1, ready to be sent, one behind the other in `size` bytes.

    Where there is no room for one more the oldest go: `dropped` counts them. The packet
    identifiers are those of a `half`, 0 or 1, lest two queues have the same.
    """

    def __init__(self, size: int, half: int = 0) -> None:
        self.dropped = 0
        self.count = 0  # of those in it
        self.taken = 0  # the packet identifier of what take() gave last
        self.largest = min(size // 2 - _HEAD, LARGEST)  # bytes of a packet
        self._data = bytearray(size)
        self._view = memoryview(self._data)
        self._head = 0  # where the oldest is
        self._tail = 0  # where the newest ends
        self._next = 0  # where the first is that waits to be sent
        self._unsent = 0
        self._wrap = -1  # where the packets end that lie before the one at 0; -1 for none
        self._id = 0
        self._first_id = 1 + half * _IDS

    def put(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """Take a message; ValueError where it is too large."""
        size = publish_size(topic, payload)
        at = self._make_room(size)
        put_publish(self._data, at + _HEAD, topic, payload, self._new_id(), retain)
        self._added(at, size)

    def put_packet(self, packet: "bytearray | memoryview") -> None:
        """Take a PUBLISH as another queue gave it; ValueError where it is too large."""
        size = len(packet)
        at = self._make_room(size)
        start = at + _HEAD
        self._data[start : start + size] = packet
        put_packet_id(self._view[start : start + size], self._new_id())
        self._added(at, size)

    def fits(self, size: int) -> bool:
        """Whether a packet of that size has room, with none dropped for it."""
        return self._place(_HEAD + size) >= 0

    def take(self, buffer: bytearray, at: int) -> int:
        """Copy the next packet that waits to `buffer[at:]`: it is sent now.

        Its size; 0 where none waits, or there is no room in the buffer.
        """
        if not self._unsent:
            return 0
        start = self._next
        size = self._size(start)
        if at + size > len(buffer):
            return 0
        data = self._data
        packet = start + _HEAD
        buffer[at : at + size] = self._view[packet : packet + size]
        self.taken = self._id_at(start)
        data[packet] |= DUP  # the next time
        data[start + 4] = _SENT
        self._unsent -= 1
        self._next = self._after(start)
        return size

    def acknowledge(self, packet_id: int) -> bool:
        """The server has it; False where nothing of that packet identifier is on its way."""
        for at in self._all(self.count - self._unsent):
            if self._id_at(at) == packet_id:
                if self._data[at + 4] != _SENT:
                    return False
                self._data[at + 4] = _DONE
                self._trim()
                return True
        return False

    def rewind(self) -> None:
        """The connection is gone: what the server has not acknowledged waits again."""
        if self._unsent == self.count:
            return
        # What was acknowledged out of turn goes a second time: it is at the front.
        for at in self._all(self.count):
            self._data[at + 4] = _WAITS
        self._next = self._head
        self._unsent = self.count

    def packets(self) -> "Iterator[memoryview]":
        """Every packet that the server has not acknowledged, the oldest first."""
        for at in self._all(self.count):
            if self._data[at + 4] != _DONE:
                yield self._view[at + _HEAD : at + _HEAD + self._size(at)]

    def clear(self) -> None:
        """Forget all of them."""
        self._head = self._tail = self._next = self._unsent = self.count = 0
        self._wrap = -1

    def _all(self, count):
        at = self._head
        for _ in range(count):
            yield at
            at = self._after(at)

    def _size(self, at):
        return self._data[at] << 8 | self._data[at + 1]

    def _after(self, at):
        at += _HEAD + self._size(at)
        return 0 if at == self._wrap else at

    def _id_at(self, at):
        return self._data[at + 2] << 8 | self._data[at + 3]

    def _new_id(self):
        self._id = (self._id + 1) % _IDS
        return self._first_id + self._id

    def _place(self, needed):
        """Where there are so many bytes in one piece; -1 where there are not."""
        if self._wrap >= 0:
            return self._tail if self._head - self._tail >= needed else -1
        if len(self._data) - self._tail >= needed:
            return self._tail
        return 0 if self._head >= needed else -1

    def _make_room(self, size):
        """Where a packet of that size is to be written."""
        if size > self.largest:
            raise ValueError("a message of %d bytes; %d fit" % (size, self.largest))
        while True:
            if not self.count:
                self.clear()
            at = self._place(_HEAD + size)
            if at >= 0:
                break
            self._remove()
            self.dropped += 1
            self._trim()
        if at < self._tail and self._wrap < 0:
            self._wrap = self._tail
        return at

    def _added(self, at, size):
        data = self._data
        number = self._first_id + self._id
        data[at] = size >> 8
        data[at + 1] = size & 0xFF
        data[at + 2] = number >> 8
        data[at + 3] = number & 0xFF
        data[at + 4] = _WAITS
        if not self._unsent:
            self._next = at
        self._tail = at + _HEAD + size
        self._unsent += 1
        self.count += 1

    def _trim(self):
        """Take out what was acknowledged before its turn."""
        while self.count and self._data[self._head + 4] == _DONE:
            self._remove()

    def _remove(self):
        """Take the oldest out."""
        at = self._head
        waits = self._data[at + 4] == _WAITS
        after = at + _HEAD + self._size(at)
        self._head = 0 if after == self._wrap else after
        if after == self._wrap:
            self._wrap = -1
        if waits:
            self._unsent -= 1
            self._next = self._head
        self.count -= 1
