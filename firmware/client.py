"""The client role: print what a server sends, send it the values, never give up."""

import asyncio

from microws.core import FAILURES

from firmware import config, net
from firmware.connecting import Session, stay_connected
from firmware.describe import describe_error, describe_message
from firmware.log import Bound, log, uptime
from firmware.outbox import Outbox
from firmware.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL = 1  # seconds between two samples
_MESSAGES = 50  # lines a second; the serial log takes its time from all the rest


async def run(settings: dict, read: "Callable[[], int] | None") -> None:
    """Run the role for ever; `read()` gives a sample of pin0."""
    outbox = Outbox(settings["queue"])

    def publish(items: list, now: int, source: object) -> None:
        if source is None:  # else the server knows, for it commanded it
            for message in values.texts(items, now):
                outbox.put(message)

    values = Values(settings, read, settings["sample_interval"] or _INTERVAL, publish)
    watch = asyncio.create_task(values.watch()) if outbox.keeps else None

    def say(text: str) -> None:
        if not text.startswith(("error:", '{"error"')):  # a server has no use for these
            outbox.put(text)

    sketch = asyncio.create_task(values.watch_sketch(say))

    async def look():
        if watch and watch.done():
            await watch  # what ended it goes on from here
        await values.start_sketch(say)

    def begin():
        return _Session(settings, values, outbox, watch)

    try:
        await stay_connected(settings, [settings["url"]], begin, look)
    finally:
        sketch.cancel()
        if watch:
            watch.cancel()
        values.end()


class _Session(Session):
    """A connection; `watch` is the task that looks at the inputs, None where this is to do so."""

    def __init__(self, settings, values, outbox, watch):
        super().__init__(settings, [watch] if watch else [])
        self._values = values
        self._outbox = outbox
        self._watch = watch
        self._is_open = False
        self._sending = None  # when the message that is on its way began
        self._messages = Bound(_MESSAGES, "received %d more messages, too many to show")
        self.name = "server"  # for a sketch

    def headers(self):
        found = super().headers()
        credentials = config.authorization(self.settings)
        if credentials:
            found.append(("Authorization", credentials))
        return found

    async def live(self, address, url, names, verifier):
        try:
            await super().live(address, url, names, verifier)
        finally:
            if self._is_open:
                self._outbox.close()
                self._values.tell_sketch("on_disconnect", self)
                if self._values.outputs:
                    self._values.outputs.idle()

    async def tasks(self):
        self._is_open = net.does_its_work = True
        self._outbox.open()
        sketch = self._values.sketch
        greeting = sketch and await sketch.call("on_connect", self)
        if greeting:
            await self._send(greeting)
        tasks = [self._receive(), self._send_all()]
        return tasks if self._watch else tasks + [self._values.watch()]

    def is_over(self):
        self._messages.tell()
        # It may take no bytes any more, and go on sending some.
        if self._sending is None or uptime() - self._sending <= self.settings["keepalive"]:
            return False
        log("the server has taken nothing for %s s" % self.settings["keepalive"])
        return True

    async def _receive(self):
        try:
            while True:
                message = await self.ws.recv()
                if self._messages.allows():
                    log("received " + describe_message(message))
                # An answer to a command, if there is any, is not for a server.
                if self._values.command(message, self) is None and self._values.sketch:
                    reply = await self._values.sketch.message(message, self)
                    if reply:
                        self._outbox.put(reply)
        except FAILURES as error:
            log(describe_error(error))

    async def _send_all(self):
        try:
            await self._outbox.send_all(self._send)
        except MemoryError as error:
            log(describe_error(error))
        except FAILURES:
            pass  # whoever receives hears of it too, and says so

    async def _send(self, message):
        self._sending = uptime()
        await self.ws.send(message)
        self._sending = None
        log("sent " + describe_message(message))
