"""A WebSocket client made of nothing but a socket, which shows every byte (RFC 6455).

python3 firmware/workshop/look.py [HOST [PORT]]     a board, or 127.0.0.1 8080
"""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import base64
import hashlib
import os
import socket
import sys

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # the same for everybody: RFC 6455 section 1.3
KINDS = {1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
HEARD = 3  # messages to show


def shake_hands(stream, host, port):
    """The opening handshake (section 4): one HTTP request, one HTTP response."""
    key = base64.b64encode(os.urandom(16)).decode()
    request = [
        "GET / HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    for line in request:
        print("  we >", line)
    stream.write("\r\n".join([*request, "", ""]).encode())
    stream.flush()
    answer = b""
    while line := stream.readline().rstrip(b"\r\n"):
        print("they >", line.decode())
        answer += line + b"\n"
    expected = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest())
    if b"Sec-WebSocket-Accept: " + expected not in answer:
        sys.exit("This is no WebSocket: the answer to our key is missing.")
    print(f"SHA-1 of our key and {GUID}, in base64, is {expected.decode()}.")
    print("They gave the same: they do speak WebSocket.\n")


def receive(stream):
    """Show a frame of theirs (section 5.2)."""
    head = stream.read(2)
    if len(head) < 2:
        sys.exit("They closed the connection.")
    size = head[1] & 0x7F
    if size == 126:
        more = stream.read(2)
    elif size == 127:
        more = stream.read(8)
    else:
        more = b""
    size = int.from_bytes(more, "big") if more else size
    payload = stream.read(size)
    kind = KINDS.get(head[0] & 15, "more")
    end = "the last" if head[0] & 0x80 else "not the last"
    print("they >", (head + more + payload).hex(" "))
    print(f"       {head[0]:02x}: {kind}, {end} frame of this message")
    print(f"       {(head[1:] + more).hex(' ')}: not masked, {size} bytes")
    print(f"       {payload.hex(' ')}: {payload.decode(errors='replace')}\n")


def send(stream, text):
    """Show a frame of ours; a client masks it (section 5.3)."""
    payload = text.encode()
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    frame = bytes([0x81, 0x80 | len(payload)]) + mask + masked
    print("  we >", frame.hex(" "))
    print("       81: text, the last frame of this message")
    print(f"       {frame[1]:02x}: masked, {len(payload)} bytes")
    print(f"       {mask.hex(' ')}: the mask, which we made up")
    print(f"       {masked.hex(' ')}: {text}, each byte XOR a byte of the mask")
    stream.write(frame)
    stream.flush()


def main(host="127.0.0.1", port="8080"):
    with socket.create_connection((host, int(port)), 10) as sock, sock.makefile("rwb") as stream:
        shake_hands(stream, host, port)
        for _ in range(HEARD):
            receive(stream)
        send(stream, "hello")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except OSError as error:
        sys.exit(f"No connection: {error}. Is the board running, and is this its address?")
