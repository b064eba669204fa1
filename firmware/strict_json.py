"""JSON (RFC 8259) read strictly, and the same on MicroPython and CPython.

MicroPython's own parser takes a text that was cut off for a whole one, and commas for spaces.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH = 8  # objects and lists in each other

_SPACE = b" \t\r\n"
_ESCAPES = {b'"': '"', b"\\": "\\", b"/": "/", b"b": "\b", b"f": "\f", b"n": "\n", b"r": "\r",
            b"t": "\t"}  # fmt: skip
_WORDS = {b"true": True, b"false": False, b"null": None}


class CutOff(ValueError):
    """The text ends before its value does."""


def parse(data: bytes) -> "Any":
    """The value in these bytes of UTF-8.

    ValueError says at which line and column they are no JSON, or nested deeper than DEPTH.
    CutOff if they end too early, UnicodeError if they are not UTF-8.
    """
    str(data, "utf-8")
    reader = _Reader(data)
    value = reader.value(DEPTH)
    if reader.peek():
        raise reader.error("there is more behind the end")
    return value


class _Reader:
    def __init__(self, data):
        self._data = data
        self._at = 0

    def error(self, what):
        before = self._data[: self._at].split(b"\n")
        return ValueError("%s at line %d, column %d" % (what, len(before), len(before[-1]) + 1))

    def peek(self):
        """The next byte that is no space, b"" at the end."""
        data = self._data
        while self._at < len(data) and data[self._at] in _SPACE:
            self._at += 1
        return data[self._at : self._at + 1]

    def _take(self, expected):
        if self.peek() != expected:
            raise self._wrong("%s is missing" % str(expected, "utf-8"))
        self._at += 1

    def _wrong(self, what):
        return self.error(what) if self._at < len(self._data) else CutOff("cut off")

    def value(self, depth):
        first = self.peek()
        if first == b'"':
            return self._string()
        if first == b"{" or first == b"[":
            if not depth:
                raise self.error("nested deeper than %d" % DEPTH)
            return self._object(depth - 1) if first == b"{" else self._list(depth - 1)
        start = self._at
        data = self._data
        while self._at < len(data) and data[self._at] not in b' \t\r\n,:{}[]"':
            self._at += 1
        word = data[start : self._at]
        if word in _WORDS:
            return _WORDS[word]
        if _is_number(word):
            text = str(word, "utf-8")
            return int(text) if word.lstrip(b"-").isdigit() else float(text)
        if self._at < len(data):
            self._at = start
        raise self._wrong("no value")

    def _object(self, depth):
        found: dict = {}
        self._at += 1
        if self.peek() == b"}":
            self._at += 1
            return found
        while True:
            if self.peek() != b'"':
                raise self._wrong("no name in double quotes")
            name = self._string()
            self._take(b":")
            if name in found:
                raise self.error('a second "%s"' % name)
            found[name] = self.value(depth)
            if self.peek() == b"}":
                self._at += 1
                return found
            self._take(b",")

    def _list(self, depth):
        found: list = []
        self._at += 1
        if self.peek() == b"]":
            self._at += 1
            return found
        while True:
            found.append(self.value(depth))
            if self.peek() == b"]":
                self._at += 1
                return found
            self._take(b",")

    def _string(self):
        data = self._data
        text = ""
        self._at += 1
        start = self._at
        while self._at < len(data):
            byte = data[self._at]
            if byte < 0x20:
                raise self.error("a control character in a text")
            if byte == 0x22 or byte == 0x5C:
                text += str(data[start : self._at], "utf-8")
                self._at += 1
                if byte == 0x22:
                    return text
                text += self._escape()
                start = self._at
            else:
                self._at += 1
        raise CutOff("cut off")

    def _escape(self):
        letter = self._data[self._at : self._at + 1]
        self._at += 1
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter == b"u":
            code = self._unit()
            if 0xD800 <= code < 0xDC00 and self._data[self._at : self._at + 2] == b"\\u":
                self._at += 2
                low = self._unit()
                if 0xDC00 <= low < 0xE000:
                    return chr(0x10000 + ((code & 0x3FF) << 10 | low & 0x3FF))
            if not 0xD800 <= code < 0xE000:
                return chr(code)
        raise self._wrong("no such escape")

    def _unit(self):
        digits = self._data[self._at : self._at + 4]
        for digit in digits:
            if digit not in b"0123456789abcdefABCDEF":
                raise self.error("no such escape")
        self._at += 4
        if len(digits) < 4:
            raise CutOff("cut off")
        return int(str(digits, "utf-8"), 16)


def _is_number(word):
    mantissa, exponent = word.lower(), b"0"
    if b"e" in mantissa:
        mantissa, exponent = mantissa.split(b"e", 1)
        if exponent[:1] in (b"+", b"-"):
            exponent = exponent[1:]
    whole, point, fraction = mantissa.partition(b".")
    if whole[:1] == b"-":
        whole = whole[1:]
    return (
        whole.isdigit()
        and (whole == b"0" or whole[:1] != b"0")
        and (fraction.isdigit() or not point)
        and exponent.isdigit()
    )
