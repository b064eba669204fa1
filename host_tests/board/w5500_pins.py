"""A W5500 on the pins of a virtual board: the chip in Python, whose network is this computer's.

machine.py loads this where a board has such a chip and the driver for it is that in lib/w5500.
"""

import sys

import machine
import network

_TOP = __file__[: __file__.rindex("host_tests")]
sys.path.append(_TOP)

from host_tests.w5500 import chip as model  # noqa: E402
from host_tests.w5500 import wires  # noqa: E402
from host_tests.w5500.dhcp_server import Server  # noqa: E402

sys.path.remove(_TOP)

_NAME = 12  # where the question begins in a query
_A_RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"  # of that name, for a minute


class Chip(model.Chip):
    def __init__(self):
        # Ports below 1024 are not for everybody; 5353 is that of this computer's own mDNS.
        super().__init__(lambda port: port if port >= 1024 and port != 5353 else 0)
        self.services[67] = self._give_address
        self.services[53] = self._find_name
        self.services[5353] = lambda data, source: []
        self.spi = wires.SPI(self)
        self._select = wires.ChipSelect(self)
        self._interrupt = wires.Interrupt(self)

    def pin(self, number, level=None):
        """A level at one of its pins; that of INT where there is none."""
        if number == machine.wires["int"]:
            return self._interrupt()
        if number == machine.wires["reset"] and not level:
            self.reset()
        elif number == machine.wires["cs"]:
            self.link = network.cable
            self.miso = None if machine.w5500 else lambda value: 0xFF
            self._select(level)
        return None

    def target(self, ip, port):
        """Other machines are themselves."""
        if ip == b"\x7f\0\0\1":
            return super().target(ip, port)
        return model.address(port, "%d.%d.%d.%d" % tuple(ip))

    def _give_address(self, data, source):
        """What `network` says DHCP gives."""
        address = bytes([int(part) for part in network.lease.split(".")])
        return [] if address == bytes(4) else Server(address=address)(data, source)

    def _find_name(self, data, source):
        """What this computer knows of a name."""
        labels = []
        at = _NAME
        while data[at]:
            labels.append(str(data[at + 1 : at + 1 + data[at]], "utf-8"))
            at += 1 + data[at]
        question = data[_NAME : at + 5]
        try:
            ip = model.unpack(model.address(0, ".".join(labels)))[0]
        except OSError:
            return [data[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + question]
        return [data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question + _A_RECORD + ip]
