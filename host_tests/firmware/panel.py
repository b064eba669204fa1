"""A board of which a test says every word: what the page asks for, the values, and the end.

It serves the page as a board does, with the library's server on CPython. What a real board says is
seen with a virtual one; this is for values that have to be known, and for what boards rarely do.
"""

import asyncio
import json
import queue
import threading

from microws import WebSocketError
from microws.aio_server import serve

from firmware import page
from host_tests.support.interpreters import PATIENCE
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port


class Panel:
    """``first`` goes to whoever connects, a dict as JSON; None for nothing."""

    def __init__(self, first=None, history=None, **metrics):
        self.first = first
        self.history = history  # text; None where the board has none
        self.metrics = {
            "name": "greenhouse",
            "path": "/",
            "chat": False,
            "clients": 0,
            "max_clients": 8,
            **metrics,
        }
        self.asked = []  # the paths that were asked for
        self.received = queue.SimpleQueue()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = None
        self.switch_on()

    def switch_on(self):
        self._server = self._run(self._serve())

    def switch_off(self):
        """Every connection ends."""
        self._run(self._close())

    def stop(self):
        self.switch_off()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def say(self, *messages):
        """Each message to everybody; a dict goes as JSON."""
        self._run(self._broadcast([_text(message) for message in messages]))

    def next(self, start=""):
        """The next message of a page that begins so; pings are answered and not counted."""
        while not (message := self.received.get(timeout=PATIENCE)).startswith(start):
            pass
        return message

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    async def _serve(self):
        return await serve(
            self._handle, "127.0.0.1", self.port, process_request=self._answer, close_timeout=1
        )

    async def _close(self):
        self._server.close()
        await self._server.wait_closed()

    async def _broadcast(self, messages):
        for message in messages:
            self._server.broadcast(message)

    def _answer(self, request):
        path = request.path.partition("?")[0]
        self.asked.append(request.path)
        if "upgrade" in request.headers:
            return None
        if path == "/metrics":
            return _response(json.dumps(self.metrics))
        if path == "/history" and self.history is not None:
            return _response(self.history)
        if path == "/":
            page.FILE = str(TOP / "firmware" / "page.html")
            return page.response("")
        return 404, (), b"nothing here\n"

    async def _handle(self, ws):
        try:
            if self.first is not None:
                await ws.send(_text(self.first))
            async for message in ws:
                if message.startswith("ping:"):
                    clients = self.metrics["clients"] + len(self._server.clients)
                    await ws.send(f"pong:{message[5:]} clients:{clients}")
                else:
                    self.received.put(message)
        except (OSError, WebSocketError):
            pass  # it went away


def _text(message):
    return json.dumps(message) if isinstance(message, dict) else message


def _response(text):
    return 200, (("Cache-Control", "no-store"),), text.encode()
