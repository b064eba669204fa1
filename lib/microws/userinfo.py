"""Name and password: as a URL has them (RFC 3986 §2.1, §3.2.1), and as a request (RFC 7617)."""

from binascii import b2a_base64


def unquote(text: str) -> bytes:
    """What a percent-encoded text stands for (RFC 3986 §2.1), or ``ValueError``."""
    parts = text.split("%")
    data = parts[0].encode()
    for part in parts[1:]:
        if len(part) < 2:
            raise ValueError("malformed percent-encoding")
        data += bytes((int(part[:2], 16),)) + part[2:].encode()
    return data


def basic(data: bytes) -> str:
    """The value of Authorization (RFC 7617) for ``b"name:password"``."""
    return "Basic " + str(b2a_base64(data), "ascii").strip()
