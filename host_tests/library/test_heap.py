"""No heap per message, counted on MicroPython while no garbage is collected."""

from host_tests.support.interpreters import Interpreter
from host_tests.support.ports import free_port

# Room for what the messages themselves take.
ROOMY = Interpreter("micropython32", "-X", "heapsize=1m")

PROGRAM = """
import gc, socket
from microws.blocking import WebSocket

def opened(sock, client):
    sock.setblocking(False)
    ws = WebSocket(client, 1)
    ws._sock = sock
    ws._start(0, 0)
    return ws

listener = socket.socket()
listener.bind(socket.getaddrinfo("127.0.0.1", %d)[0][-1])
listener.listen(1)
sock = socket.socket()
sock.connect(socket.getaddrinfo("127.0.0.1", %d)[0][-1])
client = opened(sock, True)
server = opened(listener.accept()[0], False)

def exchange(sender, receiver, message, buffer):
    for _ in range(20):
        # At once, so that reads end anywhere in them.
        for _ in range(10000 // len(message) + 3):
            sender.send(message)
        for _ in range(10000 // len(message) + 3):
            if buffer is None:
                receiver.recv()
            else:
                receiver.recv_into(buffer)

for size in (16, 125, 126, 1000, 4096):
    for sender, receiver in ((client, server), (server, client)):
        for message, buffer in ((bytes(size), bytearray(size)), ("x" * size, None)):
            if buffer is None and size != 125:
                continue
            exchange(sender, receiver, message, buffer)
            gc.collect()
            gc.disable()
            before = gc.mem_alloc()
            exchange(sender, receiver, message, buffer)
            taken = gc.mem_alloc() - before
            gc.enable()
            messages = 20 * (10000 // len(message) + 3)
            print(size, "recv" if buffer is None else "recv_into", taken / messages)
"""


def test_messages_take_no_heap():
    port = free_port()
    result = ROOMY.run("-c", PROGRAM % (port, port))
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert len(lines) == 12
    for size, call, taken in lines:
        if call == "recv_into":
            assert float(taken) == 0, size
        else:
            # The message itself, 16 bytes of str and 126 in blocks of 16, and at most 64 more;
            # the sender makes bytes of its str as well, of the same size.
            assert float(taken) <= 2 * 144 + 64
