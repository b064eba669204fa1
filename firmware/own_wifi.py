"""A Wi-Fi of the board's own, where the one of the settings is not there: "wifi_ap"."""

import network

from firmware.log import log, printable, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_network: "Any" = network  # the type stubs are those of another chip

_WAIT = 30  # seconds for the Wi-Fi of the settings, before there is one of the board's own
_TRY_EVERY = 60  # seconds; while it is looked for, nobody can stay in the board's own
_TRY_FOR = 20  # seconds


class OwnWifi:
    """The board's own Wi-Fi, and now and then a look whether the other one is there.

    `settings` has "wifi_ap", and "wifi_ssid" where there is another one.
    """

    def __init__(self, settings: dict) -> None:
        self._settings = settings
        self._station: Any = None
        self._access_point: Any = None
        self._since = 0  # the start, or the last try to join the other one
        self._tries = False

    def is_due(self, missing_for: int) -> bool:
        """Whether it is time for it, so many seconds without an address."""
        return self._settings["wifi_ssid"] is None or missing_for >= _WAIT

    def start(self, station: "Any") -> None:
        """Put it up, beside the interface that is for the other one."""
        # A search would go from channel to channel, and take this one along.
        self._station = station
        station.disconnect()
        self._since = uptime()
        self._tries = False
        own = self._settings["wifi_ap"]
        access_point = _network.WLAN(_network.AP_IF)
        options = {"ssid": own["name"], "key": own["password"]}
        security = getattr(_network.WLAN, "SEC_WPA_WPA2", None)
        if security is None:  # an older MicroPython
            security = getattr(_network, "AUTH_WPA_WPA2_PSK", None)
        if security is not None:
            options["security"] = security
        # An ESP32 takes this only while it is up, and a Pico W has it once it goes up again.
        access_point.active(True)
        access_point.config(**options)
        access_point.active(False)
        access_point.active(True)
        self._access_point = access_point
        log("own Wi-Fi %s is up, with the password of config.json" % printable(own["name"]))

    def stop(self) -> None:
        """Take it down, once the other one is there."""
        if self._access_point is not None:
            self._access_point.active(False)
            self._access_point = None
            log("own Wi-Fi is down")

    def is_up(self) -> bool:
        return self._access_point is not None

    def address(self) -> "str | None":
        """The board's address in it, None where it is not up."""
        if self._access_point is None:
            return None
        self._look_for_the_other()
        return self._access_point.ifconfig()[0]

    def _look_for_the_other(self):
        """Try to join it now and then, while nobody is in this one."""
        name = self._settings["wifi_ssid"]
        passed = uptime() - self._since
        if name is None or self._access_point.isconnected():
            self._stop_looking()
        elif self._tries:
            if passed >= _TRY_FOR:
                self._stop_looking()
        elif passed >= _TRY_EVERY:
            self._tries = True
            self._since = uptime()
            try:
                self._station.connect(name, self._settings["wifi_password"])
            except OSError:
                pass  # the next time, then

    def _stop_looking(self):
        if self._tries:
            self._tries = False
            self._since = uptime()
            self._station.disconnect()
