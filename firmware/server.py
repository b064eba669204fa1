"""The server role: the pin's values to all clients, what these say, the page and the counters."""

import asyncio

from microws import ConnectionClosed, HandshakeError, ProtocolError, Timeout, WebSocketError
from microws.aio import within
from microws.aio_server import serve  # now, while the heap is whole

from firmware import net, page
from firmware.access import Guard, is_websocket
from firmware.counters import Counters
from firmware.describe import describe_error, describe_message
from firmware.log import Bound, log, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

METRICS = "/metrics"

_INTERVAL = 0.5  # seconds between two samples
_RETRY = 5  # seconds
_PENDING = 3  # handshakes and pages at a time: what clients need is not for these to take
_CLOSE_TIMEOUT = 2  # seconds
_MAX_SIZE = 2048  # bytes of a message, for each client, unless the configuration says more
_MAX_HEADER = 2048  # bytes of a request
_NAME_SIZE = 512  # bytes, most of them a name's, that come to a message in the chat
_PROBE = 5  # messages of a client after which it is looked whether it keeps up
_LATE = 2  # seconds of more messages than are taken, after which the log tells
_SEND_TIMEOUT = 10  # seconds
_REFUSALS = 5  # lines a second; the serial log takes its time from everybody
_MESSAGES = 50  # lines a second
_PING_LIMIT = 32  # characters
_STARVED = 600  # seconds without memory for a single client


async def run(settings: dict, read: "Callable[[], int]") -> None:
    """Run the role for ever; `read()` gives a sample."""
    service = _Service(settings)
    ssl = None
    if settings["cert_file"]:
        from firmware.certificates import server_context

        ssl = server_context(settings)
    watch = asyncio.create_task(service.watch())
    try:
        while True:
            try:
                await _listen(settings, service, read, ssl)
            except MemoryError:
                log("out of memory")
                await asyncio.sleep(_RETRY)
    finally:
        watch.cancel()


