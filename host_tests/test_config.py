"""firmware/config.py: defaults, the file, and what a person is told about mistakes in it."""

import json

import pytest

from firmware import boards, config

# What is in the file, and what the line for each problem holds, in order.
MISTAKES = [
    ('{"role": "serverr"}', ['"role" is "serverr"; allowed: "client", "server"']),
    ('{"role": null}', ['"role" is null']),
    ('{"role": ["server"]}', ['"role" is ["server"]']),
    ('{"board": "esp32"}', ['"board" is "esp32"; allowed: "esp32-s3-w5500", "esp32-w5500", ']),
    ('{"port": "80"}', ['"port" is "80"; allowed: a whole number from 1 to 65535']),
    ('{"port": 0}', ['"port" is 0']),
    ('{"port": 65536}', ['"port" is 65536']),
    ('{"port": 80.5}', ['"port" is 80.5']),
    ('{"max_clients": true}', ['"max_clients" is true']),
    ('{"sample_interval": 0}', ['"sample_interval" is 0; allowed: a number from 0.05 to 3600']),
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
    ('{"prot": 80}', ['"prot" is no setting; did you mean "port"?']),
    ('{"Role": "server"}', ['did you mean "role"?']),
    ('{"maxclients": 2}', ['did you mean "max_clients"?']),
    ('{"temperature": 20}', ['"temperature" is no setting; there are: board, hostname, ']),
    # All at once, by name.
    ('{"role": 1, "prot": 80, "path": 2}', ['"path" is 2', '"prot" is no', '"role" is 1']),
    # Right by themselves, wrong for the board.
    ('{"sample_pin": 21}', ['"sample_pin" is 21; allowed on board "esp32-w5500": 0, 2, 12, ']),
    ('{"sample_pin": 4}', ['"sample_pin" is 4, the pin that board "esp32-w5500" uses as int']),
    ('{"role_pin": 5}', ['"role_pin" is 5, the pin that board "esp32-w5500" uses as cs']),
    ('{"role_pin": 34}', ['"role_pin" is 34; allowed on board "esp32-w5500": 0, 2, 21, ']),
    ('{"role_pin": 6}', ['"role_pin" is 6; allowed']),  # where the program is kept
    ('{"role_pin": 27, "sample_pin": 27}', ['"role_pin" and "sample_pin" are both 27']),
    ('{"board": "esp32-s3-w5500", "role_pin": 1}', ['"role_pin" and "sample_pin" are both 1']),
    ('{"board": "esp32-wifi"}', ['"wifi_ssid" is missing; board "esp32-wifi" needs']),
    # Not a file of settings at all.
    ("", ["config.json is cut off"]),
    ('{"role": "client", "url": "ws://192.1', ["config.json is cut off"]),
    ('{"role": "client",\n "port": 80', ["config.json is cut off"]),
    ('["role"]', ["config.json is cut off, or is not {"]),
    ("{'role': 'client'}", ["config.json is not valid JSON"]),
    ('{"role": client}', ["config.json is not valid JSON"]),
    ('{"hostname": "b\u00fcro"}', ['"hostname" is ']),
]  # fmt: skip

SCRIPT = """
import json
from firmware import config
def problems(file):
    try:
        config.load(file)
    except config.ConfigError as error:
        return error.problems
    return []
with open("cases.json") as stream:
    count = json.load(stream)
for i in range(count):
    print(json.dumps(problems("%d/config.json" % i)))
print(json.dumps(config.load("none.json")))
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        file = tmp_path / "config.json"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return config.load(str(file))

    return load_text


def test_mistakes_are_told(interpreter, tmp_path):
    for i, (text, _) in enumerate(MISTAKES):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "config.json").write_text(text, encoding="utf-8")
    (tmp_path / "cases.json").write_text(str(len(MISTAKES)))
    result = interpreter.run("-c", SCRIPT, cwd=tmp_path)
    assert result.stderr == ""
    *told, defaults = map(json.loads, result.stdout.splitlines())
    for (text, expected), lines in zip(MISTAKES, told, strict=True):
        assert len(lines) == len(expected), (text, lines)
        for part, line in zip(expected, lines, strict=True):
            assert part in line, text
            assert "config.json" in line
    assert defaults == {**config.DEFAULTS, "sample_pin": 36}


def test_the_default_is_a_server_on_the_usual_wiring(tmp_path):
    settings = config.load(str(tmp_path / "none.json"))
    assert settings["role"] == "server"
    assert settings["port"] == 8080
    assert settings["sample_pin"] == boards.PROFILES["esp32-w5500"]["analog"]


def test_what_is_given_replaces_the_defaults(load):
    given = {
        "role": "client",
        "role_pin": 27,
        "board": "esp32-wifi",
        "hostname": "board-7",
        "url": "wss://example.org:8443/chat?room=1",
        "port": 80,
        "path": "/chat",
        "sample_pin": 34,
        "sample_interval": 0.25,
        "max_clients": 3,
        "wifi_ssid": "Caf\u00e9",
        "wifi_password": "correct horse",
    }
    assert given.keys() == config.DEFAULTS.keys()
    assert load(json.dumps(given, ensure_ascii=False)) == given


def test_null_stands_for_the_default_where_that_is_none(load):
    assert load('{"role_pin": null, "sample_interval": null}')["role_pin"] is None


def test_a_byte_order_mark_does_no_harm(load):
    assert load(b'\xef\xbb\xbf{"port": 81}\r\n')["port"] == 81


def test_a_file_that_is_not_utf8_is_named(load):
    with pytest.raises(config.ConfigError, match=r"config\.json is not UTF-8 text"):
        load(b'{"wifi_ssid": "Caf\xe9"}')


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.load(str(tmp_path))


def test_cpython_tells_the_line(load):
    with pytest.raises(config.ConfigError, match=r"line 3, column 2\)"):
        load('{"role": "client"\n,\n ;"port": 80}')


@pytest.mark.parametrize(
    "text",
    [
        '{"wifi_password": "hunter2"}',  # too short
        '{"wifi_pasword": "hunter2hunter2"}',
        '{"wifi_password": "hunter2hunter2" "role": "client"}',
        '{"url": "ws://me:hunter2@host/"}',
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
    assert config.public_url(url) == shown
