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
from firmware.log import Bound, log, printable
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
_PRESS = 0.5  # seconds for which a button is pressed
_LINES = 5  # a second of what others cause
_SHORT_SESSIONS = 3  # in a row, then another client is taken to have our id


async def run(settings: dict, read: "Callable[[], int] | None") -> None:
    """Run the role for ever; `read()` gives a sample of pin0."""
    board = _Board(settings, read)
    urls = settings["url"]
    if isinstance(urls, str):
        urls = [urls]
    work = (board.values.watch(), board.values.watch_sketch(board.say), board.watch())
    tasks = [asyncio.create_task(one) for one in work]
    board.tasks = tasks

    async def look():
        await board.values.start_sketch(board.say)
        for task in tasks:
            if task.done():
                await task  # what ended it goes on from here

    try:
        await stay_connected(settings, urls, board.begin, look)
    finally:
        for task in tasks:
            task.cancel()
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
        interval = settings["sample_interval"] or _INTERVAL
        self.values = Values(settings, read, interval, self._tell)
        self.tasks: list = []  # that have to go on
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
        self._release: Any = None  # the task that lets a button go
        self.short = 0  # sessions in a row that the broker ended soon
        self.queue: Any = self._make_queue()
        # For every session the same: memory is not to be cut into pieces.
        self.send_buffer = bytearray(max(_SEND_SIZE, self.queue.largest))
        self.read_buffer = bytearray(_READ_SIZE)
        self.reader = Reader(settings["max_size"] or _MAX_SIZE)
        self._dropped = 0  # of the queue, as far as the log has told

    def _make_queue(self):
        settings = self.settings
        if not settings["queue_file"]:
            return Queue(settings["queue_size"])
        from firmware.mqtt_file import FileQueue

        return FileQueue(
            settings["queue_size"], settings["queue_file"], settings["queue_file_size"]
        )

    def introduction(self):
        """What a broker is told first, all to be retained: pairs of topic and payload.

        That is what Home Assistant wants to know, and each value that is a state, as it is now.
        """
        if self._discovery:
            yield from self._discovery.messages(self.settings, self.name, self.topic)
        values = self.values
        for name, one in list(values.inputs.items()) + list((values.outputs or {}).items()):
            if self._is_state(name):
                yield self.topic + name, text_of(one.value()).encode()

    def begin(self):
        """A session that is about to connect."""
        return MqttSession(self)

    async def watch(self):
        """What is to be done every second."""
        while True:
            await asyncio.sleep(1)
            try:
                self._look()
            except MemoryError:
                pass  # the next second may have some

    def say(self, text):
        """Publish a text of the sketch; its errors go where errors are."""
        if text.startswith("error:"):
            self.publish("log", text, False)
        elif not text.startswith('{"error"'):  # that there is none any more
            self.publish("message", text, False)

    def command(self, name, value, may_tell):
        """Do what a message to BASE/BOARD/NAME/set says; what is wrong with it is told."""
        level = None
        try:
            level = float(value)
        except (TypeError, ValueError):
            pass  # it is told what can be
        wrong = self.values.set({name: level}, None)
        if wrong and may_tell:
            log(printable(wrong))
            self.publish("log", wrong, False)
        elif level and not wrong and (self.settings["show_as"] or {}).get(name) == "button":
            self._release = asyncio.create_task(self._let_go(name))

    async def _let_go(self, name):
        """A button that was pressed."""
        await asyncio.sleep(_PRESS)
        self.values.set({name: 0}, None)

    def _is_state(self, name):
        """Whether a value holds until the next is told."""
        one = self.values.inputs.get(name)
        return one.kind in ("count", "digital") if one else name in (self.values.outputs or ())

    def _tell(self, items, now, source):
        """Values have changed."""
        for name, value in items:
            self.publish(name, text_of(value), self._is_state(name))

    def publish(self, name, text, retain):
        """Queue a message to one of the board's topics."""
        for odd in "/+#\0":  # what a sketch may call its values
            name = name.replace(odd, "_")
        try:
            self.queue.put((self.topic + name).encode(), text.encode(), retain)
        except ValueError as error:
            log("%s not published: %s" % (name, error))
        self.news.set()

    def _look(self):
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
