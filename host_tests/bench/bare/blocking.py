"""Blocking: one end of a connection, the library's or that of the floor, with prepared bytes.

What is sent goes nowhere and makes the next frame readable.
"""

from measure import count

SIZE = 125
TEXT = "x" * SIZE
message = bytearray(SIZE)
large = bytearray(4096)


def measure(connect, end, frame, is_client):
    """The works of a connection.

    ``connect()`` gives a new one and its socket, ``end(ws)`` sees its end once nothing comes any
    more, ``frame(is_text, payload)`` is a message of its peer.
    """

    def echo_into(n):
        for _ in range(n):
            if is_client:
                ws.send(message)
                ws.recv_into(message)
            else:
                ws.recv_into(message)
                ws.send(message)

    def echo(n):
        for _ in range(n):
            if is_client:
                ws.send(TEXT)
                ws.recv()
            else:
                ws.send(ws.recv())

    def receive(n):
        for _ in range(n):
            ws.recv_into(message)

    def send(n):
        for _ in range(n):
            ws.send(message)

    def receive_large(n):
        for _ in range(n):
            ws.recv_into(large)

    def send_large(n):
        for _ in range(n):
            ws.send(large)

    ws, sock = connect()
    sock.feed(frame(False, message))
    count("echo of 125 B, recv_into and send", echo_into)
    sock.feed(frame(True, TEXT.encode()))
    count("echo of 125 B, recv and send", echo)
    sock.end_feed()
    end(ws)
    ws, sock = connect()  # the one before may hold a part of another message
    sock.feed(frame(False, message) * 40, endless=True)
    count("125 B streaming in, recv_into", receive, 80)
    count("125 B going out", send)
    sock.end_feed()
    end(ws)
    ws, sock = connect()
    sock.feed(frame(False, large), endless=True)
    count("4 KiB received, recv_into", receive_large)
    count("4 KiB sent", send_large)
