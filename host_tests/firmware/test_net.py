"""firmware/net.py against the stand-ins, on every interpreter: up at once, waited for, kept up."""

import subprocess

import pytest

from firmware import boards
from host_tests.support.interpreters import environment
from host_tests.support.paths import TOP
from host_tests.support.tools import tool

BOARD = TOP / "host_tests" / "board"

# The settings are the defaults but for what `given` says; the wait takes no time worth a name.
BEGIN = """
import asyncio, machine, network
from firmware import boards, net
from firmware.settings import defaults
net._CHECK_EVERY = 0.001
def settings(board="esp32-w5500", **given):
    values = defaults()
    values["board"] = board
    values.update(given)
    profile = boards.profile(values)
    machine.chip = profile["chip"] or machine.chip
    machine.wires = profile if profile["driver"] == "w5500" else {}
    if profile["interface"] == "WLAN":
        values["wifi_ssid"] = "some"
    return values

class Done(Exception):
    pass

def wait(values, script=()):
    '''Wait for an address; each line on the log lets the next of these functions happen.'''
    script = list(script)
    def log(text):
        print(text)
        if script:
            script.pop(0)()
    net.log = log
    try:
        print(asyncio.run(net.wait_for_address(values)))
    except Done:
        print("done")

def done():
    raise Done

def cable(there):
    network.cable = there
def lease(address):
    network.lease = address
"""

EVERY_BOARD = """
for board in sorted(boards.PROFILES):
    if boards.PROFILES[board]["driver"] != "firmware":
        continue
    net._kind = net._problem = ""
    network._lan = None
    values = settings(board)
    net.start(values)
    interface = net._interface
    net.start(values)
    net.start(values)
    print(board, type(interface).__name__, interface is net._interface, interface.name,
        net.address())
"""


def lines(interpreter, code):
    result = interpreter.run("-c", BEGIN + code, env=environment(BOARD))
    assert result.stderr == ""
    return [line.split("] ")[-1] for line in result.stdout.splitlines()]


NO_LINK = "no link; is the network cable plugged in, at both ends?"
NO_DHCP = "the cable is in, no address from DHCP yet; is there a router or DHCP server?"
DOWN_AND_UP = "network interface down and up"
WIRED = pytest.mark.parametrize("board", ["esp32-w5500", "wiznet-w5500-evb-pico"])


def got(address):
    return [f"address {address}, also microws.local where mDNS works", address]


def replugged(board):
    """What a new link means to this board, whose driver may not look for one itself."""
    return [DOWN_AND_UP] if board == "wiznet-w5500-evb-pico" else []


def test_every_board_comes_up_once_under_its_name(interpreter):
    classes = {"LAN": "Lan", "WIZNET5K": "WIZNET5K", "WLAN": "WLAN"}
    assert lines(interpreter, EVERY_BOARD) == [
        f"{name} {classes[profile['interface']]} True microws 127.0.0.1"
        for name, profile in sorted(boards.PROFILES.items())
        if profile["driver"] == "firmware"
    ]


def test_a_board_of_ones_own_comes_up(interpreter):
    code = """
machine.chip = "ESP32C3"
pins = {"interface": "LAN", "spi": 1, "sck": 6, "mosi": 7, "miso": 5, "cs": 10, "int": 4}
net.start(settings("custom", pins=pins))
print(net._interface.wires, net.address())
"""
    assert lines(interpreter, code) == ["(10, 4, None) 127.0.0.1"]


@WIRED
def test_a_cable_that_is_not_there_and_then_is(interpreter, board):
    code = f"""
cable(False)
wait(settings("{board}"), [lambda: cable(True)])
"""
    assert lines(interpreter, code) == [NO_LINK, *replugged(board), *got("127.0.0.1")]


@WIRED
def test_a_dhcp_server_that_is_silent_and_then_is_not(interpreter, board):
    code = f"""
lease("0.0.0.0")
wait(settings("{board}"), [lambda: lease("192.168.1.20")])
"""
    assert lines(interpreter, code) == [NO_DHCP, *got("192.168.1.20")]


