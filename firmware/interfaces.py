"""The network interfaces themselves: how each kind is made, and brought up.

net.py loads this at the start and where it takes an interface down and up; see modules.py.
"""

import sys

import machine

from firmware.log import log

try:
    import network
except ImportError:
    network = None  # type: ignore[assignment]  # built without one: a stock Raspberry Pi Pico

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The type stubs know neither what network.LAN takes for a controller on SPI nor other chips.
_network: "Any" = network
_machine: "Any" = machine


def make(kind: str, profile: dict) -> tuple:
    """The interface of this board, by its class in `network`, and what ask_version() takes.

    That is SPI and chip select of a W5500 whose driver cannot tell that it is not there, else ().
    """
    return _MAKE[kind](profile)


def bring_up(kind: str, interface: "Any", settings: dict) -> None:
    """Start it under its address; OSError and others where the chip does not answer."""
    if not interface.active():
        interface.active(True)
    # A controller without an address of its own sends frames that no switch takes.
    if interface.config("mac") == bytes(6):
        # The second bit: locally administered, not a maker's.
        interface.config(mac=b"\x02" + (b"\x00" * 5 + machine.unique_id())[-5:])
    if kind == "WLAN" and settings["wifi_ssid"] and not interface.isconnected():
        interface.connect(settings["wifi_ssid"], settings["wifi_password"])
    own = settings["address"]
    if own:
        gateway = settings["gateway"] or own  # itself: nothing lies behind this network
        dns = settings["dns"] or gateway
        interface.ifconfig((own, settings["netmask"], gateway, dns))


def ask_version(spi: "Any", cs: "Any") -> None:
    """OSError where no W5500 answers: the driver would wait for ever for one that is not there."""
    cs(0)
    spi.write(b"\x00\x39\x00")  # to read the register with its version
    found = spi.read(1)
    cs(1)
    if found != b"\x04":
        raise OSError("SPI reads %s" % found[0])


def _spi(profile, *baudrate):
    return machine.SPI(
        profile["spi"],
        *baudrate,
        sck=machine.Pin(profile["sck"]),
        mosi=machine.Pin(profile["mosi"]),
        miso=machine.Pin(profile["miso"]),
    )


def _lan(profile):
    found = _network.LAN(
        phy_type=_network.PHY_W5500,
        phy_addr=1,  # required, and of no meaning to a W5500
        spi=_spi(profile),
        cs=machine.Pin(profile["cs"]),
        int=machine.Pin(profile["int"]),
        # The driver pulses it; nobody else may touch these pins.
        reset=None if profile["reset"] is None else machine.Pin(profile["reset"]),
    )
    return found, ()


def _wiznet5k(profile):
    driver = _network.WIZNET5K
    spi = _spi(profile, 20000000)
    cs = _machine.Pin(profile["cs"], machine.Pin.OUT, value=1)
    reset = _machine.Pin(profile["reset"], machine.Pin.OUT, value=1)
    ask_version(spi, cs)
    return driver(spi, cs, reset, machine.Pin(profile["int"])), (spi, cs)


def _w5500(profile):
    from w5500 import W5500

    pins = [profile["cs"], profile["reset"]]
    cs, reset = [
        None if pin is None else _machine.Pin(pin, machine.Pin.OUT, value=1) for pin in pins
    ]
    interrupt = profile["int"]
    if interrupt is not None:
        interrupt = machine.Pin(interrupt, machine.Pin.IN, machine.Pin.PULL_UP)
    # The chip takes 33.3 MHz for sure; an RP2040 makes this of 48 MHz, and would make 12 of 20.
    baudrate = 24000000 if sys.platform == "rp2" else 20000000
    chip = W5500(_spi(profile, baudrate), cs, reset, interrupt, log=log)
    # Whoever asks for sockets gets those of the chip: the library, the client, ntptime.
    sys.modules["socket"] = chip  # type: ignore[assignment]
    return chip, ()


def _wlan(profile):
    return _network.WLAN(_network.STA_IF), ()


_MAKE = {"LAN": _lan, "WIZNET5K": _wiznet5k, "WLAN": _wlan, "W5500": _w5500}
