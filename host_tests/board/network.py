"""Stands in for a board's `network` module: interfaces that are the computer's loopback."""

import machine

PHY_W5500 = 102
STA_IF = 0

# What DHCP gives; "0.0.0.0" is none.
lease = "127.0.0.1"

_hostname = "mpy-esp32"


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    if len(name) > 32:
        raise ValueError
    _hostname = name


class _Interface:
    def __init__(self):
        self._active = False

    def active(self, on=None):
        if on is None:
            return self._active
        self._active = bool(on)

    def isconnected(self):
        return self._active and lease != "0.0.0.0"

    def ifconfig(self):
        return (lease if self._active else "0.0.0.0", "255.0.0.0", "0.0.0.0", "0.0.0.0")


def _pins(*pins):
    for pin in pins:
        if not isinstance(pin, machine.Pin):
            raise ValueError("expecting a pin")


class LAN(_Interface):
    def __init__(self, *, phy_type, phy_addr, spi, cs, int, reset=None):
        super().__init__()
        if phy_type != PHY_W5500:
            raise ValueError("invalid phy type")
        if not 0 <= phy_addr <= 31:
            raise ValueError("invalid phy address")
        if not isinstance(spi, machine.SPI):
            raise ValueError("expecting a SPI object")
        _pins(cs, int)
        if reset is not None:
            _pins(reset)


class WIZNET5K(_Interface):
    def __init__(self, spi, cs, rst, intn):
        super().__init__()
        if not isinstance(spi, machine.SPI):
            raise ValueError("expecting a SPI object")
        _pins(cs, rst, intn)


class WLAN(_Interface):
    def __init__(self, kind):
        super().__init__()
        if kind != STA_IF:
            raise ValueError("no such interface")
        self._joined = False

    def connect(self, ssid, key=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._joined = True

    def isconnected(self):
        return self._joined and super().isconnected()
