"""Sockets on the chip's own TCP and UDP, with the face and the errors of ``socket``."""

from errno import EAGAIN, ECONNREFUSED, ECONNRESET, EINPROGRESS, EIO, ENOTCONN, ETIMEDOUT

from ._compat import Stream, const, error, lay, ticks_add, ticks_diff, ticks_ms

_ENFILE = const(23)  # all of the chip's sockets are in use

_POLL = const(3)  # requests of ioctl
_CLOSE = const(4)
_RD = const(1)  # what it answers
_WR = const(4)
_ERR = const(8)
_ALWAYS = const(0x18)

# A socket's registers, commands, states and events (data sheet §4.2)
_MR = const(0x00)
_CR = const(0x01)
_IR = const(0x02)
_PORT = const(0x04)
_DHAR = const(0x06)
_DIPR = const(0x0C)
_FSR = const(0x20)
_IMR = const(0x2C)
_KPALVTR = const(0x2F)
_OPEN = const(0x01)
_LISTEN = const(0x02)
_CONNECT = const(0x04)
_DISCON = const(0x08)
_CLOSE_NOW = const(0x10)
_CLOSED = const(0x00)
_INIT = const(0x13)
_LISTENING = const(0x14)
_ESTABLISHED = const(0x17)
_CLOSE_WAIT = const(0x1C)
_UDP = const(0x22)
_CON = const(1)
_DISCONNECTED = const(2)
_RECEIVED = const(4)
_TIMEOUT = const(8)
_SENDOK = const(16)

_TRIES = const(100)  # the chip does within microseconds what is asked for in a loop
_LINGER = const(1000)  # ms that a peer has for its FIN
_KEEP_ALIVE = const(6)  # times 5 s


def pack(ip):
    """The four bytes of "1.2.3.4"; ``ValueError`` for anything else."""
    parts = ip.split(".")
    if len(parts) != 4:
        raise ValueError("no IPv4 address")
    return bytes([int(part) for part in parts])


