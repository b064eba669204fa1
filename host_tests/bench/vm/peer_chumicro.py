"""chumicro-websockets: no asyncio, but ticks; between them this waits for its sockets."""

import select

from chumicro_timing import ticks_ms
from chumicro_websockets import (
    WebSocketBackpressureError,
    WebSocketClient,
    WebSocketServer,
    WebSocketState,
)
from measure import (
    CLIENT,
    CLIENTS,
    HOST,
    LIMIT,
    PORT,
    SIZE,
    URL,
    WORK,
    collected,
    idle,
    run,
    tick,
)

poller = select.poll()
text = "x" * SIZE
message = bytes(SIZE)
arrived = 0
connections = []


def got(data):
    global arrived
    arrived += 1


def step():
    now = ticks_ms()
    if machine.check(now):
        machine.handle(now)


def watch():
    # Some are wrapped.
    poller.register(getattr(ws.io_socket, "sock", ws.io_socket), select.POLLIN)


def flush():
    while ws.io_interest(0) & 2:  # it wants to write
        step()


def wait(n):
    """Until ``n`` more messages have come."""
    global arrived
    while arrived < n:
        poller.poll()
        step()
    arrived -= n


def echo(n):
    for _ in range(n):
        if CLIENT:
            ws.send_text(text)
            flush()
            wait(1)
        else:
            wait(1)
            ws.send_text(text)
            flush()


def send(n):
    for _ in range(n):
        while True:
            try:
                ws.send_binary(message)
                break
            except WebSocketBackpressureError:
                step()
    flush()
    wait(1)


def recv(n):
    ws.send_binary(b".")
    flush()
    wait(n)


def broadcast(n):
    for _ in range(n):
        for each in connections:
            each.send_text(text)
        flush()
        wait(1)


def connected(connection):
    if WORK == "handshake":
        tick()
        return
    connections.append(connection)
    if WORK == "crowd":

        def answer(data):
            connection.send_text(data)
            tick()

        connection.on_text = answer
    else:
        connection.on_text = connection.on_binary = got


if CLIENT:
    from chumicro_sockets.sockets_factory import connector_factory

    def connect():
        client = WebSocketClient(connector_factory(), max_message_bytes=LIMIT)
        client.on_text = client.on_binary = got
        client.connect(URL)
        return client

    def handshake(n):
        global machine
        for _ in range(n):
            machine = connect()
            while machine.state != WebSocketState.CLOSED:
                step()

    if WORK == "handshake":
        run(handshake)
    else:
        ws = machine = connect()
        while ws.state != WebSocketState.OPEN:
            step()
        watch()
        run({"echo": echo, "send": send, "recv": recv}[WORK])
else:
    from chumicro_sockets import listener

    machine = WebSocketServer(
        listener(HOST, PORT), connected, max_connections=CLIENTS + 8, max_message_bytes=LIMIT
    )
    before = collected()
    if WORK in ("handshake", "crowd"):
        while True:
            step()
    while len(connections) < CLIENTS:
        step()
    ws = connections[-1]
    if WORK == "idle":
        idle(before, CLIENTS)
    else:
        watch()
        run({"echo": echo, "send": send, "recv": recv, "broadcast": broadcast}[WORK])
