"""What one client says, for all the others; loaded only where the configuration has a chat."""

from microws.utf8 import validate

from firmware.log import printable

_NAME_LIMIT = 24  # characters


def name_of(query: str) -> str:
    """The name in the query of a request, `name=...`, on one line; "" where there is none."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == "name":
            return printable(_unquote(value)[:_NAME_LIMIT]).strip()
    return ""


def said(name: str, message: "str | bytes") -> bytes:
    """What the others hear."""
    start = (name + ": ").encode()
    return start + (message.encode() if isinstance(message, str) else message)


def _unquote(value):
    """A value of a query without its escapes; "" if it is not UTF-8."""
    parts = value.replace("+", " ").split("%")
    text = bytearray(parts[0].encode())
    for part in parts[1:]:
        try:
            text.append(int(part[:2], 16))
        except ValueError:
            return ""
        text += part[2:].encode()
    return "" if validate(text, 0, len(text), 0) else str(text, "utf-8")
