"""The server role: the pin's values to all clients, what these say, the page and the counters."""

import asyncio
import json

import machine
from microws import ProtocolError, Timeout
from microws.aio_connection import within
from microws.aio_server import serve  # now, while the heap is whole
from microws.core import FAILURES

from firmware import net
from firmware.answers import STARVED, WIFI, Answers
from firmware.counters import Counters
from firmware.describe import describe_error, describe_message
from firmware.log import Bound, log, tenths, uptime
from firmware.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_INTERVAL = 0.5  # seconds between two samples
_LOOK_EVERY = 0.5  # seconds, whether all is as it should be
_RETRY = 5  # seconds
_CLOSE_TIMEOUT = 2  # seconds
_MAX_SIZE = 2048  # bytes of a message, for each client, unless the configuration says more
_MAX_HEADER = 2048  # bytes of a request
_MAX_BODY = 512  # bytes of what POST /values sets
_NAME_SIZE = 512  # bytes, most of them a name's, that come to a message in the chat
_PROBE = 5  # messages of a client after which it is looked whether it keeps up
_LATE = 2  # seconds of more messages than are taken, after which the log tells
_SEND_TIMEOUT = 10  # seconds
_MESSAGES = 50  # lines a second; the serial log takes its time from everybody
_PING_LIMIT = 32  # characters


async def run(settings: dict, read: "Callable[[], int] | None") -> None:
    """Run the role for ever; `read()` gives a sample of pin0."""
    service = _Service(settings, read)
    if settings["wifi_ap"]:
        from firmware.own_wifi import OwnWifi

        net.own_wifi = OwnWifi(settings)
    ssl = None
    if settings["cert_file"]:
        from firmware.certificates import server_context

        ssl = server_context(settings)
    values = service.values
    work = (service.watch(), values.watch(), values.watch_sketch(service.say))
    tasks = [asyncio.create_task(one) for one in work]
    try:
        while True:
            try:
                await _listen(settings, service, tasks[1], ssl)
            except MemoryError:
                log("out of memory")
                await asyncio.sleep(_RETRY)
    finally:
        for task in tasks:
            task.cancel()
        values.end()


async def _listen(settings, service, watch, ssl):
    """Serve at one address, until it is gone."""
    address = await net.wait_for_address(settings)
    await service.values.start_sketch(service.say)
    max_size = settings["max_size"] or _MAX_SIZE
    try:
        server = await serve(
            service.handle,
            address,
            settings["port"],
            max_clients=service.max_clients,
            max_pending=net.most_pending(),
            max_unacknowledged=net.most_unacknowledged(),
            process_request=service.answers.answer,
            subprotocols=settings["subprotocols"] or (),
            on_refused=service.answers.refused,
            max_backlog=max_size + _NAME_SIZE,  # one message of another, with its name
            slow=settings["slow"],
            max_size=max_size,
            max_header=settings["max_header"] or _MAX_HEADER,
            max_body=_MAX_BODY if settings["outputs"] else 0,
            close_timeout=_CLOSE_TIMEOUT,
            keepalive_timeout=settings["keepalive"],
            ssl=ssl,
        )
    except OSError as error:
        log("cannot listen on port %d: %s" % (settings["port"], describe_error(error)))
        log("trying again in %d s" % _RETRY)
        await net.sleep_with_address(address, _RETRY)
        return
    service.server = server
    place = (address, settings["port"])
    log("listening on %s://%s:%d" % (("wss" if ssl else "ws",) + place) + settings["path"])
    url = "%s://%s:%d/" % (("https" if ssl else "http",) + place)
    log("the page is at " + url)
    if net.has_own_wifi():
        log("which Wi-Fi the board is to join, it is told at %swifi" % url)
    try:
        while True:
            try:
                if not await net.sleep_with_address(address, _LOOK_EVERY):
                    break
                if watch.done():
                    await watch  # what ended it goes on from here
                if not server.is_serving():
                    raise RuntimeError("the server takes no clients any more")
                if service.answers.is_starved:
                    raise RuntimeError("no memory for a single client in %d s" % STARVED)
            except MemoryError:
                await asyncio.sleep(1)
        log("the address %s is gone" % address)
    finally:
        server.close()
        await server.wait_closed()


class _Client:
    def __init__(self, label, name):
        self.label = label
        self.name = name or label  # what the others call it
        self.watches = False  # it may do nothing else
        self.dropped = 0  # of the messages to it, as far as they are counted
        self.tell = 1  # dropped messages that are worth the next line
        self.late: Any = None  # since when it has sent more than was taken
        self.is_told = False  # that it has


