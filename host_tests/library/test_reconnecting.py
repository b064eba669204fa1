"""``async for ws in aio.connect(url)``, on each interpreter."""

import http
import threading

from websockets.sync.server import serve

from host_tests.library.endpoints import PROGRAMS


def test_it_connects_again_but_not_where_it_is_not_welcome(start, interpreter):
    tries = []

    def process_request(connection, request):
        tries.append(request.path)
        if request.path == "/forbidden":
            return connection.respond(http.HTTPStatus.FORBIDDEN, "no\n")
        if len(tries) in (2, 3):
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "later\n")
        return None

    def handle(ws):
        ws.send("hello")

    with serve(handle, "127.0.0.1", 0, process_request=process_request) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
            program = start(interpreter.command(PROGRAMS / "reconnects.py", url))
            assert program.wait() == 0, program.output
        finally:
            server.shutdown()
            thread.join()
    assert tries == ["/"] * 5 + ["/forbidden"]
    assert program.lines == [
        *(line for n in (1, 2, 3) for line in (f"connection {n} /", "got hello")),
        "[1, 2, 4, 8]",
        "403",
        "ValueError",
        "[1, 2, 4, 8, 16, 32, 60, 60, 60, 1, 2]",
    ]
