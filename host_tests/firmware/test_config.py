"""firmware/config.py: defaults, the file, and what a person is told about mistakes in it."""

import json

import pytest

from firmware import boards, config, urls
from firmware.settings import defaults

# What is in the file, and what the line for each problem holds, in order.
MISTAKES = [
    ('{"role": "serverr"}', ['"role" is "serverr"; allowed: "client", "mqtt", "server"']),
    ('{"role": null}', ['"role" is null']),
    ('{"role": ["server"]}', ['"role" is ["server"]']),
    ('{"board": "esp32"}', ['"board" is "esp32"; allowed: "custom", "esp32-c3-w5500", ']),
    ('{"board": "olimex-esp32-poe"}', ["cannot work: it has no W5500"]),
    ('{"board": "esp32-s3-w5500"}', ["made for the ESP32S3; this is an ESP32"]),
    ('{"board": "wiznet-w5500-evb-pico"}', ["made for the RP2040; this is an ESP32"]),
    ('{"board": "custom"}', ['"pins" is missing; board "custom" needs {']),
    ('{"pins": 5}', ['"pins" is 5; allowed: { "interface": "LAN"']),
    ('{"address": "192.168.1"}', ['"address" is "192.168.1"; allowed: four numbers']),
    ('{"address": "192.168.1.256"}', ['"address" is "192.168.1.256"']),
    ('{"address": 3232235786}', ['"address" is 3232235786']),
    ('{"netmask": "255.0.255.0"}', ['"netmask" is "255.0.255.0"; allowed: like "255.255']),
    ('{"netmask": "0.0.0.0"}', ['"netmask" is "0.0.0.0"']),
    (
        '{"wifi_ap": {"name": "x"}}',
        ['"wifi_ap" is (not shown); allowed: { "name": 1 to 32 bytes, "password": 8 to'],
    ),
    (
        '{"wifi_ap": {"name": "x", "password": "12345678"}}',
        ['"wifi_ap" is of no use to board "esp32-w5500", whose network is a cable'],
    ),
    ('{"gateway": "192.168.1.1"}', ['"address" is missing; "gateway" and "dns" go with it']),
    ('{"port": "80"}', ['"port" is "80"; allowed: a whole number from 1 to 65535']),
    ('{"port": 0}', ['"port" is 0']),
    ('{"port": 65536}', ['"port" is 65536']),
    ('{"port": 80.5}', ['"port" is 80.5']),
    ('{"max_clients": true}', ['"max_clients" is true']),
    ('{"slow": "wait"}', ['"slow" is "wait"; allowed: "close", "drop"']),
    ('{"chat": 1}', ['"chat" is 1; allowed: true, false']),
    ('{"sample_interval": 0}', ['"sample_interval" is 0; allowed: a number from 0.05 to 3600']),
    ('{"keepalive": 0}', ['"keepalive" is 0; allowed: a number from 1 to 3600']),
    ('{"queue": null}', ['"queue" is null; allowed: a whole number from 0 to 1000']),
    ('{"watchdog": 59}', ['"watchdog" is 59; allowed: a whole number from 60 to 3600']),
    ('{"sample_interval": "1 s"}', ['"sample_interval" is "1 s"']),
    ('{"hostname": ""}', ['"hostname" is ""; allowed: 1 to 32 letters, digits and hyphens']),
    ('{"hostname": "my board"}', ['"hostname" is "my board"']),
    ('{"hostname": "-board"}', ['"hostname" is "-board"']),
    ('{"hostname": "123456789012345678901234567890123"}', ['"hostname" is "1234']),
    ('{"path": "chat"}', ['"path" is "chat"; allowed: a text that starts with /']),
    ('{"path": "/a b"}', ['"path" is "/a b"']),
    ('{"path": "/a?b"}', ['"path" is "/a?b"']),
    ('{"url": "http://192.168.1.20/"}', ['"url" is "http://192.168.1.20/"; allowed: ws:// or ']),
    ('{"url": "192.168.1.20"}', ['"url" is ']),
    ('{"url": "ws://"}', ['"url" is "ws://"']),
    ('{"url": "ws://host:port/"}', ['"url" is "ws://host:port/"']),
    ('{"url": 8080}', ['"url" is 8080']),
    ('{"url": []}', ['"url" is []']),
    ('{"url": ["ws://a/", 5]}', ['"url" is ["ws://a/", 5]']),
    ('{"url": ["ws://me:secret@a/", "b"]}', ['"url" is ["ws://a/", "b"]; allowed: ws:// or']),
    ('{"url": ["ws://a/"]}', ['"url" is a list, which only "role": "mqtt" takes']),
    ('{"role": "mqtt", "url": [' + 8 * '"ws://a/", ' + '"ws://b/"]}', ["of 9; at most 8"]),
    ('{"role": "mqtt", "url": ["ws://a/", "wss://b/"]}', ['needs "ca_file" or "fingerprint"']),
    ('{"topic": ""}', ['"topic" is ""; allowed: a text of 1 to 64 bytes without # and +']),
    ('{"topic": "a/+"}', ['"topic" is "a/+"']),
    ('{"topic": "/a"}', ['"topic" is "/a"']),
    ('{"topic": "a/"}', ['"topic" is "a/"']),
    ('{"topic": "$SYS"}', ['"topic" is "$SYS"']),
    ('{"topic": "%s"}' % ("a" * 65), ['"topic" is "a']),
    ('{"discovery": "a#"}', ['"discovery" is "a#"; allowed: a text of 0 to 64 bytes']),
    ('{"show_as": {"lamp": "sun"}}', ['"show_as" is {"lamp": "sun"}; allowed: { "lamp"']),
    (
        '{"role": "mqtt", "show_as": {"lamp": "light"}}',
        ['"lamp" in "show_as" is no output'],
    ),
    ('{"prot": 80}', ['"prot" is no setting; did you mean "port"?']),
    ('{"Role": "server"}', ['did you mean "role"?']),
    ('{"maxclients": 2}', ['did you mean "max_clients"?']),
    ('{"temperature": 20}', ['"temperature" is no setting; there are: address, board, ca_file, ']),
    # All at once, by name.
    ('{"role": 1, "prot": 80, "path": 2}', ['"path" is 2', '"prot" is no', '"role" is 1']),
    # Right by themselves, wrong for the board.
    ('{"sample_pin": 21}', ['"sample_pin" is 21; allowed on board "esp32-w5500": 0, 2, 12, ']),
    ('{"sample_pin": 4}', ['"sample_pin" is 4, the pin that board "esp32-w5500" uses as int']),
    ('{"role_pin": 5}', ['"role_pin" is 5, the pin that board "esp32-w5500" uses as cs']),
    ('{"role_pin": 34}', ['"role_pin" is 34; allowed on board "esp32-w5500": 0, 2, 21, ']),
    ('{"role_pin": 6}', ['"role_pin" is 6; allowed']),  # where the program is kept
    ('{"role_pin": 27, "sample_pin": 27}', ['"role_pin" and "sample_pin" are both 27']),
    ('{"board": "esp32-wifi"}', ['"wifi_ssid" is missing; board "esp32-wifi" needs']),
    # Inputs and outputs.
    ('{"inputs": [36]}', ['"inputs" is [36]; allowed: { "light": GPIO, "door": { "pin": GPIO']),
    ('{"outputs": 2}', ['"outputs" is 2; allowed: { "lamp": GPIO, "fan": { "pin": GPIO, "pwm"']),
    ('{"inputs": {"light": "36"}}', ['"light" in "inputs" is "36"; allowed: a GPIO, or { "pin"']),
    ('{"inputs": {"light": true}}', ['"light" in "inputs" is true; allowed']),
    ('{"inputs": {"a b": 36}}', ['"a b" in "inputs" is no name: letters, digits, _ - and .']),
    ('{"inputs": {"1a": 36}}', ['"1a" in "inputs" is no name']),
    ('{"inputs": {"": 36}}', ['"" in "inputs" is no name']),
    ('{"outputs": {"error": 2}}', ['"error" in "outputs" is a word with a meaning of its own']),
    ('{"outputs": {"pin0": 2}}', ['"pin0" in "outputs" is a word']),
    ('{"inputs": {"a": 36}, "outputs": {"a": 2}}', ['"a" in "outputs" is an input as well']),
    ('{"inputs": {"a": {}}}', ['"a" in "inputs" has no pin; allowed on board "esp32-w5500": 0, ']),
    ('{"inputs": {"a": {"pin": 6}}}', ['"a" in "inputs" has pin 6; allowed on board']),
    ('{"inputs": {"a": {"pin": 21, "kind": "analog"}}}', ['"a" in "inputs" has pin 21; allowed']),
    ('{"outputs": {"lamp": 34}}', ['"lamp" in "outputs" has pin 34; allowed on board']),
    ('{"outputs": {"lamp": 4}}', ['"lamp" in "outputs" has pin 4, which is int']),
    ('{"outputs": {"a": 2, "b": 2}}', ['"b" in "outputs" has pin 2, which is a']),
    ('{"outputs": {"a": 27}, "role_pin": 27}', ['"a" in "outputs" has pin 27, which is role_pin']),
    ('{"outputs": {"a": 32}, "sample_pin": 32}', ['has pin 32, which is sample_pin']),
    ('{"inputs": {"a": {"pin": 34, "kind": "digital", "pull": "up"}}}', ['has pin 34; allowed']),
    ('{"inputs": {"a": {"pin": 14, "kind": "digitl"}}}', ['"kind" "digitl"; allowed: analog,']),
    ('{"inputs": {"a": {"pin": 14, "interval": 0}}}', ['"interval" 0; allowed: a number']),
    ('{"inputs": {"a": {"pin": 14, "change": 0}}}', ['"change" 0; allowed: a number above 0']),
    ('{"inputs": {"a": {"pin": 14, "scale": [5, 5]}}}', ['"scale" [5, 5]; allowed: two numbers']),
    ('{"inputs": {"a": {"pin": 14, "unit": 5}}}', ['"unit" 5; allowed: a text of at most 16']),
    ('{"inputs": {"a": {"pin": 14, "pull": "up"}}}', ['has "pull", which is nothing here; there']),
    ('{"inputs": {"a": {"kind": "temperature", "pin": 14}}}', ['"pin", which is nothing here']),
    ('{"outputs": {"a": {"pin": 2, "pwm": 1}}}', ['has "pwm" 1; allowed: a frequency']),
    ('{"outputs": {"a": {"pin": 2, "start": 50}}}', ['has "start" 50; allowed: 0 or 1']),
    ('{"outputs": {"a": {"pin": 2, "pwm": 50, "idle": 101}}}', ['"idle" 101; allowed: 0 to 100']),
    ('{"format": "xml"}', ['"format" is "xml"; allowed: "json", "text"']),
    ('{"history": -1}', ['"history" is -1; allowed: a whole number from 0 to 65536']),
    # Trust.
    ('{"watch_token": "a"}', ['"token" or "user" is missing; "watch_token" goes with it']),
    ('{"token": "a", "watch_token": "a"}', ['"token" and "watch_token" are the same']),
    (
        '{"update_key": "0123456789abcdef"}',
        ['"update_token" is missing; "update_key" goes with it'],
    ),
    (
        '{"update_token": "0123456789abcdef", "update_key": "0123456789abcdef"}',
        ['"update_token" and "update_key" are the same'],
    ),
    (
        '{"update_token": "a", "update_key": "secret"}',
        [
            '"update_key" is (not shown); allowed: 16 to 512 letters, digits and - . _ ~ + /, '
            "and = at the end"
        ],
    ),
    ('{"update_token": "a", "update_port": 8080}', ['"port" and "update_port" are both 8080']),
    ('{"token": ""}', ['"token" is (not shown); allowed: 1 to 512 letters']),
    ('{"token": "a b"}', ['"token" is (not shown)']),
    ('{"token": "=a"}', ['"token" is (not shown)']),
    ('{"user": "a:b", "password": "c"}', ['"user" is "a:b"; allowed: a text without colon']),
    ('{"user": "a"}', ['"password" is missing; "user" goes with it']),
    ('{"password": "a"}', ['"user" is missing; "password" goes with it']),
    ('{"cert_file": "a"}', ['"key_file" is missing; "cert_file" goes with it']),
    ('{"key_file": "a"}', ['"cert_file" is missing; "key_file" goes with it']),
    ('{"token": "a", "user": "b", "password": "c"}', ['"token" and "user" both say who you are']),
    ('{"token": "a", "url": "ws://b:c@d/"}', ['"token" and "url" both say who you are']),
    ('{"token": "a", "headers": {"authorization": "b"}}', ['"token" and "headers" both say']),
    ('{"headers": []}', ['"headers" is (not shown); allowed: { "name": "value", ... }']),
    ('{"headers": {"a b": "c"}}', ['"headers" is (not shown)']),
    ('{"headers": {"a": "b\\r\\nc: d"}}', ['"headers" is (not shown)']),
    ('{"headers": {"a": 1}}', ['"headers" is (not shown)']),
    ('{"headers": {"Host": "a"}}', ['"headers" is (not shown)']),
    ('{"headers": {"Sec-WebSocket-Key": "a"}}', ['"headers" is (not shown)']),
    ('{"origins": "http://a"}', ['"origins" is "http://a"; allowed: a list']),
    ('{"origins": [""]}', ['"origins" is [""]']),
    ('{"origins": ["a b"]}', ['"origins" is ["a b"]']),
    ('{"origins": ["https://*"]}', ['"origins" is ["https://*"]']),
    ('{"origins": ["a.*.b"]}', ['"origins" is ["a.*.b"]']),
    ('{"origins": ["*.Example.org"]}', ['"origins" is ["*.Example.org"]']),
    ('{"origins": ["http://a:80"]}', ['"origins" is ["http://a:80"]']),
    ('{"origins": ["https://a:443"]}', ['"origins" is ["https://a:443"]']),
    ('{"origins": ["http://a/"]}', ['"origins" is ["http://a/"]']),
    ('{"origins": ["http://A"]}', ['"origins" is ["http://A"]']),
    ('{"max_size": 124}', ['"max_size" is 124; allowed: a whole number from 125 to 65536']),
    ('{"max_header": 16385}', ['"max_header" is 16385']),
    ('{"subprotocols": ["a b"]}', ['"subprotocols" is ["a b"]']),
    ('{"subprotocols": [""]}', ['"subprotocols" is [""]']),
    ('{"fingerprint": "ab:cd"}', ['"fingerprint" is "ab:cd"; allowed: 64 hexadecimal digits']),
    ('{"ca_file": ""}', ['"ca_file" is ""; allowed: the name of a file']),
    ('{"ntp_host": null}', ['"ntp_host" is null; allowed: a host name']),
    ('{"url": "wss://a/"}', ['"url" is wss://, which needs "ca_file" or "fingerprint"']),
    ('{"ca_file": "a"}', ['"ca_file" is of no use to "url", which is not wss://']),
    ('{"url": "wss://a/", "ca_file": "a", "fingerprint": "%s"}' % ("00" * 32),
     ['"ca_file" and "fingerprint" are both given; one is enough']),
    # Not a file of settings at all.
    ("", ["config.json is cut off"]),
    ('{"role": "client", "pins": {"interface": "LAN"}', ["config.json is cut off"]),
    ('{"role": "client", "url": "ws://192.1', ["config.json is cut off"]),
    ('{"role": "client",\n "port": 80', ["config.json is cut off"]),
    ('["role"]', ["config.json is not {"]),
    ("{'role': 'client'}", ["config.json is not valid JSON"]),
    ('{"role": client}', ["config.json is not valid JSON"]),
    ('{"role": "client"}}', ["not valid JSON (there is more behind the end at line 1, column"]),
    ('{"role": "client",}', ["config.json is not valid JSON"]),
    ('{"role": "client" "port": 80}', ["not valid JSON (, is missing at line 1, column 19)"]),
    ('{"port": 80, "port": 81}', ['not valid JSON (a second "port"']),
    (2700 * "[", ["not valid JSON (nested deeper than 8 at line 1, column 9)"]),
    ('{"hostname": "%s"}' % (60000 * "x"), ["config.json is too long: a configuration"]),
    ('{"hostname": "b\u00fcro"}', ['"hostname" is ']),
]  # fmt: skip

