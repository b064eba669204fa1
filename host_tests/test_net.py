"""firmware/net.py against the stand-ins, on every interpreter: up at once, and waited for."""

from conftest import TOP, environment

from firmware import boards

BOARD = TOP / "host_tests" / "board"

# The settings are the defaults but for what `given` says.
BEGIN = """
import asyncio, network
from firmware import boards, config, net
def settings(board):
    values = dict(config.DEFAULTS)
    values["board"] = board
    values["wifi_ssid"] = "some" if boards.PROFILES[board]["interface"] == "WLAN" else None
    return values
"""

EVERY_BOARD = (
    BEGIN
    + """
for board in sorted(boards.PROFILES):
    net._interface = None
    net.start(settings(board))
    print(board, type(net._interface).__name__, network.hostname(), net.address())
"""
)

WAITING = (
    BEGIN
    + """
async def wait():
    network.lease = "0.0.0.0"
    values = settings("{board}")
    net.start(values)
    print(net.address())
    waiting = asyncio.create_task(net.wait_for_address(values))
    await asyncio.sleep(0)
    network.lease = "192.168.1.20"
    print(await waiting)
    print(await net.wait_for_address(values))
asyncio.run(wait())
"""
)

# A MicroPython for another chip, and a chip that does not answer.
FAILING = (
    BEGIN
    + """
def silent(**wiring):
    raise OSError("esp_eth_driver_install failed")
if {silent}:
    network.LAN = silent
else:
    del network.LAN
values = settings("esp32-w5500")
net.start(values)
net.start(values)
print(net.address())
async def wait():
    waiting = asyncio.create_task(net.wait_for_address(values))
    await asyncio.sleep(0)
    waiting.cancel()
asyncio.run(wait())
"""
)


def lines(interpreter, code):
    result = interpreter.run("-c", code, env=environment(BOARD))
    assert result.stderr == ""
    return [line.split("] ")[-1] for line in result.stdout.splitlines()]


def test_every_board_comes_up_under_its_name(interpreter):
    assert lines(interpreter, EVERY_BOARD) == [
        f"{name} {profile['interface']} microws 127.0.0.1"
        for name, profile in sorted(boards.PROFILES.items())
    ]


def test_an_address_is_waited_for(interpreter):
    assert lines(interpreter, WAITING.format(board="esp32-w5500")) == [
        "None",
        "waiting for an address; is the network cable plugged in?",
        "address 192.168.1.20",
        "192.168.1.20",
        "192.168.1.20",
    ]


def test_the_wifi_that_is_waited_for_is_named(interpreter):
    told = lines(interpreter, WAITING.format(board="esp32-wifi"))
    assert told[1] == "waiting for an address from Wi-Fi some"


def test_a_controller_that_does_not_answer_is_told(interpreter):
    problem = "esp_eth_driver_install failed; check the wiring, then reset the board"
    told = lines(interpreter, FAILING.format(silent=True))
    assert told == ["no network: " + problem, "None", "no network: " + problem]


def test_a_micropython_without_the_interface_is_told(interpreter):
    told = lines(interpreter, FAILING.format(silent=False))
    assert told[0].startswith("no network: this MicroPython has no network.LAN for a W5500")
    assert told[1] == "None"