class _Service:
    """What the clients get, and what is counted of it."""

    def __init__(self, settings, read):
        self.server: Any = None
        self.interval = settings["sample_interval"] or _INTERVAL
        self.values = Values(settings, read, self.interval, self._publish)
        if settings["history"]:
            from firmware.history import History

            self.values.history = History(settings["history"])
        self.max_clients = net.most_clients(settings["max_clients"])
        self._settings = settings
        self.clients: dict = {}
        self.counters = Counters()
        self._messages = Bound(_MESSAGES, "received %d more messages, too many to show")
        self._not_taken = 0  # that the log has told of
        self._chat: Any = None
        if settings["chat"]:
            from firmware import chat

            self._chat = chat
        self._newest: Any = None
        if settings["flood"] == "newest":
            from firmware import newest

            self._newest = newest
        self.answers = Answers(settings, self)
        self._has_pins = bool(settings["inputs"] or settings["outputs"])
        closed = settings["read_only"] or settings["token"] or settings["user"]
        if settings["outputs"] and not closed:
            log(
                'anybody in this network can switch the outputs: "token", or "user" and '
                '"password", or "read_only" in config.json closes that'
            )

    async def watch(self):
        """What is to be done every second."""
        while True:
            await asyncio.sleep(1)
            try:
                uptime()  # the clock of a board wraps within days
                self.answers.watch()
                self._messages.tell()
                self._count_all_dropped()
                self._tell_not_taken()
            except MemoryError:
                pass  # the next second may have some

    def _tell_not_taken(self):
        if self.server and self.server.not_taken != self._not_taken:
            self._not_taken = self.server.not_taken
            log("somebody waits outside: no socket, or no memory, is left for a connection")

    def metrics(self, ticket=""):
        """The counters as JSON; what the page needs to know of the settings goes with them."""
        self._count_all_dropped()
        settings = self._settings
        more = {
            "name": settings["hostname"],
            "path": settings["path"],
            "chat": settings["chat"],
            "interval": self.interval,
            "clients": len(self.clients),
            "max_clients": self.max_clients,
            "values": {name: found[0] for name, found in self.values.newest.items()},
        }
        sketch = self.values.sketch
        if sketch:
            more["sketch"] = {"errors": sketch.errors, "error": sketch.error or None}
        if ticket:
            more["ticket"] = ticket
        return self.counters.report(more)

    async def handle(self, ws):
        """One client from its handshake to its end."""
        path, _, query = ws.path.partition("?")
        if path == WIFI and net.has_own_wifi():
            await self._ask_for_wifi(ws)
            return
        if path != self._settings["path"]:
            await self._tell_metrics(ws)
            return
        self.answers.is_fed()
        taken = [other.name for other in self.clients.values()]
        name = self._chat.name_of(query, taken) if self._chat else ""
        client = _Client("client %d" % self.counters.add("clients_ever"), name)
        client.watches = ws.remote_address in self.answers.guard.watchers
        self.answers.guard.watchers.discard(ws.remote_address)
        self.clients[ws] = client
        known = " as " + name if name else ""
        log("%s: connected from %s%s, handshake done" % (client.label, ws.remote_address, known))
        self.counters.measure()
        code = 1011
        try:
            if self._has_pins:
                self._answer(ws, self._first_message(client))
            greeting = self.values.sketch and await self.values.sketch.call("on_connect", client)
            if greeting:
                self._answer(ws, greeting)
            await self._converse(ws, client, name or ws.remote_address)
        except FAILURES as error:
            self._count_dropped(ws)
            code = getattr(error, "code", 1011)
            log("%s: %s" % (client.label, describe_error(error)))
        finally:
            self.counters.closed(code)
            del self.clients[ws]
            self.values.tell_sketch("on_disconnect", client)
            if not self.clients and self.values.outputs:
                self.values.outputs.idle()
        await ws.close(1011 if code == 1011 else 1008)  # where it is not closed yet

    async def _tell_metrics(self, ws):
        self.server.clients.discard(ws)  # it wants no values
        try:
            message = self.metrics()
            self.counters.sent(message)
            await _within(ws.send(message))
        except MemoryError:
            await ws.close(1011)

    async def _ask_for_wifi(self, ws):
        self.server.clients.discard(ws)  # it wants no values
        from firmware import wifi_form

        if ws.remote_address in self.answers.guard.watchers:
            problem = "You may only watch."
        else:
            problem = wifi_form.keep(await ws.recv(_SEND_TIMEOUT))
        await _within(ws.send(problem or wifi_form.KEPT))
        await ws.close()
        if not problem:
            log("another Wi-Fi was entered: resetting the board, which joins it")
            await asyncio.sleep(1)  # for that line to leave, and what the page is told
            machine.reset()

    async def _converse(self, ws, client, name):
        count = 0
        while True:
            count += 1
            message = await self._next(ws, client, count % _PROBE == 0)
            messages = (message,)
            if client.late is not None and self._newest:
                messages, left_out = await self._newest.take(ws, message)
                self.counters.add("skipped", left_out)
            for message in messages:
                self.counters.received(message)
                reply = self._reply(ws, client, name, message)
                if reply is None:
                    sketch = self.values.sketch
                    reply = sketch and await sketch.message(message, client)
                if reply:
                    self._answer(ws, reply)
            del message, messages  # not in memory while it waits for the next
            await asyncio.sleep(0)  # the others have their turn

    def _reply(self, ws, client, name, message):
        """Deal with a message; the answer to its sender, "" for none, None where a sketch may."""
        is_text = isinstance(message, str)
        if is_text and message.startswith("ping:") and len(message) < _PING_LIMIT:
            # A browser cannot send a Ping of the protocol.
            return "pong:%s clients:%d" % (message[5:], len(self.clients))
        if message == "clients:":
            return json.dumps({"clients": self._names()})
        if self._messages.allows():
            log("%s: received %s" % (client.label, describe_message(message)))
        wrong = self.values.command(message, client, not client.watches)
        if wrong is not None:
            return wrong
        if client.watches:
            # What begins so is never answered: it may be an answer itself.
            return "" if is_text and message.startswith("error:") else "error: you may only watch"
        if self._chat:
            self._pass_on(ws, name, message)
        return None

    def _answer(self, ws, message):
        # Not sent by this task, which has to receive meanwhile: the Pong that makes room for it.
        if self.server.post(ws, message):
            self.counters.sent(message)

    def _names(self):
        return [client.name for client in self.clients.values()]

    def _first_message(self, client):
        from firmware import reports

        settings = self._settings
        about = {
            "name": settings["hostname"],
            "format": settings["format"],
            "read_only": settings["read_only"] or client.watches,
        }
        if self._chat:
            about["clients"] = self._names()
        if self.values.sketch and self.values.sketch.error:
            about["error"] = self.values.sketch.error
        return reports.first_message(self.values, about)

    async def _next(self, ws, client, probe):
        """The client's next message. With `probe` it is seen whether one waited already."""
        if not probe and client.late is None:
            return await ws.recv()
        try:
            message = await ws.recv(0)
        except Timeout:
            client.late = None
            return await ws.recv()
        if client.late is None:
            client.late = uptime()
        elif not client.is_told and uptime() - client.late >= _LATE:
            client.is_told = True
            self.counters.add("flooding")
            what = "only its newest values are taken" if self._newest else "it comes late"
            log("%s: sends more than this board takes; %s" % (client.label, what))
        return message

    def _pass_on(self, ws, name, message):
        """What a client says, to all the others."""
        try:
            found = self.values.history and self._chat.value_said(name, message)
            if found:
                self.values.history.add(tenths(), found[0], found[1])
            said = self._chat.said(name, message)
            count = self.server.broadcast(said, isinstance(message, str), ws)
            self.counters.sent(said, count)
        except MemoryError:
            log("no memory to pass on what %s says" % name)

    def say(self, text):
        """A text to all clients."""
        if self.server and self.server.clients:
            self.counters.sent(text, self.server.broadcast(text))

    def _publish(self, items, now, source):
        """Values of this board, to all clients; who commanded them is one of these."""
        if not self.server or not self.server.clients:
            return
        for message in self.values.texts(items, now):
            count = self.server.broadcast(message)
            self.counters.sent(message, count)
            log("sent %s to %d client%s" % (message, count, "" if count == 1 else "s"))

    def _count_all_dropped(self):
        # Not in watch(), whose variables live as long as it sleeps, and a connection with them.
        for ws in self.clients:
            self._count_dropped(ws)

    def _count_dropped(self, ws):
        client = self.clients[ws]
        self.counters.add("dropped", ws.dropped - client.dropped)
        client.dropped = ws.dropped
        if ws.dropped >= client.tell:
            client.tell = 2 * ws.dropped
            log("%s: too slow, skipped %d old messages so far" % (client.label, ws.dropped))


async def _within(sending):
    """Send something in time: one that reads nothing must not keep its place for ever."""
    try:
        await within(sending, _SEND_TIMEOUT)
    except Timeout:
        raise ProtocolError(1008, "too slow") from None
