"""Where MicroPython and CPython differ, asked for once, at import.

On a board a socket already has the methods that the library calls: ``readinto(buffer, n)`` and
``write(buffer, offset, n)``, which give None when they would block and allocate nothing. On
CPython a small adapter gives a socket that same face.
"""

import select
import socket
import sys
import time

MICROPYTHON = sys.implementation.name == "micropython"

READ = select.POLLIN
WRITE = select.POLLOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    from . import _viper as fast
except (ImportError, SyntaxError, ValueError):
    # CPython; a port without a native emitter; an .mpy file for another processor.
    fast = None  # type: ignore[assignment]

if MICROPYTHON:
    from time import ticks_diff, ticks_ms

    import tls
    from micropython import const

    def adapt(sock: "Any") -> "Any":
        return sock

    def client_context() -> "Any":
        """A TLS context that verifies; on a board it needs the user's CA certificates."""
        return tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)

    def wait(poller: "Any", sock: "Any", timeout_ms: int) -> bool:
        """Whether what ``poller`` watches came within ``timeout_ms`` (-1: no limit)."""
        for _ in poller.ipoll(timeout_ms):
            return True
        return False

    def pending(sock: "Any") -> bool:
        """Here a poll of a TLS socket shows what it holds."""
        return False

    def peer_name(address: "Any") -> str:
        """``"host:port"`` of what ``accept()`` gives; the unix port gives a packed sockaddr."""
        if not isinstance(address, tuple):
            unix: Any = socket
            family, packed, port = unix.sockaddr(address)[:3]
            address = unix.inet_ntop(family, packed), port
        return "%s:%d" % (address[0], address[1])

    def local_port(sock: "Any", port: int) -> int:
        """MicroPython cannot ask a socket for its own address."""
        return port

    def connected(sock: "Any") -> None:
        """MicroPython reports a failed connect at the first read or write."""

else:
    import ssl

    def const(value: int) -> int:
        return value

    def ticks_ms() -> int:
        return int(time.monotonic() * 1000)

    def ticks_diff(end: int, start: int) -> int:
        return end - start

    class _Adapter:
        def __init__(self, sock: "Any") -> None:
            self.socket = sock
            self.fileno = sock.fileno
            self.close = sock.close
            # Bytes that TLS has read already do not show in a poll.
            self.pending = getattr(sock, "pending", int)

        def readinto(self, buffer: "Any", n: int) -> "int | None":
            try:
                return self.socket.recv_into(buffer, n)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except ssl.SSLEOFError:
                return 0

        def write(self, buffer: "Any", offset: int, n: int) -> "int | None":
            try:
                return self.socket.send(memoryview(buffer)[offset : offset + n])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None

    def adapt(sock: "Any") -> "Any":
        return _Adapter(sock)

    def client_context() -> "Any":
        return ssl.create_default_context()

    def wait(poller: "Any", sock: "Any", timeout_ms: int) -> bool:
        return pending(sock) or bool(poller.poll(timeout_ms))

    def pending(sock: "Any") -> bool:
        """Whether bytes wait that a poll does not show."""
        return isinstance(sock, _Adapter) and bool(sock.pending())

    def peer_name(address: "Any") -> str:
        return "%s:%d" % address[:2]

    def local_port(sock: "Any", port: int) -> int:
        return sock.getsockname()[1]

    def connected(sock: "Any") -> None:
        """Raise the ``OSError`` of a connect that failed in the background."""
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connect failed")
