"""``NAME.local`` by multicast DNS (RFC 6762): a responder for the chip's A record, and queries.

``step()`` never waits. The one socket that this needs is that which the chip keeps for what goes
out: it is given up as soon as that is asked for, and taken again later.
"""

from ._compat import const, error, ticks_add, ticks_diff, ticks_ms
from .dns import NO_ANSWER, question_of

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from typing import Any

_GROUP = b"\xe0\0\0\xfb"
_TO = ("224.0.0.251", 5353)
_A = const(1)
_ANY = const(255)
_RESPONSE = const(0x84)
_MOST = const(8)  # datagrams in a step
_WAITS = (1000, 2000, 3000)  # ms from a query to the next
# A step is a quarter of a second: three probes (§8.1), two announcements (§8.3) a second apart.
_ANNOUNCE = const(3)
_AGAIN = const(7)
_DONE = const(8)
_LATER = const(-4)  # one who lost at the same moment waits a second (§8.2)
_LOST = const(9)


class Responder:
    def __init__(self, chip):
        self._chip = chip
        self._sock: Any = None
        self._reply: Any = None  # a socket for who asks from another port than 5353
        self._of: Any = None  # the name and address that _turn is about
        self._turn = 0
        self._asked = None  # a name that somebody waits for, and what it is found to be
        self._found = []

    def step(self):
        chip = self._chip
        if self._reply:
            self._reply.close()
            self._reply = None
        if self._of != (chip._name, chip._net[0]):
            self._of = chip._name, chip._net[0]
            self._name = question_of(chip._name + ".local")[:-4].lower()
            self._turn = 0
        if not self._receive():
            return
        turn = self._turn
        if turn < _DONE:
            self._turn = turn + 1
            if 0 <= turn < _ANNOUNCE:
                self._say(
                    b"\0\0\0\0\0\1\0\0\0\1\0\0" + self._name + b"\0\xff\0\1", b"\xc0\x0c\0\1\0\1"
                )
            elif turn in (_ANNOUNCE, _AGAIN):
                self._answer()

    def link(self):
        """The cable went out, or came in: the name may be another's on this network."""
        self._of = None

    def let_go(self):
        if self._sock:
            self._sock.close()
            self._sock = None

    def _receive(self):
        """Take what has come; whether there is a socket for it."""
        try:
            if self._sock is None or self._sock._n < 0:
                self._sock = None
                sock = self._chip.socket(2, 2)
                sock.setblocking(False)
                sock.setsockopt(0, 0x400, _GROUP)
                sock.bind(("", 5353))
                self._sock = sock
        except OSError:
            return False  # all are in use
        for _ in range(_MOST):
            try:
                data, source = self._sock.recvfrom(1500)
            except OSError:
                break
            try:
                self._take(data, source)
            except IndexError:
                pass  # cut
        return True

    def _say(self, head, record=b"", to=_TO, sock=None):
        """Send these, and the rest of the record of this chip's address."""
        if record:
            record += b"\0\0\0\x78\0\4" + self._of[1]  # for 120 s (§10)
        try:
            (sock or self._sock).sendto(head + record, to)
        except OSError:
            pass  # it is asked again

    def _answer(self):
        self._say(b"\0\0\x84\0\0\0\0\1\0\0\0\0" + self._name, b"\0\1\x80\1")

    def _take(self, data, source):
        at = 12
        is_asked = False
        for _ in range(data[4] << 8 | data[5]):
            name, at = _name_at(data, at)
            kind = data[at] << 8 | data[at + 1]
            at += 4
            is_asked = is_asked or (name == self._name and kind in (_A, _ANY))
        is_response = data[2] & 0x80
        own = self._of[1]
        end = at
        for _ in range(data[7] + data[9] + data[11]):
            name, at = _name_at(data, at)
            size = data[at + 8] << 8 | data[at + 9]
            value = data[at + 10 : at + 10 + size]
            is_a = data[at] << 8 | data[at + 1] == _A and size == 4 == len(value)
            if is_a and name == self._asked and is_response:
                self._found.append("%d.%d.%d.%d" % tuple(value))
            if is_a and name == self._name:
                if value == own:
                    if data[at + 7] >= 60 or data[at + 6]:
                        is_asked = False  # who asks knows it (§7.1)
                elif is_response and self._turn < _ANNOUNCE:
                    self._turn = _LOST
                    self._chip.log("%s.local is another's; set another hostname" % self._of[0])
                elif is_response and self._turn != _LOST:
                    self._turn = 0  # §9: whose it is, is asked anew
                elif 0 <= self._turn < _ANNOUNCE and value > own:
                    self._turn = _LATER
            at += 10 + size
        if not is_asked or is_response or not _ANNOUNCE <= self._turn < _LOST:
            return
        if source[1] == 5353:
            self._answer()
        elif self._reply is None:
            # An ordinary resolver (§6.7): its question and number come back, to it alone.
            try:
                sock = self._chip.socket(2, 2)
                sock.setblocking(False)
                sock.bind(("", 5353))
            except OSError:
                return
            self._reply = sock
            head = data[:2] + b"\x84\0\0\1\0\1\0\0\0\0" + data[12:end]
            self._say(head, b"\xc0\x0c\0\1\0\1", source, sock)


def resolving(chip, name):
    """As ``dns.resolving()``, for a name that ends with ``.local``."""
    responder = chip._mdns
    if responder is None:
        responder = Responder(chip)
        responder._of = None, chip._net[0]
        responder._name = None
    question = question_of(name)
    responder._found = []
    responder._asked = question[:-4]
    try:
        for wait in _WAITS:
            if responder._receive():
                responder._say(b"\0\0\0\0\0\1\0\0\0\0\0\0" + question)
            end = ticks_add(ticks_ms(), wait)
            while ticks_diff(end, ticks_ms()) > 0:
                responder._receive()
                if responder._found:
                    yield responder._found
                    return
                yield None
    finally:
        responder._asked = None
        if chip._mdns is not responder:
            responder.let_go()
    raise error(NO_ANSWER)


def _name_at(data, at):
    """A name in small letters, as it is without pointers; and where it ends."""
    name = b""
    end = 0
    for _ in range(128):
        size = data[at]
        if size >= 0xC0:
            end = end or at + 2
            at = (size & 0x3F) << 8 | data[at + 1]
        else:
            name += data[at : at + 1 + size]
            at += 1 + size
            if not size:
                return name.lower(), end or at
    raise IndexError