class Socket(Stream):
    """A TCP or UDP socket: one of the chip's while it is open, several while it listens."""

    def __init__(self, chip, kind=1):
        # All of these are the instance's own: a class is searched only after it.
        self._chip = chip
        self._kind = kind
        self._n = -1
        self._ms = -1  # that a call waits; -1: for ever, 0: not at all
        self._mask = 0  # what poll is told
        self._count = 0  # bytes to be read
        self._kept = 0  # bytes read of which the chip has not been told
        self._news = False  # the count is worth a look
        self._busy = False  # a SEND is under way, as far as is known
        self._tells = False  # its SENDOK makes an event
        self._full = False  # the peer has not acknowledged what fills the buffer
        self._connected = False
        self._end = False
        self._error = 0
        self._rd = self._wr = 0
        self._room = 0  # free bytes that are known of
        self._port = 0
        self._deadline = None  # for closing
        self._listener = None  # that waits for this to be connected
        self._served = False  # whether it came from one
        self._ready = None
        self._keep_alive = 0
        self._group = None

    # Settings

    def setblocking(self, flag):
        self._ms = -1 if flag else 0

    def settimeout(self, seconds):
        self._ms = -1 if seconds is None else int(seconds * 1000)

    def setsockopt(self, level, option, value):
        """SO_KEEPALIVE and IP_ADD_MEMBERSHIP do what they say; the rest the chip does anyway."""
        if level == 1 and option == 8:
            self._keep_alive = _KEEP_ALIVE if value else 0
            if self._n >= 0:
                self._put(_KPALVTR, bytes((self._keep_alive,)))
        elif option == 0x400:
            self._group = bytes(value[:4])  # for bind()

    def makefile(self, *mode):
        return self

    # Open

    def bind(self, address):
        self._port = address[1]
        if self._kind == 2:
            self._take(_UDP)
            self._mask = _WR

    def _put(self, at, data):
        self._chip._put(4 * self._n + 1, at, data)

    def _get(self, at, n=1):
        return self._chip._get(4 * self._n + 1, at, n)

    def _take(self, state):
        """Have one of the chip's sockets, open."""
        chip = self._chip
        if not chip._active:
            raise error(ENOTCONN)
        users = chip._users
        spare = chip.reserve if self._listener else 0
        free = -1
        for n in 7, 6, 5, 4, 3, 2, 1, 0:
            user = users[n]
            if user:
                spare -= not user._served
            elif chip._sizes[n]:
                free = n
                spare -= 1
        if free < 0 and not self._listener and chip._mdns and chip._mdns._sock:
            free = chip._mdns._sock._n
            chip._mdns.let_go()
        if free < 0 or (self._listener and spare >= 0):
            raise error(_ENFILE)
        n = free
        users[n] = self
        self._served = self._listener is not None
        self._n = n
        self._error = 0
        self._size = chip._sizes[n] << 10
        control = 32 * n + 8
        self._ask_event = bytes((0, _CR, control, 0, 0, 0))
        self._ask_room = bytes((0, _FSR, control, 0, 0))
        self._ask_counts = bytes((0, 0x26, control, 0, 0, 0, 0, 0, 0))
        control += 4
        self._clear = bytearray((0, _IR, control, 0))
        self._tell_rd = bytearray((0, 0x28, control, 0, 0))
        self._tell_wr = bytearray((0, 0x24, control, 0, 0))
        self._recv = bytes((0, _CR, control, 0x40))
        self._send = bytes((0, _CR, control, 0x20))
        self._tx = bytearray((0, 0, 32 * n + 20))
        self._rx = bytearray((0, 0, 32 * n + 24))
        port = self._port
        if not port:
            port = chip._port = (chip._port + 1 & 0x3FFF) + 49152
        mode = 0x21  # TCP that acknowledges at once
        if self._kind == 2:
            mode = 0x02
            if self._group:
                mode = 0x82
                self._put(
                    _DHAR, b"\x01\x00\x5e" + bytes((self._group[1] & 0x7F,)) + self._group[2:]
                )
                self._put(_DIPR, self._group + bytes((port >> 8, port & 255)))
        self._put(_MR, bytes((mode,)))
        self._put(_PORT, bytes((port >> 8, port & 255)))
        # No event for SENDOK: most often something is received before anybody cares.
        self._put(_IMR, bytes((0xFF - _SENDOK, 0x40, 0, self._keep_alive)))
        self._tells = False
        self._put(_IR, b"\xff")
        try:
            self._command(_OPEN, _UDP if self._kind == 2 else _INIT)
            if self._kind == 2:
                self._read_pointers()
            elif state == _LISTENING:
                # A client may be there at once: any state but the one before will do.
                self._command(_LISTEN, ~_INIT)
        except OSError:
            self._forget()
            raise

    def _command(self, command, state=~255):
        """Give a command and wait until it is taken; until a state is there, or ``~state`` not."""
        given = False
        for _ in range(_TRIES):
            seen = self._get(_CR, 3)
            if not seen[0]:  # else there is one that is not taken yet
                if not given:
                    self._put(_CR, bytes((command,)))
                    given = True
                elif seen[2] == state or (state < 0 and seen[2] != ~state):
                    return
        self._chip.fail()
        raise error(EIO)

    def _read_pointers(self):
        # Data sheet, Sn_TX_WR: "re-initialized while connecting with TCP".
        seen = self._get(_FSR, 12)
        self._room = seen[0] << 8 | seen[1]
        self._wr = seen[4] << 8 | seen[5]
        self._rd = self._told = seen[8] << 8 | seen[9]

    # Listening

    def listen(self, backlog=0):
        """Listen with each of the chip's sockets that is free, but ``reserve`` of them.

        One takes one connection; a SYN that finds none is refused.
        """
        self._ready = []
        self._waiting: list[Socket] = []
        self._chip._listeners.append(self)
        self._relisten()
        if not self._waiting:
            self.close()
            raise error(_ENFILE)

    def _relisten(self):
        chip = self._chip
        while True:
            user = Socket(chip)
            user._port = self._port
            user._listener = self
            user._keep_alive = self._keep_alive
            try:
                user._take(_LISTENING)
            except OSError:
                return  # no more: a later close() makes room
            self._waiting.append(user)

    def accept(self):
        """The next connection, and the peer's address."""
        if self._ready is None:
            raise error(ENOTCONN)
        self._wait(_RD)
        user = self._ready.pop(0)
        if not self._ready:
            self._mask = 0
        peer = user._peer
        return user, ("%d.%d.%d.%d" % tuple(peer[:4]), peer[4] << 8 | peer[5])

    # Connecting

    def connect(self, address):
        """Connect to an ``(address, port)`` of ``getaddrinfo()``.

        ``OSError``: EINPROGRESS where it would wait, ECONNREFUSED, ETIMEDOUT (also where no
        machine has that address), 23 where the chip has no socket left.
        """
        if self._n < 0:
            if self._kind == 1 and not self._error:
                self._take(_INIT)
            elif self._kind == 2:
                self.bind(("", 0))
            else:
                raise error(self._error)
            self._aim(address)
            if self._kind == 2:
                return
            self._command(_CONNECT)
        if not self._ms:
            raise error(EINPROGRESS)
        self._wait(_WR)

    def _aim(self, address):
        port = address[1]
        self._put(_DIPR, pack(address[0]) + bytes((port >> 8, port & 255)))

    # Events

    def _look(self):
        """Take the events that the chip has for this socket, and clear them."""
        chip = self._chip
        cs = chip._cs
        frame = chip._event
        cs(0)
        chip._exchange(self._ask_event, frame)
        cs(1)
        event = frame[4]
        if event:
            clear = self._clear
            clear[3] = event
            cs(0)
            chip._write(clear)
            cs(1)
            if event & _RECEIVED:
                self._news = True
                self._mask |= _RD
            if event & _SENDOK:
                self._busy = False
                self._mask |= _WR
        if event & 11 or frame[5] != _ESTABLISHED or self._deadline is not None:
            self._turn(event, frame[5])

    def _tell_sent(self):
        """Somebody waits for the SENDOK of now: let it, and later ones, make an event."""
        if not self._tells:
            self._tells = True
            self._put(_IMR, b"\xff")
            self._look()  # it may have come just before

    def _turn(self, event, state):
        """What is rare: it is connected, it ends, it is being closed."""
        if self._kind == 2:
            if event & _TIMEOUT:  # nobody has that address
                self._busy = False
                self._mask |= _WR
            if state != _UDP:
                self._lose()
            return
        if event & _CON:
            self._read_pointers()
            self._connected = True
            self._mask |= _WR
            listener = self._listener
            if listener:
                self._peer = self._get(_DIPR, 6)
                self._listener = None
                listener._waiting.remove(self)
                listener._ready.append(self)
                listener._mask = _RD
                listener._relisten()
        elif self._listener:
            if state == _CLOSED:  # the peer went before it was connected
                listener = self._listener
                listener._waiting.remove(self)
                self._forget()
                listener._relisten()
            return
        if event & _DISCONNECTED or state == _CLOSE_WAIT:
            self._end = True
            self._mask |= _RD
        if state == _CLOSED and not self._error:
            self._news = self._connected  # what it received can still be read
            if event & _TIMEOUT:
                self._error = ETIMEDOUT
            else:
                # A reset; the data sheet tells of no event that comes with it.
                self._error = ECONNRESET if self._connected else ECONNREFUSED
            self._busy = False
            self._mask |= _RD | _WR | _ERR
        if self._deadline is not None:
            if state == _CLOSED:
                self._forget()
            elif self._connected and not self._busy:
                self._disconnect()

    def _disconnect(self):
        self._connected = False
        self._try(_DISCON)

    def _try(self, command):
        """For who cannot help it where the chip does not hear: that is logged already."""
        try:
            self._command(command)
        except OSError:
            pass

    def _is_connection(self):
        return self._kind == 1 and not self._listener

    def _lose(self):
        """The chip was reset, or stopped: it has this socket no more."""
        self._news = False
        self._count = 0
        if self._listener and self in self._listener._waiting:
            self._listener._waiting.remove(self)
        self._forget()
        self._error = ECONNRESET
        self._mask = _RD | _WR | _ERR

    def _forget(self):
        """Give the chip's socket back, which is closed."""
        chip = self._chip
        if self._n >= 0 and chip._users[self._n] is self:
            chip._users[self._n] = None
            chip._freed = True
        self._n = -1
        self._busy = False
        self._set_full(False)
        self._listener = None
        if self._deadline is not None:
            self._deadline = None
            chip._closing -= 1

    def _give_up(self):
        """Close without the peer."""
        self._try(_CLOSE_NOW)
        if self._n >= 0:
            self._put(_IR, b"\xff")
        self._forget()

    def ioctl(self, request, flags):
        """For ``select.poll`` and asyncio."""
        if request == _POLL:
            ready = self._mask & (flags | _ALWAYS)
            # A socket that can be written to is to be looked at for bytes as well.
            if flags & ~ready:
                if flags & _WR and self._busy:
                    self._tell_sent()
                if self._chip.check() or self._tells:
                    ready = self._mask & (flags | _ALWAYS)
            return ready
        if request == _CLOSE:
            self.close()
            return 0
        return -1

    def _wait(self, direction):
        """Until the socket is ready to be read from or written to, as long as it may wait.

        Raises ``OSError``: EAGAIN or ETIMEDOUT where the time is over, or the socket's own error.
        """
        chip = self._chip
        if direction == _WR and self._busy:
            self._tell_sent()
        chip.check()
        ms = self._ms
        end = ticks_add(ticks_ms(), ms) if ms > 0 else 0
        while not self._mask & direction:
            if ms >= 0 and (not ms or ticks_diff(end, ticks_ms()) <= 0):
                raise error(ETIMEDOUT if ms else EAGAIN)
            chip.idle()
            chip.check()
        if direction == _WR and self._error:
            raise error(self._error)

    # Bytes in

    def readinto(self, buffer, n=-1):
        """Read what is there into ``buffer``, at most ``n`` bytes.

        Gives the number of bytes, None where it would block, 0 at the end. A blocking socket fills
        all of it.
        """
        if n < 0:
            n = len(buffer)
        if not self._ms:
            return self._read(buffer, 0, n)
        at = 0
        while at < n:
            self._wait(_RD)
            got = self._read(buffer, at, n - at)
            if got == 0:
                break
            at += got or 0
        return at

    def recv_into(self, buffer, n=0):
        """As on CPython: some bytes, and ``OSError(EAGAIN)`` where there are none."""
        n = n or len(buffer)
        while True:
            got = self._read(buffer, 0, n)
            if got is not None:
                return got
            self._wait(_RD)

    def recv(self, n):
        """At most ``n`` bytes, b"" at the end; ``OSError(EAGAIN)`` where it would block."""
        if self._kind == 2:
            return self.recvfrom(n)[0]
        buffer = bytearray(n)
        return bytes(memoryview(buffer)[: self.recv_into(buffer)])

    def read(self, n=-1):
        """``n`` bytes, or all up to the end; where it does not block what is there, or None."""
        if not self._ms:
            buffer = bytearray(512 if n < 0 else n)
            got = self._read(buffer, 0, len(buffer))
            return None if got is None else bytes(memoryview(buffer)[:got])
        if n >= 0:
            buffer = bytearray(n)
            return bytes(memoryview(buffer)[: self.readinto(buffer)])
        data = b""
        while True:
            part = self.recv(512)
            if not part:
                return data
            data += part

    def readline(self):
        """A line with its end; where it would block, what there is of it, or None."""
        buffer = bytearray(64)
        line = b""
        while True:
            got = self._read(buffer, 0, 64, True)
            if got:
                line += bytes(memoryview(buffer)[:got])
                if line.endswith(b"\n"):
                    return line
            elif got == 0:
                return line
            elif not self._ms:
                return line or None
            else:
                self._wait(_RD)

    def _read(self, buffer, at, n, line=False):
        chip = self._chip
        count = self._count
        cs = chip._cs
        if not count:
            if not self._news:
                chip.check()
                if not self._news:
                    if self._error:
                        raise error(self._error)
                    return 0 if self._end else None
            count = self._look_at_counts()
            if not count:
                return self._nothing()
        rd = self._rd
        if n > count:
            n = count
        head = self._rx
        head[0] = rd >> 8
        head[1] = rd & 255
        cs(0)
        chip._write(head)
        if lay is not None:
            lay(chip._window_id, buffer, at, n)
            chip._read(chip._window)
        else:
            chip._read(memoryview(buffer)[at : at + n])
        cs(1)
        if line:
            n = buffer.find(b"\n", 0, n) + 1 or n  # the rest stays in the chip
        self._rd = rd = rd + n & 0xFFFF
        self._count = count - n
        self._kept += n
        # Who reads a header first comes again for the rest: one RECV serves both.
        if n == count or self._kept >= self._size >> 1:
            self._kept = 0
            self._told = rd
            tell = self._tell_rd
            tell[3] = rd >> 8
            tell[4] = rd & 255
            cs(0)
            chip._write(tell)
            cs(1)
            cs(0)
            chip._write(self._recv)
            cs(1)
            if n == count and not (self._news or self._end or self._error):
                self._mask &= ~_RD
        return n

    def _look_at_counts(self):
        """How many bytes there are, where no byte of the registers is of another moment."""
        chip = self._chip
        cs = chip._cs
        self._news = False
        frame = chip._counts
        for _ in range(_TRIES):
            cs(0)
            chip._exchange(self._ask_counts, frame)
            cs(1)
            count = frame[3] << 8 | frame[4]
            wr = frame[7] << 8 | frame[8]
            if wr - self._told & 0xFFFF == count <= self._size:
                self._count = count = wr - self._rd & 0xFFFF
                return count
        chip.fail()
        raise error(EIO)

    def _nothing(self):
        if self._error:
            raise error(self._error)
        if self._end:
            return 0
        self._mask &= ~_RD
        return None

    # Bytes out

    def write(self, buffer, at=0, n=-1):
        """Send ``n`` bytes of ``buffer`` from ``at`` on: gives how many the chip took.

        None where it takes none yet. A blocking socket sends them all.
        """
        if n < 0:
            n = len(buffer) - at
        if not self._ms:
            return self._write(buffer, at, n)
        end = at + n
        while at < end:
            self._wait(_WR)
            at += self._write(buffer, at, end - at) or 0
        return n

    def send(self, data):
        """How many bytes of ``data`` the chip took; ``OSError(EAGAIN)`` where it would block."""
        while True:
            n = self._write(data, 0, len(data))
            if n is not None:
                return n
            self._wait(_WR)

    def sendall(self, data):
        at = 0
        while at < len(data):
            at += self.send(memoryview(data)[at:])

    def _write(self, buffer, at, n):
        chip = self._chip
        if self._busy or self._error:
            chip.check()
            if self._busy:
                self._look()
            if self._error:
                raise error(self._error)
            if self._busy:
                return None
        if not self._mask & _WR:
            if self._n < 0:
                raise error(ENOTCONN)
            return None  # still connecting, or full
        if n > self._room:
            # Bytes that the peer has not acknowledged are no room. This only grows meanwhile, so
            # a reading of two moments is too small at worst.
            self._look_at_room()
            if n > self._room:
                n = self._room
                if not n:
                    return None
        if n <= 0:
            return 0
        self._room -= n
        wr = self._wr
        cs = chip._cs
        head = self._tx
        head[0] = wr >> 8
        head[1] = wr & 255
        cs(0)
        chip._write(head)
        if lay is not None:
            lay(chip._window_id, buffer, at, n)
            chip._write(chip._window)
        else:
            chip._write(memoryview(buffer)[at : at + n])
        cs(1)
        self._wr = wr = wr + n & 0xFFFF
        tell = self._tell_wr
        tell[3] = wr >> 8
        tell[4] = wr & 255
        cs(0)
        chip._write(tell)
        cs(1)
        # One SEND at a time: the next after this one's SENDOK.
        self._busy = True
        self._mask &= ~_WR
        cs(0)
        chip._write(self._send)
        cs(1)
        return n

    def _look_at_room(self):
        chip = self._chip
        frame = chip._free
        chip._cs(0)
        chip._exchange(self._ask_room, frame)
        chip._cs(1)
        room = frame[3] << 8 | frame[4]
        self._room = room = room if room <= self._size else 0
        # No event tells that the peer takes more: chip.check() asks again.
        self._set_full(not room)
        if room:
            self._mask |= _WR
        else:
            self._mask &= ~_WR

    def _set_full(self, full):
        chip = self._chip
        if full != self._full:
            self._full = full
            chip._full += 1 if full else -1
            if full and chip._active:
                chip._wake_often()

    # UDP

    def sendto(self, data, address):
        """Send a datagram; ``OSError(EAGAIN)`` where the one before has not left."""
        if self._n < 0:
            self.bind(("", self._port))
        if self._busy:
            self._wait(_WR)
        self._aim(address)
        return self.send(data)

    def recvfrom(self, n):
        """A datagram, cut to ``n`` bytes, and whose it is."""
        head = bytearray(8)
        while True:
            got = self._read(head, 0, 8)
            if got:
                break
            self._wait(_RD)
        size = head[6] << 8 | head[7]
        if got != 8 or size > self._count:
            self._lose()  # the chip puts nothing else there
            raise error(EIO)
        data = bytearray(size)
        if size:
            self._read(data, 0, size)
        return bytes(data[:n]), ("%d.%d.%d.%d" % tuple(head[:4]), head[4] << 8 | head[5])

    # The end

    def close(self):
        """End it: what was written still goes out, then FIN; ``chip.drain()`` waits for that."""
        chip = self._chip
        if self._ready is not None:
            chip._listeners.remove(self)
            for user in self._waiting[:]:
                user._give_up()
            for user in self._ready:
                user.close()
            self._ready = None
        elif self._n >= 0 and self._deadline is None:
            if self._error or self._kind == 2 or not self._connected:
                self._give_up()
            else:
                self._deadline = ticks_add(ticks_ms(), _LINGER)
                chip._closing += 1
                if self._busy:
                    self._tell_sent()
                else:
                    self._disconnect()
        self._count = 0
        self._news = False
        self._error = self._error or ENOTCONN
        self._mask |= _RD | _WR | _ERR

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
