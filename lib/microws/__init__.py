"""WebSocket (RFC 6455) for MicroPython and CPython: client and server, blocking and asyncio.

import microws                the blocking front: connect(), listen()
from microws import aio       the same for asyncio: connect(), serve()
"""

import sys

from .compat import const
from .errors import ConnectionClosed, HandshakeError, ProtocolError, Timeout, WebSocketError

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from .blocking import WebSocket, connect
    from .listener import Listener, listen

__version__ = "0.2.0"
__all__ = (
    "ConnectionClosed",
    "HandshakeError",
    "Listener",
    "ProtocolError",
    "Timeout",
    "WebSocket",
    "WebSocketError",
    "connect",
    "listen",
)


def __dir__() -> "list[str]":
    return sorted(globals().keys() | set(__all__))


def __getattr__(name: str) -> object:
    # What a program does not use takes none of its memory. Modules are looked for here as well:
    # MicroPython does not go on to import one after an AttributeError.
    home = "listener" if name in ("listen", "Listener") else "blocking"
    path = "microws." + (home if name in __all__ else name)
    try:
        __import__(path)
    except ImportError as error:
        if path not in str(error):
            raise  # the board lacks a module that this one needs
        raise AttributeError(name)
    module = sys.modules[path]
    return getattr(module, name) if name in __all__ else module
