"""firmware/boards.py: every profile is one that its chip, the configuration and net.py can use."""

import json

import pytest

from firmware import boards, config

every_board = pytest.mark.parametrize("name", boards.PROFILES)

# os.uname().machine as the ports build it, 1.24 to 1.29, and the chip.
MACHINES = {
    "Generic ESP32 module with ESP32": "ESP32",
    "Generic ESP32 module with SPIRAM with ESP32": "ESP32",
    "M5Stack Atom with ESP32-PICO-D4": "ESP32",
    "Some board with ESP32-D2WD": "ESP32",
    "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3": "ESP32S3",
    "Generic ESP32S3 module with ESP32-S3": "ESP32S3",
    "Some board with ESP32-S3-PICO-1-N8R2": "ESP32S3",
    "Some board with ESP32-C3FH4": "ESP32C3",
    "Some board with ESP32-C61": "ESP32C61",
    "Some board with ESP32-P4": "ESP32P4",
    "W5500-EVB-Pico with RP2040": "RP2040",
    "Raspberry Pi Pico2 with RP2350": "RP2350",
    "Raspberry Pi Pico2 W with RP2350-RISCV": "RP2350",
}


def wires(name):
    pins = [boards.PROFILES[name].get(wire) for wire in boards.WIRES]
    return [pin for pin in pins if pin is not None]


@every_board
def test_the_network_has_its_pins_to_itself(name):
    pins = [*wires(name), boards.PROFILES[name]["analog"]]
    assert len(set(pins)) == len(pins)


@every_board
def test_the_pins_are_free_on_the_chip(name):
    assert set(wires(name)) <= set(boards.CHIPS[boards.PROFILES[name]["chip"]]["free"])


@every_board
def test_a_w5500_is_wired(name):
    profile = boards.PROFILES[name]
    if profile["interface"] == "WLAN":
        assert wires(name) == []
    else:
        needed = ["spi", "sck", "mosi", "miso", "cs"]
        if profile["driver"] == "firmware":
            needed.append("int")
        assert None not in [profile[wire] for wire in needed]


@every_board
def test_the_name_is_all_a_configuration_needs(name, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"board": name, "wifi_ssid": "some"}))
    profile = boards.PROFILES[name]
    assert config.load(str(file), profile["chip"])["sample_pin"] == profile["analog"]


def test_boards_that_cannot_work_have_a_reason_and_no_profile():
    assert not set(boards.IMPOSSIBLE) & set(boards.PROFILES)
    assert all(boards.IMPOSSIBLE.values())


@pytest.mark.parametrize("machine", MACHINES)
def test_the_chip_is_known_by_what_micropython_calls_the_machine(machine):
    assert boards.chip_of(machine) == MACHINES[machine]


@pytest.mark.parametrize(
    ("name", "classes", "interface"),
    [
        ("esp32-w5500", ["LAN", "WLAN"], "LAN"),
        ("esp32-w5500", ["WLAN"], "W5500"),
        ("wiznet-w5500-evb-pico", ["WIZNET5K"], "WIZNET5K"),
        ("wiznet-w5500-evb-pico", [], "W5500"),
        ("pico-w5500", ["WIZNET5K"], "W5500"),
        ("esp32-wifi", [], "WLAN"),
    ],
)
def test_the_driver_follows_from_what_the_firmware_has(name, classes, interface):
    profile = boards.with_driver(boards.PROFILES[name], classes)
    assert profile["interface"] == interface
    assert profile["driver"] == (boards.OURS if interface == "W5500" else "firmware")
    assert wires(name) == [profile[wire] for wire in boards.WIRES if profile.get(wire) is not None]


@pytest.mark.parametrize(
    ("pins", "driver"),
    [
        ({"interface": "LAN", "spi": 1, "int": 4}, "firmware"),
        ({"interface": "LAN", "spi": 1}, "w5500"),
        ({"interface": "LAN", "spi": 1, "int": None}, "w5500"),
        ({"interface": "LAN", "spi": 1, "driver": "firmware"}, "firmware"),
        ({"interface": "LAN", "spi": 1, "int": 4, "driver": "w5500"}, "w5500"),
        ({"interface": "WLAN"}, "firmware"),
    ],
)
def test_the_driver_of_a_board_of_ones_own_follows_from_its_wires(pins, driver):
    profile = boards.profile({"board": "custom", "pins": pins})
    assert profile["driver"] == driver
    assert profile["interface"] == ("W5500" if driver == "w5500" else pins["interface"])
