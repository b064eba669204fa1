"""An address by DHCP (RFC 2131, options of RFC 2132), beside whatever else goes on.

``step()`` never waits: ``W5500.check()`` calls it some times in a second. It has one of the chip's
sockets only while it waits for an answer.
"""

import os

from ._compat import const, ticks_diff, ticks_ms

_SELECTING = const(0)
_REQUESTING = const(1)
_REBOOTING = const(2)  # asks for the address that it had, after the link was gone
_BOUND = const(3)
_RENEWING = const(4)  # asks the server that gave it
_REBINDING = const(5)  # asks any

_DISCOVER = const(1)
_OFFER = const(2)
_REQUEST = const(3)
_ACK = const(5)
_NAK = const(6)

_FIRST_WAIT = const(
    4
)  # seconds; RFC 2131 §4.1: doubled each time, up to 64, and a random second more or less
_LONGEST_WAIT = const(64)
_SHORTEST = const(60)  # between two requests of a renewal (§4.4.5)
_TRIES = const(3)  # of a request, before all begins anew
_FOREVER = const(0x3FFFFFFF)
_COOKIE = b"\x63\x82\x53\x63"
_NONE = bytes(4)


class Client:
    def __init__(self, chip):
        self._chip = chip
        self._sock = None
        self._last = ticks_ms()
        self._ms = 0
        self._now = 0  # seconds of its own
        self.sure = False  # the address is good on this network
        self._address = self._server = _NONE
        self._restart()

    def _restart(self):
        self._state = _SELECTING
        self._xid = os.urandom(4)
        self._tries = 0
        self._due = self._now
        self._wait = _FIRST_WAIT
        self._began = self._now

    def link(self, up):
        """The cable went out, or came in: the address may be one of another network."""
        self.sure = False
        self._let_go()
        had = self._state >= _REBOOTING
        self._restart()
        if had:
            self._state = _REBOOTING

    def step(self, now):
        self._ms += ticks_diff(now, self._last)
        self._last = now
        self._now += self._ms // 1000
        self._ms %= 1000
        if self._sock:
            self._receive()
        state = self._state
        if state >= _BOUND:
            if self._now >= self._ends:
                self._lose("the address's lease has ended")
            elif state < _REBINDING and self._now >= self._rebind:
                self._again(_REBINDING)
            elif state < _RENEWING and self._now >= self._renew:
                self._again(_RENEWING)
        if self._state != _BOUND and self._now >= self._due:
            self._send()

    def _again(self, state):
        self._state = state
        self._xid = os.urandom(4)
        self._due = self._began = self._now

    def _lose(self, why):
        self.sure = False
        chip = self._chip
        chip.log(why)
        self._let_go()
        chip.end_connections()
        chip.set_address(_NONE, _NONE, _NONE, [])
        self._address = _NONE
        self._restart()

    def _let_go(self):
        if self._sock:
            self._sock.close()
            self._sock = None

    def _send(self):
        """Say what this state has to say (RFC 2131 §4.4.1, table 5), and when it is said again."""
        state = self._state
        if state in (_REQUESTING, _REBOOTING) and self._tries >= _TRIES:
            if state == _REBOOTING:
                self._chip.set_address(_NONE, _NONE, _NONE, [])
            self._restart()
            state = _SELECTING
        try:
            if self._sock is None:
                sock = self._chip.socket(2, 2)
                sock.setblocking(False)
                sock.bind(("", 68))
                self._sock = sock
            elif self._sock._busy:
                return
            to = "%d.%d.%d.%d" % tuple(self._server) if state == _RENEWING else "255.255.255.255"
            self._sock.sendto(self._message(state), (to, 67))
        except OSError:
            # All of the chip's sockets are in use: later there may be one.
            self._due = self._now + 1
            return
        self._tries += 1
        if state >= _RENEWING:
            end = self._rebind if state == _RENEWING else self._ends
            self._due = self._now + max(_SHORTEST, (end - self._now) // 2)
        else:
            self._due = self._now + self._wait - 1 + os.urandom(1)[0] % 3
            self._wait = min(_LONGEST_WAIT, 2 * self._wait)

    def _message(self, state):
        chip = self._chip
        data = bytearray(240)
        data[0:4] = b"\x01\x01\x06\x00"
        data[4:8] = self._xid
        seconds = min(self._now - self._began, 0xFFFF)
        data[8] = seconds >> 8
        data[9] = seconds & 255
        if state >= _RENEWING:
            data[12:16] = self._address
        else:
            # The chip takes nothing for an address that it does not have yet.
            data[10] = 0x80
        mac = chip._own_mac()
        data[28:34] = mac
        data[236:240] = _COOKIE
        options = [
            (53, bytes((_DISCOVER if state == _SELECTING else _REQUEST,))),
            (61, b"\x01" + mac),
            (12, chip.hostname().encode()),
            (55, b"\x01\x03\x06\x33\x3a\x3b"),
        ]
        if state in (_REQUESTING, _REBOOTING):
            options.append((50, self._address))
        if state == _REQUESTING:
            options.append((54, self._server))
        for code, value in options:
            data += bytes((code, len(value))) + value
        data += b"\xff"
        return data + bytes(max(0, 300 - len(data)))

    def _receive(self):
        while self._sock:
            try:
                data, (_, port) = self._sock.recvfrom(576)
            except OSError:
                return  # nothing more
            if port == 67:
                self._take(data)

    def _take(self, data):
        chip = self._chip
        if (
            len(data) < 240
            or data[0] != 2
            or data[4:8] != self._xid
            or data[28:34] != chip._own_mac()
            or data[236:240] != _COOKIE
        ):
            return
        options = _options(data)
        kind = options.get(53, b"\0")[0]
        state = self._state
        server = options.get(54, _NONE)
        if len(server) != 4:
            return
        if kind == _OFFER and state == _SELECTING:
            if server == _NONE or data[16:20] == _NONE:
                return
            self._address, self._server = data[16:20], server
            self._state = _REQUESTING
            self._tries = 0
            self._wait = _FIRST_WAIT
            self._due = self._now
        elif state in (_SELECTING, _BOUND) or (state == _REQUESTING and server != self._server):
            return  # late, or of another server
        elif kind == _NAK:
            self._lose("the DHCP server takes the address back")
        elif kind == _ACK:
            self._bind(data[16:20], server, options)

    def _bind(self, address, server, options):
        chip = self._chip
        if address == _NONE:
            return
        self._let_go()
        if address != self._address:
            chip.end_connections()
        self._address = address
        if server != _NONE:
            self._server = server
        lease = _number(options, 51, _FOREVER)
        self._renew = self._now + min(_number(options, 58, lease // 2), lease)
        self._rebind = self._now + min(_number(options, 59, lease // 8 * 7), lease)
        self._ends = self._now + lease
        mask = options.get(1, b"\xff\xff\xff\0")[:4]
        gateway = options.get(3, _NONE)[:4]
        dns = options.get(6, b"")
        servers = [dns[i : i + 4] for i in range(0, len(dns) - 3, 4)]
        if len(mask) == 4 == len(gateway):
            chip.set_address(address, mask, gateway, servers)
            self._state = _BOUND
            self.sure = True


def _number(options, code, default):
    """Of seconds; a big one is not worth a big integer."""
    value = options.get(code)
    if value is None or len(value) != 4:
        return default
    return min(value[0], 0x3F) << 24 | value[1] << 16 | value[2] << 8 | value[3]


def _options(data):
    found: dict[int, bytes] = {}
    at = 240
    while at < len(data):
        code = data[at]
        at += 1
        if code == 255:
            break
        if code:
            if at >= len(data) or at + 1 + data[at] > len(data):
                break
            size = data[at]
            # One that is too long for an option comes as several (RFC 3396).
            found[code] = found.get(code, b"") + data[at + 1 : at + 1 + size]
            at += 1 + size
    return found
