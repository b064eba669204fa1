"""WebSocket (RFC 6455) for MicroPython and CPython: client and server, blocking and asyncio.

import microws                the blocking front: connect(), listen()
from microws import aio       the same for asyncio: connect(), serve()
"""

from .errors import ConnectionClosed, HandshakeError, ProtocolError, Timeout, WebSocketError
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
