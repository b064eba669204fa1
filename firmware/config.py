"""The configuration: its file, which config_file.py reads, and what is wrong with it."""

import sys

FILE = "config.json"


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` holds one line for each mistake."""

    def __init__(self, problems):
        super().__init__("\n".join(problems))
        self.problems = problems


def load(
    file: str = FILE,
    chip: "str | None" = None,
    version: tuple = sys.implementation.version,
) -> dict:
    """Every setting with its value: the file's, or the default where file or key is missing.

    ConfigError tells every mistake at once. `sample_pin` is the board's own if none is given.
    `chip`, a key of boards.CHIPS, and `version`, of MicroPython, are those that run this unless
    others are named.
    """
    # What it takes is in memory at the start only: see modules.py.
    from firmware import config_file

    return config_file.load(file, chip, version)


def authorization(settings: dict) -> "str | None":
    """The value of the header Authorization that goes with these settings."""
    if settings["token"]:
        return "Bearer " + settings["token"]
    if not settings["user"]:
        return None
    from microws import userinfo

    return userinfo.basic((settings["user"] + ":" + settings["password"]).encode())
