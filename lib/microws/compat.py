"""Where MicroPython and CPython differ, asked for once, at import.

On a board a socket already has the methods that the library calls: ``readinto(buffer, n)`` and
``write(buffer, offset, n)``, which give None when they would block and allocate nothing. On
CPython a small adapter gives a socket that same face.

Of use to any program that runs on both: ``MICROPYTHON``, and ``ticks_ms()``, ``ticks_add()`` and
``ticks_diff()``, which are MicroPython's.

``socket`` and ``tls`` are imported when they are needed, for a board without a network lacks them.
"""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

if MICROPYTHON:
    from micropython import const
else:
    from ._cpython import const

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._types import TLS, NetSocket, Socket, new_poller, ticks_add, ticks_diff, ticks_ms

if TYPE_CHECKING or MICROPYTHON:
    if not TYPE_CHECKING:
        from select import poll as new_poller
        from time import ticks_add, ticks_diff, ticks_ms

    def adapt(sock: "NetSocket") -> "Socket":
        return sock  # type: ignore[return-value]

    def client_context() -> "TLS":
        """A TLS context that verifies; on a board it needs the user's CA certificates."""
        import tls

        return tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)

    def peer_name(address: object) -> str:
        """``"host:port"`` of what ``accept()`` gives; the unix port gives a packed sockaddr."""
        if not isinstance(address, tuple):
            import usocket  # its own, whatever is called socket

            family, packed, port = usocket.sockaddr(address)[:3]  # type: ignore[attr-defined]
            address = usocket.inet_ntop(family, packed), port  # type: ignore[attr-defined]
        return "%s:%d" % (address[0], address[1])

    def local_port(sock: object, port: "int | None") -> "int | None":
        """MicroPython cannot ask a socket for its own address."""
        return port

    def tls_steps(sock: object) -> "Iterable[int]":
        """Here the first reads and writes make the TLS handshake."""
        return ()

    def connected(sock: object) -> None:
        """MicroPython reports a failed connect at the first read or write."""

else:
    from ._cpython import (
        adapt,
        client_context,
        connected,
        local_port,
        new_poller,
        peer_name,
        ticks_add,
        ticks_diff,
        ticks_ms,
        tls_steps,
    )