@WIRED
def test_a_cable_that_is_pulled_and_put_into_another_network(interpreter, board):
    code = f"""
values = settings("{board}")
wait(values)
def other_network():
    cable(True)
    lease("10.0.0.7")
cable(False)
print(net.address())
wait(values, [int, other_network])
"""
    # The first time down and up is to see whether it is the W5500 that died.
    lost = ["None", DOWN_AND_UP, NO_LINK]
    expected = [*got("127.0.0.1"), *lost, *replugged(board), *got("10.0.0.7")]
    assert lines(interpreter, code) == expected


def test_what_is_missing_is_told_again_after_a_while(interpreter):
    code = """
cable(False)
net._TELL_EVERY = 3
wait(settings(), [int, int, done])
"""
    assert lines(interpreter, code) == [NO_LINK] * 3 + ["done"]


@pytest.mark.parametrize("board", ["esp32-w5500", "wiznet-w5500-evb-pico", "esp32-wifi"])
def test_an_address_of_ones_own_needs_no_dhcp(interpreter, board):
    code = f"""
lease("0.0.0.0")
wait(settings("{board}", address="192.168.1.9"))
print(net._interface.ifconfig())
network.cable = False
net._interface.active(False)
values = settings("{board}", address="192.168.1.9", gateway="192.168.1.1", dns="9.9.9.9")
net._kind = ""
network._lan = None
net.start(values)
network.cable = True
print(net._interface.ifconfig())
"""
    assert lines(interpreter, code) == [
        *got("192.168.1.9"),
        "('192.168.1.9', '255.255.255.0', '192.168.1.9', '192.168.1.9')",
        "('192.168.1.9', '255.255.255.0', '192.168.1.1', '9.9.9.9')",
    ]


def test_an_address_of_ones_own_outlives_the_cable(interpreter):
    code = """
values = settings("wiznet-w5500-evb-pico", address="192.168.1.9")
net.start(values)
cable(False)
wait(values, [lambda: cable(True)])
print(net._interface.starts)
"""
    assert lines(interpreter, code) == [NO_LINK, DOWN_AND_UP, *got("192.168.1.9"), "2"]


def test_a_w5500_without_an_address_on_the_wire_is_given_one(interpreter):
    code = """
net.start(settings())
print(net._interface.config("mac") == network.burnt_mac)
network.burnt_mac = bytes(6)
net._kind = ""
network._lan = None
net.start(settings())
print(net._interface.config("mac"))
"""
    assert lines(interpreter, code) == ["True", r"b'\x02\n\xc4\x01\x02\x03'"]


@WIRED
def test_a_chip_that_does_not_answer_is_told(interpreter, board):
    code = f"""
machine.w5500 = False
values = settings("{board}")
net.start(values)
net.start(values)
print(net.address())
wait(values, [done])
"""
    first, none, again, last = lines(interpreter, code)
    assert first.startswith("no network: the W5500 does not answer (")
    assert first.endswith("); check wiring and power, then reset the board")
    assert (none, again, last) == ("None", first, "done")


def test_a_micropython_whose_interface_knows_no_w5500_is_told(interpreter):
    first, none = lines(
        interpreter, "del network.PHY_W5500; net.start(settings()); print(net.address())"
    )
    assert first.startswith("no network: this MicroPython has no network.LAN for a W5500")
    assert none == "None"


def test_wifi_says_what_is_in_the_way(interpreter):
    code = """
cable(False)
lease("0.0.0.0")
values = settings("esp32-wifi", wifi_password="wrong password")
def right():
    network.cable = True
    net._interface._joined = True
    net._interface.status = lambda: network.STAT_CONNECTING
wait(values, [lambda: cable(True), right, lambda: lease("192.168.1.20")])
"""
    assert lines(interpreter, code) == [
        "no Wi-Fi some in reach",
        "Wi-Fi some refuses the password",
        "waiting for an address from Wi-Fi some",
        *got("192.168.1.20"),
    ]


# A clock that goes a second forward at each check, and a reset that ends the wait.
CLOCK = """
seconds = 0
def uptime():
    global seconds
    seconds += 1
    return seconds
net.uptime = uptime
net._CHECK_EVERY = 0
def reset():
    print("reset", net._interface and net._interface.starts)
    raise Done
machine.reset = reset
"""


def steps(interpreter, code):
    """The steps that are told, with the seconds; what is missing is told all the time."""
    told = lines(interpreter, CLOCK + code)
    return [line for line in told if "no address for" in line or "reset" in line]


