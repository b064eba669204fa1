"""A Wi-Fi of the board's own: when it is up, and the page on which another one is entered."""

import json

import pytest
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

from host_tests.firmware.test_net import lines
from host_tests.firmware.test_page import QUIET
from host_tests.firmware.test_server_role import Board
from host_tests.support.interpreters import PATIENCE
from host_tests.support.tools import tool

OWN = {"name": "my board", "password": "secret enough"}

# The clock goes a second forward at each check.
RUN = """
from firmware import own_wifi
from firmware.own_wifi import OwnWifi
seconds = 0
def uptime():
    global seconds
    seconds += 1
    return seconds
net.uptime = own_wifi.uptime = uptime
own_wifi.log = print
net._CHECK_EVERY = 0
def begin(**given):
    values = settings("esp32-wifi", wifi_ap={"name": "my board", "password": "secret enough"})
    values.update(given)
    net.own_wifi = OwnWifi(values)
    return values
def joins():
    return net._interface._joined
"""


@pytest.fixture
def run(interpreter):
    return lambda code: lines(interpreter, RUN + code)


def test_where_no_wifi_is_set_it_is_up_at_once(run):
    told = run(
        """
wait(begin(wifi_ssid=None))
print(network.own_wifi, net.has_own_wifi(), joins())
"""
    )
    assert told == [
        'no "wifi_ssid" is set',
        "own Wi-Fi my board is up, with the password of config.json",
        "address 192.168.4.1, also microws.local where mDNS works",
        "192.168.4.1",
        "('my board', 'secret enough') True False",
    ]


def test_where_the_wifi_is_not_in_reach_it_is_up_after_a_while(run):
    told = run("cable(False); wait(begin()); print(seconds > 30, seconds < 40)")
    assert "no Wi-Fi some in reach" in told
    assert told[-4:] == [
        "own Wi-Fi my board is up, with the password of config.json",
        "address 192.168.4.1, also microws.local where mDNS works",
        "192.168.4.1",
        "True True",
    ]


def test_the_other_wifi_is_looked_for_while_nobody_is_in_this_one(run):
    told = run(
        """
cable(False)
values = begin()
wait(values)
def look(checks):
    tries = 0
    for _ in range(checks):
        assert net.address() == "192.168.4.1"
        tries += joins()
    return tries
print(0 < look(200) < 150)
network.stations = 1
look(1)
print(look(300))
network.stations = 0
cable(True)
while net.address() == "192.168.4.1":
    pass
print(net.address())
wait(values)
print(net.has_own_wifi())
"""
    )
    assert told[-7:] == [
        "True",
        "0",
        "127.0.0.1",
        "own Wi-Fi is down",
        "address 127.0.0.1, also microws.local where mDNS works",
        "127.0.0.1",
        "False",
    ]


def test_without_the_setting_there_is_none(run):
    told = run("cable(False); values = settings('esp32-wifi'); wait(values, [done])")
    assert told == ["no Wi-Fi some in reach", "done"]


def test_what_is_entered_is_kept_beside_all_other_settings(interpreter, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"port": 81, "wifi_ssid": "old", "wifi_ap": OWN}))
    code = f"""
from firmware.wifi_form import keep
for message in (b"", "", "[]", "{{}}", '["one"]', '["one", 2]', '["", ""]', '["{"x" * 33}", ""]',
                '["one", "short"]', '["one", "{"x" * 64}"]', "[[[", '["home", ""]',
                '["h\\u00f6me", "12345678"]'):
    print(keep(message, {str(file)!r}))
"""
    told = lines(interpreter, code.replace("\\\\", "\\"))
    assert told[:6] == ["That is no name and password."] * 6
    assert told[6:8] == ["The name has 1 to 32 bytes."] * 2
    assert [line[:31] for line in told[8:10]] == ["The password has 8 to 63 bytes,"] * 2
    assert told[10:] == ["That is no name and password.", "", ""]
    assert json.loads(file.read_text("utf-8")) == {
        "port": 81,
        "wifi_ssid": "h\u00f6me",
        "wifi_password": "12345678",
        "wifi_ap": OWN,
    }


PROGRAM = """
import network
network.own_address = "127.0.0.1"
with open("main.py") as file:
    exec(file.read())
"""


@pytest.fixture
def board(start, tmp_path):
    settings = {"board": "esp32-wifi", "wifi_ap": OWN, "sample_interval": 0.05}
    return Board(tmp_path / "board", start, settings, PROGRAM)


@pytest.fixture
def page():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=tool("chromium"), args=QUIET, chromium_sandbox=False
        )
        yield browser.new_page()
        browser.close()


def test_a_network_is_entered_on_the_page(board, page):
    board.wait_for("which Wi-Fi the board is to join, it is told at http://127.0.0.1:")
    page.goto(f"http://127.0.0.1:{board.port}/wifi")
    page.get_by_label("Name").fill("home")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button").click()
    page.get_by_text("The password has 8 to 63 bytes").wait_for()
    page.get_by_label("Password").fill("long enough")
    page.get_by_role("button").click()
    page.get_by_text("Saved. The board restarts").wait_for()
    board.wait_for("another Wi-Fi was entered: resetting the board")
    kept = json.loads((board.files / "config.json").read_text("utf-8"))
    assert (kept["wifi_ssid"], kept["wifi_password"]) == ("home", "long enough")


def test_only_in_its_own_wifi_is_a_network_asked_for(start, tmp_path):
    running = Board(tmp_path / "board", start, {})
    assert running.get("/wifi")[0].status == 404


def test_nobody_from_another_page_enters_one(board):
    with pytest.raises(Exception, match="403"):
        connect(f"ws://127.0.0.1:{board.port}/wifi", origin="http://evil.example")
    with connect(f"ws://127.0.0.1:{board.port}/wifi") as client:
        client.send("nonsense")
        assert client.recv(PATIENCE) == "That is no name and password."
    assert "wifi_ssid" not in json.loads((board.files / "config.json").read_text("utf-8"))