# Every setting of version 0.1, with a value that it took there.
VERSION_0_1 = {
    "role": "client",
    "role_pin": 27,
    "board": "esp32-wifi",
    "pins": {"sck": 1},  # of no meaning to this board
    "hostname": "board-7",
    "address": "192.168.1.20",
    "netmask": "255.255.254.0",
    "gateway": "192.168.1.1",
    "dns": "9.9.9.9",
    "url": "wss://example.org:8443/chat?room=1",
    "port": 80,
    "path": "/chat",
    "sample_pin": 34,
    "sample_interval": 0.25,
    "max_clients": 3,
    "slow": "close",
    "chat": True,
    "keepalive": 2.5,
    "queue": 20,
    "watchdog": 60,
    "token": "a.b-c_d~e/f+g==",
    "user": None,
    "password": None,
    "origins": ["https://example.org", "http://192.168.1.7:8000"],
    "subprotocols": ["chat"],
    "headers": {"X-Board": "7"},
    "ca_file": None,
    "fingerprint": "AB:" * 31 + "cd",
    "ntp_host": "192.168.1.1",
    "cert_file": "cert.der",
    "key_file": "key.der",
    "wifi_ssid": "Caf\u00e9",
    "wifi_password": "correct horse",
}

# The pins of a board of one's own, what runs it, and what the one line for them holds.
PINS = {
    "interface": "LAN", "spi": 2, "sck": 18, "mosi": 23, "miso": 19, "cs": 5, "int": 4,
    "reset": 15, "analog": 36, "led": 2,
}  # fmt: skip
WRONG_PINS = [
    ({"interface": None}, "ESP32", '"interface" in "pins" is missing; allowed on an ESP32: "LAN"'),
    ({"interface": "WIZNET5K"}, "ESP32", '"interface" in "pins" is "WIZNET5K"; allowed'),
    ({}, "RP2040", 'allowed on an RP2040: "WIZNET5K", "WLAN"'),
    ({"int": None, "driver": "firmware"}, "ESP32", '"int" in "pins" is missing; MicroPython\'s'),
    ({"driver": "lan"}, "ESP32", '"driver" in "pins" is "lan"; allowed: "firmware", "w5500"'),
    ({"driver": "w5500", "cs": None}, "SAMD51P19A", '"cs" in "pins" is missing'),
    ({"analog": None}, "ESP32", '"analog" in "pins" is missing'),
    ({"cs": 34}, "ESP32", '"cs" in "pins" is 34; allowed on an ESP32: 0, 2, 4, 5, 21'),
    ({"miso": 6}, "ESP32", '"miso" in "pins" is 6; allowed'),
    ({"cs": "5"}, "ESP32", '"cs" in "pins" is "5"; allowed'),
    ({"led": True}, "ESP32", '"led" in "pins" is true; allowed'),
    ({"spi": 0}, "ESP32", '"spi" in "pins" is 0; allowed on an ESP32: 1, 2'),
    ({"cs": 18}, "ESP32", '"cs" and "sck" in "pins" are both 18'),
    ({"scl": 3}, "ESP32", '"scl" in "pins" is no pin; there are: interface, analog, spi, sck'),
    ({}, "ESP32C61", 'knows no network of an ESP32C61; set "driver": "w5500" in "pins"'),
    ({"interface": "WLAN"}, "ESP32H2", '"interface" in "pins" is "WLAN"; allowed on an ESP32H2'),
]

