"""The token, or user and password, that the server asks for; loaded only where it does.

Wrong ones of all addresses together are looked at a few times a second.
"""

import binascii
import os

from microws.compat import ticks_diff, ticks_ms
from microws.userinfo import unquote

from firmware.offenders import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_KNOWN = 16  # addresses that were let in; the one of the oldest visit makes room
_MOST_GUESSES = 16  # of all addresses together, at once
_GUESS_EVERY = 500  # milliseconds, after that
_MOST_TICKETS = 4
_TICKET_TIME = 30  # seconds

_CHALLENGES = {
    "Bearer": 'Bearer realm="microws"',
    "Basic": 'Basic realm="microws", charset="UTF-8"',
}


class Credentials:
    """What a request must bring, given as the value of a header Authorization.

    Or the `watch_token`, with which one may only watch. `challenge` is the header field that asks.
    """

    def __init__(self, wanted: str, watch_token: "str | None" = None) -> None:
        self._scheme, _, secret = wanted.partition(" ")
        self._secret = secret.encode()
        self._watch = (watch_token or "").encode()
        self.challenge = ("WWW-Authenticate", _CHALLENGES[self._scheme])
        self._known: list = []
        self._guesses = _MOST_GUESSES  # that may still be looked at
        self._guessed = ticks_ms()  # when the last of them was given back
        self._tickets: list = []  # (ticket, since when in ticks)

    def given(self, request: "Any") -> "bytes | None":
        """The request's token, or user and password in Base64; None where there is neither."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        takes_tokens = self._scheme == "Bearer" or self._watch
        if scheme:
            known = scheme.lower() == self._scheme.lower()
            known = known or (takes_tokens and scheme.lower() == "bearer")
            return value.strip().encode() if known else b""
        if takes_tokens:  # a browser's WebSocket cannot send that (RFC 6750 §2.3)
            for part in request.path.partition("?")[2].split("&"):
                if part.startswith("token="):
                    try:
                        return unquote(part[6:])
                    except ValueError:
                        return b""
        return None

    def are(self, given: bytes) -> bool:
        """Whether these are the right ones."""
        return same(given, self._secret)

    def watch(self, given: bytes) -> bool:
        """Whether this is the token of those that may only watch."""
        return bool(self._watch) and same(given, self._watch)

    def pause_of(self, address: str) -> int:
        """The seconds that an address has to wait since so many others were wrong."""
        back = ticks_diff(ticks_ms(), self._guessed) // _GUESS_EVERY
        if back < 0 or self._guesses + back >= _MOST_GUESSES:
            self._guesses = _MOST_GUESSES
            self._guessed = ticks_ms()
        elif back:
            self._guesses += back
            self._guessed = ticks_ms()
        return 0 if self._guesses or address in self._known else 1

    def count_guess(self) -> None:
        """Somebody was wrong."""
        self._guesses = max(0, self._guesses - 1)

    def remember(self, address: str) -> None:
        """This address was let in: the guesses of others do not hold it up."""
        if address in self._known:
            self._known.remove(address)
        elif len(self._known) == _MOST_KNOWN:
            self._known.pop(0)
        self._known.append(address)

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

    def takes_ticket(self, request: "Any") -> bool:
        """Whether it brings a ticket, which then is gone."""
        for part in request.path.partition("?")[2].split("&"):
            for ticket in self._tickets:
                if part == "ticket=" + ticket[0]:
                    self._tickets.remove(ticket)
                    passed = ticks_diff(ticks_ms(), ticket[1])
                    in_time = 0 <= passed < _TICKET_TIME * 1000
                    return in_time and "upgrade" in request.headers
        return False
