"""What WebSocket peers send, as bytes: handshakes and frames (RFC 6455 §4 and §5)."""

import base64
import hashlib
import re
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = b"\x12\xb4\x56\xf8"  # of every masked frame here


def frame(opcode, payload=b"", masked=False, fin=True, rsv=0):
    """A frame as RFC 6455 §5.2 has it, with the shortest length."""
    n = len(payload)
    first = bytes((0x80 * fin | rsv << 4 | opcode,))
    mask = 0x80 * masked
    if n < 126:
        first += struct.pack(">B", mask | n)
    elif n < 65536:
        first += struct.pack(">BH", mask | 126, n)
    else:
        first += struct.pack(">BQ", mask | 127, n)
    if masked:
        first += KEY
        payload = xor(payload, KEY)
    return first + payload


def close_frame(code, reason="", masked=False):
    return frame(CLOSE, struct.pack(">H", code) + reason.encode(), masked)


def xor(data, key):
    """``data`` masked or unmasked with ``key``, in C: the benchmark's peer has to be quick."""
    n = len(data)
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")


def frames(data):
    """All frames in ``data`` as ``(opcode, fin, payload)``, and whether they are masked.

    What is cut short or not as §5.2 wants it fails the test.
    """
    found = []
    masks = set()
    at = 0
    while at < len(data):
        byte0, byte1 = data[at : at + 2]
        assert not byte0 & 0x70
        at += 2
        n = byte1 & 0x7F
        if n > 125:
            size = 2 if n == 126 else 8
            n = int.from_bytes(data[at : at + size], "big")
            assert n > (125 if size == 2 else 65535)
            at += size
        masks.add(byte1 >> 7)
        key = bytes(4)
        if byte1 & 0x80:
            key = data[at : at + 4]
            at += 4
        payload = data[at : at + n]
        assert len(payload) == n, "cut short"
        found.append((byte0 & 15, byte0 >> 7, xor(payload, key)))
        at += n
    assert len(masks) < 2, "both masked and not"
    return found, masks == {1}


def request(*lines, path="/path"):
    """A client's opening handshake, with more header fields in ``lines``."""
    return "\r\n".join(
        (
            f"GET {path} HTTP/1.1",
            "Host: here",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *lines,
            "\r\n",
        )
    ).encode()


def accept_key(key):
    """The ``Sec-WebSocket-Accept`` that answers the ``Sec-WebSocket-Key``, both bytes (§4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def switching_protocols(accept):
    """A server's answer with that ``Sec-WebSocket-Accept``."""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def response(asked):
    """A server's answer to the request ``asked``."""
    key = re.search(rb"(?i)\nsec-websocket-key: *(\S+)", asked)[1]
    return switching_protocols(accept_key(key))
