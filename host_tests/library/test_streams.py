"""ws.stream(): bytes in binary messages, in both fronts, on each interpreter."""

import contextlib
import queue
import socket
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from host_tests.library.endpoints import OURS, PROGRAMS
from host_tests.support.interpreters import INTERPRETERS

# What a message is answered with. Where a message begins and ends says nothing.
ANSWERS = {
    b"one two three!": [b"1", b"2345", b"", b"678"],
    bytes(20): [b"abcd", b"e"],
    b"poll": [b"", b"abc"],
    b"part": [b"1234"],
    b"rest": [b"5678"],
    b"line": [b"a l", b"ine\n"],
    b"end": [b"to the", b" end"],
}


@pytest.fixture
def peer():
    """Answers, and notes what came; gives its URL and that."""
    came = queue.SimpleQueue()

    def handle(ws):
        if ws.request.path == "/text":
            ws.send("no bytes")
        if ws.request.path == "/cut":
            ws.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(ConnectionClosed):
            for message in ws:
                came.put(message)
                for answer in ANSWERS.get(message, ()):
                    ws.send(answer)
                if message == b"end":
                    ws.close()

    with serve(handle, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/", came
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("name", "front"), OURS)
def test_bytes_come_and_go_in_messages_of_any_size(peer, name, front):
    url, came = peer
    result = INTERPRETERS[name].run(PROGRAMS / "streamed.py", front, url)
    assert result.returncode == 0, result.stderr
    lines = [
        "b'123' b'45678' b''",
        "4 b'abcd' 1 b'ebcd'" if front == "blocking" else "4 b'abcd' b'e'",
        "True b'abc'",
        *(["None None"] if front == "blocking" else []),
        "Timeout",
        "b'12345678'",
    ]
    if front == "blocking":
        if name != "cpython":
            lines[2:3] = ["True 1", "b'abc'", "[]"]
        lines += ["b'to the end' b'' 0"]
    else:
        lines += ["b'a line\\n'", "b'to the end' b'' b''", "EOFError"]
    lines += ["OSError True", "OSError True", "True 1003"]
    assert result.stdout.splitlines() == lines
    sent = [b"one two three!", bytes(10), bytes(20), b"poll", b"part", b"rest"]
    if front == "asyncio":
        sent.append(b"line")
    assert [came.get(timeout=30) for _ in sent] == sent
