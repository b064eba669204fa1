"""The other end of a WebSocket connection, without the library: prepared bytes."""

from binascii import b2a_base64
from hashlib import sha1
from socket import socket

from measure import now, since

PORT = 80
URL = "ws://10.0.0.1/"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
KEY = b"\x9d\x17\x3c\xe5"  # for masking


def answer(request):
    """The response to a client's request."""
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    digest = sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + b2a_base64(digest).strip() + b"\r\n\r\n"
    )


def frame(opcode, payload, masked):
    """A message in one frame; from a client it is masked."""
    n = len(payload)
    bit = 0x80 if masked else 0
    head = bytes((0x80 | opcode, bit | n)) if n < 126 else bytes((0x80 | opcode, bit | 126))
    if n > 125:
        head += bytes((n >> 8, n & 255))
    if not masked:
        return head + payload
    return head + KEY + bytes([payload[i] ^ KEY[i & 3] for i in range(n)])


def call(request=REQUEST):
    """Connect to who listens and send a request; gives the library's end of the connection."""
    sock = socket()
    sock.connect(("", PORT))
    sock.write(request)
    return sock._peer


class Server:
    """Takes the library's client, whenever it is called; set it as ``socket.idle``."""

    def __init__(self):
        self._listening = socket()
        self._listening.bind(("", PORT))
        self._listening.listen()
        self._sock = None
        self.spent = 0  # cycles, which are not the library's

    def __call__(self):
        start = now()
        self._serve()
        self.spent += since(start)

    def _serve(self):
        if self._listening._waiting:
            self._sock, _ = self._listening.accept()
        data = self._sock and self._sock.read()
        if data and data.startswith(b"GET "):
            self._sock.write(answer(data))
        elif data and data[0] == 0x88:
            self._sock.write(b"\x88\x02\x03\xe8")  # Close, code 1000
            self._sock.close()

    def client(self):
        """The library's end of the connection, with which nobody else deals from now on."""
        sock, self._sock = self._sock, None
        return sock._peer
