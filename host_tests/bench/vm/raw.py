"""Bare TCP with preallocated buffers: the limit."""

import socket

from measure import CLIENT, HOST, PORT, SIZE, WORK, run

address = socket.getaddrinfo(HOST, PORT)[0][-1]
sock = socket.socket()
if CLIENT:
    sock.connect(address)
else:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(1)
    sock = sock.accept()[0]
sock.setsockopt(6, 1, 1)  # TCP_NODELAY

message = bytearray(SIZE)
buffer = bytearray(SIZE)
one = bytearray(1)
if hasattr(sock, "readinto"):
    read = sock.readinto
    write = sock.write
else:
    write = sock.sendall

    def read(into):
        n = sock.recv_into(into)
        while n < len(into):
            n += sock.recv_into(memoryview(into)[n:])


def echo(n):
    if CLIENT:
        for _ in range(n):
            write(message)
            read(buffer)
    else:
        for _ in range(n):
            read(buffer)
            write(buffer)


def send(n):
    for _ in range(n):
        write(message)
    read(one)


def recv(n):
    write(one)
    for _ in range(n):
        read(buffer)


run({"echo": echo, "send": send, "recv": recv}[WORK])
