"""What check.py does, for names, addresses and urls; few boards load this."""

from firmware.urls import public_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"


def without_secrets(value: "Any") -> "Any":
    """What is given as "url", to be shown."""
    if isinstance(value, list):
        return [without_secrets(url) for url in value]
    return public_url(value) if isinstance(value, str) else value


def _is_own_wifi(value):
    return (
        isinstance(value, dict)
        and sorted(value) == ["name", "password"]
        and _has_bytes(value["name"], 1, 32)
        and _has_bytes(value["password"], 8, 63)
    )


def _has_bytes(value, first, last):
    return isinstance(value, str) and first <= len(value.encode()) <= last


def _is_hostname(value):
    return (
        isinstance(value, str)
        and 1 <= len(value) <= 32
        and all(letter in _LETTERS for letter in value.encode())
        and not (value.startswith("-") or value.endswith("-"))
    )


def _is_ip(value, example=""):
    if not isinstance(value, str):
        return False
    parts = value.split(".")
    return len(parts) == 4 and all(
        part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts
    )


def _is_netmask(value):
    if not _is_ip(value):
        return False
    bits = 0
    for part in value.split("."):
        bits = bits << 8 | int(part)
    hosts = ~bits & 0xFFFFFFFF
    return bits != 0 and hosts & (hosts + 1) == 0


def _is_path(value):
    return (
        isinstance(value, str)
        and all(0x20 < letter < 0x7F for letter in value.encode())
        and value[:1] == "/"
        and "?" not in value
        and "#" not in value
    )


def _is_url(value):
    # Not at the top: boot.py starts the network sooner without the library.
    from microws.url import parse_url

    try:
        for url in value if isinstance(value, list) else [value]:
            parse_url(url)
    except (TypeError, ValueError):
        return False
    return value != []


# As in check.py.
KINDS = {
    "own_wifi": (
        _is_own_wifi,
        '{ "name": 1 to 32 bytes, "password": 8 to 63 bytes }, nobody comes in without one',
    ),
    "hostname": (
        _is_hostname,
        "1 to 32 letters, digits and hyphens, with no hyphen at either end",
    ),
    "ip": (_is_ip, 'four numbers, like "%s"'),
    "netmask": (_is_netmask, 'like "255.255.255.0"'),
    "path": (_is_path, 'a text that starts with / and has no space, ? or #, like "/"'),
    "url": (_is_url, 'ws:// or wss://, a host, a port and a path, like "ws://127.0.0.1:8080/"'),
}
