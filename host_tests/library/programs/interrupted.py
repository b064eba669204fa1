"""``interrupted.py PORT``: a server whose owner presses Ctrl-C, again and again, under a flood."""

import gc
import sys

import microws

buffer = bytearray(400)
listener = microws.listen("127.0.0.1", int(sys.argv[1]), close_timeout=0.3)
print("listening")


def code_of(use, argument):
    try:
        use(argument)
    except microws.WebSocketError as error:
        return "%s(%d)" % (type(error).__name__, error.code)
    return "nothing"


while True:
    ws = listener.accept()
    # Here Ctrl-C leaps out of whatever runs, and from a collection it would crash.
    gc.collect()
    gc.disable()
    count = 0
    try:
        print("open")
        while True:
            n = ws.recv_into(buffer)
            count += 1
            if count % 4 == 0:
                ws.send(memoryview(buffer)[:n])
    except KeyboardInterrupt:
        gc.enable()
        print("struck", code_of(ws.recv_into, buffer), code_of(ws.send, "x"), ws.close_code)
        ws.close(1001)
        print("closed")
    except microws.WebSocketError as error:
        gc.enable()
        print("ended", repr(error))
