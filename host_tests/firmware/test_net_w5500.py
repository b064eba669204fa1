"""firmware/net.py with the driver in lib/w5500, over a chip in Python behind SPI."""

import pytest

from firmware import boards
from host_tests.firmware.test_net import BEGIN, BOARD, NO_DHCP, NO_LINK, got
from host_tests.support.interpreters import INTERPRETERS, Interpreter, environment

# The chip's buffers are on that heap as well.
ON = {**INTERPRETERS, "micropython32": Interpreter("micropython32", "-X", "heapsize=2m")}
OURS = [name for name, profile in boards.PROFILES.items() if profile["driver"] == "w5500"]


@pytest.fixture(params=ON)
def lines(request):
    """What the log says, each line once, as it may tell the same again while it waits."""

    def run(code):
        result = ON[request.param].run("-c", BEGIN + code, env=environment(BOARD))
        assert result.stderr == ""
        found = []
        for line in result.stdout.splitlines():
            text = line.split("] ")[-1]
            if not found or found[-1] != text:
                found.append(text)
        return found

    return run


def test_every_board_comes_up_under_its_name(lines):
    code = f"""
for board in {OURS}:
    net._kind = net._told = ""
    machine._w5500 = None
    values = settings(board)
    net.start(values)
    net.start(values)
    print(board, net.has_driver(), net._interface.hostname(), net._interface.config("mac"))
    wait(values)
    import socket, sys
    print(socket is net._interface, net.most_clients(None), net.most_clients(3))
    net.drain()
"""
    told = [line for line in lines(code) if line != NO_DHCP]
    mac = b"\x02\x0a\xc4\x01\x02\x03"
    assert told == [
        line
        for board in OURS
        for line in (f"{board} True microws {mac}", *got("127.0.0.1"), "True 5 3")
    ]


def test_a_cable_that_is_not_there_and_then_is_and_is_not(lines):
    code = """
cable(False)
values = settings("pico-w5500")
wait(values, [lambda: cable(True)])
cable(False)
print(asyncio.run(net.sleep_with_address("127.0.0.1", 1000)))
wait(values, [lambda: cable(True)])
"""
    told = [line for line in lines(code) if line != NO_DHCP]
    assert told == [NO_LINK, *got("127.0.0.1"), "False", NO_LINK, *got("127.0.0.1")]


def test_a_dhcp_server_that_is_late(lines):
    code = """
lease("0.0.0.0")
def now():
    lease("127.0.0.1")
    net._interface._dhcp._due = 0
wait(settings("pico-w5500"), [now])
"""
    told = [line for line in lines(code) if line != NO_LINK]
    assert told == [NO_DHCP, *got("127.0.0.1")]


def test_a_static_address(lines):
    code = """
wait(settings("pico-w5500", address="127.0.0.1", netmask="255.0.0.0"))
print(net._interface.ifconfig())
"""
    told = [line for line in lines(code) if line != NO_LINK]
    assert told == [*got("127.0.0.1"), "('127.0.0.1', '255.0.0.0', '127.0.0.1', '127.0.0.1')"]


ONES = "no W5500: SPI reads ones only: look at CS and MISO, and at its power"
CHECK = "; check wiring and power, then reset the board"


def test_a_chip_that_is_not_there_is_told_and_may_come_later(lines):
    code = """
machine.w5500 = False
values = settings("pico-w5500")
wait(values, [done])
machine.w5500 = True
net.restart(values)
wait(values)
"""
    told = [line for line in lines(code) if line != NO_DHCP]
    problem = f"no network: the W5500 does not answer ({ONES}){CHECK}"
    assert told == [problem, "done", "network interface down and up", *got("127.0.0.1")]


def test_a_chip_that_dies_is_told(lines):
    code = """
values = settings("pico-w5500")
wait(values)
machine.w5500 = False
print(asyncio.run(net.sleep_with_address("127.0.0.1", 1000)))
wait(values, [done])
"""
    told = lines(code)
    problem = f"no network: the W5500 does not answer any more{CHECK}"
    assert told[-4:] == [f"the W5500 is given up: {ONES}", "False", problem, "done"]


def test_a_driver_that_was_left_behind_is_told(lines):
    code = """
import sys
sys.modules["w5500"] = None
if sys.implementation.name == "micropython":
    del sys.modules["w5500"]
    sys.path[:] = [path for path in sys.path if not path.endswith("/lib")]
wait(settings("pico-w5500"), [done])
"""
    problem = "no network: lib/w5500 is not on this board; run ./deploy.sh again"
    assert lines(code)[0] == problem


def test_a_firmware_without_a_driver_takes_it_as_well(lines):
    code = """
def bring_up(board):
    net._kind = net._told = ""
    machine._w5500 = None
    values = settings(board)
    machine.wires = boards.profile(values)
    wait(values)
    print(net.has_driver())
del network.LAN
bring_up("esp32-w5500")
net.network = None
bring_up("wiznet-w5500-evb-pico")
"""
    told = [line for line in lines(code) if line != NO_DHCP]
    assert told == [
        line
        for kind in ("LAN", "WIZNET5K")
        for line in (
            f"this MicroPython has no network.{kind}: lib/w5500 drives the W5500",
            *got("127.0.0.1"),
            "True",
        )
    ]
