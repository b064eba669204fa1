"""The server role: the analog value to all clients, what they say, the page and the counters."""

import asyncio
import gc
import json
import os

from microws import HandshakeError, ProtocolError, Timeout, WebSocketError
from microws._compat import ticks_diff, ticks_ms
from microws.aio_server import serve  # now, while the heap is whole

from firmware import net
from firmware.log import log
from firmware.peer import name_of, show, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PAGE = "firmware/page.html"
METRICS = "/metrics"

_INTERVAL = 0.5  # seconds between two samples
_RETRY = 5  # seconds
_MAX_SIZE = 2048  # bytes of a message, for each client
_MAX_HEADER = 2048  # bytes of a request
_BACKLOG = 2560  # bytes that wait for a client: one message of another, with its name
_PAUSE = 0.02  # seconds between two messages of one client: a flood waits in its own socket
_PROBE = 5  # messages after which it is asked whether it is still there to be waited for
_SEND_TIMEOUT = 10  # seconds
_REFUSALS = 5  # lines a second; the serial log takes its time from everybody
_CHUNK = 1024  # bytes of the page

_mem_free: "Any" = getattr(gc, "mem_free", None)  # CPython has none


async def run(settings: dict, read: "Callable[[], int]") -> None:
    """Run the role for ever; `read()` gives a sample."""
    service = _Service(settings)
    watch = asyncio.create_task(service.watch())
    try:
        while True:
            await _listen(settings, service, read)
    finally:
        watch.cancel()


async def _listen(settings, service, read):
    """Serve at one address, until it is gone."""
    address = await net.wait_for_address(settings)
    try:
        server = await serve(
            service.handle,
            address,
            settings["port"],
            max_clients=settings["max_clients"],
            process_request=service.answer,
            on_refused=service.refused,
            max_backlog=_BACKLOG,
            slow=settings["slow"],
            max_size=_MAX_SIZE,
            max_header=_MAX_HEADER,
        )
    except OSError as error:
        log("cannot listen on port %d: %s" % (settings["port"], why(error)))
        log("trying again in %d s" % _RETRY)
        await asyncio.sleep(_RETRY)
        return
    service.server = server
    log("listening on ws://%s:%d%s" % (address, settings["port"], settings["path"]))
    while net.address() == address:
        await asyncio.sleep(settings["sample_interval"] or _INTERVAL)
        try:
            if server.clients:
                service.send_sample(read())
        except MemoryError:
            log("no memory to send a value")
    log("the address %s is gone" % address)
    server.close()
    await server.wait_closed()


class _Client:
    def __init__(self, label):
        self.label = label
        self.dropped = 0  # of its messages, as far as they are counted
        self.tell = 1  # dropped messages that are worth the next line


