"""The network interface: started by boot.py, waited for by the roles."""

import asyncio

import machine
import network

from firmware import boards
from firmware.log import log, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The type stubs do not know what network.LAN takes for a controller on SPI.
_network: "Any" = network

_CHECK_EVERY = 0.2  # seconds
_TELL_EVERY = 50  # checks

_interface: "Any" = None
_problem = ""
_told = ""


def start(settings: dict) -> None:
    """Start the interface of the configured board and return at once; the address comes later.

    Does nothing the second time. A failure is logged, not raised: the board must get to its
    prompt all the same.
    """
    global _interface, _problem
    if _interface is not None or _problem:
        return
    profile = boards.PROFILES[settings["board"]]
    kind = profile["interface"]
    try:
        # Only an interface that is not active yet takes the name.
        network.hostname(settings["hostname"])
        interface = _MAKE[kind](profile)
        if not interface.active():
            interface.active(True)
        if kind == "WLAN":
            interface.connect(settings["wifi_ssid"], settings["wifi_password"])
        _interface = interface
    except AttributeError:
        _problem = 'this MicroPython has no network.%s for a W5500; is "board" right?' % kind
    except (OSError, RuntimeError, ValueError) as error:
        _problem = "%s; check the wiring, then reset the board" % error
    if _problem:
        log("no network: " + _problem)


def address() -> "str | None":
    """This board's IPv4 address, None while it has none."""
    if _interface is None or not _interface.isconnected():
        return None
    # isconnected() of an ESP32's LAN can be wrong after Wi-Fi events.
    found = _interface.ifconfig()[0]
    return None if found == "0.0.0.0" else found


async def wait_for_address(settings: dict) -> str:
    """This board's IPv4 address, waited for without end; the log tells it, or what is missing."""
    global _told
    start(settings)
    checks = 0
    while True:
        found = address()
        if found:
            if found != _told:
                log("address " + found)
                _told = found
            return found
        if checks % _TELL_EVERY == 0:
            if _problem:
                log("no network: " + _problem)
            elif settings["wifi_ssid"]:
                log("waiting for an address from Wi-Fi " + printable(settings["wifi_ssid"]))
            else:
                log("waiting for an address; is the network cable plugged in?")
        checks += 1
        await asyncio.sleep(_CHECK_EVERY)


def _spi(profile, *baudrate):
    return machine.SPI(
        profile["spi"],
        *baudrate,
        sck=machine.Pin(profile["sck"]),
        mosi=machine.Pin(profile["mosi"]),
        miso=machine.Pin(profile["miso"]),
    )


def _lan(profile):
    return _network.LAN(
        phy_type=_network.PHY_W5500,
        phy_addr=1,  # required, and of no meaning to a W5500
        spi=_spi(profile),
        cs=machine.Pin(profile["cs"]),
        int=machine.Pin(profile["int"]),
        # The driver pulses it; nobody else may touch these pins.
        reset=None if profile["reset"] is None else machine.Pin(profile["reset"]),
    )


def _wiznet5k(profile):
    return _network.WIZNET5K(
        _spi(profile, 20000000),
        machine.Pin(profile["cs"]),
        machine.Pin(profile["reset"]),
        machine.Pin(profile["int"]),
    )


def _wlan(profile):
    return network.WLAN(network.STA_IF)


_MAKE = {"LAN": _lan, "WIZNET5K": _wiznet5k, "WLAN": _wlan}
