"""microws, blocking, with the caller's buffers."""

import microws
from measure import CLIENT, HOST, LIMIT, PORT, SIZE, URL, WORK, run

message = bytearray(SIZE)
buffer = bytearray(SIZE)
one = bytearray(1)


def echo(n):
    if CLIENT:
        for _ in range(n):
            ws.send(message)
            ws.recv_into(buffer)
    else:
        for _ in range(n):
            ws.recv_into(buffer)
            ws.send(buffer)


def send(n):
    for _ in range(n):
        ws.send(message)
    ws.recv_into(one)


def recv(n):
    ws.send(one)
    for _ in range(n):
        ws.recv_into(buffer)


if CLIENT:
    ws = microws.connect(URL, max_size=LIMIT)
else:
    ws = microws.listen(HOST, PORT, max_size=LIMIT).accept()
run({"echo": echo, "send": send, "recv": recv}[WORK])
