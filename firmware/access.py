"""Whom the server lets in: pages of its own, and whoever knows the token or the password.

Who is wrong waits longer each time, and all that are wrong together are looked at a few times a
second. Meanwhile the answer is 429, not a delay: that would hold a place that others need.
"""

import binascii
import os

from microws._compat import ticks_diff, ticks_ms
from microws.handshake import unquote

from firmware import config
from firmware.log import log, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LONGEST_PAUSE = 64  # seconds
_MOST_OFFENDERS = 16  # the one that was wrong longest ago makes room
_MOST_KNOWN = 16  # addresses that were let in; the one of the oldest visit makes room
_MOST_GUESSES = 16  # of all addresses together, at once
_GUESS_EVERY = 500  # milliseconds, after that
_MOST_TICKETS = 4
_TICKET_TIME = 30  # seconds

_CHALLENGES = {
    "Bearer": 'Bearer realm="microws"',
    "Basic": 'Basic realm="microws", charset="UTF-8"',
}

# What the Arduino libraries WebSockets and ArduinoWebsockets send where nobody sets an origin. No
# page in the web can have these: they are let in as programs are, most of which send none.
_PROGRAMS = ("file://", "https://github.com/gilmaimon/TinyWebsockets")


class Guard:
    """What a server's settings demand of a request; `tell(address, reason)` hears who fails."""

    def __init__(self, settings: dict, tell: "Callable[[str, str], None]") -> None:
        self._tell = tell
        self._origins = settings["origins"] or ()
        self._own_scheme = "https://" if settings["cert_file"] else "http://"
        self._scheme, _, secret = (config.authorization(settings) or "").partition(" ")
        self._secret = secret.encode()
        self._offenders: list = []  # (who, since when in ticks, pause in seconds)
        self._known: list = []
        self._guesses = _MOST_GUESSES  # that may still be looked at
        self._guessed = ticks_ms()  # when the last of them was given back
        self._tickets: list = []  # (ticket, since when in ticks)
        if "*" in self._origins:
            log('"origins" has "*": a page from anywhere may connect, in any browser that can')

    def check(self, request: "Any") -> "tuple | None":
        """None, or the HTTP response for a request that is not let in."""
        address = request.remote_address.rpartition(":")[0]
        origin = self._foreign_origin(request)
        if origin:
            # A name of its own, or such a page would shut out its reader's right requests too.
            address += " by a foreign page"
            pause = self._pause_of(address)
            if not pause:
                self._punish(address)
                reason = '"origins" has no ' + printable(origin)
                return self._refuse(request, 403, reason)
        elif self._secret:
            challenge = ("WWW-Authenticate", _CHALLENGES[self._scheme])
            given = self._given(request)
            if given is None:
                if self._takes_ticket(request):
                    return None
                return self._refuse(request, 401, "no credentials", challenge)
            pause = self._pause_of(address)
            if not pause and address not in self._known and not self._has_guesses():
                pause = 1
            if not pause and same(given, self._secret):
                self._pardon(address)
                self._remember(address)
                return None
            if not pause:
                self._punish(address)
                self._guesses = max(0, self._guesses - 1)
                return self._refuse(request, 401, "wrong credentials", challenge)
        else:
            return None
        return self._refuse(request, 429, "wrong before", ("Retry-After", str(pause)))

    def new_ticket(self) -> str:
        """What lets one WebSocket in that comes soon, as `?ticket=...`; "" where none is needed.

        It is for the page, once that was let in itself: Safari sends the user and password of a
        page with all that the page asks for but its WebSocket.
        """
        if self._scheme != "Basic":
            return ""
        if len(self._tickets) == _MOST_TICKETS:
            self._tickets.pop(0)
        ticket = str(binascii.hexlify(os.urandom(16)), "ascii")
        self._tickets.append((ticket, ticks_ms()))
        return ticket

    def _takes_ticket(self, request):
        for part in request.path.partition("?")[2].split("&"):
            for ticket in self._tickets:
                if part == "ticket=" + ticket[0]:
                    self._tickets.remove(ticket)
                    passed = ticks_diff(ticks_ms(), ticket[1])
                    return is_websocket(request) and 0 <= passed < _TICKET_TIME * 1000
        return False

    def _foreign_origin(self, request):
        """Where the page came from that asks and may not, "" where there is none.

        A browser tells no origin with a plain request to where the page came from. But a page may
        have let its own name point here since (DNS rebinding): then the name is a foreign one.
        """
        host = request.headers.get("host", "")
        origin = request.headers.get("origin", "")
        if not origin and host and not is_websocket(request):
            origin = self._own_scheme + host
        if not origin or origin in _PROGRAMS or _is_own(origin, host):
            return ""
        for allowed in self._origins:
            scheme, star, name = allowed.partition("*.")
            if allowed in ("*", origin) or (
                star and origin.startswith(scheme) and origin.endswith("." + name)
            ):
                return ""
        return origin

    def _has_guesses(self):
        """Whether one more that nobody knows may be looked at."""
        back = ticks_diff(ticks_ms(), self._guessed) // _GUESS_EVERY
        if back < 0 or self._guesses + back >= _MOST_GUESSES:
            self._guesses = _MOST_GUESSES
            self._guessed = ticks_ms()
        elif back:
            self._guesses += back
            self._guessed = ticks_ms()
        return self._guesses > 0

    def _remember(self, address):
        if address in self._known:
            self._known.remove(address)
        elif len(self._known) == _MOST_KNOWN:
            self._known.pop(0)
        self._known.append(address)

    def _refuse(self, request, status, reason, *fields):
        self._tell(request.remote_address, "%s (HTTP %d)" % (reason, status))
        headers = (("Content-Type", "text/plain"), ("X-Content-Type-Options", "nosniff"))
        return status, headers + fields, (reason + "\n").encode()

    def _given(self, request):
        """The request's token, or user and password in Base64; None where there is neither."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme:
            return value.strip().encode() if scheme.lower() == self._scheme.lower() else b""
        if self._scheme == "Bearer":  # a browser's WebSocket cannot send that (RFC 6750 §2.3)
            for part in request.path.partition("?")[2].split("&"):
                if part.startswith("token="):
                    try:
                        return unquote(part[6:])
                    except ValueError:
                        return b""
        return None

    def _pause_of(self, who):
        """The seconds that this one has to wait, 0 for others."""
        for name, start, pause in self._offenders:
            passed = ticks_diff(ticks_ms(), start) // 1000
            if name == who and 0 <= passed < pause:
                return pause - passed
        return 0

    def _punish(self, who):
        now = ticks_ms()
        longer = 1
        for name, start, pause in self._offenders:
            if name == who and ticks_diff(now, start) < (pause + _LONGEST_PAUSE) * 1000:
                longer = min(2 * pause, _LONGEST_PAUSE)
        self._pardon(who)
        if len(self._offenders) == _MOST_OFFENDERS:
            self._offenders.pop(0)
        self._offenders.append((who, now, longer))

    def _pardon(self, who):
        self._offenders = [offender for offender in self._offenders if offender[0] != who]


def is_websocket(request: "Any") -> bool:
    """Whether a request asks for a WebSocket; no page can say so of another request."""
    return "websocket" in request.headers.get("upgrade", "").lower()


def same(given: bytes, secret: bytes) -> bool:
    """Whether these are the same; how long it takes tells only the length of `given`."""
    different = len(given) ^ len(secret)
    for i in range(len(given)):
        different |= given[i] ^ secret[i % len(secret)]
    return different == 0


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
