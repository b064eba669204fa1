"""Clients with bad manners: each way to come and go, over a bare socket."""

import contextlib
import os
import socket
import struct

from host_tests.support.wire import PING, TEXT, close_frame, frame, request

TIMEOUT = 10.0


def text_frame(payload):
    """A client's message."""
    return frame(TEXT, payload, masked=True)


def raw(port, data=b""):
    """A TCP connection on which ``data`` was sent."""
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    sock.sendall(data)
    return sock


def upgraded(port, path="/", small=False):
    """A socket on which the handshake is done; ``small``: with hardly a receive buffer.

    ``ConnectionError`` with the answer if it is another one.
    """
    sock = socket.socket()
    sock.settimeout(TIMEOUT)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sock.connect(("127.0.0.1", port))
    sock.sendall(request(path=path))
    head = b""
    with contextlib.suppress(ConnectionResetError):
        while not head.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
            head += byte
    if not head.startswith(b"HTTP/1.1 101 "):
        sock.close()
        raise ConnectionError(head.decode())
    return sock


def reset(sock):
    """Close with a reset instead of an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def taste(sock):
    """Wait for the beginning of the answer, then close."""
    with contextlib.suppress(ConnectionError):
        sock.recv(1)
    sock.close()


def _half_closed(port):
    sock = _admitted(port)
    sock.shutdown(socket.SHUT_WR)
    taste(sock)


def _admitted(port, path="/"):
    while True:
        try:
            return upgraded(port, path)
        except ConnectionError as error:
            # There may be no room as long as the one before is not known to be gone.
            if " 404 " in str(error):
                raise


def _broken_off(data, ending, path="/"):
    def way(port):
        sock = _admitted(port, path)
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        ending(sock)

    return way


REQUEST = b"GET %s HTTP/1.1\r\nHost: board\r\n\r\n"
FRAGMENT = frame(TEXT, b"x" * 1000, masked=True, fin=False)
PINGS = frame(PING, b"?", masked=True) * 500
WAYS = {
    "connects and leaves": lambda port: raw(port).close(),
    "connects and resets": lambda port: reset(raw(port)),
    "resets within the request": lambda port: reset(raw(port, b"GET / HTTP/1.1\r\nHost: bo")),
    "leaves within the request": lambda port: raw(port, b"GET / HT").close(),
    "sends noise": lambda port: taste(raw(port, bytes(range(256)) * 4 + b"\r\n\r\n")),
    "asks for the page and resets": lambda port: reset(raw(port, REQUEST % b"/")),
    "asks for what is not there": lambda port: taste(raw(port, REQUEST % b"/config.json")),
    "posts": lambda port: taste(raw(port, b"POST / HTTP/1.1\r\nHost: b\r\n\r\n")),
    "resets": _broken_off(b"", reset),
    "leaves": _broken_off(b"", socket.socket.close),
    "leaves for the half": _half_closed,
    "says bye and is gone": _broken_off(close_frame(1000, masked=True), socket.socket.close),
    "breaks off within a frame": _broken_off(text_frame(b"x" * 1000)[:500], socket.socket.close),
    "breaks off between two fragments": _broken_off(FRAGMENT, reset),
    "masks nothing": _broken_off(b"\x81\x02hi", taste),
    "says too much": _broken_off(text_frame(b"x" * 5000), taste),
    "says what is no text": _broken_off(text_frame(b"\xff\xfe"), taste),
    "sends noise later": _broken_off(os.urandom(2000), taste),
    "floods and resets": _broken_off(text_frame(b"flood") * 100, reset),
    "floods with pings and leaves": _broken_off(PINGS, socket.socket.close),
    "asks for the counters and resets": _broken_off(b"", reset, "/metrics"),
}  # fmt: skip
