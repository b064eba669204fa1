"""What a peer sends and how a connection ends, in words for the log."""

import errno

from microws import ConnectionClosed, HandshakeError, ProtocolError

from firmware.log import printable

_TEXT_LIMIT = 80  # characters
_BYTES_LIMIT = 16

# One text takes a third of the heap of a dict.
_CODES = """
1000 normal
1001 going away
1002 protocol error
1003 unwanted kind of data
1005 none given
1006 connection lost
1007 not UTF-8
1008 policy
1009 message too big
1011 internal error
1012 restart
1013 try again later
"""

_FAILURES = {
    errno.ECONNREFUSED: "connection refused, no server listens there",
    errno.ECONNRESET: "connection reset by the other side",
    errno.EHOSTUNREACH: "no way to that address",
    errno.ETIMEDOUT: "no answer in time",
    # What getaddrinfo() of the ports says of a name without an address.
    -2: "no such host name",
    -200: "no such host name",
    -202: "no such host name",
}


def describe_message(message: "str | bytes") -> str:
    """A message in one short line that no terminal can trip over."""
    if not message:
        return "an empty message"
    if isinstance(message, str):
        shown = printable(message[:_TEXT_LIMIT])
        if len(message) > _TEXT_LIMIT:
            shown += "... (%d characters)" % len(message)
        return shown
    shown = " ".join(["%02x" % byte for byte in message[:_BYTES_LIMIT]])
    if len(message) > _BYTES_LIMIT:
        shown += " ..."
    return "%d bytes: %s" % (len(message), shown)


def describe_error(error: Exception) -> str:
    """Why a connection failed or ended."""
    try:
        return _why(error)
    except MemoryError:
        return "out of memory"


def _why(error):
    if isinstance(error, ConnectionClosed):
        reason = ": " + describe_message(error.reason) if error.reason else ""
        return "closed with code %s%s" % (_code(error.code), reason)
    if isinstance(error, ProtocolError):
        return "closed here with code %s: %s" % (_code(error.code), printable(error.reason))
    if isinstance(error, HandshakeError):
        return "handshake failed: " + printable(error.reason)
    if isinstance(error, OSError) and error.errno in _FAILURES:
        return _FAILURES[error.errno]
    return printable(str(error))


def _code(code):
    _, found, rest = _CODES.partition("\n%d " % code)
    return "%d (%s)" % (code, rest[: rest.index("\n")]) if found else str(code)
