"""A W5500 in Python: registers, buffers, commands and states; its sockets are those of 127.0.0.1.

Written from WIZnet's data sheet, version 1.0.9, and from no driver; README.md says what is a
guess. It runs on CPython and on MicroPython's unix port. It knows no bus: a frame is select(), a
byte() for each byte, deselect(). See wires.py for what stands in for ``machine.SPI``.

The world is looked at in pump(), at most once in a millisecond, where a frame begins.
"""

import errno
import random
import socket
import time

# Common registers (§4.1), a socket's (§4.2)
MR, SIPR, IR, SIR, SIMR, RTR, RCR, PHYCFGR, VERSIONR = (
    0,
    0x0F,
    0x15,
    0x17,
    0x18,
    0x19,
    0x1B,
    0x2E,
    0x39,
)
S_MR, S_CR, S_IR, S_SR, S_PORT, S_DIPR, S_DPORT = 0x00, 0x01, 0x02, 0x03, 0x04, 0x0C, 0x10
S_RXBUF, S_TXBUF, S_FSR, S_TX_RD, S_TX_WR = 0x1E, 0x1F, 0x20, 0x22, 0x24
S_RSR, S_RX_RD, S_RX_WR, S_IMR = 0x26, 0x28, 0x2A, 0x2C
READ_ONLY = (S_SR,) + tuple(range(S_FSR, S_TX_RD + 2)) + (S_RSR, S_RSR + 1, S_RX_WR, S_RX_WR + 1)

OPEN, LISTEN, CONNECT, DISCON, CLOSE, SEND, RECV = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40
CLOSED, INIT, LISTENING, SYN_SENT, ESTABLISHED = 0x00, 0x13, 0x14, 0x15, 0x17
FIN_WAIT, CLOSE_WAIT, UDP = 0x18, 0x1C, 0x22
CON, DISCONNECTED, RECEIVED, TIMEOUT, SENDOK = 1, 2, 4, 8, 16

_AGAIN = (errno.EAGAIN, errno.EINPROGRESS)
_LOOPBACK = "127.0.0.1"


def address(port, host=_LOOPBACK):
    return socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]


def unpack(name):
    """The IP as bytes, and the port; MicroPython's unix port gives a packed sockaddr."""
    if isinstance(name, tuple):
        return bytes([int(part) for part in name[0].split(".")]), name[1]
    return bytes(name[4:8]), name[2] << 8 | name[3]


def reset_connection(sock):
    """Close it with a RST."""
    try:
        sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER, no time
    except (OSError, AttributeError):
        pass
    sock.close()