SCRIPT = """
import json
from firmware import config
def problems(file):
    try:
        config.load(file, "ESP32")
    except config.ConfigError as error:
        return error.problems
    return []
with open("cases.json") as stream:
    count = json.load(stream)
for i in range(count):
    print(json.dumps(problems("%d/config.json" % i)))
print(json.dumps(config.load("none.json", "ESP32")))
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text, chip="ESP32"):
        file = tmp_path / "config.json"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return config.load(str(file), chip)

    return load_text


def test_mistakes_are_told(interpreter, tmp_path):
    for i, (text, _) in enumerate(MISTAKES):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "config.json").write_text(text, encoding="utf-8")
    (tmp_path / "cases.json").write_text(str(len(MISTAKES)))
    result = interpreter.run("-c", SCRIPT, cwd=tmp_path)
    assert result.stderr == ""
    *told, none = map(json.loads, result.stdout.splitlines())
    for (text, expected), lines in zip(MISTAKES, told, strict=True):
        assert len(lines) == len(expected), (text, lines)
        for part, line in zip(expected, lines, strict=True):
            assert part in line, text
            assert "config.json" in line
    assert none == {**defaults(), "sample_pin": 36}


def test_the_default_is_a_server_on_the_usual_wiring(tmp_path):
    settings = config.load(str(tmp_path / "none.json"), "ESP32")
    assert settings["role"] == "server"
    assert settings["port"] == 8080
    assert settings["sample_pin"] == boards.PROFILES["esp32-w5500"]["analog"]


def test_what_is_given_replaces_the_defaults(load):
    assert load(json.dumps(VERSION_0_1, ensure_ascii=False)) == {**defaults(), **VERSION_0_1}
    assert [name for name in defaults() if name not in VERSION_0_1] == [
        "wifi_ap",
        "topic",
        "discovery",
        "show_as",
        "queue_size",
        "queue_file",
        "queue_file_size",
        "flood",
        "watch_token",
        "history",
        "inputs",
        "outputs",
        "format",
        "read_only",
        "max_size",
        "max_header",
        "update_token",
        "update_key",
        "update_port",
        "update_trial",
    ]


@pytest.mark.parametrize(("change", "chip", "told"), WRONG_PINS)
def test_wrong_pins_are_told(load, change, chip, told):
    pins = {**PINS, **change}
    with pytest.raises(config.ConfigError) as caught:
        load(json.dumps({"board": "custom", "pins": pins}), chip)
    assert len(caught.value.problems) == 1
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("chip", "change"),
    [
        ("ESP32", {}),
        ("ESP32", {"reset": None, "led": None}),
        ("ESP32S3", {"analog": 1, "mosi": 21, "miso": 13}),
        ("ESP32C3", {"spi": 1, "sck": 6, "mosi": 7, "miso": 5, "cs": 10, "int": 4,
                     "reset": 3, "analog": 0, "led": 8}),
        ("ESP32C5", {"spi": 1, "sck": 6, "mosi": 7, "miso": 2, "cs": 10, "int": 4,
                     "reset": 3, "analog": 1, "led": 27}),
        ("ESP32H2", {"spi": 1, "sck": 4, "mosi": 5, "miso": 0, "cs": 10, "int": 11,
                     "reset": 12, "analog": 1, "led": 8}),
        ("ESP32P4", {"sck": 26, "mosi": 27, "miso": 28, "cs": 29, "int": 30, "reset": 31,
                     "analog": 16, "led": 3}),
        ("RP2040", {"interface": "WIZNET5K", "spi": 0, "analog": 26}),
        ("RP2350", {"interface": "WIZNET5K", "spi": 0, "analog": 26}),
        # The driver in lib/w5500 runs on any chip, whatever its pins are called.
        ("RP2040", {"driver": "w5500", "interface": None, "spi": 0, "analog": 26, "int": None}),
        ("SAMD51P19A", {"driver": "w5500", "interface": None, "cs": "D4", "int": None,
                        "analog": "A0"}),
        # It is chosen where INT is not wired, which MicroPython's needs.
        ("ESP32", {"int": None}),
        ("STM32F4", {"interface": None, "cs": "B6", "int": None, "analog": "A0"}),
    ],
)  # fmt: skip
def test_a_board_of_ones_own_needs_its_pins_and_no_more(load, chip, change):
    pins = {**PINS, **change}
    settings = load(json.dumps({"board": "custom", "pins": pins}), chip)
    assert settings["sample_pin"] == pins["analog"]
    assert boards.profile(settings)["int"] == pins["int"]


def test_a_board_of_ones_own_on_wifi_needs_an_analog_pin_only(load):
    text = '{"board": "custom", "pins": {"interface": "WLAN", "analog": 0}, "wifi_ssid": "a"}'
    assert load(text, "ESP32C6")["sample_pin"] == 0


def test_a_watchdog_that_would_bite_a_board_at_work_is_refused(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"board": "wiznet-w5500-evb-pico", "watchdog": 60}')
    assert config.load(str(file), "RP2040", (1, 26, 0))["watchdog"] == 60
    with pytest.raises(config.ConfigError, match='"watchdog" on an RP2040 needs '):
        config.load(str(file), "RP2040", (1, 25, 0))


@pytest.mark.parametrize(
    ("board", "chip"), [("raspberry-pi-pico-w", "RP2040"), ("raspberry-pi-pico-2-w", "RP2350")]
)
def test_the_pins_of_a_radio_are_not_free(load, board, chip):
    wifi = {"board": board, "wifi_ssid": "some"}
    assert load(json.dumps(wifi), chip)["sample_pin"] == 26
    with pytest.raises(config.ConfigError, match=r'"sample_pin" is 29, .* uses as radio'):
        load(json.dumps({**wifi, "sample_pin": 29}), chip)


def test_what_is_free_on_a_board_of_ones_own_follows_from_its_pins(load):
    text = json.dumps({"board": "custom", "pins": PINS, "role_pin": 15})
    with pytest.raises(config.ConfigError, match='"role_pin" is 15, the pin that board "custom"'):
        load(text)


# What MicroPython's own parser takes and no JSON is, and what is JSON though it is odd.
READ = [
    ('{"a" 1}', None), ('{"a":1,}', None), ('[1 2]', None), ('{"a":01}', None), ('{"a":1.}', None),
    ('{"a":-}', None), ('{1:2}', None), ('{"a":"\x01"}', None), (r'{"a":"\x41"}', None),
    (r'{"a":"\ud83d"}', None), (r'{"a":"\u12"}', None), ('{"a":trueish}', None),
    ('{"a":1}}', None), ('{"a":{"b":1}', None), ('{"a":[1}', None), ('"a', None),
    ("nul", None), ("{}x", None),
    ('{"a": [-1.5e3, 0, [], {}, null, true, false, "\u00e9"]}',
     {"a": [-1500.0, 0, [], {}, None, True, False, "\u00e9"]}),
    (r'{"\u00e9":"\ud83d\ude00\"\\\/\b\f\n\r\t"}', {"\u00e9": '\U0001f600"\\/\b\f\n\r\t'}),
    (8 * "[" + 8 * "]", [[[[[[[[]]]]]]]]), (9 * "[" + 9 * "]", None),
]  # fmt: skip

READER = """
import json
from firmware.strict_json import parse
with open("cases.json") as file:
    cases = json.load(file)
