"""A W5500 Ethernet controller on SPI, for any MicroPython board: an interface as of ``network``.

The TCP and UDP are the chip's own. ``W5500`` is also a pool of sockets: it has ``socket()``,
``getaddrinfo()`` and the constants of the module ``socket``, and can stand in its place. "Data
sheet" is WIZnet's for the W5500, version 1.0.9.
"""

import os
from errno import EIO

from ._compat import const, lay, new_window, sleep_ms, ticks_add, ticks_diff, ticks_ms
from .sockets import Socket, pack

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from typing import Any

_EVERY = const(250)  # ms between two looks at what no event tells of
_BUSY = const(200)  # ms after the last event in which the chip is asked often
_PERIOD = const(1)  # ms from one look to the next then
_IDLE_PERIOD = const(5)  # and later
_WITH_INT = const(100)
_MOST_FAILS = const(3)  # within _FORGIVEN ms; then the chip is given up
_FORGIVEN = const(10000)

# The common registers (data sheet §4.1)
_MR = const(0x00)
_GAR = const(0x01)
_SHAR = const(0x09)
_SIPR = const(0x0F)
_SIMR = const(0x18)
_PHYCFGR = const(0x2E)
# SIR, SIMR and the first byte of RTR. What the last two hold, no chip does that was reset or died.
_ASK_EVENTS = b"\x00\x17\x00\x00\x00\x00"
_S_IR = const(0x02)
_S_RXBUF = const(0x1E)

_NONE = bytes(4)


def text(ip):
    return "%d.%d.%d.%d" % tuple(ip)


