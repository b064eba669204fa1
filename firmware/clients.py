"""A client of the server role: what it says, and what it is answered."""

import asyncio
import json

from microws import ProtocolError, Timeout
from microws.aio_connection import within
from microws.core import FAILURES

from firmware.describe import describe_error, describe_message
from firmware.log import log, tenths, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Client:
    """One client from its handshake to its end; a sketch gets it, too.

    `service` has what it shares with the others: see service.py.
    """

    def __init__(self, service: "Any", ws: "Any") -> None:
        self._service = service
        self.ws = ws
        self.label = "client %d" % service.counters.add("clients_ever")
        self.name = self.label  # what the others call it
        watchers = service.answers.guard.watchers
        self.watches = ws.remote_address in watchers  # it may do nothing else
        watchers.discard(ws.remote_address)
        self.dropped = 0  # of the texts to it, as far as they are counted
        self._tell = 1  # dropped texts that are worth the next line
        self._late: Any = None  # since when it has sent more than was taken
        self.told = False  # that it has

    async def live(self, query: str) -> None:
        """Deal with what it says until it ends; `query` is that of its request."""
        service, ws, values = self._service, self.ws, self._service.values
        service.answers.is_fed()
        name = service.chat.name_of(query, self._names()) if service.chat else ""
        known = " as " + name if name else ""
        self.name = name or self.label
        service.clients[ws] = self
        log("%s: connected from %s%s, handshake done" % (self.label, ws.remote_address, known))
        service.counters.measure()
        code = 1011
        try:
            if service.settings["inputs"] or service.settings["outputs"]:
                self._answer(self.first_message())
            reply = values.sketch and await values.sketch.call("on_connect", self)
            if reply:
                self._answer(reply)
            await self._converse(name or ws.remote_address)
        except FAILURES as error:
            self.count_dropped()
            code = getattr(error, "code", 1011)
            log("%s: %s" % (self.label, describe_error(error)))
        finally:
            service.counters.closed(code)
            del service.clients[ws]
            values.tell_sketch("on_disconnect", self)
            if not service.clients and values.outputs:
                values.outputs.idle()
            self.ws = None  # a sketch may keep this one
        await ws.close(1011 if code == 1011 else 1008)  # where it is not closed yet

    async def _converse(self, name):
        service = self._service
        count = 0
        while True:
            count += 1
            # Now and then it is looked whether it keeps up.
            message = await self._next(count % 5 == 0)
            texts = (message,)
            if self._late is not None and service.newest:
                texts, skipped = await service.newest.take(self.ws, message)
                service.counters.add("skipped", skipped)
            for message in texts:
                service.counters.received(message)
                reply = self._reply(name, message)
                if reply is None:
                    sketch = service.values.sketch
                    reply = sketch and await sketch.message(message, self)
                if reply:
                    self._answer(reply)
            del message, texts  # not in memory while it waits for the next
            await asyncio.sleep(0)  # the others have their turn

    async def _next(self, look):
        """Its next message. With `look` it is seen whether one waited already."""
        if not look and self._late is None:
            return await self.ws.recv()
        try:
            message = await self.ws.recv(0)
        except Timeout:
            self._late = None
            return await self.ws.recv()
        if self._late is None:
            self._late = uptime()
        elif not self.told and uptime() - self._late >= 2:  # seconds
            self.told = True
            self._service.counters.add("flooding")
            newest = self._service.newest
            what = "only its newest values are taken" if newest else "it comes late"
            log("%s: sends more than this board takes; %s" % (self.label, what))
        return message

    def _reply(self, name, message):
        """Deal with a message; the answer to its sender, "" for none, None where a sketch may."""
        service = self._service
        is_text = isinstance(message, str)
        if is_text and message.startswith("ping:") and len(message) < 32:
            # A browser cannot send a Ping of the protocol.
            return "pong:%s clients:%d" % (message[5:], len(service.clients))
        if message == "clients:":
            return json.dumps({"clients": self._names()})
        if service.lines.allows():
            log("%s: received %s" % (self.label, describe_message(message)))
        wrong = service.values.command(message, self, not self.watches)
        if wrong is not None:
            return wrong
        if self.watches:
            # What begins so is never answered: it may be an answer itself.
            return "" if is_text and message.startswith("error:") else "error: you may only watch"
        if service.chat:
            self._pass_on(name, message)
        return None

    def _answer(self, message):
        # Not sent by this task, which has to receive meanwhile: the Pong that makes room for it.
        if self._service.server.post(self.ws, message):
            self._service.counters.sent(message)

    def _names(self):
        return [client.name for client in self._service.clients.values()]

    def first_message(self):
        from firmware import reports

        service = self._service
        more = {
            "name": service.settings["hostname"],
            "format": service.settings["format"],
            "read_only": service.settings["read_only"] or self.watches,
        }
        if service.chat:
            more["clients"] = self._names()
        sketch = service.values.sketch
        if sketch and sketch.error:
            more["error"] = sketch.error
        return reports.first_message(service.values, more)

    def _pass_on(self, name, message):
        """What it says, to all the others."""
        service = self._service
        try:
            found = service.values.history and service.chat.value_said(name, message)
            if found:
                service.values.history.add(tenths(), found[0], found[1])
            said = service.chat.said(name, message)
            count = service.server.broadcast(said, isinstance(message, str), self.ws)
            service.counters.sent(said, count)
        except MemoryError:
            log("no memory to pass on what %s says" % name)

    def count_dropped(self) -> None:
        """Count the texts that were dropped since; the log tells where there are many."""
        dropped = self.ws.dropped
        self._service.counters.add("dropped", dropped - self.dropped)
        self.dropped = dropped
        if dropped >= self._tell:
            self._tell = 2 * dropped
            log("%s: too slow, skipped %d old texts so far" % (self.label, dropped))


async def send_in_time(ws: "Any", message: str) -> None:
    """Send it: one that reads nothing must not keep its place for ever."""
    try:
        await within(ws.send(message), 10)
    except Timeout:
        raise ProtocolError(1008, "too slow") from None
