"""Who is on a broker: told on a page and, as it changes, on the standard output.

    PYTHONPATH=lib:. python -m host_tests.fleet.watch URL TOPIC PORT

It takes part with the library and the packets of the boards themselves.
"""

import asyncio
import html
import json
import sys
import time
from collections import deque

from microws import WebSocketError, aio

from firmware import mqtt_packets

KEEPALIVE = 30  # seconds
SPAN = 10  # seconds over which messages are counted
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Fleet</title>
<meta http-equiv="refresh" content="2"><meta name="viewport" content="width=device-width">
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color-scheme: light dark }
table { border-collapse: collapse; width: 100%% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
.offline { opacity: .5 }
</style>
<h1>%d boards, %d online, %.0f messages a second</h1>
<table><thead><tr><th>board<th>status<th>version<th>last value<th>messages a second</thead>
<tbody>%s</table></html>
"""
ROW = '<tr class="%s"><td>%s<td>%s<td>%s<td>%s<td>%.1f'


class Board:
    """What is known of one."""

    def __init__(self):
        self.status = ""
        self.version = ""
        self.value = ""
        self.times = deque(maxlen=1000)  # of its messages

    def rate(self):
        """Its messages a second."""
        now = time.monotonic()
        while self.times and now - self.times[0] > SPAN:
            self.times.popleft()
        return len(self.times) / SPAN


class Watch:
    def __init__(self, url, topic):
        self._url = url
        self._topic = topic
        self.boards = {}

    async def run(self):
        """Watch for ever; the broker may come and go."""
        while True:
            try:
                async with aio.connect(self._url, subprotocols=("mqtt",)) as ws:
                    await self._live(ws)
            except (OSError, WebSocketError) as error:
                print(f"broker: {error}", flush=True)
            await asyncio.sleep(1)

    async def _live(self, ws):
        will = (self._topic + "-watch/status").encode()
        await ws.send(mqtt_packets.connect(b"watch", KEEPALIVE, will, b"offline"))
        for number, topic in enumerate((f"{self._topic}/#", "homeassistant/#"), 1):
            await ws.send(mqtt_packets.subscribe(number, topic.encode()))
        alive = asyncio.create_task(self._keep(ws))
        reader = mqtt_packets.Reader(4096)
        buffer = bytearray(4096)
        try:
            while True:
                async for piece in ws.recv_streaming(buffer):
                    at = 0
                    while at < len(piece):
                        at = reader.feed(piece, at, len(piece))
                        if reader.kind == mqtt_packets.PUBLISH:
                            self.take(*reader.publish()[:2])
        finally:
            alive.cancel()

    async def _keep(self, ws):
        while True:
            await asyncio.sleep(KEEPALIVE / 2)
            await ws.send(mqtt_packets.PINGREQ)

    def take(self, topic, payload):
        """One message."""
        words = topic.decode(errors="replace").split("/")
        text = payload.decode(errors="replace")
        if words[0] == "homeassistant" and words[-1] == "config" and len(words) == 5:
            board = self.boards.setdefault(words[2], Board())
            board.version = json.loads(text)["device"]["sw_version"]
            return
        below = words[self._topic.count("/") + 1 :]
        if len(below) != 2:
            return  # a command
        board = self.boards.setdefault(below[0], Board())
        board.times.append(time.monotonic())
        if below[1] != "status":
            board.value = f"{below[1]}: {text}"
        elif text != board.status:
            board.status = text
            print(f"{below[0]}: {text}", flush=True)

    def page(self):
        """The page, as HTML."""
        rows = []
        for name in sorted(self.boards):
            board = self.boards[name]
            known = (board.status, name, board.status, board.version, board.value)
            rows.append(ROW % (*map(html.escape, known), board.rate()))
        online = sum(board.status == "online" for board in self.boards.values())
        total = sum(board.rate() for board in self.boards.values())
        return PAGE % (len(self.boards), online, total, "\n".join(rows))

    def answer(self, request):
        """The HTTP response to a request."""
        if request.path.partition("?")[0] != "/":
            return 404, (("Content-Type", "text/plain"),), b"the page is at /\n"
        headers = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"))
        return 200, headers, self.page().encode()


async def main(url, topic, port):
    watch = Watch(url, topic)

    async def handle(ws):
        await ws.close(1008, "this is a page")

    await aio.serve(handle, "127.0.0.1", int(port), process_request=watch.answer)
    await watch.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
