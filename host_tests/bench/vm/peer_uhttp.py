"""uhttp-server 2, a web server without asyncio; a server only."""

import select
import socket

import uhttp.server
from measure import CLIENTS, HOST, PORT, SIZE, WORK, collected, idle, run, tick

if not hasattr(select, "select"):
    # The unix port of MicroPython has only poll(), and binds to packed addresses alone.

    class Listener:
        def __init__(self):
            self.sock = socket.socket()
            self.setsockopt = self.sock.setsockopt
            self.listen = self.sock.listen
            self.accept = self.sock.accept

        def bind(self, address):
            self.sock.bind(socket.getaddrinfo(*address)[0][-1])

    class Sockets:
        SOL_SOCKET = socket.SOL_SOCKET
        SO_REUSEADDR = socket.SO_REUSEADDR
        IPPROTO_TCP = 6
        TCP_NODELAY = 1
        socket = Listener

    class Select:
        def select(self, readers, writers, errors, timeout):
            poller = select.poll()
            known = {}
            for sock in readers:
                real = getattr(sock, "sock", sock)
                known[id(real)] = sock
                poller.register(real, select.POLLIN)
            for sock in writers:
                known[id(sock)] = sock
                poller.register(sock, select.POLLIN | select.POLLOUT)
            events = poller.poll(-1 if timeout is None else int(timeout * 1000))
            return (
                [known[id(sock)] for sock, event in events if event & ~select.POLLOUT],
                [sock for sock, event in events if event & select.POLLOUT],
                [],
            )

    uhttp.server._select = Select()
    uhttp.server._socket = Sockets

text = "x" * SIZE
message = bytes(SIZE)


def echo(n):
    for _ in range(n):
        ws.send(receive())


def send(n):
    for _ in range(n):
        ws.send(message)
        while ws.send_pending:
            ws.wait(0.1)
    receive()


def recv(n):
    ws.send(b".")
    for _ in range(n):
        receive()


def receive():
    while ws.wait() != uhttp.server.EVENT_WS_MESSAGE:
        pass
    is_text = ws.ws_is_text
    data = ws.read_buffer()
    return data.decode() if is_text else data


def serve_many():
    connections = []
    while True:
        client = server.wait()
        if not client:
            continue
        if client.event == uhttp.server.EVENT_WS_REQUEST:
            client.accept_websocket()
            if WORK == "handshake":
                tick()
                continue
            connections.append(client)
            if len(connections) == CLIENTS:
                if WORK == "idle":
                    idle(before, CLIENTS)
                elif WORK == "broadcast":
                    for each in connections:
                        each.ws_send(text)
        elif client.event == uhttp.server.EVENT_WS_MESSAGE:
            data = client.read_buffer()
            tick()
            if WORK == "broadcast":
                for each in connections:
                    each.ws_send(text)
            else:
                client.ws_send(data.decode())


many = WORK in ("crowd", "handshake", "idle", "broadcast")
server = uhttp.server.HttpServer(HOST, PORT, event_mode=many, max_waiting_clients=CLIENTS + 8)
before = collected()
if many:
    serve_many()
while True:
    request = server.wait()
    if request:
        break
ws = request.accept_websocket()
run({"echo": echo, "send": send, "recv": recv}[WORK])
