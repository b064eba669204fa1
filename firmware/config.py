"""The configuration: config.json beside main.py, over the defaults of settings.py."""

# What the settings mean stands in the README.

from errno import ENOENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "config.json"
SIZE = 8192  # bytes of it


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
    try:
        with open(file, "rb") as stream:
            data = stream.read(SIZE + 1)
    except OSError as error:
        if error.errno != ENOENT:
            raise ConfigError(["%s cannot be read: %s" % (file, error)])
        data = b"{}"
    given = parse(data, file)
    # It takes memory and is needed once: modules.unload() takes it away.
    from firmware.check import check_settings

    settings, problems = check_settings(given, chip)
    if problems:
        raise ConfigError(["%s: %s" % (file, problem) for problem in problems])
    return settings


def parse(data: bytes, name: str) -> dict:
    """What is given in the bytes of such a file; ConfigError, with this name, if it is none."""
    from firmware.strict_json import CutOff
    from firmware.strict_json import parse as parse_json

    if data[:3] == b"\xef\xbb\xbf":  # a mark that some editors put before UTF-8
        data = data[3:]
    given: Any = None
    if len(data) > SIZE:
        problem = "is too long: a configuration has at most %d bytes" % SIZE
    else:
        problem = 'is not { "name": value, ... } as a whole'
        try:
            given = parse_json(data)
        except CutOff:
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


def authorization(settings: dict) -> "str | None":
    """The value of the header Authorization that goes with these settings."""
    if settings["token"]:
        return "Bearer " + settings["token"]
    if not settings["user"]:
        return None
    from microws.handshake import basic

    return basic((settings["user"] + ":" + settings["password"]).encode())
