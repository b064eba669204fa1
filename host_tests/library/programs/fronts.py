"""One face for the blocking front, the asyncio front and the websockets package.

All of it is awaited, so what a test does with a connection is written once. ``FRONTS`` has, for
each, ``run(coroutine)``, ``connect(url, ...)`` and ``serve(handler, port, ...)``. On MicroPython
there is room only for the front that the program's first argument names; websockets is there only
for who names it.
"""

import asyncio
import gc
import sys

import microws

MICROPYTHON = sys.implementation.name == "micropython"

if MICROPYTHON:
    # As the board's main.py does it: one module after the other, and garbage collected early.
    for name in ("loops", "core"):
        __import__("microws." + name)
        gc.collect()
if sys.argv[1] != "blocking":
    from microws import aio


def print_exception(error):
    if MICROPYTHON:
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)


def fill(buffer):
    """ASCII in which no two stretches that begin at 0 are alike by chance."""
    for i in range(len(buffer)):
        buffer[i] = 32 + i % 89


def client_context(ca):
    """A context that trusts the CA certificate in the DER file ``ca``."""
    with open(ca, "rb") as file:
        data = file.read()
    if MICROPYTHON:
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(data)
        return context
    import ssl

    return ssl.create_default_context(cadata=data)


def server_context(certificate, key):
    """A context with the certificate and key in two PEM files."""
    if MICROPYTHON:
        import tls

        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        with open(certificate, "rb") as one, open(key, "rb") as other:
            context.load_cert_chain(one.read(), other.read())
        return context
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def now(coroutine):
    """What ``coroutine`` returns; it must not have to wait for anything but blocking calls."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a blocking call waited")


class Blocking:
    """A blocking WebSocket with methods to be awaited."""

    def __init__(self, ws):
        self._ws = ws

    def __getattr__(self, name):
        return getattr(self._ws, name)

    async def send(self, message, text=None):
        if hasattr(message, "__anext__"):
            message = self._pieces(message)
        self._ws.send(message, text)

    def _pieces(self, stream):
        while True:
            try:
                yield now(stream.__anext__())
            except StopAsyncIteration:
                return

    async def recv(self, timeout=None):
        return self._ws.recv(timeout)

    async def recv_into(self, buffer, timeout=None):
        return self._ws.recv_into(buffer, timeout)

    def recv_streaming(self, buffer=None):
        return Iteration(self._ws.recv_streaming(buffer))

    def __aiter__(self):
        return Iteration(self._ws)

    async def ping(self, data=b""):
        self._ws.ping(data)

    async def close(self, code=1000, reason=""):
        self._ws.close(code, reason)


class Iteration:
    """Plain iteration made asynchronous."""

    def __init__(self, iterable):
        self._iterator = iter(iterable)

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration


class BlockingFront:
    run = staticmethod(now)

    @staticmethod
    async def connect(url, **options):
        return Blocking(microws.connect(url, **options))

    @staticmethod
    async def serve(handler, port, **options):
        listener = microws.listen("127.0.0.1", port, **options)
        print("listening")
        while True:
            ws = Blocking(listener.accept())
            code = 1011
            try:
                await handler(ws)
                code = 1000
            except microws.WebSocketError:
                pass
            except Exception as error:
                print_exception(error)
            await ws.close(code)


class AsyncioFront:
    run = staticmethod(asyncio.run)

    @staticmethod
    async def connect(url, **options):
        return await aio.connect(url, **options)

    @staticmethod
    async def serve(handler, port, **options):
        server = await aio.serve(handler, "127.0.0.1", port, **options)
        print("listening")
        await server.wait_closed()


FRONTS = {"blocking": BlockingFront, "asyncio": AsyncioFront}

if MICROPYTHON:
    gc.collect()
    gc.threshold(gc.mem_free() // 4)
if sys.argv[1] == "websockets":
    from websockets_front import WebsocketsFront

    FRONTS["websockets"] = WebsocketsFront
