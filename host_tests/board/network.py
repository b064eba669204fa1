"""Stands in for a board's `network` module: interfaces that are the computer's loopback.

It refuses what the real one refuses, and says so where the real one hides a mistake. What a test
or a virtual board sets: `cable`, `lease`, `burnt_mac`, `machine.w5500`, `machine.chip`.
"""

import machine

PHY_W5500 = 102
STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
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

_NONE = "0.0.0.0"
_hostname = "mpy-esp32"


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    if len(name) > 32:
        raise ValueError
    _hostname = name


class _Interface:
    chips: tuple = ()

    def __init__(self):
        if machine.chip not in self.chips:
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
        return self.ifconfig()[0] != _NONE

    def ifconfig(self, to=None):
        if to is None:
            if not self._active or not cable:
                return (_NONE,) * 4
            return self._static or (lease, "255.0.0.0", _NONE, _NONE)
        if not self._active:
            raise OSError("the interface is not active yet")
        if to == "dhcp":
            self._static = None
        elif isinstance(to, tuple) and len(to) == 4:
            self._static = to
        else:
            raise ValueError("invalid arguments")


def _need_spi(spi, *pins):
    if type(spi) is not machine.SPI:
        raise ValueError("expecting a SPI object")
    for pin in pins:
        if not isinstance(pin, machine.Pin):
            raise ValueError("expecting a pin")


_lan = None


class _Lan(_Interface):
    chips = tuple("ESP32" + name for name in ("", "S2", "S3", "C3", "C5", "C6", "H2", "P4"))

    def __init__(self, wiring):
        super().__init__()
        self.wiring = wiring
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
    _need_spi(spi, cs, *([] if reset is None else [reset]))
    if int is None:
        raise OSError("esp_eth_driver_install failed with invalid argument")
    if not isinstance(int, machine.Pin):
        raise ValueError("expecting a pin")
    if not machine.w5500:
        raise OSError("esp_eth_driver_install failed")
    wiring = (cs.number, int.number, reset and reset.number)
    if _lan is None:
        _lan = _Lan(wiring)
    elif _lan.wiring != wiring:
        # The real one hands out the first and forgets what it was asked for.
        raise RuntimeError("there is a LAN with other pins")
    return _lan


class WIZNET5K(_Interface):
    chips = ("RP2040", "RP2350")

    def __init__(self, spi, cs, rst, intn=None):
        super().__init__()
        _need_spi(spi, cs, rst, *([] if intn is None else [intn]))

    def active(self, on=None):
        if on and not self._active:
            if not machine.w5500:
                raise AssertionError("the driver waits for ever for a chip that is not there")
            self._static = None  # it starts with DHCP
            self._lease = lease
        return super().active(on)

    def ifconfig(self, to=None):
        found = super().ifconfig(to)
        if found and self._active and cable and not self._static:
            # Asked for once, at the start, and kept whatever the cable does.
            if self._lease == _NONE:
                self._lease = lease
            return (self._lease,) + found[1:]
        return found

    def status(self):
        return (2 if self._active else 1) if cable else 0


class WLAN(_Interface):
    SEC_WPA_WPA2 = 4
    chips = tuple(chip for chip in _Lan.chips + WIZNET5K.chips if chip != "ESP32H2")

    def __init__(self, kind):
        super().__init__()
        if kind not in (STA_IF, AP_IF):
            raise ValueError("no such interface")
        self._is_own = kind == AP_IF
        self._joined = False

    def active(self, on=None):
        if on is False:
            self._joined = False
        return super().active(on)

    def config(self, query=None, *, mac=None, ssid=None, key=None, security=None):
        global own_wifi
        if ssid is None:
            return super().config(query, mac=mac)
        if not (self._is_own and self._active):
            raise OSError("Wifi Mode Error")
        if security != self.SEC_WPA_WPA2 or not 8 <= len(key) <= 63:
            raise OSError("Wifi Password Error")
        own_wifi = (ssid, key)

    def connect(self, ssid, key=None):
        if not self._active or self._is_own:
            raise OSError("Wifi Not Started")
        if type(ssid) is not str:
            raise TypeError("can't convert to str")
        self._joined = key != "wrong password"

    def disconnect(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._joined = False

    def isconnected(self):
        if self._is_own:
            return stations > 0
        return self._joined and super().isconnected()

    def ifconfig(self, to=None):
        if self._is_own:
            return (own_address if self._active else _NONE, "255.255.255.0", own_address, _NONE)
        return super().ifconfig(to)

    def status(self):
        if not cable:
            return STAT_NO_AP_FOUND
        if not self._joined:
            return STAT_WRONG_PASSWORD if self._active else STAT_IDLE
        return STAT_GOT_IP if self.isconnected() else STAT_CONNECTING