class _Service:
    """What the clients get, and what is counted of it."""

    def __init__(self, settings):
        self.server: Any = None
        self._settings = settings
        self._clients: dict = {}
        self._ever = 0
        self._in = [0, 0]  # messages, bytes
        self._out = [0, 0]
        self._dropped = 0
        self._refused = 0
        self._unsaid = 0  # of those refused in this second
        self._closed: dict = {}
        self._lowest: int | None = None
        self._uptime = 0  # ms
        self._ticks = ticks_ms()

    async def watch(self):
        """What is to be done every second."""
        while True:
            await asyncio.sleep(1)
            try:
                self._advance()
                if self._unsaid > _REFUSALS:
                    log("refused %d more" % (self._unsaid - _REFUSALS))
                self._unsaid = 0
                self._count_all_dropped()
            except MemoryError:
                pass  # the next second may have some

    # Requests

    def answer(self, request):
        """The HTTP response to a request; None where the library goes on with it."""
        path = request.path.partition("?")[0]
        places = (self._settings["path"], METRICS)
        if request.method != "GET":
            return None  # it refuses all others
        if "websocket" in request.headers.get("upgrade", "").lower():
            return None if path in places else _text(404, "no WebSocket here")
        if path == METRICS:
            kind = ("Content-Type", "application/json")
            return 200, (kind, ("Cache-Control", "no-store")), self._metrics().encode()
        if path == "/" or path in places:
            return _page(request.headers.get("accept-encoding", ""))
        return _text(404, "nothing here; the page is at /")

    def refused(self, ws, error):
        """A client that got no WebSocket; most of them wanted none."""
        if isinstance(error, (MemoryError, Timeout)):
            reason = "no memory" if isinstance(error, MemoryError) else "no handshake in time"
        elif not isinstance(error, HandshakeError) or error.status in (0, 200):
            return  # it left by itself, or has what it wanted
        elif error.status == 404:
            reason = "%s is not here (HTTP 404)" % show(ws.path)
        else:
            reason = "%s (HTTP %d)" % (error.reason, error.status)
        self._refused += 1
        self._unsaid += 1
        if self._unsaid > _REFUSALS:
            return
        log("%s: refused, %s" % (ws.remote_address, reason))

    def _metrics(self):
        """The counters as JSON; what the page needs to know of the settings goes with them."""
        self._advance()
        self._count_all_dropped()
        free = self._measure()
        return json.dumps(
            {
                "name": self._settings["hostname"],
                "path": self._settings["path"],
                "chat": self._settings["chat"],
                "interval": self._settings["sample_interval"] or _INTERVAL,
                "uptime": self._uptime // 1000,
                "clients": len(self._clients),
                "max_clients": self._settings["max_clients"],
                "clients_ever": self._ever,
                "messages_in": self._in[0],
                "bytes_in": self._in[1],
                "messages_out": self._out[0],
                "bytes_out": self._out[1],
                "dropped": self._dropped,
                "refused": self._refused,
                "closed": self._closed,
                "heap_free": free,
                "heap_free_lowest": self._lowest,
            }
        )

    def _advance(self):
        # The clock of a board wraps within days.
        now = ticks_ms()
        self._uptime += ticks_diff(now, self._ticks)
        self._ticks = now

    def _measure(self):
        """Bytes of free heap, None where nobody knows."""
        if _mem_free is None:
            return None
        gc.collect()  # what waits to be collected is free as well
        free = _mem_free()
        if self._lowest is None or free < self._lowest:
            self._lowest = free
        return free

    # WebSockets

    async def handle(self, ws):
        """One client from its handshake to its end."""
        path, _, query = ws.path.partition("?")
        if path != self._settings["path"]:
            self.server.clients.discard(ws)  # it wants no values
            message = self._metrics()
            self._count(self._out, message)
            await ws.send(message)
            return
        self._ever += 1
        client = _Client("client %d" % self._ever)
        self._clients[ws] = client
        name = name_of(query)
        known = " as " + name if name else ""
        log("%s: connected from %s%s, handshake done" % (client.label, ws.remote_address, known))
        self._measure()
        code = 1011
        try:
            await self._converse(ws, client.label, name or ws.remote_address)
        except (MemoryError, OSError, WebSocketError) as error:
            self._count_dropped(ws)
            slow = self._settings["slow"] == "close" and client.dropped
            end = ProtocolError(1008, "too slow") if slow else error
            code = getattr(end, "code", 1011)
            log("%s: %s" % (client.label, why(end)))
        finally:
            self._closed[str(code)] = self._closed.get(str(code), 0) + 1
            del self._clients[ws]
        await ws.close(code if code == 1011 else 1000)

    async def _converse(self, ws, label, name):
        count = 0
        while True:
            message = await ws.recv()
            count += 1
            if count % _PROBE == 0:
                await _within(ws.ping())
            self._count(self._in, message)
            if isinstance(message, str) and message.startswith("ping:") and len(message) < 32:
                # A browser cannot send a Ping of the protocol.
                reply = "pong:%s clients:%d" % (message[5:], len(self._clients))
                self._count(self._out, reply)
                await _within(ws.send(reply))
            else:
                log("%s: received %s" % (label, show(message)))
                if self._settings["chat"]:
                    self._pass_on(ws, name, message)
            await asyncio.sleep(_PAUSE)

    def _pass_on(self, ws, name, message):
        """What a client says, to all the others."""
        text = isinstance(message, str)
        try:
            said = (name + ": ").encode() + (message.encode() if text else message)
            self._count(self._out, said, self.server.broadcast(said, text, ws))
        except MemoryError:
            log("no memory to pass on what %s says" % name)

    def send_sample(self, value):
        message = "pin0:%d" % value
        count = self.server.broadcast(message)
        self._count(self._out, message, count)
        log("sent %s to %d client%s" % (message, count, "" if count == 1 else "s"))

    def _count(self, counter, message, times=1):
        counter[0] += times
        size = len(message.encode() if isinstance(message, str) else message)
        counter[1] += times * size

    def _count_all_dropped(self):
        # Not in watch(), whose variables live as long as it sleeps, and a connection with them.
        for ws in self._clients:
            self._count_dropped(ws)

    def _count_dropped(self, ws):
        client = self._clients[ws]
        self._dropped += ws.dropped - client.dropped
        client.dropped = ws.dropped
        if self._settings["slow"] == "drop" and ws.dropped >= client.tell:
            client.tell = 2 * ws.dropped
            log("%s: too slow, skipped %d old messages so far" % (client.label, ws.dropped))


async def _within(sending):
    """Send something in time: one that reads nothing must not keep its place for ever."""
    try:
        await asyncio.wait_for(sending, _SEND_TIMEOUT)
    except asyncio.TimeoutError:
        raise Timeout("too slow") from None


def _text(status, text):
    return status, (("Content-Type", "text/plain"),), (text + "\n").encode()


def _page(accepted):
    """The response with the page: compressed, or plain for a client that takes only that."""
    accepted = accepted.lower().replace(" ", "")
    files: list = [(PAGE, ())]
    if "gzip" in accepted and "gzip;q=0" not in accepted.replace("gzip;q=0.", ""):
        files.insert(0, (PAGE + ".gz", (("Content-Encoding", "gzip"),)))
    for file, headers in files:
        try:
            size = os.stat(file)[6]
        except OSError:
            continue
        headers += (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(size)),
            ("Vary", "Accept-Encoding"),
            ("Cache-Control", "no-cache"),
        )
        return 200, headers, _chunks(file)
    return _text(404, "the page is not on this board; run deploy.sh again")


def _chunks(file):
    position = 0
    while True:
        # Not open in between: whoever asked may go away, and nobody would close it.
        with open(file, "rb") as stream:
            stream.seek(position)
            chunk = stream.read(_CHUNK)
        if not chunk:
            return
        yield chunk
        position += len(chunk)