@pytest.mark.parametrize("board", ["esp32-w5500", "wiznet-w5500-evb-pico", "esp32-wifi"])
def test_without_an_address_the_interface_goes_down_and_up_and_then_the_board_is_reset(
    interpreter, board
):
    code = f"lease('0.0.0.0')\nwait(settings('{board}'))"
    assert steps(interpreter, code) == [
        *(f"no address for {after} s" for after in (120, 240, 360, 480)),
        "no address for 600 s: resetting the board",
        "reset 5",
    ]


@WIRED
def test_a_cable_that_is_out_on_purpose_resets_the_board_late(interpreter, board):
    told = steps(interpreter, f"cable(False)\nwait(settings('{board}'))")
    assert told[0] == "no address for 120 s"
    assert told[-2:] == ["no address for 3600 s: resetting the board", "reset 30"]


def test_an_interface_that_comes_back_by_going_down_and_up_is_used_again(interpreter):
    code = """
lease("0.0.0.0")
values = settings("esp32-wifi")
net.start(values)
class Stuck:
    def __getattr__(self, name):
        return getattr(real, name)
    def active(self, on=None):
        if on is False:
            lease("10.0.0.7")
        return real.active(on)
real = net._interface
net._interface = Stuck()
wait(values)
lease("0.0.0.0")
wait(values)
"""
    told = lines(interpreter, CLOCK + code)
    step = ["no address for 120 s", DOWN_AND_UP]  # and at the second time the count begins anew
    assert [line for line in told if line in step] == step * 2
    assert told[-1] == "10.0.0.7"


@WIRED
def test_a_chip_that_dies_is_told_and_the_board_is_reset(interpreter, board):
    code = f"""
values = settings("{board}")
wait(values)
lease("0.0.0.0")
net._interface._lease = "0.0.0.0"
machine.w5500 = False
wait(values)
"""
    told = lines(interpreter, CLOCK + code)
    at = told.index("no address for 120 s")
    assert told[at + 1] == DOWN_AND_UP
    assert told[at + 2].startswith("no network: the W5500 does not answer (")
    assert told[at + 3 :] == ["no address for 121 s: resetting the board", "reset 1", "done"]


@WIRED
def test_a_chip_that_dies_and_takes_the_link_along_is_told_at_once(interpreter, board):
    code = f"""
values = settings("{board}")
wait(values)
cable(False)
lease("0.0.0.0")
machine.w5500 = False
wait(values, [int, done])
"""
    told = lines(interpreter, code)
    at = told.index(DOWN_AND_UP)
    assert NO_LINK not in told
    assert told[at + 1].startswith("no network: the W5500 does not answer (")


@WIRED
def test_the_address_is_told_again_after_the_cable_was_out(interpreter, board):
    code = f"""
values = settings("{board}")
wait(values)
cable(False)
wait(values, [int, lambda: cable(True)])
"""
    told = lines(interpreter, code)
    assert told[:2] == got("127.0.0.1")
    assert told[-2:] == got("127.0.0.1")


@WIRED
def test_a_chip_that_never_answered_is_asked_again_after_a_reset(interpreter, board):
    code = f"machine.w5500 = False\nwait(settings('{board}'))"
    assert steps(interpreter, code)[-2:] == [
        "no address for 120 s: resetting the board",
        "reset None",
    ]


def test_a_port_has_connections_for_so_many_clients(interpreter):
    code = """
class Port:
    pass
net.sys = Port()
for net.sys.platform in ("esp32", "rp2", "linux"):
    print([net.most_clients(wanted) for wanted in (None, 1, 4, 6, 7)])
    print(net.most_pending(), net.most_unacknowledged())
"""
    assert lines(interpreter, code) == [
        '"max_clients" is 7; this board has connections for 6',
        "[6, 1, 4, 6, 6]",
        "3 None",
        '"max_clients" is 6; this board has connections for 4',
        '"max_clients" is 7; this board has connections for 4',
        "[4, 1, 4, 4, 4]",
        "1 1000",
        "[8, 1, 4, 6, 7]",
        "3 None",
    ]


