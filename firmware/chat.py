"""What one client says, for all the others; loaded only where the configuration has a chat."""

from microws.loops import validate
from microws.userinfo import unquote

from firmware.log import printable

_NAME_LIMIT = 24  # characters
_VALUE_SIZE = 48  # characters of a value with its name


def name_of(query: str, taken: list) -> str:
    """The name in the query of a request, `name=...`, on one line; "" where there is none.

    One that is `taken` gets a number: nobody can speak in the name of another.
    """
    name = ""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == "name":
            name = printable(_unquote(value)[:_NAME_LIMIT]).strip()
            break
    free = name
    number = 1
    while name and free in taken:
        number += 1
        free = "%s %d" % (name, number)
    return free


def said(name: str, message: "str | bytes") -> bytes:
    """What the others hear."""
    start = (name + ": ").encode()
    return start + (message.encode() if isinstance(message, str) else message)


def value_said(name: str, message: "str | bytes") -> "tuple | None":
    """What another board says of a value, `NAME:VALUE`: its name there and the number."""
    if not isinstance(message, str) or len(message) > _VALUE_SIZE:
        return None
    what, colon, value = message.partition(":")
    try:
        return (name + ": " + what, float(value)) if colon and what and " " not in what else None
    except ValueError:
        return None


def _unquote(value):
    """A value of a query without its escapes; "" if it is not UTF-8."""
    try:
        text = unquote(value.replace("+", " "))
    except ValueError:
        return ""
    return "" if validate(text, 0, len(text), 0) else str(text, "utf-8")
