"""One connection of the mqtt role to a broker: what is sent and received, and what is due."""

from microws import ConnectionClosed, WebSocketError
from microws.core import FAILURES
from microws.loops import validate

from firmware import mqtt_packets, net
from firmware.connecting import Session
from firmware.describe import describe_error, describe_message
from firmware.log import log, uptime
from firmware.mqtt_packets import PacketError
from firmware.mqtt_queue import LAST_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LEAST_PATIENCE = 4  # seconds for a PUBACK

_CONNECT_PATIENCE = 40  # seconds; a NATS that has just started takes up to 30 with many boards
_MOST_PATIENCE = 64
_WINDOW = 8  # messages on their way at a time
_SET = b"/set"  # what the topics of commands end with
_REFUSED = (
    "",
    "it speaks no MQTT 3.1.1",
    "it does not take our client identifier",
    "it is not available now",
    '"user" or "password" is wrong',
    'not allowed; is "user" right?',
)  # §3.2.2.3


def _text(data):
    """What these bytes say; themselves where they are no UTF-8."""
    if validate(data, 0, len(data), 0):
        return data
    return str(data, "utf-8")


class _Refused(WebSocketError):
    """What the broker says ends the session; the text is for the log."""


class MqttSession(Session):
    """One connection to a broker: tasks that receive and send, and what is due in between."""

    def __init__(self, board):
        super().__init__(board.settings, board.tasks)
        self._board = board
        self.name = "broker"  # for a sketch
        self._is_welcome = False  # CONNACK has come,
        self._is_subscribed = False  # and SUBACK
        self._ended_by_broker = False
        self._began = uptime()
        self._sending: Any = None  # since when bytes are on their way out
        self._sent_at = self._began  # the last time
        self._heard = self._began
        self._asked: Any = None  # when PINGREQ went, until something comes
        # Of what has no PUBACK yet.
        self._ids = [0] * _WINDOW
        self._times = [0] * _WINDOW

    def headers(self):
        found = super().headers()
        if self.settings["token"]:
            found.append(("Authorization", "Bearer " + self.settings["token"]))
        return found

    def subprotocols(self):
        return ("mqtt",)  # §6.0.0-4

    async def tasks(self):
        return [self._receive(), self._work()]

    async def live(self, address, url, names, verifier):
        board = self._board
        board.queue.rewind()
        try:
            await super().live(address, url, names, verifier)
        finally:
            # Closed without DISCONNECT: so the broker says by the will that this board is away.
            board.ended(self._is_welcome, self.held, self._ended_by_broker)
            if self._is_subscribed:
                board.values.tell_sketch("on_disconnect", self)
                if board.values.outputs:
                    board.values.outputs.idle()

    def is_over(self):
        now = uptime()
        board = self._board
        keepalive = self.settings["keepalive"]
        if not self._is_subscribed:
            if now - self._began <= _CONNECT_PATIENCE:
                return False
            log("the broker has not answered for %d s" % _CONNECT_PATIENCE)
            return True
        if self._sending is not None and now - self._sending > keepalive:
            log("the broker has taken nothing for %s s" % keepalive)
            return True
        if self._asked is not None and now - self._asked > max(keepalive, board.patience):
            log("the broker answers no PINGREQ")
            return True
        for i in range(_WINDOW):
            if self._ids[i] and now - self._times[i] > board.patience:
                # A NATS cluster that elects a leader never acknowledges what came in the
                # meantime; a connection of its own begins anew.
                log("no PUBACK for %d s" % board.patience)
                board.patience = min(2 * board.patience, _MOST_PATIENCE)
                return True
        if self._wants_ping():
            board.news.set()
        return False

    def _wants_ping(self):
        return uptime() - self._sent_at >= max(1, self.settings["keepalive"] // 2)

    # Receiving

    async def _receive(self):
        board = self._board
        board.reader.reset()
        try:
            while True:
                async for piece in self.ws.recv_streaming(board.read_buffer):
                    if self.ws.is_text:
                        raise PacketError("a text message")  # §6.0.0-1
                    self._heard = uptime()
                    self._asked = None
                    await self._take(piece)
        except PacketError as error:
            log("not MQTT: %s" % error)
        except FAILURES as error:
            self._ended_by_broker = not self.is_ending and isinstance(
                error, (OSError, ConnectionClosed)
            )
            log(str(error) if isinstance(error, _Refused) else describe_error(error))

    async def _take(self, piece):
        reader = self._board.reader
        at = 0
        end = len(piece)
        while at < end:
            at = reader.feed(piece, at, end)
            kind = reader.kind
            if kind == mqtt_packets.PUBLISH:
                await self._command(reader)
            elif kind == mqtt_packets.PUBACK:
                self._acknowledged(reader.packet_id())
            elif kind == mqtt_packets.CONNACK:
                code = reader.connack()
                if code:
                    reason = _REFUSED[code] if code < len(_REFUSED) else "code %d" % code
                    raise _Refused("the broker refuses: " + reason)
                self._is_welcome = True
                self._board.news.set()
            elif kind == mqtt_packets.SUBACK:
                if not reader.is_granted():
                    raise _Refused("the broker does not let us subscribe to commands")
                self._is_subscribed = True
                self._board.news.set()

    def _acknowledged(self, packet_id):
        board = self._board
        for i in range(_WINDOW):
            if self._ids[i] == packet_id:
                took = uptime() - self._times[i]
                least = max(LEAST_PATIENCE, board.patience - board.patience // 8)
                board.patience = min(max(least, 2 * took), _MOST_PATIENCE)
                self._ids[i] = 0
        if packet_id <= LAST_ID:
            board.queue.acknowledge(packet_id)
        board.news.set()

    async def _command(self, reader):
        board = self._board
        topic, payload, packet_id = reader.publish()
        if packet_id:
            await self._send(mqtt_packets.puback(packet_id))
        told = board.lines.allows()
        if not reader.is_whole:
            if told:
                log("a message of %d bytes to this board is too large" % reader.length)
            return
        name = _text(topic[len(board.topic.encode()) : -len(_SET)])
        value = _text(payload)
        if told:
            log("received %s: %s" % (describe_message(name), describe_message(value)))
        if reader.is_retained():
            # It may be of yesterday, and comes again with each connection.
            if told:
                log("not done: it was published as retained; publish commands without that")
        elif name == "message" and board.values.sketch:
            reply = await board.values.sketch.message(value, self)
            if reply:
                board.say(_text(reply) if isinstance(reply, bytes) else reply)
        else:
            board.command(name, value, told)

    # Sending

    async def _work(self):
        board = self._board
        settings = self.settings
        try:
            user = settings["user"]
            await self._send(
                mqtt_packets.connect(
                    board.client_id.encode(),
                    max(1, int(settings["keepalive"])),
                    (board.topic + "status").encode(),
                    b"offline",
                    user and user.encode(),
                    user and settings["password"].encode(),
                )
            )
            await self._until(lambda: self._is_welcome)
            log("the broker knows this board as " + board.client_id)
            await self._send(mqtt_packets.subscribe(LAST_ID + 1, (board.topic + "+/set").encode()))
            await self._until(lambda: self._is_subscribed)
            for topic, payload in board.introduction():
                await self._announce(topic, payload)
            await self._announce(board.topic + "status", b"online")
            net.does_its_work = True
            board.tell_dropped()
            sketch = board.values.sketch
            greeting = sketch and await sketch.call("on_connect", self)
            if greeting:
                board.say(greeting)
            while True:
                await self._send_all()
                if self._wants_ping():
                    self._asked = uptime()
                    await self._send(mqtt_packets.PINGREQ)
                await self._news()
        except (OSError, WebSocketError):
            pass  # whoever receives hears of it too, and says so
        except MemoryError as error:
            log(describe_error(error))

    async def _announce(self, topic, payload):
        """Publish something that is retained and does not wait in the queue."""
        data = topic.encode()
        packet = bytearray(mqtt_packets.publish_size(data, payload))
        mqtt_packets.put_publish(packet, 0, data, payload, LAST_ID + 1, True)
        self._note(LAST_ID + 1)
        await self._send(packet)
        await self._until(lambda: LAST_ID + 1 not in self._ids)

    async def _send_all(self):
        """Send what waits, several packets as one message, as long as the window is open."""
        board = self._board
        buffer = board.send_buffer
        while 0 in self._ids:
            end = 0
            while 0 in self._ids:
                size = board.queue.take(buffer, end)
                if not size:
                    break
                end += size
                self._note(board.queue.taken)
            if not end:
                break
            await self._send(memoryview(buffer)[:end])

    def _note(self, packet_id):
        i = self._ids.index(0)
        self._ids[i] = packet_id
        self._times[i] = uptime()

    async def _send(self, packet):
        self._sending = self._sent_at = uptime()
        await self.ws.send(packet)
        self._sending = None

    async def _news(self):
        news = self._board.news
        await news.wait()
        news.clear()

    async def _until(self, is_done):
        while not is_done():
            await self._news()
