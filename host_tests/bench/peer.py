"""The computer's end of each connection: bytes prepared beforehand, sent and counted.

It does in C what it can, so that the contender is what is measured. Every first answer of a
contender is checked, then only bytes are counted.
"""

import base64
import os
import select
import socket
import time

from host_tests.support.wire import TEXT, accept_key, frame, switching_protocols, xor

_AT_ONCE = 1 << 20  # bytes poured in one call


class Failed(Exception):
    """A contender did not do its work."""


class Link:
    """One connection to a contender; ``framed`` is False for bare TCP."""

    def __init__(self, sock: socket.socket, client: bool, framed: bool) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(60)
        self.sock = sock
        self._client = client
        self._framed = framed
        self._buffer = bytearray(_AT_ONCE)

    def encode(self, payload: bytes, opcode: int) -> bytes:
        return frame(opcode, payload, self._client) if self._framed else payload

    def incoming_size(self, n: int) -> int:
        """The bytes of a message of ``n`` bytes from the contender."""
        if not self._framed:
            return n
        return n + (2 if n < 126 else 4 if n < 65536 else 10) + (0 if self._client else 4)

    def take(self, size: int) -> bytes:
        """Exactly ``size`` bytes of the stream."""
        data = bytearray(size)
        view = memoryview(data)
        at = 0
        while at < size:
            n = self.sock.recv_into(view[at:])
            if n == 0:
                raise Failed("the contender ended the connection")
            at += n
        return bytes(data)

    def check(self, raw: bytes, payload: bytes) -> None:
        """Whether ``raw`` is a message with ``payload`` from the contender."""
        if not self._framed:
            body = raw
        elif self._client:
            body = raw[len(raw) - len(payload) :]
        else:
            at = len(raw) - len(payload)
            body = xor(raw[at:], raw[at - 4 : at])
        if body != payload or (self._framed and not raw[0] & 0x80):
            raise Failed("the contender sent something else")

    def drain(self, size: int) -> None:
        """Read ``size`` bytes and forget them."""
        recv_into = self.sock.recv_into
        buffer = self._buffer
        view = memoryview(buffer)
        while size > 0:
            n = recv_into(buffer if size >= _AT_ONCE else view[:size])
            if n == 0:
                raise Failed("the contender ended the connection")
            size -= n

    # The works, each a number of messages

    def start_echo(self, payload: bytes, opcode: int, count: int) -> None:
        """Send messages and wait for each to come back."""
        out = self.encode(payload, opcode)
        size = self.incoming_size(len(payload))
        self.sock.sendall(out)
        self.check(self.take(size), payload)
        send, recv_into, buffer = self.sock.send, self.sock.recv_into, bytearray(size)
        for _ in range(count - 1):
            send(out)
            n = recv_into(buffer)
            while n < size:
                more = recv_into(buffer)
                if more == 0:
                    raise Failed("the contender ended the connection")
                n += more

    def answer_echo(self, payload: bytes, opcode: int, count: int) -> None:
        """Wait for messages of ``payload``'s size and answer each with ``payload``."""
        out = self.encode(payload, opcode)
        size = self.incoming_size(len(payload))
        send, recv_into, buffer = self.sock.send, self.sock.recv_into, bytearray(size)
        for _ in range(count):
            n = recv_into(buffer)
            while n < size:
                more = recv_into(buffer)
                if more == 0:
                    raise Failed("the contender ended the connection")
                n += more
            send(out)

    def swallow(self, payload: bytes, opcode: int, count: int) -> None:
        """Take messages of ``payload``'s size, the first one checked, and say when they are in."""
        size = self.incoming_size(len(payload))
        self.check(self.take(size), payload)
        self.drain(size * (count - 1))
        self.sock.sendall(self.encode(b".", opcode))

    def pour(self, payload: bytes, opcode: int, count: int) -> None:
        """Once the contender asks for them, send messages as fast as they are taken."""
        self.drain(self.incoming_size(1))
        out = self.encode(payload, opcode)
        many = max(1, min(count, _AT_ONCE // len(out)))
        block = out * many
        sendall = self.sock.sendall
        while count >= many:
            sendall(block)
            count -= many
        if count:
            sendall(out * count)


def connect(port: int, alive) -> socket.socket:
    """Connect to a contender as soon as it listens; ``alive()`` tells whether it still runs."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 30)
        except ConnectionRefusedError:
            if not alive() or time.monotonic() > deadline:
                raise Failed("the contender does not listen") from None
            time.sleep(0.005)


def open_client(sock: socket.socket, port: int) -> None:
    """The opening handshake as a client."""
    key = base64.b64encode(os.urandom(16))
    sock.sendall(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (port, key)
    )
    head = _read_head(sock)
    if b" 101 " not in head or accept_key(key) not in head:
        raise Failed(f"handshake refused: {head[:80]!r}")


def open_server(sock: socket.socket) -> None:
    """The opening handshake as a server."""
    head = _read_head(sock)
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"sec-websocket-key":
            sock.sendall(switching_protocols(accept_key(value.strip())))
            return
    raise Failed(f"no handshake: {head[:80]!r}")


def _read_head(sock: socket.socket) -> bytes:
    """Up to the empty line and no further: the first message may come with it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        waiting = sock.recv(4096, socket.MSG_PEEK)
        if not waiting:
            raise Failed("the contender ended the connection in the handshake")
        end = (head + waiting).find(b"\r\n\r\n")
        head += sock.recv(len(waiting) if end < 0 else end + 4 - len(head))
    return head


def crowd(links: list, active: int, payload: bytes, count: int) -> None:
    """Echoes on the first ``active`` connections, all of them at once, ``count`` in all."""
    out = links[0].encode(payload, TEXT)
    size = links[0].incoming_size(len(payload))
    busy = links[:active]
    epoll = select.epoll()
    wanted = {}
    for link in busy:
        epoll.register(link.sock.fileno(), select.EPOLLIN)
        wanted[link.sock.fileno()] = [link.sock, size]
    buffer = bytearray(size)
    to_send = count
    for link in busy:
        if to_send:
            link.sock.send(out)
            to_send -= 1
    while count:
        ready = epoll.poll(30)
        if not ready:
            raise Failed("the contender does not answer")
        for fd, _ in ready:
            state = wanted[fd]
            n = state[0].recv_into(buffer, state[1])
            if n == 0:
                raise Failed("the contender ended the connection")
            state[1] -= n
            if state[1] == 0:
                state[1] = size
                count -= 1
                if to_send:
                    state[0].send(out)
                    to_send -= 1
    epoll.close()


def hear_broadcasts(links: list, payload: bytes, count: int) -> None:
    """Take a broadcast on every connection, then let the last one ask for the next."""
    size = links[0].incoming_size(len(payload))
    go = links[0].encode(b".", TEXT)
    for _ in range(count):
        for link in links:
            link.drain(size)
        links[-1].sock.send(go)
