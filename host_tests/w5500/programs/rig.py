"""A driver over the chip in Python, and peers on 127.0.0.1, in one process."""

import errno
import gc
import socket
import sys
import time

from chip import Chip, address
from w5500 import W5500
from wires import SPI, ChipSelect, Interrupt, Reset

# Where the ports of the chip's world are on this computer; any other is any free one.
PORTS = dict(zip((80, 1, 2, 3, 68, 53, 5353), map(int, sys.argv[1:])))
STATIC = ("192.168.1.20", "255.255.255.0", "192.168.1.1", "192.168.1.1")
PATIENCE = 20


def chip_port(port):
    for here, there in PORTS.items():
        if there == port:
            return here
    return port


class Rig:
    hurry = False  # DHCP and the link are looked at all the time

    def __init__(self, with_int=False, static=STATIC, start=True, mdns=False, **options):
        self.chip = Chip(lambda port: PORTS.get(port, 0), chip_port)
        self.int = Interrupt(self.chip) if with_int else None
        self.said = []
        self.nic = W5500(
            SPI(self.chip), ChipSelect(self.chip), Reset(self.chip), self.int,
            log=self.said.append, **options
        )  # fmt: skip
        self.nic.mdns = mdns
        if static:
            self.nic.ifconfig(static)
        if start:
            self.nic.active(True)

    def until(self, what):
        """What this gives, once it is true."""
        end = time.time() + PATIENCE
        while time.time() < end:
            if self.hurry:
                self.nic._slow = self.nic._last
            self.nic.check()
            value = what()
            if value:
                return value
        raise AssertionError("it never came")

    def rest(self, seconds=0.005):
        end = time.time() + seconds
        while time.time() < end:
            self.nic.check()

    def listener(self, port=80):
        sock = self.nic.socket()
        sock.setblocking(False)
        sock.bind(("", port))
        sock.listen()
        return sock

    def peer(self, port=80):
        sock = socket.socket()
        sock.connect(address(PORTS[port]))
        sock.setblocking(False)
        return sock

    def pair(self, listener):
        peer = self.peer()
        self.until(lambda: listener.ioctl(3, 1))
        sock, name = listener.accept()
        assert name[0] == "127.0.0.1"
        sock.setblocking(False)
        return sock, peer

    def fair(self):
        """The chip saw nothing that no driver should do."""
        assert not self.chip.offences, self.chip.offences

    def off(self):
        self.nic.active(False)
        for listener in self.chip.listeners.values():
            listener.close()
        self.chip.listeners = {}


def get(peer, n=4096):
    """What a peer has, None for nothing yet."""
    try:
        return peer.recv(n)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise


def error_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return error.args[0]
    raise AssertionError("no error")


def run(names):
    for name in sorted(names):
        if name.startswith("test_"):
            gc.collect()
            names[name]()
            print(name)
