"""Which requests the server lets in: those of pages of its own, or that know what it asks for.

Who is wrong waits longer each time. Meanwhile the answer is 429, not a delay: that would hold a
place that others need.
"""

from firmware import config
from firmware.log import log, printable
from firmware.offenders import Offenders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What the Arduino libraries WebSockets and ArduinoWebsockets send where nobody sets an origin. No
# page in the web can have these: they are let in as programs are, most of which send none.
_PROGRAMS = ("file://", "https://github.com/gilmaimon/TinyWebsockets")


class Guard:
    """What a server's settings demand of a request; `tell(address, reason)` hears who fails."""

    def __init__(self, settings: dict, tell: "Callable[[str, str], None]") -> None:
        self._tell = tell
        self.origins = settings["origins"] or ()
        self.scheme = "https://" if settings["cert_file"] else "http://"
        self._offenders = Offenders()
        #: Addresses, with their ports, of connections that came with the watch_token.
        self.watchers: set = set()
        self.credentials: Any = None
        wanted = config.authorization(settings)
        if wanted:
            from firmware import credentials

            self.credentials = credentials.Credentials(wanted, settings["watch_token"])
        if "*" in self.origins:
            log('"origins" has "*": a page from anywhere may connect, in any browser that can')

    def check(self, request: "Any") -> "tuple | None":
        """None, or the HTTP response for a request that is not let in."""
        address = request.remote_address.rpartition(":")[0]
        origin = self._foreign_origin(request)
        credentials = self.credentials
        if origin:
            # A name of its own, or such a page would shut out its reader's right requests too.
            address += " by a foreign page"
            pause = self._offenders.pause_of(address)
            if not pause:
                self._offenders.punish(address)
                reason = '"origins" has no ' + printable(origin)
                return self._refuse(request, 403, reason)
        elif credentials:
            given = credentials.given(request)
            if given is None:
                if credentials.takes_ticket(request):
                    return None
                return self._refuse(request, 401, "no credentials", credentials.challenge)
            pause = self._offenders.pause_of(address) or credentials.pause_of(address)
            watches = credentials.watch(given)
            if not pause and (watches or credentials.are(given)):
                if watches:
                    self.watchers.add(request.remote_address)
                self._offenders.pardon(address)
                credentials.remember(address)
                return None
            if not pause:
                self._offenders.punish(address)
                credentials.count_guess()
                return self._refuse(request, 401, "wrong credentials", credentials.challenge)
        else:
            return None
        return self._refuse(request, 429, "wrong before", ("Retry-After", str(pause)))

    def new_ticket(self) -> str:
        """What lets one WebSocket in that comes soon; "" where none is needed."""
        return self.credentials.new_ticket() if self.credentials else ""

    def _foreign_origin(self, request):
        """Where the page came from that asks and may not, "" where there is none.

        A browser tells no origin with a plain request to where the page came from. But a page may
        have let its own name point here since (DNS rebinding): then the name is a foreign one.
        """
        host = request.headers.get("host", "")
        origin = request.headers.get("origin", "")
        if not origin and host and not is_websocket(request):
            origin = self.scheme + host
        if not origin or origin in _PROGRAMS or _is_own(origin, host):
            return ""
        for allowed in self.origins:
            scheme, found, name = allowed.partition("*.")
            if allowed in ("*", origin) or (
                found and origin.startswith(scheme) and origin.endswith("." + name)
            ):
                return ""
        return origin

    def _refuse(self, request, status, reason, *more):
        self._tell(request.remote_address, "%s (HTTP %d)" % (reason, status))
        headers = (("Content-Type", "text/plain"), ("X-Content-Type-Options", "nosniff"))
        return status, headers + more, (reason + "\n").encode()


def is_websocket(request: "Any") -> bool:
    """Whether a request asks for a WebSocket; no page can say so of another request."""
    return "websocket" in request.headers.get("upgrade", "").lower()


def _is_own(origin, host):
    """Whether this is the origin of a page that came from the server under the name `host`."""
    if origin.lower().partition("://")[2] != host.lower():
        return False
    # Of names, only those of the local network: anybody can let one of the DNS point here.
    name = host.partition(":")[0]
    return (
        name.startswith("[")
        or "." not in name
        or name.lower().endswith(".local")
        or name.replace(".", "").isdigit()
    )
