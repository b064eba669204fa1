"""What the clients of the server role get together, and what is counted of it."""

import asyncio

from firmware import net
from firmware.answers import WIFI, Answers
from firmware.clients import Client, send_in_time
from firmware.counters import Counters
from firmware.log import Bound, log, uptime
from firmware.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_SIZE = 2048  # bytes of a message, for each client, unless the configuration says more


class Service:
    """The values and the counters of a server, and its clients by their connections."""

    def __init__(self, settings: dict, read: "Callable[[], int] | None") -> None:
        self.server: Any = None
        self.settings = settings
        self.clients: dict = {}
        self.counters = Counters()
        self.interval = settings["sample_interval"] or 0.5  # seconds
        self.values = Values(settings, read, self.interval, self._publish)
        if settings["history"]:
            from firmware.history import History

            self.values.history = History(settings["history"])
        # One that listens for updates, and one that brings them.
        spared = 2 if settings["update_token"] else 0
        self.max_clients = net.most_clients(settings["max_clients"], spared)
        #: Of lines a second about what clients say: the log takes its time from everybody.
        self.lines = Bound(50, "received %d more messages, too many to show")
        self.not_taken = 0  # that the log has told of
        #: These modules, where the settings want them.
        self.chat: Any = None
        if settings["chat"]:
            from firmware import chat

            self.chat = chat
        self.newest: Any = None
        if settings["flood"] == "newest":
            from firmware import newest

            self.newest = newest
        self.answers = Answers(settings, self)
        closed = settings["read_only"] or settings["token"] or settings["user"]
        if settings["outputs"] and not closed:
            log(
                'anybody in this network can switch the outputs: "token", or "user" and '
                '"password", or "read_only" in config.json closes that'
            )

    async def watch(self) -> None:
        """What is to be done every second."""
        while True:
            await asyncio.sleep(1)
            try:
                uptime()  # the clock of a board wraps within days
                self.answers.watch()
                self.lines.tell()
                self._count_dropped()
                self._tell_not_taken()
            except MemoryError:
                pass  # the next second may have some

    def _tell_not_taken(self):
        if self.server and self.server.not_taken != self.not_taken:
            self.not_taken = self.server.not_taken
            log("somebody waits outside: no socket, or no memory, is left for a connection")

    def _count_dropped(self):
        # Not in watch(), whose variables live as long as it sleeps, and a connection with them.
        for client in self.clients.values():
            client.count_dropped()

    def metrics(self, ticket: str = "") -> str:
        """The counters as JSON; what the page needs to know of the settings goes with them."""
        self._count_dropped()
        settings = self.settings
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

    async def handle(self, ws: "Any") -> None:
        """One connection from its handshake to its end."""
        path, _, query = ws.path.partition("?")
        if path == WIFI and net.has_own_wifi():
            from firmware import wifi_form

            self.server.clients.discard(ws)  # it wants no values
            await wifi_form.ask(ws, ws.remote_address not in self.answers.guard.watchers)
        elif path == self.settings["path"]:
            await Client(self, ws).live(query)
        else:
            self.server.clients.discard(ws)
            try:
                message = self.metrics()
                self.counters.sent(message)
                await send_in_time(ws, message)
            except MemoryError:
                await ws.close(1011)

    def say(self, text: str) -> None:
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
