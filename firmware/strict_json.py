"""JSON (RFC 8259) read strictly, and the same on MicroPython and CPython.

MicroPython's own parser takes a text that was cut off for a whole one, and commas for spaces.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH = 8  # objects and lists in each other


class CutOff(ValueError):
    """The text ends before its value does."""


def parse(data: bytes) -> "Any":
    """The value in these bytes of UTF-8.

    ValueError says at which line and column they are no JSON, or nested deeper than DEPTH.
    CutOff if they end too early, UnicodeError if they are not UTF-8.
    """
    str(data, "utf-8")
    text = _Text(data)
    value = text.value(DEPTH)
    if text.peek():
        raise text.error("there is more behind the end")
    return value


class _Text:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def error(self, reason):
        before = self.data[: self.at].split(b"\n")
        return ValueError("%s at line %d, column %d" % (reason, len(before), len(before[-1]) + 1))

    def wrong(self, reason):
        return self.error(reason) if self.at < len(self.data) else CutOff("it is cut off")

    def peek(self):
        """The next byte that is no space, b"" at the end."""
        data = self.data
        while self.at < len(data) and data[self.at] in b" \t\r\n":
            self.at += 1
        return data[self.at : self.at + 1]

    def skip(self, expected):
        if self.peek() != expected:
            raise self.wrong("%s is missing" % str(expected, "utf-8"))
        self.at += 1

    def value(self, left):
        """The value here; `left` is how many objects and lists may be in each other."""
        first = self.peek()
        if first == b'"':
            return self.string()
        if first == b"{" or first == b"[":
            if not left:
                raise self.error("nested deeper than %d" % DEPTH)
            return self.object(left - 1) if first == b"{" else self.list(left - 1)
        start = self.at
        data = self.data
        while self.at < len(data) and data[self.at] not in b' \t\r\n,:{}[]"':
            self.at += 1
        word = data[start : self.at]
        words = {b"true": True, b"false": False, b"null": None}
        if word in words:
            return words[word]
        if _is_number(word):
            text = str(word, "utf-8")
            return int(text) if word.lstrip(b"-").isdigit() else float(text)
        if self.at < len(data):
            self.at = start
        raise self.wrong("there is no value")

    def object(self, left):
        found: dict = {}
        self.at += 1
        if self.peek() == b"}":
            self.at += 1
            return found
        while True:
            if self.peek() != b'"':
                raise self.wrong("no name in double quotes")
            name = self.string()
            self.skip(b":")
            if name in found:
                raise self.error('a second "%s"' % name)
            found[name] = self.value(left)
            if self.peek() == b"}":
                self.at += 1
                return found
            self.skip(b",")

    def list(self, left):
        found: list = []
        self.at += 1
        if self.peek() == b"]":
            self.at += 1
            return found
        while True:
            found.append(self.value(left))
            if self.peek() == b"]":
                self.at += 1
                return found
            self.skip(b",")

    def string(self):
        data = self.data
        text = ""
        self.at += 1
        start = self.at
        while self.at < len(data):
            byte = data[self.at]
            if byte < 0x20:
                raise self.error("a control character in a text")
            if byte == 0x22 or byte == 0x5C:
                text += str(data[start : self.at], "utf-8")
                self.at += 1
                if byte == 0x22:
                    return text
                text += self.escape()
                start = self.at
            else:
                self.at += 1
        raise CutOff("it is cut off")

    def escape(self):
        first = self.data[self.at : self.at + 1]
        self.at += 1
        i = b'"\\/bfnrt'.find(first)
        if first and i >= 0:
            return chr(b'"\\/\b\f\n\r\t'[i])
        if first == b"u":
            code = self.unit()
            if 0xD800 <= code < 0xDC00 and self.data[self.at : self.at + 2] == b"\\u":
                self.at += 2
                low = self.unit()
                if 0xDC00 <= low < 0xE000:
                    return chr(0x10000 + ((code & 0x3FF) << 10 | low & 0x3FF))
            if not 0xD800 <= code < 0xE000:
                return chr(code)
        raise self.wrong("no such escape")

    def unit(self):
        text = self.data[self.at : self.at + 4]
        for byte in text:
            if byte not in b"0123456789abcdefABCDEF":
                raise self.error("no such escape")
        self.at += 4
        if len(text) < 4:
            raise CutOff("it is cut off")
        return int(str(text, "utf-8"), 16)


def _is_number(word):
    number, exp = word.lower(), b"0"
    if b"e" in number:
        number, exp = number.split(b"e", 1)
        if exp[:1] in (b"+", b"-"):
            exp = exp[1:]
    whole, dot, part = number.partition(b".")
    if whole[:1] == b"-":
        whole = whole[1:]
    return (
        whole.isdigit()
        and (whole == b"0" or whole[:1] != b"0")
        and (part.isdigit() or not dot)
        and exp.isdigit()
    )
