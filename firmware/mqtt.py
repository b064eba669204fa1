"""The mqtt role: a board on a broker, by MQTT 3.1.1 over WebSocket (OASIS Standard, 2014, §6).

Its topics are BASE/BOARD/NAME for values, BASE/BOARD/NAME/set for commands, BASE/BOARD/status and
BASE/BOARD/log.
"""

import asyncio
import os
from binascii import hexlify

import machine
from microws.reconnecting import HELD

from firmware.connecting import stay_connected
from firmware.log import Bound, log
from firmware.mqtt_packets import Reader
from firmware.mqtt_queue import Queue
from firmware.mqtt_session import LEAST_PATIENCE, MqttSession
from firmware.values import Values, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_INTERVAL = 1  # seconds between two samples
_SEND_SIZE = 512  # bytes that go as one message of the WebSocket, where no packet is longer
_READ_SIZE = 256  # bytes that are looked at at a time
_MAX_SIZE = 512  # bytes of a command with its topic, unless the configuration says more
_LINES = 5  # a second of what others cause
_SHORT_SESSIONS = 3  # in a row, then another client is taken to have our id


async def run(settings: dict, read: "Callable[[], int] | None") -> None:
    """Run the role for ever; `read()` gives a sample."""
    board = _Board(settings, read)
    urls = settings["url"]
    if isinstance(urls, str):
        urls = [urls]
    sampling = asyncio.create_task(board.values.watch())
    sketch = asyncio.create_task(board.values.watch_sketch(lambda text: None))

    def look():
        if sampling.done():
            raise RuntimeError("the sampling has ended")

    try:
        await stay_connected(settings, urls, board.begin, look)
    finally:
        sampling.cancel()
        sketch.cancel()
        board.values.end()


def name_of(settings: dict) -> str:
    """What this board is called on a broker: its hostname, or one of its own where it has none."""
    if settings["hostname"] != "microws":
        return settings["hostname"]
    return "microws-" + str(hexlify(machine.unique_id()), "ascii")[-6:]


class _Board:
    """What outlives a connection."""

    def __init__(self, settings, read):
        self.settings = settings
        self._discovery: Any = None
        if settings["discovery"]:
            from firmware import discovery

            self._discovery = discovery
        self.name = name_of(settings)
        self.client_id = self.name
        self.topic = settings["topic"] + "/" + self.name + "/"
        self.news = asyncio.Event()  # there is something to send
        self.patience = LEAST_PATIENCE  # seconds for a PUBACK
        self.lines = Bound(_LINES, "%d more messages from the broker, too many to show")
        self.short = 0  # sessions in a row that the broker ended soon
        self.queue: Any = self._make_queue()
        # For every session the same: memory is not to be cut into pieces.
        self.send_buffer = bytearray(max(_SEND_SIZE, self.queue.largest))
        self.read_buffer = bytearray(_READ_SIZE)
        self.reader = Reader(settings["max_size"] or _MAX_SIZE)
        self._dropped = 0  # of the queue, as far as the log has told
        interval = settings["sample_interval"] or _INTERVAL
        self.values = Values(settings, read, interval, self._tell)
        if self.values.outputs:
            self.values.tell([(name, one.value()) for name, one in self.values.outputs.items()])

    def _make_queue(self):
        settings = self.settings
        if not settings["queue_file"]:
            return Queue(settings["queue_size"])
        from firmware.mqtt_file import FileQueue

        return FileQueue(
            settings["queue_size"], settings["queue_file"], settings["queue_file_size"]
        )

    def introduction(self):
        """What a broker is told first, all to be retained: pairs of topic and payload."""
        if self._discovery:
            yield from self._discovery.messages(self.settings, self.name, self.topic)

    def begin(self):
        """A session that is about to connect."""
        return MqttSession(self)

    def _tell(self, items, now, source):
        for name, value in items:
            # The broker is to know the state of an output for those who come later.
            is_state = name in (self.values.outputs or ())
            self.publish(name, text_of(value), is_state)
        self.look()

    def publish(self, name, text, retain):
        """Queue a message to one of the board's topics."""
        try:
            self.queue.put((self.topic + name).encode(), text.encode(), retain)
        except ValueError as error:
            log("%s not published: %s" % (name, error))
        self.news.set()

    def look(self):
        """What is to be done every second."""
        self.lines.tell()
        if self.queue.dropped > self._dropped:
            if not self._dropped:
                log("the queue is full: the oldest messages are dropped")
            self._dropped = self.queue.dropped
        if self.settings["queue_file"]:
            self.queue.look()

    def tell_dropped(self):
        """Say what waits, once there is a broker to take it."""
        if self.queue.count or self._dropped:
            log("%d waiting, %d older ones were dropped" % (self.queue.count, self._dropped))

    def ended(self, is_welcome, held, by_broker):
        """A session has ended; see whether another client pushes this one out."""
        if not is_welcome or not by_broker or held >= HELD:
            self.short = 0
            return
        self.short += 1
        if self.short == _SHORT_SESSIONS:
            self.short = 0
            # Both would come back for ever, and push each other out.
            other = "%s-%s" % (self.name, str(hexlify(os.urandom(2)), "ascii"))
            log(
                "the broker ended %d sessions soon: another client may be called %s. This one is "
                'now %s; give each board a "hostname" of its own'
                % (_SHORT_SESSIONS, self.client_id, other)
            )
            self.client_id = other