def test_who_holds_an_address_is_told_when_it_is_gone(interpreter):
    code = """
class Watchdog:
    fed = 0
    def feed(self):
        self.fed += 1
net.watchdog = Watchdog()
net._LOOK_EVERY = 0.01
async def main():
    values = settings()
    held = await net.wait_for_address(values)
    before = net.watchdog.fed
    print(await net.sleep_with_address(held, 0.05), net.watchdog.fed - before > 4)
    lease("10.0.0.7")
    print(await net.sleep_with_address(held, 3600), await net.sleep_with_address("10.0.0.7", 0))
asyncio.run(main())
"""
    assert lines(interpreter, code)[1:] == ["True True", "False True"]


def test_a_soft_reset_is_followed_by_a_hard_one_where_the_interrupt_is_lost(interpreter):
    code = """
machine.cause = machine.SOFT_RESET
values = settings()
net.start(values)
print(net._interface)
def reset():
    machine.cause = machine.HARD_RESET
    raise Done
machine.reset = reset
wait(values)
net._kind = ""
wait(values)
"""
    assert lines(interpreter, code) == [
        "None",  # what the driver left behind is not touched
        "a soft reset left the W5500 without its interrupt: resetting hard, once",
        "done",
        *got("127.0.0.1"),
    ]


@pytest.mark.parametrize("board", ["wiznet-w5500-evb-pico", "esp32-wifi"])
def test_a_soft_reset_does_no_harm_elsewhere(interpreter, board):
    code = f"machine.cause = machine.SOFT_RESET\nwait(settings('{board}'))"
    assert lines(interpreter, code) == got("127.0.0.1")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("network.LAN(phy_type=102, spi=spi, cs=pin, int=pin)", "phy_addr"),
        ("network.LAN(phy_addr=1, spi=spi, cs=pin, int=pin)", "phy_type"),
        ("network.LAN(phy_type=102, phy_addr=32, spi=spi, cs=pin, int=pin)", "phy address"),
        ("network.LAN(phy_type=1, phy_addr=1, spi=spi, cs=pin, int=pin)", "phy type"),
        ("network.LAN(phy_type=102, phy_addr=1, spi=soft, cs=pin, int=pin)", "a SPI object"),
        ("network.LAN(phy_type=102, phy_addr=1, spi=spi, cs=5, int=pin)", "a pin"),
        ("network.LAN(phy_type=102, phy_addr=1, spi=spi, cs=pin)", "invalid argument"),
        ("lan(pin); lan(machine.Pin(4))", "other pins"),
        ("lan(pin).ifconfig(('10.0.0.2',) * 4)", "not active yet"),
        ("network.WLAN(0).connect('some')", "Wifi Not Started"),
        ("network.WIZNET5K(spi, pin, pin)", "attribute"),
        ("machine.Pin(34, machine.Pin.OUT)", "only be input"),
        ("machine.SPI(0, sck=pin, mosi=pin, miso=pin)", "SPI(0)"),
    ],
)
def test_the_stand_ins_refuse_what_the_real_ones_refuse(call, told):
    code = f"""
pin = machine.Pin(2)
spi = machine.SPI(2, sck=pin, mosi=pin, miso=pin)
soft = machine.SoftSPI(sck=pin, mosi=pin, miso=pin)
def lan(cs):
    return network.LAN(phy_type=102, phy_addr=1, spi=spi, cs=cs, int=pin)
try:
    {call}
except Exception as error:
    print(type(error).__name__, error)
"""
    result = subprocess.run(
        ["python3", "-c", BEGIN + code], env=environment(BOARD), capture_output=True, text=True
    )
    assert told in result.stdout, result.stderr


def test_no_address_before_the_link(interpreter):
    code = """
cable(False)
net.start(settings())
print(net._interface.isconnected(), net._interface.ifconfig()[0], net._interface.status())
cable(True)
lease("0.0.0.0")
print(net._interface.isconnected(), net._interface.ifconfig()[0], net._interface.status())
"""
    assert lines(interpreter, code) == ["False 0.0.0.0 1", "False 0.0.0.0 3"]


@pytest.mark.parametrize("fault", ["network.cable = False", "machine.w5500 = False"])
def test_boot_returns_at_once_whatever_the_cable_does(tmp_path, fault):
    script = tmp_path / "boot.py"
    script.write_text(f"import machine, network\n{fault}\n" + (TOP / "boot.py").read_text())
    # It ends by itself: nothing in it waits.
    result = subprocess.run(
        [tool("micropython32"), script], cwd=tmp_path, env=environment(BOARD), timeout=30
    )
    assert result.returncode == 0
