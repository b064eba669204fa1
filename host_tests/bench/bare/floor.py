"""The floor: what the interpreter takes for the same, where bytes are only copied.

A handshake of fixed texts; a message is two bytes, its length, and its payload. No masking, no
check of anything, no bounds, no close.
"""

import asyncio
import select
import socket

REQUEST = b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def connect(port):
    sock = socket.socket()
    sock.connect(("", port))
    sock.write(REQUEST)
    connection = Connection(sock)
    connection.read_head()
    return connection


def accept(listening):
    sock, _ = listening.accept()
    connection = Connection(sock)
    connection.read_head()
    sock.write(ANSWER)
    return connection


def frame(payload):
    return bytes((len(payload) >> 8, len(payload) & 0xFF)) + payload


class Connection:
    def __init__(self, sock):
        self._sock = sock
        self._tx = bytearray(4100)  # two of padding, so that a payload is copied by words
        self._tx_view = memoryview(self._tx)
        self._head = bytearray(2)
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)

    def read_head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            self._wait()
            head += self._sock.read(512)

    def _wait(self):
        for _ in self._poller.ipoll():
            return

    def _read(self, buffer, n):
        self._wait()
        got = self._sock.readinto(buffer, n)
        if got < n:
            view = memoryview(buffer)
            while got < n:
                self._wait()
                got += self._sock.readinto(view[got:n])

    def recv_into(self, buffer):
        head = self._head
        self._read(head, 2)
        n = head[0] << 8 | head[1]
        self._read(buffer, n)
        return n

    def recv(self):
        head = self._head
        self._read(head, 2)
        message = bytearray(head[0] << 8 | head[1])
        self._read(message, len(message))
        return str(message, "utf-8")

    def send(self, message):
        self._sock.write(self._tx, 2, self._fill(message))

    def _fill(self, message):
        if isinstance(message, str):
            message = message.encode()
        tx = self._tx
        n = len(message)
        tx[2] = n >> 8
        tx[3] = n & 0xFF
        self._tx_view[4 : 4 + n] = message
        return n + 2


class AsyncConnection(Connection):
    def __init__(self, sock):
        Connection.__init__(self, sock)
        self._stream = asyncio.StreamReader(sock)

    async def recv_into(self, buffer):
        head = self._head
        await self._stream.readinto(head)
        n = head[0] << 8 | head[1]
        got = await self._stream.readinto(buffer)
        if got < n:
            view = memoryview(buffer)
            while got < n:
                got += await self._stream.readinto(view[got:n])
        return n

    async def recv(self):
        head = self._head
        await self._stream.readinto(head)
        message = await self._stream.readexactly(head[0] << 8 | head[1])
        return str(message, "utf-8")

    async def send(self, message):
        n = self._fill(message)
        self._stream.write(self._tx_view[2 : 2 + n])
        await self._stream.drain()
