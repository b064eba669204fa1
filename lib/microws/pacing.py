"""Pacing: no client of a server has more on its way than its share. ``serve()`` loads it.

lwIP, as an RP2040 or an STM32 has it, keeps all that was sent, and not acknowledged, of all
connections in one small buffer. Where that is full, a write waits for seconds, on a non-blocking
socket, too: a few clients that read nothing stop everybody. What TCP acknowledged no program is
told. So a Ping goes behind so many bytes, and the next ones go when its Pong says that all before
it was read (RFC 6455 §5.5.3).
"""

import asyncio

from .aio_connection import SocketWaiter, generator
from .aio_server import ServerConnection
from .compat import const
from .loops import new_key

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from ._types import Writable

_FRAME = const(100)  # bytes that the network needs beside those of a frame: headers, its own lists
_PING = const(6)  # bytes of ours, with what no peer knows that has not read it
_CLOSE = const(0x88)


class PacedConnection(ServerConnection):
    """A client to which at most ``_share`` bytes are on their way, or one frame that is larger.

    Each frame counts for 100 bytes more than it has.
    """

    def __init__(self, client: bool, *limits: "Any") -> None:
        ServerConnection.__init__(self, client, *limits)
        self._unread = 0  # bytes that may be on their way
        self._asked = 0  # those before the Ping whose Pong is to come, 0 for none
        self._frame_left = 0  # of a frame that is half-way
        self._ping = bytearray(b"\x89\x04\0\0\0\0")
        self._ping_left = 0  # of it, while it is half-way
        self._blocked = False  # nothing goes until the Pong comes
        self._passed: asyncio.Event | None = None  # set when it does, for who waits

    def _write(self, buffer: "Writable", at: int, n: int) -> "int | None":
        """What the sender has for the socket's ``write()``."""
        if not self._frame_left:
            self._blocked = False
            if self._ping_left and not self._push_ping():
                return None
            size = _frame_size(buffer, at)
            full = self._unread and self._unread + size + _FRAME > self._share
            if full and not (self._closing or buffer[at] == _CLOSE):
                self._blocked = self._asked != 0 or self._ask()
                return None
            self._frame_left = size
        k = self._sock.write(buffer, at, n)
        if k:
            self._unread += k
            self._frame_left -= k
            if not self._frame_left:
                self._unread += _FRAME
                if not self._asked and 2 * self._unread > self._share:
                    self._ask()
        return k

    def _ask(self) -> bool:
        """Send a Ping; whether all of it has gone."""
        self._unread += _PING + _FRAME
        self._asked = self._unread
        new_key(self._ping, 2)
        self._ping_left = _PING
        return self._push_ping()

    def _push_ping(self) -> bool:
        k = self._sock.write(self._ping, _PING - self._ping_left, self._ping_left)
        self._ping_left -= k or 0
        return not self._ping_left

    def _control(self, opcode: int, at: int, n: int) -> None:
        if opcode == 10 and self._asked and self._rx[at : at + n] == self._ping[2:]:
            self._unread -= self._asked
            self._asked = 0
            self._pass()
        ServerConnection._control(self, opcode, at, n)

    @generator
    def _wait(self, i: int) -> "Generator[object, None, None]":
        if i and self._blocked:
            # The socket may well be writable.
            self._passed = asyncio.Event()
            yield from self._passed.wait()  # type: ignore[misc]
        else:
            yield from SocketWaiter._wait(self, i)

    def _wake(self) -> None:
        ServerConnection._wake(self)
        self._pass()

    def _pass(self) -> None:
        self._blocked = False
        if self._passed:
            self._passed.set()
            self._passed = None


def _frame_size(buffer, at):
    """The size of the frame that begins there, which nobody masks."""
    n = buffer[at + 1]
    if n < 126:
        return n + 2
    if n == 126:
        return 4 + (buffer[at + 2] << 8 | buffer[at + 3])
    n = 0
    for i in range(at + 2, at + 10):
        n = n << 8 | buffer[i]
    return 10 + n
