"""The configuration: defaults and config.json beside main.py."""

# What the settings mean stands in the README.

import json
from errno import ENOENT

FILE = "config.json"

DEFAULTS: dict = {
    "role": "server",
    "role_pin": None,
    "board": "esp32-w5500",
    "pins": None,
    "hostname": "microws",
    "address": None,
    "netmask": "255.255.255.0",
    "gateway": None,
    "dns": None,
    "url": "ws://127.0.0.1:8080/",
    "port": 8080,
    "path": "/",
    "sample_pin": None,
    "sample_interval": None,
    "max_clients": 8,
    "slow": "drop",
    "chat": False,
    "keepalive": 40,
    "queue": 0,
    "watchdog": None,
    "token": None,
    "user": None,
    "password": None,
    "origins": None,
    "subprotocols": None,
    "headers": None,
    "ca_file": None,
    "fingerprint": None,
    "ntp_host": "pool.ntp.org",
    "cert_file": None,
    "key_file": None,
    "wifi_ssid": None,
    "wifi_password": None,
}


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` holds one line for each mistake."""

    def __init__(self, problems):
        super().__init__("\n".join(problems))
        self.problems = problems


def load(file: str = FILE, chip: "str | None" = None) -> dict:
    """Every setting with its value: the file's, or the default where file or key is missing.

    ConfigError tells every mistake at once. `sample_pin` is the board's own if none is given.
    `chip`, a key of boards.CHIPS, is the one that runs this unless another is named.
    """
    # It takes memory and is needed once: whoever wants that back can drop the module.
    from firmware import check

    given = _read(file)
    settings, problems = check.settle(given, DEFAULTS, chip)
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


def authorization(settings: dict) -> "str | None":
    """The value of the header Authorization that goes with these settings."""
    if settings["token"]:
        return "Bearer " + settings["token"]
    if not settings["user"]:
        return None
    from microws.handshake import basic

    return basic((settings["user"] + ":" + settings["password"]).encode())


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
