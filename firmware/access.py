"""Whom the server lets in: pages of its own, and whoever knows the token or the password.

Who is wrong waits longer each time. Meanwhile the answer is 429, not a delay: that would hold a
place that others need.
"""

from microws._compat import ticks_diff, ticks_ms
from microws.handshake import unquote

from firmware import config
from firmware.log import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LONGEST_PAUSE = 64  # seconds
_MOST_OFFENDERS = 16  # the one that was wrong longest ago makes room

_CHALLENGES = {
    "Bearer": 'Bearer realm="microws"',
    "Basic": 'Basic realm="microws", charset="UTF-8"',
}


class Guard:
    """What a server's settings demand of a request; `tell(address, reason)` hears who fails."""

    def __init__(self, settings: dict, tell: "Callable[[str, str], None]") -> None:
        self._tell = tell
        self._origins = settings["origins"] or ()
        self._scheme, _, secret = (config.authorization(settings) or "").partition(" ")
        self._secret = secret.encode()
        self._offenders: list = []  # (who, since when in ticks, pause in seconds)

    def check(self, request: "Any") -> "tuple | None":
        """None, or the HTTP response for a request that is not let in."""
        address = request.remote_address.rpartition(":")[0]
        origin = request.headers.get("origin")
        if origin and not (origin in self._origins or _is_own(origin, request.headers["host"])):
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
                return self._refuse(request, 401, "no credentials", challenge)
            pause = self._pause_of(address)
            if not pause and same(given, self._secret):
                self._pardon(address)
                return None
            if not pause:
                self._punish(address)
                return self._refuse(request, 401, "wrong credentials", challenge)
        else:
            return None
        return self._refuse(request, 429, "wrong before", ("Retry-After", str(pause)))

    def _refuse(self, request, status, reason, *fields):
        self._tell(request.remote_address, "%s (HTTP %d)" % (reason, status))
        return status, (("Content-Type", "text/plain"),) + fields, (reason + "\n").encode()

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
