"""Stands in for a board's `network` module: interfaces that are the computer's loopback.

It refuses what the real one refuses, and says so where the real one hides a mistake. What a test
or a virtual board sets: `cable`, `lease`, `burnt_mac`, `machine.w5500`, `machine.chip`.
"""

import machine

PHY_W5500 = 102
STA_IF = 0
AP_IF = 1
ETH_STARTED = 1
ETH_CONNECTED = 3
ETH_DISCONNECTED = 4
ETH_GOT_IP = 5

# Whether the link is up: the cable is in at both ends, or the Wi-Fi is in reach.
cable = True
# What DHCP gives; "0.0.0.0" is a DHCP server that is silent.
lease = "127.0.0.1"
# The board's address in a Wi-Fi of its own, how many are in that, and its name and password.
own_address = "192.168.4.1"
stations = 0
own_wifi = None
# A W5500 has no address of its own at power on.
burnt_mac = b"\x24\x0a\xc4\x01\x02\x06"

NONE = "0.0.0.0"
_hostname = "mpy-esp32"


# What an ESP32 with a W5500 does not use is in a module of its own: on a board it takes no heap.
def __getattr__(name):
    if not name.startswith("STAT_"):
        raise AttributeError("'module' object has no attribute '%s'" % name)
    import network_rest

    return getattr(network_rest, name)


def WIZNET5K(*args):
    import network_rest

    return network_rest.WIZNET5K(*args)


class WLAN:
    SEC_WPA_WPA2 = 4

    def __new__(cls, kind):
        import network_rest

        return network_rest.WLAN(kind)


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    if len(name) > 32:
        raise ValueError
    _hostname = name


class Interface:
    chips = ""  # that have such an interface

    def __init__(self):
        if machine.chip not in self.chips.split():
            raise AttributeError("'module' object has no attribute")
        self._active = False
        self._mac = burnt_mac
        self._static = None
        self.starts = 0
        self.name = None  # under which DHCP and mDNS know it

    def active(self, on=None):
        if on is None:
            return self._active
        if on and not self._active:
            self.name = _hostname
            self.starts += 1
        self._active = bool(on)

    def config(self, query=None, *, mac=None):
        if mac is not None:
            if len(mac) != 6 or mac[0] & 1:
                raise OSError("failed setting MAC address")
            self._mac = mac
        elif query == "mac":
            return self._mac
        else:
            raise ValueError("unknown config param")

    def isconnected(self):
        machine.look_at_bench()
        return self.ifconfig()[0] != NONE

    def ifconfig(self, to=None):
        if to is None:
            if not self._active or not cable:
                return (NONE,) * 4
            return self._static or (lease, "255.0.0.0", NONE, NONE)
        if not self._active:
            raise OSError("the interface is not active yet")
        if to == "dhcp":
            self._static = None
        elif isinstance(to, tuple) and len(to) == 4:
            self._static = to
        else:
            raise ValueError("invalid arguments")


def need_spi(spi, *pins):
    if type(spi) is not machine.SPI:
        raise ValueError("expecting a SPI object")
    for pin in pins:
        if not isinstance(pin, machine.Pin):
            raise ValueError("expecting a pin")


_lan = None


class Lan(Interface):
    chips = "ESP32 ESP32S2 ESP32S3 ESP32C3 ESP32C5 ESP32C6 ESP32H2 ESP32P4"

    def __init__(self, wires):
        super().__init__()
        self.wires = wires
        self._linked = False

    def active(self, on=None):
        if on is not None and bool(on) != self._active and not machine.w5500:
            raise OSError("ethernet %s failed" % ("enable" if on else "disable"))
        return super().active(on)

    def status(self):
        if not self._active:
            return 0
        if cable:
            self._linked = True
            return ETH_GOT_IP if self.isconnected() else ETH_CONNECTED
        return ETH_DISCONNECTED if self._linked else ETH_STARTED


def LAN(*, phy_type, phy_addr, spi=None, cs=None, int=None, reset=None):
    global _lan
    if phy_type != PHY_W5500:
        raise ValueError("invalid phy type")
    if not 0 <= phy_addr <= 31:
        raise ValueError("invalid phy address")
    need_spi(spi, cs, *([] if reset is None else [reset]))
    if int is None:
        raise OSError("esp_eth_driver_install failed with invalid argument")
    if not isinstance(int, machine.Pin):
        raise ValueError("expecting a pin")
    if not machine.w5500:
        raise OSError("esp_eth_driver_install failed")
    wires = (cs.number, int.number, reset and reset.number)
    if _lan is None:
        _lan = Lan(wires)
    elif _lan.wires != wires:
        # The real one hands out the first and forgets what it was asked for.
        raise RuntimeError("there is a LAN with other pins")
    return _lan
