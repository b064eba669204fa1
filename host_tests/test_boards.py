"""firmware/boards.py: every profile is one that its chip, the configuration and net.py can use."""

import json

import pytest

from firmware import boards, config

pytestmark = pytest.mark.parametrize("name", boards.PROFILES)


def wires(name):
    pins = [boards.PROFILES[name].get(wire) for wire in boards.WIRES]
    return [pin for pin in pins if pin is not None]


def test_the_network_has_its_pins_to_itself(name):
    pins = [*wires(name), boards.PROFILES[name]["analog"]]
    assert len(set(pins)) == len(pins)


def test_the_pins_are_free_on_the_chip(name):
    assert set(wires(name)) <= set(boards.CHIPS[boards.PROFILES[name]["chip"]]["free"])


def test_a_w5500_is_wired(name):
    profile = boards.PROFILES[name]
    if profile["interface"] == "WLAN":
        assert wires(name) == []
    else:
        needed = ("spi", "sck", "mosi", "miso", "cs", "int")
        assert None not in [profile[wire] for wire in needed]


def test_the_name_is_all_a_configuration_needs(name, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"board": name, "wifi_ssid": "some"}))
    assert config.load(str(file))["sample_pin"] == boards.PROFILES[name]["analog"]
