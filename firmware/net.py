"""The network interface: started by boot.py, waited for by the roles, and kept up."""

import asyncio
import sys

import machine

try:
    import network
except ImportError:
    network = None  # type: ignore[assignment]  # built without one: a stock Raspberry Pi Pico

from firmware.log import log, printable, uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The type stubs know neither what network.LAN takes for a controller on SPI nor other chips.
_network: "Any" = network

_CHECK_EVERY = 0.2  # seconds
_TELL_EVERY = 50  # checks
_LOOK_EVERY = 1  # seconds
_RESTART_AFTER = 120  # seconds without an address, and again after as many
_NO_LINK = "no link; is the network cable plugged in, at both ends?"
# How many clients a port has TCP connections for, by the limits in its sources.
#   esp32: CONFIG_LWIP_MAX_SOCKETS is 10. That is the listening one, 6 clients, one that closes,
#   one that is refused, and one that asks for the page or the counters.
#   Others have lwIP without its sockets: MEMP_NUM_TCP_PCB is 5, the listening ones apart, and the
#   oldest that closes makes room. That is 4 clients and one that is refused or asks.
_LWIP = ("rp2", "pyboard", "mimxrt")
_CHECK = "; check wiring and power, then reset the board"
# lwIP without its sockets has 8000 bytes (MEM_SIZE) for all that was sent and not acknowledged,
# and where these are full, a write waits up to 10 s. So each client has its share of a half, and
# one page goes at a time, which takes up to 6400 (TCP_SND_BUF) where its reader stops.

_kind = ""  # the interface's class in `network`
_interface: "Any" = None
_bus: tuple = ()  # see interfaces.make()
_problem = ""
_told = ""
own_wifi: "Any" = None  # see own_wifi.py, where the configuration asks for one

# The role does what it is there for: it serves, or its server answers. See update.py.
does_its_work = False

# What is fed while the program goes on: see watchdog.py, where the configuration asks for one.
watchdog: "Any" = None


def start(settings: dict) -> None:
    """Start the interface of the configured board and return at once; the address comes later.

    Does nothing the second time, and nothing that a hard reset is about to undo. A failure is
    logged, not raised: the board must get to its prompt all the same.
    """
    global _kind, _interface, _bus, _problem
    if _kind:
        return
    from firmware import boards, interfaces  # needed no more after this: see main.py

    chosen = boards.profile(settings)
    kind = chosen["interface"]
    profile = boards.with_driver(chosen, (kind,) if hasattr(network, kind) else ())
    if network is None and profile["driver"] == "firmware":
        return
    _kind = profile["interface"]
    if _kind != chosen["interface"]:
        log("this MicroPython has no network.%s: lib/w5500 drives the W5500" % chosen["interface"])
    if _lost_interrupt():
        return
    try:
        # Only an interface that is not active yet takes the name.
        if network:
            network.hostname(settings["hostname"])
        interface, _bus = interfaces.make(_kind, profile)
        if _kind == "W5500":
            interface.hostname(settings["hostname"])
            _interface = interface  # where it does not answer now, it may later
        interfaces.bring_up(_kind, interface, settings)
        _interface = interface
    except ImportError:
        _problem = "lib/w5500 is not on this board; run ./deploy.sh again"
    except AttributeError:
        _problem = 'this MicroPython has no network.%s for a W5500; is "board" right?' % _kind
    except (OSError, RuntimeError, ValueError) as error:
        _problem = _silent(error)
    if _problem:
        log("no network: " + _problem)


def has_driver() -> bool:
    """Whether this firmware has a network at all; the log tells what to do where it has none."""
    if network is None and _kind != "W5500":
        log(
            "this MicroPython was built without a network. Choose a board whose driver needs none "
            "(pico-w5500 for one), or flash the MicroPython for your board, from "
            "https://micropython.org/download, then run ./deploy.sh again"
        )
        return False
    return True


def address() -> "str | None":
    """This board's IPv4 address, None while it has none."""
    if _interface is None or _problem:
        return None
    if not _interface.isconnected():
        return own_wifi.address() if own_wifi else None
    # isconnected() of an ESP32's LAN can be wrong after Wi-Fi events.
    found = _interface.ifconfig()[0]
    return None if found == "0.0.0.0" else found


