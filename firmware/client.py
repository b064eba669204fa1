"""The client role: print what a server sends, send it the analog value, never give up."""

import asyncio
import socket
from errno import ECONNREFUSED, ECONNRESET

from microws import HandshakeError, WebSocketError, aio
from microws.reconnecting import Pauses

from firmware import config, net
from firmware.describe import describe_error, describe_message
from firmware.log import Bound, log, public_url, uptime
from firmware.outbox import Outbox
from firmware.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_DEFAULT_URL = "ws://127.0.0.1:8080/"  # as in settings.py, which is not in memory any more
_INTERVAL = 1  # seconds between two samples
_CONNECT_TIMEOUT = 10  # seconds
_CLOSE_TIMEOUT = 2  # seconds
_CHECK_EVERY = 0.5  # seconds
_MAX_SIZE = 8192  # bytes of a message, unless the configuration says more
_MAX_HEADER = 4096  # bytes of the answer to the handshake
_MESSAGES = 50  # lines a second; the serial log takes its time from all the rest
_REDIRECTS = 3  # in a row
_STARVED = 10  # times
_SILENT = 300  # seconds without an answer from anybody, then the interface goes down and up


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
    try:
        await _live(settings, values, outbox, watch, say)
    finally:
        sketch.cancel()
        if watch:
            watch.cancel()
        values.end()


async def _live(settings, values, outbox, watch, say):
    verifier = None
    if settings["url"].lower().startswith("wss:"):
        from firmware.certificates import Verifier

        verifier = Verifier(settings)
    known: list = []
    pauses = Pauses()
    answered = uptime()
    starved = 0
    while True:
        if starved == _STARVED:
            # The heap is in pieces: nothing but a reset makes it whole.
            raise RuntimeError("no memory for a connection %d times in a row" % starved)
        if watch and watch.done():
            await watch  # what ended it goes on from here
        try:
            before = uptime()
            address = await net.wait_for_address(settings)
            answered += uptime() - before
            await values.start_sketch(say)
            session = _Session(settings, values, outbox, known, verifier)
            await session.live(address, watch)
            starved = starved + 1 if session.starved else 0
            if session.answered:
                answered = uptime()
            elif uptime() - answered >= _SILENT:
                log("no answer from anybody for %d s" % _SILENT)
                net.restart(settings)
                answered = uptime()
            pause = pauses.next(session.held)
            log("trying again in %.1f s" % pause)
            await net.sleep_with_address(address, pause)
        except MemoryError:
            starved += 1
            log("out of memory")
            await asyncio.sleep(1)


def _any_done(tasks):
    return [task for task in tasks if task.done()]


def _headers(settings):
    headers = list((settings["headers"] or {}).items())
    credentials = config.authorization(settings)
    if credentials:
        headers.append(("Authorization", credentials))
    return headers


def _shown(url):
    return describe_message(public_url(url))


