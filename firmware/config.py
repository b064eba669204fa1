"""The configuration: defaults, config.json beside main.py, validation."""

# What the settings mean stands in the README.

import json
from errno import ENOENT

from firmware import boards

FILE = "config.json"

DEFAULTS: dict = {
    "role": "server",
    "role_pin": None,
    "board": "esp32-w5500",
    "hostname": "microws",
    "url": "ws://127.0.0.1:8080/",
    "port": 8080,
    "path": "/",
    "sample_pin": None,
    "sample_interval": None,
    "max_clients": 8,
    "wifi_ssid": None,
    "wifi_password": None,
}


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` holds one line for each mistake."""

    def __init__(self, problems):
        super().__init__("\n".join(problems))
        self.problems = problems


def load(file: str = FILE) -> dict:
    """Every setting with its value: the file's, or the default where file or key is missing.

    ConfigError tells every mistake at once. `sample_pin` is the board's own if none is given.
    """
    given = _read(file)
    settings = dict(DEFAULTS)
    problems = []
    for key in sorted(given):
        if key not in DEFAULTS:
            problems.append(_unknown(key))
            continue
        value = given[key]
        check, allowed = _CHECKS[key]
        if check(value) or (value is None and DEFAULTS[key] is None):
            settings[key] = value
        else:
            problems.append('"%s" is %s; allowed: %s' % (key, _shown(key, value), allowed))
    if settings["sample_pin"] is None:
        settings["sample_pin"] = boards.PROFILES[settings["board"]]["analog"]
    if not problems:
        problems = _misfits(settings)
    if problems:
        raise ConfigError(["%s: %s" % (file, problem) for problem in problems])
    return settings


def public_url(url: str) -> str:
    """The url without what may be secret in it: user, password and query."""
    url, _, query = url.partition("?")
    start = url.find("://") + 3 if "://" in url else 0
    authority, slash, path = url[start:].partition("/")
    host = authority.split("@")[-1]
    return url[:start] + host + slash + path + ("?..." if query else "")


def _read(file):
    try:
        with open(file, "rb") as stream:
            data = stream.read()
    except OSError as error:
        if error.errno == ENOENT:
            return {}
        problem = "cannot be read: %s" % error
    else:
        given, problem = _parse(data)
    if problem:
        raise ConfigError(["%s %s" % (file, problem)])
    return given


def _parse(data):
    """The settings in these bytes and None, or None and what is wrong with them."""
    if data[:3] == b"\xef\xbb\xbf":  # a mark that some editors put before UTF-8
        data = data[3:]
    try:
        text = str(data, "utf-8").strip()
        # MicroPython's parser takes a file that was cut off for a whole one.
        given = json.loads(text) if text.endswith("}") else None
    except UnicodeError:
        return None, "is not UTF-8 text: save it as UTF-8"
    except ValueError as error:
        where = ""
        if hasattr(error, "lineno") and hasattr(error, "colno"):  # CPython knows
            where = " (line %d, column %d)" % (error.lineno, error.colno)
        return None, (
            'is not valid JSON%s: write { "name": value, ... }, names and texts in double quotes, '
            "a comma between two pairs" % where
        )
    if not isinstance(given, dict):
        return None, 'is cut off, or is not { "name": value, ... } as a whole'
    return given, None


def _shown(key, value):
    if key == "wifi_password":
        return "(not shown)"
    if key == "url" and isinstance(value, str):
        value = public_url(value)
    return json.dumps(value)


def _unknown(key):
    nearest = min(DEFAULTS, key=lambda name: _distance(key, name))
    if _distance(key, nearest) <= 1 + len(key) // 3:
        hint = 'did you mean "%s"?' % nearest
    else:
        hint = "there are: " + ", ".join(sorted(DEFAULTS))
    return "%s is no setting; %s" % (json.dumps(key), hint)


def _distance(one, other):
    """How many letters to change, add or drop to get from one to the other."""
    row = list(range(len(other) + 1))
    for letter in one:
        diagonal = row[0]
        row[0] += 1
        for i in range(len(other)):
            cost = min(row[i] + 1, row[i + 1] + 1, diagonal + (letter != other[i]))
            diagonal = row[i + 1]
            row[i + 1] = cost
    return row[-1]


def _misfits(settings):
    """Values that are right by themselves and wrong for the board."""
    board = settings["board"]
    profile = boards.PROFILES[board]
    chip = boards.CHIPS[profile["chip"]]
    wires = {profile[wire]: wire for wire in boards.WIRES if wire in profile}
    fits = {
        "sample_pin": chip["analog"],
        "role_pin": [pin for pin in chip["free"] if pin not in chip["floating"]],
    }
    problems = []
    for key in sorted(fits):
        pin = settings[key]
        if pin is None:
            continue
        if pin in wires:
            problems.append(
                '"%s" is %d, the pin that board "%s" uses as %s of its network'
                % (key, pin, board, wires[pin])
            )
        elif pin not in fits[key]:
            allowed = ", ".join([str(fit) for fit in fits[key] if fit not in wires])
            problems.append('"%s" is %d; allowed on board "%s": %s' % (key, pin, board, allowed))
    if settings["role_pin"] == settings["sample_pin"]:
        problems.append('"role_pin" and "sample_pin" are both %d' % settings["role_pin"])
    if profile["interface"] == "WLAN" and settings["wifi_ssid"] is None:
        problems.append('"wifi_ssid" is missing; board "%s" needs the name of your Wi-Fi' % board)
    return problems


def _one_of(names):
    allowed = ", ".join([json.dumps(name) for name in sorted(names)])
    return (lambda value: isinstance(value, str) and value in names), allowed


def _number(first, last, kinds=(int,)):
    def check(value):
        # True is an int to Python and a mistake to a person.
        return isinstance(value, kinds) and not isinstance(value, bool) and first <= value <= last

    kind = "number" if float in kinds else "whole number"
    return check, "a %s from %s to %s" % (kind, first, last)


def _text(first, last):
    def check(value):
        return isinstance(value, str) and first <= len(value.encode()) <= last

    return check, "a text of %d to %d bytes" % (first, last)


def _is_hostname(value):
    return (
        isinstance(value, str)
        and 1 <= len(value) <= 32
        and all(letter in _HOSTNAME_LETTERS for letter in value)
        and value[0] != "-"
        and value[-1] != "-"
    )


def _is_visible(value):
    return isinstance(value, str) and all("!" <= letter <= "~" for letter in value)


def _is_path(value):
    return _is_visible(value) and value[:1] == "/" and "?" not in value and "#" not in value


def _is_url(value):
    # Not at the top: boot.py starts the network sooner without the library.
    from microws.handshake import parse_url

    try:
        parse_url(value)
    except (AttributeError, ValueError):
        return False
    return True


_HOSTNAME_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

# For each setting a test, and what is allowed in words; None is, too, where it is the default.
_CHECKS = {
    "role": _one_of(("server", "client")),
    "role_pin": _number(0, 48),
    "board": _one_of(boards.PROFILES),
    "hostname": (
        _is_hostname,
        "1 to 32 letters, digits and hyphens, with no hyphen at either end",
    ),
    "url": (_is_url, 'ws:// or wss://, a host, a port and a path, like "%s"' % DEFAULTS["url"]),
    "port": _number(1, 65535),
    "path": (_is_path, 'a text that starts with / and has no space, ? or #, like "/"'),
    "sample_pin": _number(0, 48),
    "sample_interval": _number(0.05, 3600, (int, float)),
    "max_clients": _number(1, 11),  # an ESP32 has 12 sockets, and one of them listens
    "wifi_ssid": _text(1, 32),
    "wifi_password": _text(8, 63),
}
