"""config.json beside main.py, read and checked, over the defaults of settings.py."""

# What the settings mean stands in README.md.

import os
from errno import ENOENT

from firmware import strict_json
from firmware.check import check_settings
from firmware.config import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIZE = 8192  # bytes of it


def load(file: str, chip: "str | None", version: tuple) -> dict:
    """See config.load()."""
    try:
        if os.stat(file)[6] > SIZE:
            raise _too_long(file)
        with open(file, "rb") as stream:
            data = stream.read()
    except OSError as error:
        if error.errno != ENOENT:
            raise ConfigError(["%s cannot be read: %s" % (file, error)])
        data = b"{}"
    given = parse(data, file)
    settings, problems = check_settings(given, chip, version)
    if problems:
        raise ConfigError(["%s: %s" % (file, problem) for problem in problems])
    return settings


def parse(data: bytes, name: str) -> dict:
    """What is given in the bytes of such a file; ConfigError, with this name, if it is none."""
    if data[:3] == b"\xef\xbb\xbf":  # a mark that some editors put before UTF-8
        data = data[3:]
    given: Any = None
    if len(data) > SIZE:
        raise _too_long(name)
    problem = 'is not { "name": value, ... } as a whole'
    try:
        given = strict_json.parse(data)
    except strict_json.CutOff:
        problem = "is cut off: its end is missing"
    except UnicodeError:
        problem = "is not UTF-8 text: save it as UTF-8"
    except ValueError as error:
        problem = (
            'is not valid JSON (%s): write { "name": value, ... }, names and texts in double '
            "quotes, a comma between two pairs" % error
        )
    if not isinstance(given, dict):
        raise ConfigError(["%s %s" % (name, problem)])
    return given


def _too_long(name):
    # Before it is read: a board may not have the memory.
    return ConfigError(["%s is too long: a configuration has at most %d bytes" % (name, SIZE)])