class Channel:
    """One of the eight sockets."""

    def __init__(self, chip):
        self.chip = chip
        self.peer = None
        self.clear()

    def clear(self):
        self.regs = bytearray(0x30)
        self.regs[S_RXBUF] = self.regs[S_TXBUF] = 2
        self.regs[S_IMR] = 0xFF
        self.tx = bytearray(2048)
        self.rx = bytearray(2048)
        self.rx_rd = self.rx_wr = 0  # what the chip goes by; the host's RX_RD counts at RECV
        self.taken_at = 0  # the frame from which on CR is 0 again
        self.queue = []  # datagrams that have come and find no room yet
        self._forget_peer()

    def _forget_peer(self):
        if self.peer:
            reset_connection(self.peer)
        self.peer = None
        self.sending = b""
        self.sent = False  # a SEND that has not said SENDOK
        self.ok_at = 0.0  # when it does
        self.acks = []  # (when, how many bytes) the peer acknowledges
        self.unacknowledged = 0
        self.ended = False
        self.fin = False  # DISCON was ordered
        self.deadline = None  # of what waits for an answer

    def put(self, at, value):
        self.regs[at], self.regs[at + 1] = value >> 8 & 255, value & 255

    def get(self, at):
        return self.regs[at] << 8 | self.regs[at + 1]

    @property
    def state(self):
        return self.regs[S_SR]

    def say(self, event):
        self.regs[S_IR] |= event

    def become(self, state, event=0):
        self.regs[S_SR] = state
        self.say(event)
        if state == CLOSED:
            self._forget_peer()

    def update(self):
        """The registers that follow from others."""
        if self.regs[S_MR] & 15 == 1:
            self.put(S_FSR, len(self.tx) - self.unacknowledged)
        else:
            self.put(S_FSR, len(self.tx) - (self.get(S_TX_WR) - self.get(S_TX_RD) & 0xFFFF))
        self.put(S_RSR, self.rx_wr - self.rx_rd & 0xFFFF)
        self.put(S_RX_WR, self.rx_wr)

    # Commands

    def command(self, value):
        chip = self.chip
        if chip.frozen:
            self.regs[S_CR] = value
            return
        if chip.frame < self.taken_at:
            chip.offences.append("a command before the one before was taken")
        self.regs[S_CR] = value
        self.taken_at = chip.frame + 1 + chip.slowness
        chip.commands += 1
        state = self.state
        if value == OPEN:
            self.open()
        elif value == LISTEN and state == INIT:
            chip.listen(self.get(S_PORT))
            self.become(LISTENING)
        elif value == CONNECT and state == INIT:
            self.connect()
        elif value == DISCON and state in (ESTABLISHED, CLOSE_WAIT):
            self.fin = True
            self.finish()
        elif value == CLOSE:
            self.become(CLOSED)
        elif value == SEND and state in (ESTABLISHED, CLOSE_WAIT, UDP):
            self.send()
        elif value == RECV:
            if (self.get(S_RX_RD) - self.rx_rd & 0xFFFF) > (self.rx_wr - self.rx_rd & 0xFFFF):
                chip.offences.append("RECV past what was received")
            self.rx_rd = self.get(S_RX_RD)
            self.receive()
        elif state != CLOSED:  # the peer may have closed it just now
            chip.offences.append("command 0x%02x in state 0x%02x" % (value, state))
        self.update()
        chip.listen_no_more()

    def open(self):
        self._forget_peer()
        self.queue = []
        # "Initialized by OPEN", to what it does not say.
        self.rx_rd = self.rx_wr = self.chip.pointer()
        self.put(S_RX_RD, self.rx_rd)
        self.begin_sending()
        self.become({1: INIT, 2: UDP}.get(self.regs[S_MR] & 15, CLOSED))
        if self.state == UDP:
            self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.peer.bind(address(self.chip.host_port(self.get(S_PORT))))
            self.peer.setblocking(False)

    def begin_sending(self):
        at = self.chip.pointer()
        self.put(S_TX_RD, at)
        self.put(S_TX_WR, at)
        self.unacknowledged = 0

    def connect(self):
        chip = self.chip
        self.become(SYN_SENT)
        if not chip.link or not chip.answers_arp:
            self.deadline = time.time() + chip.arp_time()
            return
        peer = socket.socket()
        try:
            peer.connect(chip.target(bytes(self.regs[S_DIPR : S_DIPR + 4]), self.get(S_DPORT)))
        except OSError:
            peer.close()
            # The data sheet tells of CLOSED, and of no event where a RST came.
            self.become(CLOSED)
            return
        self.take(peer)

    def take(self, peer, name=None):
        peer.setblocking(False)
        self.peer = peer
        if name:
            self.regs[S_DIPR : S_DIPR + 4], port = unpack(name)
            self.put(S_DPORT, port)
        if hasattr(socket, "TCP_NODELAY"):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begin_sending()  # "re-initialized while connecting with TCP"
        self.become(ESTABLISHED, CON)
        self.receive()
        self.update()

    def send(self):
        start, end = self.get(S_TX_RD), self.get(S_TX_WR)
        size = len(self.tx)
        n = end - start & 0xFFFF
        if self.sent:
            self.chip.offences.append("SEND before SENDOK")
        if n + self.unacknowledged > size:
            self.chip.offences.append("SEND of %d bytes into a buffer that has no room" % n)
        start &= size - 1
        self.sending = (bytes(self.tx[start:]) + bytes(self.tx[:start]))[:n]
        self.sent = True
        self.ok_at = 0
        if self.state == UDP:
            self.send_datagram()
        else:
            self.unacknowledged += n
            self.deadline = time.time() + self.chip.tcp_time()
            self.send_on()

    def send_datagram(self):
        chip = self.chip
        self.put(S_TX_RD, self.get(S_TX_WR))
        data, self.sending = self.sending, b""
        port = self.get(S_DPORT)
        ip = bytes(self.regs[S_DIPR : S_DIPR + 4])
        if chip.link and chip.answers_arp:
            chip.sent.append((ip, port, data))
            service = chip.services.get(port)
            if service:
                for answer in service(data, (ip, self.get(S_PORT))):
                    self.put_datagram(answer, ip, port)
            else:
                try:
                    self.peer.sendto(data, chip.target(ip, port))
                except OSError:
                    pass  # nobody is there, which a sender of UDP is not told
        elif ip != b"\xff\xff\xff\xff":
            self.deadline = time.time() + chip.arp_time()
            return
        self.ok_at = time.time() + chip.latency
        self.settle()

    def send_on(self):
        if not self.chip.link or not self.sending:
            return
        try:
            n = self.peer.send(self.sending)
        except OSError as error:
            if error.errno not in _AGAIN:
                self.lose()
            return
        now = time.time()
        self.put(S_TX_RD, self.get(S_TX_RD) + n)
        self.sending = self.sending[n:]
        self.acks.append((now + self.chip.ack_delay, n))
        self.deadline = now + self.chip.tcp_time()
        if not self.sending:
            self.ok_at = now + self.chip.latency
            self.deadline = None
            self.settle()

    def settle(self):
        """What is due by now."""
        now = time.time()
        if self.sent and self.ok_at and now >= self.ok_at:
            self.sent = False
            self.say(SENDOK)
        while self.acks and now >= self.acks[0][0]:
            self.unacknowledged -= self.acks.pop(0)[1]
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            if self.state == UDP:
                self.sent = False
                self.say(TIMEOUT)
            else:
                self.become(CLOSED, TIMEOUT)

    def lose(self):
        """A RST came: "Sn_SR is unconditionally changed to SOCK_CLOSED"."""
        self.become(CLOSED, self.chip.reset_says)

    def finish(self):
        """FIN goes out, once all bytes have."""
        if not self.fin or self.sending or not self.peer:
            return
        if self.state == CLOSE_WAIT:
            self.peer.close()
            self.peer = None
            self.become(CLOSED, DISCONNECTED)
        elif self.state == ESTABLISHED:
            self.deadline = time.time() + self.chip.tcp_time()
            try:
                self.peer.shutdown(1)
                self.regs[S_SR] = FIN_WAIT
            except AttributeError:  # MicroPython has no half-close
                self.peer.close()
                self.peer = None
                self.become(CLOSED, DISCONNECTED)
            except OSError:
                self.lose()

    def room(self):
        return len(self.rx) - (self.rx_wr - self.rx_rd & 0xFFFF)

    def put_bytes(self, data):
        for value in data:
            self.rx[self.rx_wr & len(self.rx) - 1] = value
            self.rx_wr = self.rx_wr + 1 & 0xFFFF
        self.say(RECEIVED)

    def put_datagram(self, data, ip, port):
        if len(data) + 8 <= self.room():  # else it is lost
            n = len(data)
            self.put_bytes(ip + bytes((port >> 8, port & 255, n >> 8, n & 255)) + data)
            self.update()

    def receive(self):
        if self.peer is None or self.ended or not self.chip.link:
            return
        try:
            if self.state == UDP:
                data, name = self.peer.recvfrom(1472)
                ip, port = unpack(name)
                self.put_datagram(data, ip, self.chip.chip_port(port))
                return
            room = self.room()
            if room <= 0:
                return
            data = self.peer.recv(room)
        except OSError as error:
            if error.errno not in _AGAIN:
                if self.state == UDP:
                    return  # "nobody is there" of an earlier datagram
                self.lose()
            return
        if data:
            self.put_bytes(data)
            return
        self.ended = True
        if self.state == FIN_WAIT:
            self.become(CLOSED, DISCONNECTED)
        else:
            self.become(CLOSE_WAIT, DISCONNECTED)

    def pump(self):
        if self.peer:
            if self.sending:
                self.send_on()
            self.finish()
            self.receive()
        self.settle()
        self.update()


