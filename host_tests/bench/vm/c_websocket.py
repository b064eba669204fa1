"""MicroPython's built-in C module: the framing of a server, without a handshake."""

import socket

import websocket
from measure import HOST, PORT, SIZE, WORK, run

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(socket.getaddrinfo(HOST, PORT)[0][-1])
listener.listen(1)
sock = listener.accept()[0]
sock.setsockopt(6, 1, 1)  # TCP_NODELAY: it writes header and payload apart
ws = websocket.websocket(sock)
message = bytearray(SIZE)
buffer = bytearray(SIZE)
one = bytearray(1)


def echo(n):
    for _ in range(n):
        ws.readinto(buffer)
        ws.write(buffer)


def send(n):
    for _ in range(n):
        ws.write(message)
    ws.readinto(one)


def recv(n):
    ws.write(one)
    for _ in range(n):
        ws.readinto(buffer)


run({"echo": echo, "send": send, "recv": recv}[WORK])
