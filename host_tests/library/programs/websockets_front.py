"""The websockets package with the face of ``fronts``, on CPython."""

import asyncio
import contextlib
import http

import microws
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


class Foreign:
    """A connection of the websockets package with the names and errors of microws."""

    def __init__(self, ws):
        self._ws = ws
        self.path = ws.request.path
        self.pongs = 0

    def __getattr__(self, name):
        return getattr(self._ws, name)

    @contextlib.contextmanager
    def _errors(self):
        try:
            yield
        except websockets.ConnectionClosed:
            raise microws.ConnectionClosed(self.close_code, self.close_reason) from None

    async def send(self, message, text=None):
        if message == []:
            message = b""  # of no pieces it would send nothing
        with self._errors():
            await self._ws.send(message, text=text)

    async def recv(self, timeout=None):
        with self._errors():
            message = await asyncio.wait_for(self._ws.recv(), timeout)
        self.is_text = isinstance(message, str)
        return message

    async def recv_into(self, buffer, timeout=None):
        message = await self.recv(timeout)
        data = message.encode() if self.is_text else message
        buffer[: len(data)] = data
        return len(data)

    def recv_streaming(self, buffer=None):
        return self._ws.recv_streaming(decode=None if buffer is None else False)

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.recv()
        except microws.ConnectionClosed as closed:
            if closed.code in (1000, 1001, 1005):
                raise StopAsyncIteration from None
            raise

    async def ping(self, data=b""):
        pong = await self._ws.ping(data)
        pong.add_done_callback(self._count)

    def _count(self, pong):
        self.pongs += not pong.cancelled() and pong.exception() is None

    async def close(self, code=1000, reason=""):
        await self._ws.close(code, reason)


class WebsocketsFront:
    run = staticmethod(asyncio.run)

    @staticmethod
    async def connect(url, headers=(), subprotocols=(), ssl=None, max_size=None):
        return Foreign(
            await connect(
                url,
                additional_headers=headers,
                subprotocols=subprotocols or None,
                ssl=ssl,
                proxy=None,
                max_size=max_size,
            )
        )

    @staticmethod
    async def serve(handler, port, subprotocols=(), ssl=None, max_size=None):
        def choose(ws, offered):
            return next((name for name in subprotocols if name in offered), None)

        def check(ws, request):
            if request.path == "/forbidden":
                return ws.respond(http.HTTPStatus.FORBIDDEN, "not for you\n")
            return None

        async def handle(ws):
            with contextlib.suppress(microws.WebSocketError):
                await handler(Foreign(ws))

        async with serve(
            handle,
            "127.0.0.1",
            port,
            select_subprotocol=choose,
            ssl=ssl,
            process_request=check,
            max_size=max_size,
        ) as server:
            print("listening")
            await server.serve_forever()
