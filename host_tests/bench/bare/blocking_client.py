"""The blocking client."""

import socket

import blocking
import far_end
import microws
from measure import now, report, since, used

server = far_end.Server()
socket.idle = server


def connect():
    ws = microws.connect(far_end.URL)
    return ws, server.client()


def end(ws):
    try:
        ws.recv()
    except microws.ConnectionClosed:
        pass


def frame(is_text, payload):
    return far_end.frame(1 if is_text else 2, payload, False)


def handshakes(n, close):
    total = 0
    for _ in range(n):
        used()
        server.spent = 0
        start = now()
        ws = microws.connect(far_end.URL)
        if close:
            ws.close()
        total += since(start) - server.spent
    return total / n


handshakes(2, True)
report("handshake", handshakes(5, False))
report("handshake and close", handshakes(5, True))
blocking.measure(connect, end, frame, True)
