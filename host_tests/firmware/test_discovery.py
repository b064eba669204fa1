"""What Home Assistant is told of a board: the documented keys, each with a value that it takes.

fleet/home_assistant.py looks at the same with Home Assistant's own schemas, in the nightly run.
"""

import json
import re

import pytest

from firmware import discovery
from firmware.settings import defaults

SETTINGS = {
    "inputs": {
        "light": {"pin": 36, "kind": "analog", "unit": "%"},
        "raw": {"pin": 39, "kind": "analog"},
        "door": {"pin": 14, "kind": "digital", "pull": "up"},
        "water": {"pin": 13, "kind": "count"},
        "chip.t": {"kind": "temperature", "unit": "°C"},
    },
    "outputs": {
        "lamp": {"pin": 2},
        "fan": {"pin": 12, "pwm": 1000},
        "led": {"pin": 15, "pwm": 1000},
        "bulb": {"pin": 32},
        "bell": {"pin": 33},
    },
    "show_as": {"led": "light", "bulb": "light", "bell": "button"},
}
# home-assistant.io/integrations/...mqtt: what each must have, and may have.
COMMON = {"name", "unique_id", "availability_topic", "device"}
KEYS = {
    "sensor": ({"state_topic"}, {"unit_of_measurement", "device_class", "state_class"}),
    "binary_sensor": ({"state_topic"}, {"payload_on", "payload_off", "device_class"}),
    "switch": ({"command_topic"}, {"state_topic", "payload_on", "payload_off"}),
    "number": ({"command_topic"}, {"state_topic", "min", "max", "unit_of_measurement"}),
    "button": ({"command_topic"}, {"payload_press"}),
    "light": (
        {"command_topic"},
        {
            "state_topic", "payload_on", "payload_off", "brightness_command_topic",
            "brightness_state_topic", "brightness_scale", "on_command_type",
            "state_value_template",
        },
    ),
}  # fmt: skip
KINDS = {
    "light": "sensor", "raw": "sensor", "door": "binary_sensor", "water": "sensor",
    "chip.t": "sensor", "lamp": "switch", "fan": "number", "led": "light", "bulb": "light",
    "bell": "button",
}  # fmt: skip


def found(settings):
    """{name: (kind, payload)} of what a board called shed announces."""
    entries = {}
    for topic, payload in discovery.messages(settings, "shed", "microws/shed/"):
        match = re.fullmatch(r"homeassistant/(\w+)/shed/([a-zA-Z0-9_-]+)/config", topic)
        entry = json.loads(payload)
        assert entry["name"] not in entries
        entries[entry["name"]] = match[1], entry
    return entries


@pytest.fixture(scope="module")
def entries():
    return found({**defaults(), **SETTINGS})


def test_each_input_and_output_is_what_it_is(entries):
    assert {name: kind for name, (kind, _) in entries.items()} == KINDS
    for kind, entry in entries.values():
        needed, allowed = KEYS[kind]
        assert needed <= entry.keys() <= needed | allowed | COMMON
        assert entry["availability_topic"] == "microws/shed/status"
        assert entry["unique_id"] == "shed." + entry["name"]
        topic = "microws/shed/" + entry["name"]
        assert entry.get("state_topic", topic) == topic
        assert entry.get("command_topic", topic + "/set") == topic + "/set"


def test_the_device_is_one(entries):
    devices = [entry["device"] for _, entry in entries.values()]
    assert devices == [devices[0]] * len(KINDS)
    assert devices[0]["name"] == "shed"
    assert devices[0]["model"] == "esp32-w5500"
    assert devices[0]["sw_version"].startswith("microws 0.")


def test_units_and_classes(entries):
    assert entries["light"][1]["unit_of_measurement"] == "%"
    assert "unit_of_measurement" not in entries["raw"][1]
    assert entries["chip.t"][1]["device_class"] == "temperature"
    assert entries["water"][1]["state_class"] == "total_increasing"
    assert entries["door"][1]["payload_on"] == entries["lamp"][1]["payload_on"] == "1"
    assert entries["led"][1]["brightness_scale"] == entries["fan"][1]["max"] == 100


def test_a_board_with_neither_has_its_pin():
    assert list(found(defaults())) == ["pin0"]
