"""The blocking server."""

import blocking
import far_end
import microws
from measure import now, report, since, used

listener = microws.listen("0.0.0.0", far_end.PORT)


def connect():
    sock = far_end.call()
    return listener.accept(), sock


def end(ws):
    try:
        ws.recv()
    except microws.ConnectionClosed:
        pass


def frame(is_text, payload):
    return far_end.frame(1 if is_text else 2, payload, True)


def handshakes(n):
    total = 0
    for _ in range(n):
        far_end.call()
        used()
        start = now()
        listener.accept()
        total += since(start)
    return total / n


handshakes(2)
report("handshake", handshakes(5))
blocking.measure(connect, end, frame, False)
