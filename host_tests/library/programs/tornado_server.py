"""``tornado_server.py``: an echo that Tornado serves, with compression; prints its port."""

import asyncio

from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Echo(WebSocketHandler):
    def get_compression_options(self):
        return {}

    async def on_message(self, message):
        await self.write_message(message)


async def main():
    server = Application([("/", Echo)]).listen(0, "127.0.0.1")
    [sock] = server._sockets.values()
    print("listening", sock.getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
