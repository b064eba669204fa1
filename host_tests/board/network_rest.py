"""The parts of `network` that an ESP32 with a W5500 does not use; network.py loads this then."""

import machine
import network

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202


class WIZNET5K(network.Interface):
    chips = "RP2040 RP2350"

    def __init__(self, spi, cs, rst, intn=None):
        super().__init__()
        network.need_spi(spi, cs, rst, *([] if intn is None else [intn]))

    def active(self, on=None):
        if on and not self._active:
            if not machine.w5500:
                raise AssertionError("the driver waits for ever for a chip that is not there")
            self._static = None  # it starts with DHCP
            self._lease = network.lease
        return super().active(on)

    def ifconfig(self, to=None):
        found = super().ifconfig(to)
        if found and self._active and network.cable and not self._static:
            # Asked for once, at the start, and kept whatever the cable does.
            if self._lease == network.NONE:
                self._lease = network.lease
            return (self._lease,) + found[1:]
        return found

    def status(self):
        return (2 if self._active else 1) if network.cable else 0


class WLAN(network.Interface):
    chips = (network.Lan.chips + " " + WIZNET5K.chips).replace("ESP32H2", "")

    def __init__(self, kind):
        super().__init__()
        if kind not in (network.STA_IF, network.AP_IF):
            raise ValueError("no such interface")
        self._is_own = kind == network.AP_IF
        self._joined = False

    def active(self, on=None):
        if on is False:
            self._joined = False
        return super().active(on)

    def config(self, query=None, *, mac=None, ssid=None, key=None, security=None):
        if ssid is None:
            return super().config(query, mac=mac)
        if not (self._is_own and self._active):
            raise OSError("Wifi Mode Error")
        if security != network.WLAN.SEC_WPA_WPA2 or not 8 <= len(key) <= 63:
            raise OSError("Wifi Password Error")
        network.own_wifi = (ssid, key)

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
            return network.stations > 0
        return self._joined and super().isconnected()

    def ifconfig(self, to=None):
        if self._is_own:
            own = network.own_address
            return (own if self._active else network.NONE, "255.255.255.0", own, network.NONE)
        return super().ifconfig(to)

    def status(self):
        if not network.cable:
            return STAT_NO_AP_FOUND
        if not self._joined:
            return STAT_WRONG_PASSWORD if self._active else STAT_IDLE
        return STAT_GOT_IP if self.isconnected() else STAT_CONNECTING