for text in cases:
    try:
        print(json.dumps(parse(text.encode())))
    except ValueError:
        print("refused")
"""


def test_json_is_read_strictly_and_alike(interpreter, tmp_path):
    cases = json.dumps([text for text, _ in READ], ensure_ascii=False)
    (tmp_path / "cases.json").write_text(cases, encoding="utf-8")
    result = interpreter.run("-c", READER, cwd=tmp_path)
    assert result.stderr == ""
    for (text, expected), line in zip(READ, result.stdout.splitlines(), strict=True):
        assert (None if line == "refused" else json.loads(line)) == expected, text


def test_every_prefix_of_a_configuration_is_refused(load):
    """Wherever writing it was cut off."""
    text = '{ "role": "server", "pins": {"interface": "LAN"}, "origins": ["a"], "token": "S3" }'
    for end in range(len(text)):
        with pytest.raises(config.ConfigError, match="is cut off"):
            load(text[:end])


@pytest.mark.parametrize(
    "origin",
    [
        "null", "*", "file://", "https://github.com/gilmaimon/TinyWebsockets", "*.example.org",
        "https://*.example.org", "http://*.example.org:8000", "capacitor://localhost", "a-program",
    ],
)  # fmt: skip
def test_every_origin_that_something_may_send_can_be_set(load, origin):
    assert load(json.dumps({"origins": [origin]}))["origins"] == [origin]


def test_null_stands_for_the_default_where_that_is_none(load):
    assert load('{"role_pin": null, "sample_interval": null}')["role_pin"] is None


def test_a_byte_order_mark_does_no_harm(load):
    assert load(b'\xef\xbb\xbf{"port": 81}\r\n')["port"] == 81


def test_a_file_that_is_not_utf8_is_named(load):
    with pytest.raises(config.ConfigError, match=r"config\.json is not UTF-8 text"):
        load(b'{"wifi_ssid": "Caf\xe9"}')


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.load(str(tmp_path), "ESP32")


def test_the_line_of_a_mistake_is_told(load):
    with pytest.raises(config.ConfigError, match=r"line 3, column 2\)"):
        load('{"role": "client"\n,\n ;"port": 80}')


@pytest.mark.parametrize(
    "text",
    [
        '{"wifi_password": "hunter2"}',  # too short
        '{"wifi_pasword": "hunter2hunter2"}',
        '{"wifi_ap": {"name": "x", "password": "hunter2"}}',
        '{"wifi_password": "hunter2hunter2" "role": "client"}',
        '{"url": "ws://me:hunter2@host:x/"}',
        '{"url": "wss://me:hunter2@host/"}',
        '{"url": "ws://me:hunter2@host/", "token": "hunter2"}',
        '{"token": "hunter2 hunter2"}',
        '{"token": "hunter2", "user": "me", "password": "hunter2"}',
        '{"user": "me", "password": ["hunter2"]}',
        '{"headers": {"Authorization": "hunter2\\n"}}',
        '{"url": "http://host/?token=hunter2"}',
    ],
)
def test_no_secret_is_told(load, text):
    with pytest.raises(config.ConfigError) as caught:
        load(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://192.168.1.20:8080/", "ws://192.168.1.20:8080/"),
        ("ws://host", "ws://host"),
        ("wss://host/chat?token=secret", "wss://host/chat?..."),
        ("ws://me:secret@host:80/chat", "ws://host:80/chat"),
        ("ws://host?secret/@", "ws://host?..."),
        ("ws://host/me@home", "ws://host/me@home"),
        ("nonsense", "nonsense"),
    ],
)
def test_public_url_hides_what_may_be_secret(url, shown):
    assert urls.public_url(url) == shown


def test_inputs_and_outputs_are_made_complete(load):
    given = {
        "inputs": {"light": 36, "door": {"pin": 21}, "chip": {"kind": "temperature"}},
        "outputs": {"lamp": 2, "fan": {"pin": 25, "pwm": 1000, "start": 20, "idle": None}},
    }
    settings = load(json.dumps(given))
    assert settings["inputs"] == {
        "light": {"pin": 36, "kind": "analog"},
        "door": {"pin": 21, "kind": "digital"},
        "chip": {"kind": "temperature"},
    }
    assert settings["outputs"] == {"lamp": {"pin": 2}, "fan": given["outputs"]["fan"]}


def test_the_pin_of_the_sample_is_free_where_there_are_inputs(load):
    assert load('{"inputs": {"light": 36}}')["sample_pin"] == 36
