"""The setting "queue_file": what the mqtt role could not publish yet is kept over a reset.

What waits is first kept in memory. It goes to the file only once nothing was acknowledged for some
time, many messages at once: as long as the broker answers, nothing is written, and flash lasts.
When the file has grown to half of its bound it becomes the old one, NAME.old, and a new one
begins; what was still to be sent of the old one before is dropped.
"""

import os
from binascii import crc32

from firmware.log import log, uptime
from firmware.mqtt_packets import publish_size
from firmware.mqtt_queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WAIT = 10  # seconds without an acknowledgement, then what waits is written
_MARK = b"\xa5\x5a"  # what a record begins with
_HEAD = 8  # bytes of a record before its packet: the mark, the packet's size, its CRC-32
_PIECE = 256  # bytes that are looked through at once


class FileQueue:
    """As Queue, of `size` bytes in memory and about `file_size` bytes in `file` and the old one.

    After a reset all that is in a file is sent again, what was acknowledged of it, too.
    """

    def __init__(self, size: int, file: str, file_size: int) -> None:
        self._memory = Queue(size // 2)
        self._front = Queue(size // 2, 1)  # what was read from the files and is on its way
        self.largest = self._memory.largest
        self.taken = 0  # as Queue has it
        self._names = (file + ".old", file)
        self._half = file_size // 2
        self._dropped = 0
        self._at = [0, 0]  # how far each file was read
        self._since: Any = None  # when the oldest in memory came, or one was acknowledged
        self._is_told = False  # the log knows that the file cannot be written
        self._packet = bytearray(self.largest)
        self._left = [self._count(0), self._count(1)]  # messages that were not read yet
        if self._kept():
            log("%d messages from before the reset wait in %s" % (self._kept(), file))

    @property
    def count(self) -> int:
        """How many messages are in it."""
        return self._kept() + self._front.count + self._memory.count

    @property
    def dropped(self) -> int:
        """How many were dropped for want of room."""
        return self._dropped + self._memory.dropped

    def put(self, topic: bytes, payload: bytes, retain: bool) -> None:
        """Take a message; ValueError where it is too large."""
        if self._memory.count and not self._memory.fits(publish_size(topic, payload)):
            self._save()
        self._memory.put(topic, payload, retain)
        if self._since is None:
            self._since = uptime()

    def take(self, buffer: bytearray, at: int) -> int:
        """As Queue.take(): what the files have goes first."""
        while not self._front.count and self._kept():
            self._load()
        queue = self._front if self._front.count else self._memory
        size = queue.take(buffer, at)
        self.taken = queue.taken
        return size

    def acknowledge(self, packet_id: int) -> bool:
        """The server has it; False where nothing of that packet identifier is on its way."""
        if self._front.acknowledge(packet_id):
            if not self._front.count:
                self._remove_read()
            return True
        is_known = self._memory.acknowledge(packet_id)
        if is_known:
            self._since = uptime() if self._memory.count else None
        return is_known

    def rewind(self) -> None:
        """The connection is gone: what the server has not acknowledged waits again."""
        self._front.rewind()
        self._memory.rewind()

    def look(self) -> None:
        """Write what has waited for long: to be called now and then."""
        if self._since is not None and uptime() - self._since >= _WAIT:
            self._save()

    def _kept(self):
        return self._left[0] + self._left[1]

    def _save(self):
        """Move all that is in memory to the file; it stays there where the file takes nothing."""
        name = self._names[1]
        count = 0
        try:
            if self._size() >= self._half:
                self._begin_anew()
            with open(name, "ab") as file:
                for packet in self._memory.packets():
                    size = len(packet)
                    file.write(_MARK + bytes((size >> 8, size & 0xFF)))
                    file.write(crc32(packet).to_bytes(4, "big"))
                    file.write(packet)
                    count += 1
        except OSError as error:
            if not self._is_told:
                log("%s cannot be written: %s" % (name, error))
            self._is_told = True
            self._since = uptime()  # and again later
            return
        self._left[1] += count
        self._memory.clear()
        self._since = None

    def _size(self):
        try:
            return os.stat(self._names[1])[6]
        except OSError:
            return 0  # there is none yet

    def _begin_anew(self):
        self._dropped += self._left[0]
        self._remove(0)
        os.rename(self._names[1], self._names[0])
        self._left = [self._left[1], 0]
        self._at = [self._at[1], 0]

    def _load(self):
        """Read as many messages as there is room for."""
        which = 0 if self._left[0] else 1
        try:
            for size, end in self._records(which):
                if not self._front.fits(size):
                    return
                self._front.put_packet(memoryview(self._packet)[:size])
                self._left[which] -= 1
                self._at[which] = end
        except OSError as error:
            log("%s cannot be read: %s" % (self._names[which], error))
        self._left[which] = 0

    def _count(self, which):
        count = 0
        try:
            for _ in self._records(which):
                count += 1
        except OSError:
            pass  # there is none
        return count

    def _records(self, which):
        """Each packet that was not read yet, in `_packet`: its size, and its record's end."""
        at = self._at[which]
        with open(self._names[which], "rb") as file:
            while True:
                file.seek(at)
                head = file.read(_HEAD)
                if len(head) < _HEAD:
                    return
                size = head[2] << 8 | head[3]
                if head[:2] == _MARK and 0 < size <= len(self._packet):
                    packet = memoryview(self._packet)[:size]
                    whole = file.readinto(packet) == size
                    if whole and crc32(packet) == int.from_bytes(head[4:], "big"):
                        at += _HEAD + size
                        yield size, at
                        continue
                # Half of one: the power failed. The next begins with the next mark.
                at = _find_mark(file, at + 1)

    def _remove_read(self):
        """Remove the files of which all was sent and acknowledged."""
        for which in (0, 1):
            if self._at[which] and not self._left[which]:
                self._remove(which)

    def _remove(self, which):
        self._at[which] = 0
        try:
            os.remove(self._names[which])
        except OSError:
            pass  # there is none


def _find_mark(file, at):
    """Where the next mark is, or the end of the file."""
    while True:
        file.seek(at)
        piece = file.read(_PIECE)
        found = piece.find(_MARK)
        if found >= 0:
            return at + found
        if len(piece) < _PIECE:
            return at + len(piece)
        at += _PIECE - 1
