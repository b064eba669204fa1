"""What the server answers to plain requests, and whom it turns away: nothing of a WebSocket."""

from microws import HandshakeError, Timeout

from firmware import net, page
from firmware.access import Guard, is_websocket
from firmware.describe import describe_error, describe_message
from firmware.log import Bound, log, tenths, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WIFI = "/wifi"

STARVED = 600  # seconds without memory for a single client

_NO_SNIFF = ("X-Content-Type-Options", "nosniff")
_NO_STORE = ("Cache-Control", "no-store")
_PLAIN = (("Content-Type", "text/plain; charset=utf-8"), _NO_SNIFF)


class Answers:
    """Answers to requests; `service` is the server role, whose values and counters they tell."""

    def __init__(self, settings: dict, service: "Any") -> None:
        self.settings = settings
        self._service = service
        # Lines a second: the serial log takes its time from everybody.
        self._refusals = Bound(5, "refused %d more")
        self._starved_since: Any = None
        #: That there has been none for a long time.
        self.is_starved = False
        self.guard = Guard(settings, self._tell_refused)

    def watch(self) -> None:
        """To be called every second."""
        self._refusals.tell()

    def answer(self, request: "Any") -> "tuple | None":
        """The HTTP response to a request; None where the library goes on with it."""
        found = self.guard.check(request)
        if found:
            return found
        service = self._service
        path, _, query = request.path.partition("?")
        if request.method == "POST" and path == "/values" and service.values.outputs:
            return self._set_outputs(request)
        if request.method not in ("GET", "HEAD"):
            return None  # it refuses all others
        if path == WIFI and net.has_own_wifi():
            from firmware import wifi_form

            return None if is_websocket(request) else wifi_form.response()
        if is_websocket(request):
            if path not in (self.settings["path"], "/metrics"):
                return _text(404, "no WebSocket here")
            self._hint_at_subprotocols(request)
            return None
        if path == "/metrics":
            if "ticket" in query.split("&"):
                return _json(service.metrics(self.guard.new_ticket()))
            wanted = request.headers.get("accept", "").lower()
            if "json" not in wanted and ("text/plain" in wanted or "openmetrics-text" in wanted):
                from firmware import prometheus

                return prometheus.answer(service.metrics(), _NO_STORE, _NO_SNIFF)
            return _json(service.metrics())
        if path == "/values" != self.settings["path"]:
            from firmware import reports

            return _json(reports.newest(service.values))
        if path == "/history" != self.settings["path"] and service.values.history:
            return 200, _PLAIN + (_NO_STORE,), service.values.history.lines(tenths())
        if path != "/" and path != self.settings["path"]:
            return _text(404, "nothing here; the page is at /")
        found = page.response(request.headers.get("accept-encoding", ""))
        return found or _text(404, "this board has no page; put page.html on it")

    def _set_outputs(self, request):
        from firmware import reports

        values = self._service.values
        may = request.remote_address not in self.guard.watchers
        wrong = reports.set_outputs(values, request.body, may)
        if wrong:
            return _text(403 if wrong.endswith("from here") else 400, wrong)
        return _json(reports.newest(values))

    def refused(self, ws: "Any", error: Exception) -> None:
        """A client that got no WebSocket; most of them wanted none."""
        self.guard.watchers.discard(ws.remote_address)
        if not isinstance(error, MemoryError) or self._service.clients:
            self.is_fed()
        elif self._starved_since is None:
            self._starved_since = uptime()
        else:
            # The heap is in pieces: nothing but a reset makes it whole.
            self.is_starved = uptime() - self._starved_since >= STARVED
        if isinstance(error, MemoryError):
            reason = "no memory"
        elif isinstance(error, Timeout):
            reason = "nothing came, or was taken, in time"
        elif isinstance(error, OSError) and self.settings["cert_file"]:
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

    def is_fed(self) -> None:
        """There was memory for a client."""
        self._starved_since = None

    def _tell_refused(self, address, reason):
        self._service.counters.add("refused")
        if self._refusals.allows():
            log("%s: refused, %s" % (address or "a client", reason))

    def _hint_at_subprotocols(self, request):
        offered = request.headers.get("sec-websocket-protocol")
        if not offered:
            return
        for name in offered.split(","):
            if name.strip() in (self.settings["subprotocols"] or ()):
                return
        if self._refusals.allows():
            log(
                "%s: asks for the subprotocol %s; a browser leaves at once where it is not given: "
                'see "subprotocols"' % (request.remote_address, describe_message(offered))
            )


def _text(status, text):
    return status, _PLAIN, (text + "\n").encode()


def _json(text):
    return 200, (("Content-Type", "application/json"), _NO_STORE, _NO_SNIFF), text.encode()