class Chip:
    """``host_port(port)`` says where the chip's port is here, ``chip_port`` the way back.

    What goes to any address goes there, but UDP to a port in ``services``: such a function is
    called with the datagram and ``(address, port)``, and gives the datagrams that come back.
    """

    def __init__(self, host_port=lambda port: port, chip_port=lambda port: port):
        self.host_port, self.chip_port = host_port, chip_port
        self.services = {}
        self.sent = []  # datagrams: (address, port, bytes)
        self.offences = []  # what no driver should do
        # What a test sets
        self.link = True
        self.answers_arp = True
        self.latency = 0.0  # seconds from the last byte sent to SENDOK
        self.ack_delay = 0.0  # and to the peer's ACK
        self.speed = 1  # of its time-outs
        self.slowness = 1  # frames after a command in which CR still shows it
        self.frozen = False  # takes no command
        self.reset_says = 0  # the event that comes with a RST
        self.version = 0x04
        self.miso = self.mosi = None  # what becomes of a byte on the wire
        self.frames = self.bytes = self.commands = self.refused = 0
        self.trace = None  # a list takes (block, address, bytes, writes) of each frame
        self.last_pump = 0.0
        self.frame = 0
        self.listeners = {}
        self.channels = [Channel(self) for _ in range(8)]
        self.reset()

    def pointer(self):
        return random.choice((0, 1, 0x7FF, 0x1234, 0xFFF0, 0xFFFF))

    def reset(self):
        self.regs = bytearray(0x40)
        self.regs[VERSIONR] = self.version
        self.regs[RTR : RTR + 2] = b"\x07\xd0"
        self.regs[RCR] = 8
        for channel in self.channels:
            channel.clear()
        self.listen_no_more()
        self.position = -1

    def arp_time(self):
        rtr = self.regs[RTR] << 8 | self.regs[RTR + 1]
        return rtr * (self.regs[RCR] + 1) / 10000 / self.speed

    def tcp_time(self):
        rtr = self.regs[RTR] << 8 | self.regs[RTR + 1]
        total = 0
        for _ in range(self.regs[RCR] + 1):
            total += rtr
            if rtr * 2 <= 65535:
                rtr *= 2
        return total / 10000 / self.speed

    # The world

    def target(self, ip, port):
        """Where on this computer another's port is, as connect() takes it."""
        return address(self.host_port(port))

    def listen(self, port):
        if port in self.listeners:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address(self.host_port(port)))
        listener.listen(32)
        listener.setblocking(False)
        self.listeners[port] = listener

    def listen_no_more(self):
        """Where no socket is open, no port is; else one may listen again at any moment."""
        if not any(channel.state for channel in self.channels):
            for listener in self.listeners.values():
                listener.close()
            self.listeners = {}

    def pump(self):
        for port, listener in self.listeners.items():
            while self.link:
                try:
                    peer, name = listener.accept()
                except OSError:
                    break
                for channel in self.channels:
                    if channel.state == LISTENING and channel.get(S_PORT) == port:
                        channel.take(peer, name)
                        break
                else:  # nobody listens
                    self.refused += 1
                    reset_connection(peer)
        for channel in self.channels:
            channel.pump()

    def interrupts(self):
        """SIR."""
        sir = 0
        for n, channel in enumerate(self.channels):
            if channel.regs[S_IR] & channel.regs[S_IMR]:
                sir |= 1 << n
        return sir

    def int_level(self):
        return 0 if self.interrupts() & self.regs[SIMR] else 1

    # Frames (§2.2): two bytes of address, one of control, data

    def select(self):
        self.position = 0
        self.frame += 1
        now = time.time()
        if not 0 <= now - self.last_pump < 0.001:
            self.last_pump = now
            self.pump()

    def deselect(self):
        if self.position > 2:
            self.frames += 1
            self.bytes += self.position
            if self.trace is not None:
                self.trace.append((self.block, self.start, self.position - 3, bool(self.writing)))
        elif self.position > 0:
            self.offences.append("a frame of %d bytes" % self.position)
        self.position = -1

    def byte(self, value):
        if self.mosi:
            value = self.mosi(value)
        value = self._byte(value)
        return self.miso(value) if self.miso else value

    def _byte(self, value):
        position = self.position
        if position < 0:
            return 0xFF
        self.position = position + 1
        if position == 0:
            self.at = value << 8
        elif position == 1:
            self.at = self.start = self.at | value
        elif position == 2:
            self.block, self.writing = value >> 3, value & 4
            if value & 3:
                self.offences.append("not of variable length")
        else:
            at, self.at = self.at, self.at + 1 & 0xFFFF
            if not self.writing:
                return self.read(self.block, at)
            self.write(self.block, at, value)
        return position + 1 & 3

    def read(self, block, at):
        if block & 3 == 0:
            if block or at >= len(self.regs):
                return 0
            if at == SIR:
                return self.interrupts()
            if at == PHYCFGR:
                return 0xBE | bool(self.link)
            return self.regs[at]
        channel = self.channels[block >> 2]
        kind = block & 3
        if kind == 1:
            if at == S_CR and not self.frozen and self.frame >= channel.taken_at:
                channel.regs[S_CR] = 0
            return channel.regs[at] if at < len(channel.regs) else 0
        ring = channel.tx if kind == 2 else channel.rx
        return ring[at & len(ring) - 1] if ring else 0

    def write(self, block, at, value):
        kind = block & 3
        if kind == 0:
            if block or at >= len(self.regs):
                return
            if at == MR and value & 0x80:
                self.reset()
            elif at == IR:
                self.regs[IR] &= ~value
            elif at not in (SIR, VERSIONR):
                self.regs[at] = value
            return
        channel = self.channels[block >> 2]
        if kind == 2:
            if channel.tx:
                channel.tx[at & len(channel.tx) - 1] = value
        elif kind == 1:
            if at == S_CR:
                channel.command(value)
            elif at == S_IR:
                channel.regs[S_IR] &= ~value
            elif at in (S_RXBUF, S_TXBUF):
                channel.regs[at] = value
                if (
                    sum(each.regs[at] for each in self.channels) > 16
                    and channel is self.channels[7]
                ):
                    self.offences.append("buffers of more than 16 KiB")
                if at == S_RXBUF:
                    channel.rx = bytearray(value << 10)
                else:
                    channel.tx = bytearray(value << 10)
                channel.update()
            elif at not in READ_ONLY and at < len(channel.regs):
                channel.regs[at] = value
