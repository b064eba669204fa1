"""A user's program of the blocking front, with planted mistakes."""

import json
import socket
import ssl
from collections.abc import Iterator

import microws
from microws import ConnectionClosed, HandshakeError, Timeout
from microws.pin import Pinned


def client() -> int:
    ws = microws.connect(
        "ws://127.0.0.1:8080/",
        timeout=None,
        headers={"X-One": "1"},
        subprotocols=["a", "b"],
        compression="deflate",
        max_size=None,
        ssl=Pinned("ab" * 32),
        pool=socket,
    )
    other = microws.connect(
        "wss://127.0.0.1/",
        ssl=ssl.create_default_context(),
        sock=socket.socket(),
    )
    other.close()
    ws.send("text")
    ws.send(b"binary")
    ws.send(bytearray(5))
    ws.send(memoryview(b"x"))
    ws.send(piece for piece in ("a", "b"))
    message = ws.recv(timeout=5)
    if isinstance(message, str):
        message = message.encode()
    buffer = bytearray(10)
    n = ws.recv_into(buffer) + len(message)
    for piece in ws.recv_streaming():
        n += len(piece)
    for message in ws:
        n += len(message)
    ws.ping(b"x")
    stream = ws.stream()
    stream.write(b"x")
    data = stream.read(5)
    n += len(data or b"")
    if ws.close_code is not None:
        n += ws.close_code
    ws.close(1001, "bye")
    name: str | None = ws.subprotocol
    return n + len(name or "") + len(ws.remote_address)


def rows() -> Iterator[bytes]:
    yield b"row"


def server() -> None:
    with microws.listen("", 8080, max_fields=32, message_timeout=None) as listener:
        for ws in listener:
            with ws:
                ws.send(rows())
                ws.send(json.dumps({"temp": 21}))


def errors() -> None:
    try:
        client()
    except ConnectionClosed as closed:
        print(closed.code + 1, closed.reason.upper())
    except HandshakeError as refused:
        print(refused.status + 1)
    except Timeout as late:
        print(late.errno)


def mistakes() -> None:
    ws = microws.connect("ws://127.0.0.1/")
    microws.connect("ws://127.0.0.1/", max_sise=5)  # wrong
    microws.connect(b"ws://127.0.0.1/")  # wrong
    microws.connect("ws://127.0.0.1/", timeout="10")  # wrong
    microws.connect("ws://127.0.0.1/", pool=5)  # wrong
    microws.connect("ws://127.0.0.1/", sock="socket")  # wrong
    microws.connect("ws://127.0.0.1/", ssl=True)  # wrong
    microws.listen("", "8080")  # wrong
    microws.listen("", 8080, max_size="big")  # wrong
    ws.send(5)  # wrong
    ws.send({21: "temp"})  # wrong
    ws.recv().encode()  # wrong
    ws.recv_into(b"constant")  # wrong
    ws.ping("text")  # wrong
    ws.close("1000")  # wrong
    ws.clsoe()  # wrong
    number: int = ws.close_reason  # wrong
    print(number)
    ws.stream().write(5)  # wrong
