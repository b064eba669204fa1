"""microws, blocking, with str and bytes objects."""

import microws
from measure import CLIENT, CLIENTS, HOST, LIMIT, PORT, SIZE, URL, WORK, collected, idle, run

text = "x" * SIZE
message = bytearray(SIZE)


def echo(n):
    if CLIENT:
        for _ in range(n):
            ws.send(text)
            ws.recv()
    else:
        for _ in range(n):
            ws.send(ws.recv())


def send(n):
    for _ in range(n):
        ws.send(message)
    ws.recv()


def recv(n):
    ws.send(b".")
    for _ in range(n):
        ws.recv()


def handshake(n):
    for _ in range(n):
        ws = microws.connect(URL) if CLIENT else listener.accept()
        try:
            ws.recv()
            raise SystemExit("the connection did not end")
        except microws.ConnectionClosed:
            continue


if not CLIENT:
    listener = microws.listen(HOST, PORT, max_size=LIMIT)
if WORK == "handshake":
    run(handshake)
elif WORK == "idle":
    before = collected()
    held = [listener.accept() for _ in range(CLIENTS)]
    idle(before, CLIENTS)
else:
    ws = microws.connect(URL, max_size=LIMIT) if CLIENT else listener.accept()
    run({"echo": echo, "send": send, "recv": recv}[WORK])