async def _listen(settings, service, read, ssl):
    """Serve at one address, until it is gone."""
    address = await net.wait_for_address(settings)
    max_size = settings["max_size"] or _MAX_SIZE
    try:
        server = await serve(
            service.handle,
            address,
            settings["port"],
            max_clients=service.max_clients,
            max_pending=_PENDING,
            process_request=service.answer,
            subprotocols=settings["subprotocols"] or (),
            on_refused=service.refused,
            max_backlog=max_size + _NAME_SIZE,  # one message of another, with its name
            slow=settings["slow"],
            max_size=max_size,
            max_header=settings["max_header"] or _MAX_HEADER,
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
    log("the page is at %s://%s:%d/" % (("https" if ssl else "http",) + place))
    try:
        while True:
            try:
                if not await net.sleep_with_address(address, service.interval):
                    break
                if not server.is_serving():
                    raise RuntimeError("the server takes no clients any more")
                if service.is_starved:
                    raise RuntimeError("no memory for a single client in %d s" % _STARVED)
                if server.clients:
                    service.send_sample(read())
            except MemoryError:
                log("no memory to send a value")
                await asyncio.sleep(1)
        log("the address %s is gone" % address)
    finally:
        server.close()
        await server.wait_closed()


class _Client:
    def __init__(self, label, name):
        self.label = label
        self.name = name  # in the chat, "" for none
        self.dropped = 0  # of the messages to it, as far as they are counted
        self.tell = 1  # dropped messages that are worth the next line
        self.late: Any = None  # since when it has sent more than was taken
        self.is_told = False  # that it has


class _Service:
    """What the clients get, and what is counted of it."""

    def __init__(self, settings):
        self.server: Any = None
        self.interval = settings["sample_interval"] or _INTERVAL
        self.max_clients = net.most_clients(settings["max_clients"])
        self._settings = settings
        self._clients: dict = {}
        self._counters = Counters()
        self._refusals = Bound(_REFUSALS, "refused %d more")
        self._messages = Bound(_MESSAGES, "received %d more messages, too many to show")
        self._not_taken = 0  # that the log has told of
        self._starved_since: Any = None
        self.is_starved = False
        self._chat: Any = None
        if settings["chat"]:
            from firmware import chat

            self._chat = chat
        self._newest: Any = None
        if settings["flood"] == "newest":
            from firmware import newest

            self._newest = newest
        self._guard = Guard(settings, self._tell_refused)

    async def watch(self):
        """What is to be done every second."""
        while True:
            await asyncio.sleep(1)
            try:
                uptime()  # the clock of a board wraps within days
                self._refusals.tell()
                self._messages.tell()
                self._count_all_dropped()
                self._tell_not_taken()
            except MemoryError:
                pass  # the next second may have some

    def _tell_not_taken(self):
        if self.server and self.server.not_taken != self._not_taken:
            self._not_taken = self.server.not_taken
            log("somebody waits outside: no socket, or no memory, is left for a connection")

    # Requests

    def answer(self, request):
        """The HTTP response to a request; None where the library goes on with it."""
        refusal = self._guard.check(request)
        if refusal:
            return refusal
        path, _, query = request.path.partition("?")
        places = (self._settings["path"], METRICS)
        if request.method != "GET":
            return None  # it refuses all others
        if is_websocket(request):
            if path not in places:
                return _text(404, "no WebSocket here")
            self._hint_at_subprotocols(request)
            return None
        if path == METRICS:
            headers = (
                ("Content-Type", "application/json"),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            )
            asks = "ticket" in query.split("&")
            return 200, headers, self._metrics(self._guard.new_ticket() if asks else "").encode()
        if path != "/" and path != self._settings["path"]:
            return _text(404, "nothing here; the page is at /")
        found = page.response(request.headers.get("accept-encoding", ""))
        return found or _text(404, "this board has no page; put page.html on it")

    def refused(self, ws, error):
        """A client that got no WebSocket; most of them wanted none."""
        if not isinstance(error, MemoryError) or self._clients:
            self._starved_since = None
        elif self._starved_since is None:
            self._starved_since = uptime()
        else:
            # The heap is in pieces: nothing but a reset makes it whole.
            self.is_starved = uptime() - self._starved_since >= _STARVED
        if isinstance(error, (MemoryError, Timeout)):
            reason = "no memory" if isinstance(error, MemoryError) else "no handshake in time"
        elif isinstance(error, OSError) and self._settings["cert_file"]:
            # It may be who does not trust this board, and left in the middle.
            left = "SSL" not in str(error)
            reason = "no TLS: " + ("it went away" if left else describe_error(error))
        elif not isinstance(error, HandshakeError) or error.status in (0, 200, 401, 403, 429):
            return  # it left by itself, has what it wanted, or was told of already
        elif error.status == 404:
            path = ws.path.partition("?")[0]  # the rest may be secret
            reason = "%s is not here (HTTP 404)" % describe_message(path)
        else:
            reason = "%s (HTTP %d)" % (error.reason, error.status)
        self._tell_refused(ws.remote_address, reason)

    def _tell_refused(self, address, reason):
        self._counters.add("refused")
        if self._refusals.allows():
            log("%s: refused, %s" % (address, reason))

    def _hint_at_subprotocols(self, request):
        offered = request.headers.get("sec-websocket-protocol")
        if not offered:
            return
        for name in offered.split(","):
            if name.strip() in (self._settings["subprotocols"] or ()):
                return
        if self._refusals.allows():
            log(
                "%s: asks for the subprotocol %s; a browser leaves at once where it is not given: "
                'see "subprotocols"' % (request.remote_address, describe_message(offered))
            )

    def _metrics(self, ticket=""):
        """The counters as JSON; what the page needs to know of the settings goes with them."""
        self._count_all_dropped()
        settings = self._settings
        more = {
            "name": settings["hostname"],
            "path": settings["path"],
            "chat": settings["chat"],
            "interval": self.interval,
            "clients": len(self._clients),
            "max_clients": self.max_clients,
        }
        if ticket:
            more["ticket"] = ticket
        return self._counters.report(more)

    # WebSockets

    async def handle(self, ws):
        """One client from its handshake to its end."""
        path, _, query = ws.path.partition("?")
        if path != self._settings["path"]:
            await self._tell_metrics(ws)
            return
        self._starved_since = None
        taken = [other.name for other in self._clients.values()]
        name = self._chat.name_of(query, taken) if self._chat else ""
        client = _Client("client %d" % self._counters.add("clients_ever"), name)
        self._clients[ws] = client
        known = " as " + name if name else ""
        log("%s: connected from %s%s, handshake done" % (client.label, ws.remote_address, known))
        self._counters.measure()
        code = 1011
        try:
            await self._converse(ws, client, name or ws.remote_address)
        except (MemoryError, OSError, WebSocketError) as error:
            self._count_dropped(ws)
            slow = self._settings["slow"] == "close" and client.dropped
            end = ProtocolError(1008, "too slow") if slow else error
            code = getattr(end, "code", 1011)
            log("%s: %s" % (client.label, describe_error(end)))
        finally:
            self._counters.closed(code)
            del self._clients[ws]
        await ws.close(1011 if code == 1011 else 1008)  # where it is not closed yet

    async def _tell_metrics(self, ws):
        self.server.clients.discard(ws)  # it wants no values
        try:
            message = self._metrics()
            self._counters.sent(message)
            await _within(ws.send(message))
        except MemoryError:
            await ws.close(1011)

    async def _converse(self, ws, client, name):
        count = 0
        while True:
            count += 1
            message = await self._next(ws, client, count % _PROBE == 0)
            messages = (message,)
            if client.late is not None and self._newest:
                messages, left_out = await self._newest.take(ws, message)
                self._counters.add("skipped", left_out)
            for message in messages:
                self._counters.received(message)
                reply = ""
                ping = isinstance(message, str) and message.startswith("ping:")
                if ping and len(message) < _PING_LIMIT:
                    # A browser cannot send a Ping of the protocol.
                    reply = "pong:%s clients:%d" % (message[5:], len(self._clients))
                else:
                    if self._messages.allows():
                        log("%s: received %s" % (client.label, describe_message(message)))
                    if self._chat:
                        self._pass_on(ws, name, message)
                try:
                    if reply:
                        self._counters.sent(reply)
                        await _within(ws.send(reply))
                    elif count % _PROBE == 0:
                        await _within(ws.ping())
                except (OSError, ConnectionClosed):
                    pass  # it has gone: recv() says so after all that came before
            del message, messages  # not in memory while it waits for the next
            await asyncio.sleep(0)  # the others have their turn

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
            self._counters.add("flooding")
            what = "only its newest values are taken" if self._newest else "it comes late"
            log("%s: sends more than this board takes; %s" % (client.label, what))
        return message

    def _pass_on(self, ws, name, message):
        """What a client says, to all the others."""
        try:
            said = self._chat.said(name, message)
            count = self.server.broadcast(said, isinstance(message, str), ws)
            self._counters.sent(said, count)
        except MemoryError:
            log("no memory to pass on what %s says" % name)

    def send_sample(self, value):
        message = "pin0:%d" % value
        count = self.server.broadcast(message)
        self._counters.sent(message, count)
        log("sent %s to %d client%s" % (message, count, "" if count == 1 else "s"))

    def _count_all_dropped(self):
        # Not in watch(), whose variables live as long as it sleeps, and a connection with them.
        for ws in self._clients:
            self._count_dropped(ws)

    def _count_dropped(self, ws):
        client = self._clients[ws]
        self._counters.add("dropped", ws.dropped - client.dropped)
        client.dropped = ws.dropped
        if self._settings["slow"] == "drop" and ws.dropped >= client.tell:
            client.tell = 2 * ws.dropped
            log("%s: too slow, skipped %d old messages so far" % (client.label, ws.dropped))


async def _within(sending):
    """Send something in time: one that reads nothing must not keep its place for ever."""
    try:
        await within(sending, _SEND_TIMEOUT)
    except Timeout:
        raise ProtocolError(1008, "too slow") from None


def _text(status, text):
    headers = (("Content-Type", "text/plain"), ("X-Content-Type-Options", "nosniff"))
    return status, headers, (text + "\n").encode()
