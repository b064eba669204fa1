"""For a role that is a client: connect, stay connected, and never give up."""

import asyncio
import socket
from errno import ECONNREFUSED, ECONNRESET

from microws import HandshakeError, WebSocketError, aio
from microws.core import FAILURES
from microws.reconnecting import Pauses

from firmware import config, net
from firmware.describe import describe_error, describe_message
from firmware.log import log, uptime
from firmware.urls import public_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from typing import Any

_DEFAULT_URL = "ws://127.0.0.1:8080/"  # as in settings.py, which is not in memory any more
_CONNECT_TIMEOUT = 10  # seconds
_CLOSE_TIMEOUT = 2  # seconds
_CHECK_EVERY = 0.5  # seconds
_MAX_SIZE = 8192  # bytes of a message, unless the configuration says more
_MAX_HEADER = 4096  # bytes of the answer to the handshake
_REDIRECTS = 3  # in a row
_STARVED = 10  # times
_SILENT = 300  # seconds without an answer from anybody, then the interface goes down and up


async def stay_connected(
    settings: dict, urls: list, begin: "Callable[[], Session]", look: "Callable[[], Awaitable]"
) -> None:
    """Live one session that `begin()` makes after another, for ever, at the urls in turn.

    `look()` is awaited before each, with the network up.
    """
    verifier = None
    if [url for url in urls if url.lower().startswith("wss:")]:
        from firmware.certificates import Verifier

        verifier = Verifier(settings)
    names = Names()
    pauses = Pauses()
    answered = uptime()
    starved = 0
    turn = 0
    while True:
        if starved == _STARVED:
            # The heap is in pieces: nothing but a reset makes it whole.
            raise RuntimeError("no memory for a connection %d times in a row" % starved)
        try:
            before = uptime()
            address = await net.wait_for_address(settings)
            answered += uptime() - before
            await look()
            session = begin()
            await session.live(address, urls[turn], names, verifier)
            turn = (turn + 1) % len(urls)
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


class Names:
    """What the library takes of a pool of sockets: of the module socket, but with a memory."""

    SOCK_STREAM = socket.SOCK_STREAM
    socket = socket.socket

    def __init__(self) -> None:
        self._known: dict = {}
        self._last: tuple = ()

    def getaddrinfo(self, host: str, port: int, *more: int) -> "Any":
        """The addresses of a name, those of the last time where nobody knows the name now."""
        found: Any
        try:
            found = socket.getaddrinfo(host, port, *more)
        except OSError as error:
            found = self._known.get(host)
            if not found:
                raise
            log("%s; taking the address of the last time" % describe_error(error))
        net.feed()  # that may have taken half a minute, and nothing else went on
        self._last = (host, found)
        return found

    def keep(self) -> None:
        """A server answers at the addresses that were asked for last."""
        self._known[self._last[0]] = self._last[1]


class Session:
    """One connection from its first packet to its last; its state is thrown away with it.

    `answered`: somebody did, if only to refuse. `starved`: there was no memory for it. `held` is
    how long it was open, in seconds. `role_tasks` go on in between; each ends it by its end.
    """

    max_size = _MAX_SIZE  # bytes of a message, unless the configuration says more

    def __init__(self, settings: dict, role_tasks: "Iterable[Any]") -> None:
        self.settings = settings
        self._role_tasks = role_tasks
        self._redirects = 0
        self.ws: Any = None
        self.answered = False
        self.starved = False
        self.held = 0
        self.is_ending = False  # this side ends it

    # What a role has of its own.

    def headers(self) -> list:
        """The header fields of the handshake."""
        return list((self.settings["headers"] or {}).items())

    def subprotocols(self) -> "list | tuple":
        """The subprotocols that it asks for."""
        return self.settings["subprotocols"] or ()

    async def tasks(self) -> "list[Coroutine]":
        """It is open: what is to go on as long as it is; the first of these receives."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether it is to be ended, for a reason that the log tells; asked now and then."""
        raise NotImplementedError

    async def live(self, address: str, url: str, names: "Names", verifier: "Any") -> None:
        """Connect to `url`, and stay so; `address` is this board's own."""
        log("connecting to " + public_url(url))
        tasks: list = []
        try:
            if verifier:
                verifier.set_clock()
                net.feed()  # it asks for a name as well
            ws = self.ws = await self._connect(url, names, verifier)
            began = uptime()
            log("connected to %s, handshake done" % ws.remote_address)
            self.answered = True
            tasks = [asyncio.create_task(task) for task in await self.tasks()]
            done: list = []
            while not (done or self.is_over()):
                if not await net.sleep_with_address(address, _CHECK_EVERY):
                    log("the address %s is gone" % address)
                    break
                done = [one for one in tasks + list(self._role_tasks) if one.done()]
            self.held = uptime() - began
            self.is_ending = not tasks[0].done()
            for task in done:
                await task  # it may have ended with what nobody expects
        except FAILURES as error:
            refused = isinstance(error, OSError) and error.errno in (ECONNREFUSED, ECONNRESET)
            distrust = verifier and verifier.distrust(error)
            self.starved = isinstance(error, MemoryError) and not tasks
            self.answered = refused or distrust or isinstance(error, WebSocketError)
            log(distrust or describe_error(error))
            if url == _DEFAULT_URL:
                log('is "url" set in %s? it is where the client connects to' % config.FILE)
        finally:
            for task in tasks[1:]:
                task.cancel()
            if self.ws:
                await self.ws.close(1001)

    async def _connect(self, url, names, verifier):
        """A connection to `url`, or to where its server sends this on."""
        settings = self.settings
        headers = self.headers()
        while True:
            try:
                ws = await aio.connect(
                    url,
                    timeout=_CONNECT_TIMEOUT,
                    headers=headers,
                    subprotocols=self.subprotocols(),
                    ssl=verifier and verifier.context_for(url),
                    close_timeout=_CLOSE_TIMEOUT,
                    keepalive_timeout=settings["keepalive"],
                    pool=names,
                    max_size=settings["max_size"] or self.max_size,
                    max_header=settings["max_header"] or _MAX_HEADER,
                )
                if not self._redirects:
                    names.keep()
                return ws
            except HandshakeError as error:
                # Not by connect(max_redirects=3): each is told.
                if not 300 < error.status < 309 or "location" not in error.headers:
                    raise
                if not self._redirects:
                    names.keep()
                url, headers = self._follow(url, headers, error, verifier)

    def _follow(self, url, headers, error, verifier):
        """Where a redirect leads, and the header fields to go there with."""
        from microws.redirects import follow

        location = error.headers["location"]
        try:
            if self._redirects == _REDIRECTS:
                raise ValueError("over %d in a row" % _REDIRECTS)
            target, headers = follow(url, headers, location)
            if target.lower().startswith("wss:") and not verifier:
                raise ValueError('for wss:// set "url" to it, that it is known whom to trust')
        except ValueError as reason:
            log("a redirect to %s is not followed: %s" % (_shown(location), reason))
            raise error from None
        self._redirects += 1
        log("redirected to " + _shown(target))
        return target, headers


def _shown(url):
    return describe_message(public_url(url))