async def wait_for_address(settings: dict) -> str:
    """This board's IPv4 address, waited for; the log tells it, or what is missing.

    Where the settings have "wifi_ap", and no other Wi-Fi takes the board, it is one of its own.

    After a time without one the interface goes down and up, after a longer time the board is
    reset. One whose W5500 was left without its interrupt by a soft reset is reset hard at once.
    """
    global _told
    start(settings)
    if _lost_interrupt():
        log("a soft reset left the W5500 without its interrupt: resetting hard, once")
        await asyncio.sleep(_CHECK_EVERY)  # for that line to leave
        machine.reset()
    checks = 0
    missing = ""
    waited = False
    began = uptime()
    due = _RESTART_AFTER
    while True:
        feed()
        found = address()
        before = missing
        waited = waited or before != ""
        missing = "" if found else _missing(settings)
        if before == _NO_LINK and missing != _NO_LINK and _kind == "WIZNET5K":
            # It would go on with the address of the network that it was plugged into before.
            restart(settings)
            continue
        if missing == _NO_LINK != before and _told and not _problem and _kind != "W5500":
            # It may as well be the W5500 that died, and the driver cannot tell: ask it.
            restart(settings)
            missing = _missing(settings)
        if found:
            if own_wifi and _interface.isconnected():
                own_wifi.stop()
            if found != _told or waited:
                log("address %s, also %s.local where mDNS works" % (found, settings["hostname"]))
                _told = found
            return found
        if missing != before or checks % _TELL_EVERY == 0:
            log(missing)
        checks += 1
        seconds = uptime() - began
        if own_wifi and not _problem and own_wifi.is_due(seconds):
            own_wifi.start(_interface)
            continue
        if seconds >= _reset_after(missing):
            log("no address for %d s: resetting the board" % seconds)
            await asyncio.sleep(_CHECK_EVERY)
            machine.reset()
        if seconds >= due:
            due += _RESTART_AFTER
            log("no address for %d s" % seconds)
            restart(settings)
        await asyncio.sleep(_CHECK_EVERY)


async def sleep_with_address(held: str, seconds: float) -> bool:
    """Sleep so long; False as soon as this board's address is not `held` any more.

    It feeds the watchdog, so it is for the loop that does the role's work, and for no other.
    """
    while True:
        feed()
        pause: float = _LOOK_EVERY
        try:
            if address() != held:
                return False
            if seconds <= 0:
                return True
            pause = min(seconds, _LOOK_EVERY)
            seconds -= _LOOK_EVERY
        except MemoryError:
            pass  # a moment later there may be some: no reason to end connections
        await asyncio.sleep(pause)


def has_own_wifi() -> bool:
    """Whether the board is in a Wi-Fi of its own, where it is asked which one to join."""
    return own_wifi is not None and own_wifi.is_up()


def most_clients(wanted: "int | None", spared: int = 0) -> int:
    """How many clients a server can have here, and wants; the log tells where it wants more.

    `spared` connections are for somebody else, where they are few.
    """
    most = wanted or 8
    if _kind == "W5500":
        # It has eight: one is kept for what goes out, two answer who is refused or asks.
        most = 5 - spared
    elif sys.platform == "esp32":
        most = 6 - spared
    elif sys.platform in _LWIP:
        most = 4 - spared
    if wanted and wanted > most:
        log('"max_clients" is %d; this board has connections for %d' % (wanted, most))
    return min(wanted or most, most)


def most_pending() -> int:
    """How many connections may be on their way to a WebSocket, or get a page, at a time.

    What clients need they must not take.
    """
    return 1 if _is_on_lwip() else 3


def most_unacknowledged() -> "int | None":
    """How many bytes may be on their way to a client; None where it takes them from nobody."""
    return 1000 if _is_on_lwip() else None


def _is_on_lwip():
    return sys.platform in _LWIP and _kind != "W5500"  # whose chip does it all


def drain() -> None:
    """At the end: let the last bytes of closed connections leave."""
    if _kind == "W5500" and _interface:
        _interface.drain()


def feed() -> None:
    """Tell the watchdog that the role has come further; only the role itself may."""
    if watchdog:
        watchdog.feed()


def restart(settings: dict) -> None:
    """Take the interface down and up again, which ends all connections."""
    global _problem
    if _interface is None:
        return  # only a reset makes one
    log("network interface down and up")
    from firmware import interfaces

    try:
        _interface.active(False)
        if _bus:
            interfaces.ask_version(*_bus)
        interfaces.bring_up(_kind, _interface, settings)
        _problem = ""
    except (OSError, RuntimeError) as error:
        _problem = _silent(error)


def _lost_interrupt():
    # An ESP32 drops all GPIO interrupts at a soft reset, and the driver, which lives on, does
    # not ask for its own again. After machine.reset() the cause is another, so this ends.
    return _kind == "LAN" and machine.reset_cause() == machine.SOFT_RESET


def _missing(settings):
    """What is in the way of an address, for the log."""
    global _problem
    if _kind == "W5500" and not _problem and not _interface.active():
        _problem = "the W5500 does not answer any more" + _CHECK
    if _problem:
        return "no network: " + _problem
    status = _interface.status()
    if _kind == "WLAN":
        if settings["wifi_ssid"] is None:
            return 'no "wifi_ssid" is set'
        name = printable(settings["wifi_ssid"])
        if status == _network.STAT_WRONG_PASSWORD:
            return "Wi-Fi %s refuses the password" % name
        if status == _network.STAT_NO_AP_FOUND:
            return "no Wi-Fi %s in reach" % name
        return "waiting for an address from Wi-Fi " + name
    if status == _network.ETH_CONNECTED if _kind == "LAN" else status != 0:
        return "the cable is in, no address from DHCP yet; is there a router or DHCP server?"
    return _NO_LINK


def _reset_after(missing):
    if missing == _NO_LINK:
        return 3600  # a cable that is out is most often out on purpose
    return _RESTART_AFTER if _problem else 600  # nothing less cures a dead chip


def _silent(error):
    problem = str(error)
    if _kind != "WLAN":
        problem = "the W5500 does not answer (%s)" % error.args[-1]
    return problem + _CHECK