class W5500:
    """The chip on ``spi`` (``machine.SPI``), ``cs`` its chip select (``machine.Pin``).

    ``reset`` and ``int`` are its pins RST and INT, where they are wired. ``buffers`` is the size
    of a socket's two buffers in KiB (1, 2, 4, 8 or 16), or those of all eight, 16 KiB in sum at
    most; one of 0 is a socket less. ``log`` is called with a sentence when it had to be reset.
    """

    AF_INET = 2
    SOCK_STREAM = 1
    SOCK_DGRAM = 2
    SOL_SOCKET = 1
    SO_REUSEADDR = 4
    SO_KEEPALIVE = 8
    SO_BROADCAST = 0x20
    IPPROTO_IP = 0
    IPPROTO_TCP = 6
    IPPROTO_UDP = 17
    IP_ADD_MEMBERSHIP = 0x400
    TCP_NODELAY = 1

    #: How many of the chip's sockets are kept for DHCP, DNS and connections to others.
    reserve = 1
    #: Whether ``hostname()`` is answered for as NAME.local; to be set before ``active(True)``.
    mdns = True

    def __init__(self, spi, cs, reset=None, int=None, buffers=2, log=print):
        sizes = buffers if isinstance(buffers, (tuple, list)) else (buffers,) * 8
        if len(sizes) > 8 or sum(sizes) > 16 or set(sizes) - {0, 1, 2, 4, 8, 16}:
            raise ValueError("buffers are 0, 1, 2, 4, 8 or 16 KiB, 16 in all")
        self.log = log
        self._exchange = spi.write_readinto
        self._write = spi.write
        self._read = spi.readinto
        self._cs = cs
        self._rst = reset
        self._int = int
        cs(1)
        self._sizes = (tuple(sizes) + (0,) * 8)[:8]
        # Made once, as nothing is to be allocated for a message.
        self._events = bytearray(6)
        self._event = bytearray(6)
        self._free = bytearray(5)
        self._counts = bytearray(9)
        self._window = new_window() if lay is not None else None
        self._window_id = id(self._window)
        self._users = [None] * 8  # a Socket for each of the chip's that is in use
        self._listeners = []
        self._closing = 0
        self._full = 0  # how many sockets wait for their peer to take more
        self._freed = False  # one was given back: who listens can have it
        self._fails = 0
        self._failed_at = ticks_ms()
        self._last = self._slow = ticks_ms()
        self._active = False
        self._up = False  # the link, when last looked at
        self._timer: Any = None
        self._period = 0
        self._mac = None
        self._name = "w5500"
        self._static = None
        self._dhcp = None
        self._mdns = None
        self._net = (_NONE,) * 4  # what the chip was told, and the first server
        self.dns = []  # servers, as bytes
        self._port = 49152 + (os.urandom(2)[0] << 5)

    # An interface

    def active(self, on=None):
        """Whether the chip is in use; ``True`` resets, tries and starts it, ``False`` ends that.

        ``OSError`` where there is no W5500 that answers right; its text says what to look at.
        """
        if on is None:
            return self._active
        if on and not self._active:
            self._start()
            self._begin()
        elif not on and self._active:
            self.drain()
            self._stop()
            self._put(0, _MR, b"\x80")

    def isconnected(self):
        """Whether there are link and address."""
        return self.status() == 2

    def status(self):
        """0: no link. 1: no address. 2: both."""
        if self._active:
            self._look_at_all(ticks_ms())
        if not self._active or not self._up:
            return 0
        return 2 if self._has_address() else 1

    def _has_address(self):
        return self._net[0] != _NONE and (not self._dhcp or self._dhcp.sure)

    def ifconfig(self, to=None):
        """``(address, netmask, gateway, DNS server)``; set by such a tuple or ``"dhcp"``."""
        if to is None:
            found = self._net if self._active else (_NONE,) * 4
            return tuple([text(part) for part in found])
        if to == "dhcp":
            self._static = None
        else:
            self._static = [pack(part) for part in to]
            if len(self._static) != 4:
                raise ValueError("an address is (address, netmask, gateway, DNS server)")
        if self._active:
            self._start_address()

    def ipconfig(self, query=None, **to):
        """As ``network``'s: ``addr4``, ``gw4``, ``dhcp4``, ``has_dhcp4``; and ``dns``."""
        address, mask, gateway, dns = self.ifconfig()
        if query is not None:
            if query == "addr4":
                return address, mask
            if query == "gw4":
                return gateway
            if query == "dns":
                return dns
            if query == "dhcp4":
                return self._static is None
            if query == "has_dhcp4":
                return self._dhcp is not None and self._dhcp.sure
            raise ValueError("unknown config param")
        for key in to:
            value = to[key]
            if key == "addr4":
                address, mask = _with_mask(value)
            elif key == "gw4":
                gateway = value
            elif key == "dns":
                dns = value
            elif key != "dhcp4":
                raise ValueError("unknown config param")
        self.ifconfig("dhcp" if to.get("dhcp4") else (address, mask, gateway, dns))

    def config(self, query=None, **to):
        """``config("mac")``, ``config(mac=bytes)``, and the same with ``hostname``."""
        if query is None:
            for key in to:
                if key == "mac":
                    mac = bytes(to[key])
                    if len(mac) != 6 or mac[0] & 1:
                        raise ValueError("a MAC has 6 bytes, and is no group's")
                    self._mac = mac
                    if self._active:
                        self._put(0, _SHAR, mac)
                elif key == "hostname":
                    self.hostname(to[key])
                else:
                    raise ValueError("unknown config param")
        elif query == "mac":
            return self._own_mac()
        elif query == "hostname":
            return self._name
        else:
            raise ValueError("unknown config param")

    def hostname(self, name=None):
        """The name for DHCP and mDNS; at most 32 characters."""
        if name is None:
            return self._name
        if not 0 < len(name.encode()) <= 32 or "." in name:
            raise ValueError("a hostname has 1 to 32 characters, and no dot")
        self._name = name

    def _own_mac(self):
        if self._mac is None:
            from machine import unique_id

            # The second bit: locally administered, not a maker's.
            self._mac = b"\x02" + (bytes(5) + unique_id())[-5:]
        return self._mac

    # A pool of sockets

    def socket(self, family=2, kind=1, *rest):
        """A TCP socket, or with ``SOCK_DGRAM`` a UDP socket."""
        return Socket(self, kind)

    def getaddrinfo(self, host, port, *rest):
        """As the module's; ``OSError`` for a name that nobody knows, or where DNS is silent."""
        if not host:
            host = "0.0.0.0"
        try:
            pack(host)
            found = (host,)
        except ValueError:
            from .dns import resolve

            found = resolve(self, host)
        kind = rest[1] if len(rest) > 1 and rest[1] else 1
        return [(2, kind, 0, "", (address, int(port))) for address in found]

    def drain(self, ms=1000):
        """Wait until what was written is sent and the closed connections have ended."""
        end = ticks_add(ticks_ms(), ms)
        while self._closing and ticks_diff(end, ticks_ms()) > 0:
            self.check()
            self.idle()

    def idle(self):
        """For who waits: let a moment pass."""
        sleep_ms(1)

    # Start and end

    def _start(self):
        reset = self._rst
        if reset:
            reset(0)
            sleep_ms(1)  # data sheet §5.5.1: 500 us, and 1 ms for its clock
            reset(1)
            sleep_ms(2)
        self._cs(1)
        from sys import modules

        from . import _check

        _check.version(self)
        self._put(0, _MR, b"\x80")
        for _ in range(100):
            if not self._get(0, _MR)[0] & 0x80:
                break
            sleep_ms(1)
        _check.wires(self)
        modules.pop(__name__ + "._check", None)  # a kilobyte of heap
        globals().pop("_check", None)
        self._put(0, _GAR, bytes(8))
        self._put(0, _SHAR, self._own_mac() + _NONE)
        for n in range(8):
            self._put(4 * n + 1, _S_RXBUF, bytes((self._sizes[n],) * 2))
        self._put(0, _SIMR, b"\xff")  # every socket may pull INT
        now = ticks_ms()
        self._last = self._slow = self._active_at = now
        self._up = False
        self._start_address()

    def _stop(self):
        """Whoever has a socket is told that it ended."""
        self._active = False
        self._up = False
        self._dhcp = self._mdns = None
        if self._timer:
            self._timer.deinit()
            self._timer = None
        for user in self._users:
            if user:
                user._lose()

    def _start_address(self):
        self._dhcp = None
        self.dns = []
        if self._static:
            address, mask, gateway, dns = self._static
            self.set_address(address, mask, gateway, [dns])
        else:
            self.set_address(_NONE, _NONE, _NONE, [])
            from .dhcp import Client

            self._dhcp = Client(self)
        if self.mdns and not self._mdns:
            from .mdns import Responder

            self._mdns = Responder(self)

    def set_address(self, address, mask, gateway, dns):
        self._put(0, _GAR, gateway + mask)
        self._put(0, _SIPR, address)
        self._net = (address, mask, gateway, dns[0] if dns else _NONE)
        self.dns = [server for server in dns if server != _NONE]

    def end_connections(self):
        """The address is no longer this one's: what was connected is not."""
        for user in self._users:
            if user and user._is_connection():
                user._lose()

    # Registers: for what is rare, as they allocate

    def _get(self, block, at, n=1):
        frame = bytearray((0, at, block << 3)) + bytes(n)
        self._cs(0)
        self._exchange(frame, frame)
        self._cs(1)
        return bytes(frame[3:])

    def _put(self, block, at, data):
        self._cs(0)
        self._write(bytes((0, at, block << 3 | 4)) + data)
        self._cs(1)

    # Events

    def check(self):
        """Look for events, and tell whether there were.

        INT tells when; without it a look is one transaction, at most one in a millisecond.
        """
        if not self._active:
            return False
        now = ticks_ms()
        if ticks_diff(now, self._slow) >= 0:
            self._look_at_all(now)
        if self._freed:
            self._listen_again()
        if now == self._last and not self._int:
            return False
        self._last = now
        if self._full:
            self._look_for_room()
        if self._int and self._int():
            return False
        cs = self._cs
        events = self._events
        cs(0)
        self._exchange(_ASK_EVENTS, events)
        cs(1)
        if events[4] != 0xFF or events[5] != 0x07:
            return self._doubt()
        some = events[3]
        if not some:
            return False
        self._active_at = now
        users = self._users
        n = 0
        while some:
            if some & 1:
                user = users[n]
                if user:
                    user._look()
                else:
                    self._put(4 * n + 1, _S_IR, b"\xff")
            some >>= 1
            n += 1
        return True

    def _look_at_all(self, now):
        """What comes without an event: a reset, a link, a time that is over."""
        self._slow = ticks_add(now, _EVERY)
        self._exchange_events()
        up = bool(self._get(0, _PHYCFGR)[0] & 1)
        if self._events[4] != 0xFF or self._events[5] != 0x07:
            self._doubt()
            return
        if up != self._up:
            self._up = up
            if self._dhcp:
                self._dhcp.link(up)
            if self._mdns:
                self._mdns.link()
        for user in self._users:
            if user:
                user._look()
                if user._deadline is not None and ticks_diff(now, user._deadline) > 0:
                    user._give_up()
        if up and self._dhcp:
            self._dhcp.step(now)
        if up and self._mdns and self._has_address():
            self._mdns.step()
        if self._active:
            self._wake_often()

    def _exchange_events(self):
        self._cs(0)
        self._exchange(_ASK_EVENTS, self._events)
        self._cs(1)

    def _listen_again(self):
        self._freed = False
        for listener in self._listeners:
            listener._relisten()

    def _look_for_room(self):
        for user in self._users:
            if user and user._full:
                user._look_at_room()

    def _doubt(self):
        """The chip answers what it cannot: once may be a wire, twice is a chip that was reset."""
        self._exchange_events()
        if self._events[4] != 0xFF or self._events[5] != 0x07:
            self.fail()
        return True

    def fail(self):
        """Reset a chip that has lost its mind; where that does not help, give it up."""
        self._stop()
        now = ticks_ms()
        if ticks_diff(now, self._failed_at) > _FORGIVEN:
            self._fails = 0
        self._failed_at = now
        self._fails += 1
        try:
            if self._fails > _MOST_FAILS:
                raise OSError(EIO, "it answers nonsense again and again; look at wires and power")
            self._start()
        except OSError as error:
            self.log("the W5500 is given up: %s" % error.args[-1])
            return
        self._begin()
        self._freed = True
        self.log("the W5500 answered nonsense and was reset; its connections have ended")

    def _begin(self):
        self._active = True
        self._wake_often()

    def _wake_often(self):
        """poll() of most boards asks a socket again only when an interrupt has come."""
        if self._int:
            period = _PERIOD if self._full else _WITH_INT
        else:
            busy = ticks_diff(self._last, self._active_at) < _BUSY
            period = _PERIOD if busy else _IDLE_PERIOD
        if self._timer:
            if period == self._period:
                return
            self._timer.deinit()
            self._timer = None
        self._period = period
        import machine

        wake: Any = callable  # a function in C, which takes no memory and does nothing
        if self._int:
            self._int.irq(wake, machine.Pin.IRQ_FALLING)
        try:
            self._timer = machine.Timer(-1, period=period, callback=wake)
        except ValueError:
            self._timer = machine.Timer(0, period=period, callback=wake)


def _with_mask(value):
    """("1.2.3.4", "255.255.255.0"), for that or "1.2.3.4/24"."""
    if not isinstance(value, str):
        return value
    if "/" not in value:
        return value, "255.255.255.0"
    address, bits = value.split("/")
    mask = bytearray(4)
    for i in range(int(bits)):
        mask[i >> 3] |= 0x80 >> (i & 7)
    return address, text(mask)
