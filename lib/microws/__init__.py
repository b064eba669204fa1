"""WebSocket (RFC 6455) for MicroPython and CPython: client and server, blocking and asyncio.

import microws                the blocking front: connect(), listen()
from microws import aio       the same for asyncio: connect(), serve()
"""

import sys

from .errors import ConnectionClosed, HandshakeError, ProtocolError, Timeout, WebSocketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .sync import Listener, WebSocket, connect, listen

__version__ = "0.1.0"
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


def __getattr__(name: str) -> object:
    # The blocking front takes memory that a program with asyncio has better uses for. A module
    # is looked for here as well: MicroPython does not go on to import it after AttributeError.
    path = "microws.sync" if name in __all__ else "microws." + name
    try:
        __import__(path)
    except ImportError:
        raise AttributeError(name)
    module = sys.modules[path]
    return getattr(module, name) if name in __all__ else module