class _Session:
    """One connection from its first packet to its last; its state is thrown away with it.

    `known` holds the server's addresses for the next one. `answered`: somebody did, if only to
    refuse. `starved`: there was no memory for it. `held` is how long it was open, in seconds.
    """

    def __init__(self, settings, values, outbox, known, verifier):
        self._settings = settings
        self._values = values
        self._outbox = outbox
        self._known = known
        self._verifier = verifier
        self._addresses = None
        self._redirects = 0
        self._ws: Any = None
        self._sending = None  # when the message that is on its way began
        self._messages = Bound(_MESSAGES, "received %d more messages, too many to show")
        self.name = "server"  # for a sketch
        self.answered = False
        self.starved = False
        self.held = 0

    async def live(self, address, watch):
        """Live it; `watch` is the task that looks at the inputs, None where this is to do so."""
        url = self._settings["url"]
        verifier = self._verifier
        log("connecting to " + public_url(url))
        tasks = []
        try:
            if verifier:
                verifier.set_clock()
                net.feed()  # it asks for a name as well
            ws = self._ws = await self._connect()
            began = uptime()
            log("connected to %s, handshake done" % ws.remote_address)
            self.answered = True
            self._outbox.open()
            sketch = self._values.sketch
            greeting = sketch and await sketch.call("on_connect", self)
            if greeting:
                await self._send(greeting)
            tasks = [
                asyncio.create_task(self._receive()),
                asyncio.create_task(self._send_all()),
                watch or asyncio.create_task(self._values.watch()),
            ]
            while not (_any_done(tasks) or self._is_stuck()):
                if not await net.sleep_with_address(address, _CHECK_EVERY):
                    log("the address %s is gone" % address)
                    break
                self._messages.tell()
            self.held = uptime() - began
            for task in tasks:
                if task.done():
                    await task  # it may have ended with what nobody expects
        except (MemoryError, OSError, WebSocketError) as error:
            refused = isinstance(error, OSError) and error.errno in (ECONNREFUSED, ECONNRESET)
            distrust = verifier and verifier.distrust(error)
            self.starved = isinstance(error, MemoryError) and not tasks
            self.answered = refused or distrust or isinstance(error, WebSocketError)
            log(distrust or describe_error(error))
            if url == _DEFAULT_URL:
                log('is "url" set in %s? it is where the client connects to' % config.FILE)
        finally:
            if tasks:
                self._outbox.close()
                self._values.tell_sketch("on_disconnect", self)
                tasks[1].cancel()
                if not watch:
                    tasks[2].cancel()
                if self._values.outputs:
                    self._values.outputs.idle()
            if self._ws:
                await self._ws.close(1001)

    async def _connect(self):
        """A connection to "url", or to where its server sends this on."""
        settings = self._settings
        url = settings["url"]
        headers = _headers(settings)
        while True:
            try:
                ws = await aio.connect(
                    url,
                    timeout=_CONNECT_TIMEOUT,
                    headers=headers,
                    subprotocols=settings["subprotocols"] or (),
                    ssl=self._verifier and self._verifier.context_for(url),
                    close_timeout=_CLOSE_TIMEOUT,
                    keepalive_timeout=settings["keepalive"],
                    pool=self,
                    max_size=settings["max_size"] or _MAX_SIZE,
                    max_header=settings["max_header"] or _MAX_HEADER,
                )
                self._known[:] = self._addresses
                return ws
            except HandshakeError as error:
                # Not by connect(max_redirects=3): each is told.
                if not 300 < error.status < 309 or "location" not in error.headers:
                    raise
                url, headers = self._follow(url, headers, error)

    def _follow(self, url, headers, error):
        """Where a redirect leads, and the header fields to go there with."""
        from microws.redirects import follow

        location = error.headers["location"]
        try:
            if self._redirects == _REDIRECTS:
                raise ValueError("over %d in a row" % _REDIRECTS)
            target, headers = follow(url, headers, location)
            if target.lower().startswith("wss:") and not self._verifier:
                raise ValueError('for wss:// set "url" to it, that it is known whom to trust')
        except ValueError as reason:
            log("a redirect to %s is not followed: %s" % (_shown(location), reason))
            raise error from None
        self._redirects += 1
        log("redirected to " + _shown(target))
        return target, headers

    # What the library takes of a pool of sockets: of the module ``socket``, but with a memory.
    SOCK_STREAM = socket.SOCK_STREAM
    socket = socket.socket

    def getaddrinfo(self, *name):
        try:
            addresses = socket.getaddrinfo(*name)
        except OSError as error:
            if self._redirects or not self._known:
                raise
            log("%s; taking the address of the last time" % describe_error(error))
            addresses = self._known
        if not self._redirects:
            self._addresses = addresses
        net.feed()  # that may have taken half a minute, and nothing else went on
        return addresses

    async def _receive(self):
        try:
            while True:
                message = await self._ws.recv()
                if self._messages.allows():
                    log("received " + describe_message(message))
                # An answer to a command, if there is any, is not for a server.
                if self._values.command(message, self) is None and self._values.sketch:
                    reply = await self._values.sketch.message(message, self)
                    if reply:
                        self._outbox.put(reply)
        except (MemoryError, OSError, WebSocketError) as error:
            log(describe_error(error))

    async def _send_all(self):
        try:
            await self._outbox.send_all(self._send)
        except (OSError, WebSocketError):
            pass  # whoever receives hears of it too, and says so
        except MemoryError as error:
            log(describe_error(error))

    async def _send(self, message):
        self._sending = uptime()
        await self._ws.send(message)
        self._sending = None
        log("sent " + describe_message(message))

    def _is_stuck(self):
        """Whether the server takes no bytes any more, though it may go on sending some."""
        if self._sending is None or uptime() - self._sending <= self._settings["keepalive"]:
            return False
        log("the server has taken nothing for %s s" % self._settings["keepalive"])
        return True
