"""firmware/describe.py: messages and ends of connections in words."""

import errno

import pytest
from microws import ConnectionClosed, HandshakeError, ProtocolError, Timeout

from firmware.describe import describe_error, describe_message


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("pin0:1234", "pin0:1234"),
        ("", "an empty message"),
        (b"", "an empty message"),
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 80 + "... (81 characters)"),
        (b"\x00\x7f\xff", "3 bytes: 00 7f ff"),
        (bytearray(range(16)), "16 bytes: 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"),
        (bytes(17), "17 bytes: " + "00 " * 16 + "..."),
    ],
)
def test_a_message_is_one_short_line(message, shown):
    assert describe_message(message) == shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionClosed(1000, ""), "closed with code 1000 (normal)"),
        (ConnectionClosed(1001, "good\nbye"), "closed with code 1001 (going away): good\\u{a}bye"),
        (ConnectionClosed(4001, "enough"), "closed with code 4001: enough"),
        (ConnectionClosed(1006, ""), "closed with code 1006 (connection lost)"),
        (
            ProtocolError(1009, "message of 70000 bytes"),
            "closed here with code 1009 (message too big): message of 70000 bytes",
        ),
        (
            HandshakeError("the server answered 404 Not Found", 404),
            "handshake failed: the server answered 404 Not Found",
        ),
        (HandshakeError("404 \x1b[2J", 404), "handshake failed: 404 \\u{1b}[2J"),
        (Timeout("no answer"), "no answer in time"),
        (OSError(errno.ECONNREFUSED, "x"), "connection refused, no server listens there"),
        (OSError(-202, ""), "no such host name"),
        (OSError(errno.EADDRINUSE, "Address in use"), "[Errno 98] Address in use"),
        (OSError("[addrinfo error -2]"), "[addrinfo error -2]"),
    ],
)
def test_why_a_connection_ended(error, words):
    assert describe_error(error) == words
