"""``mistakes.py FRONT URL``: what a program is told of its own mistakes, and that nothing is lost.

The last line tells how many went otherwise. The server at URL echoes.
"""

import sys

import microws
from fronts import FRONTS

front, url = sys.argv[1:]
FRONT = FRONTS[front]
FOREVER = float("inf")
failed = 0


async def expect(kind, what, attempt):
    global failed
    try:
        outcome = await attempt()
    except Exception as error:
        if type(error) is kind and str(error):
            return
        outcome = repr(error)
    failed += 1
    print("%s: %s in place of %s" % (what, outcome, kind.__name__))


async def listen(port, **options):
    await FRONT.serve(expect, port, **options)


async def pieces(ws, buffer):
    async for piece in ws.recv_streaming(buffer):
        print(piece)


BOUNDS = (
    (ValueError, {"max_size": -1}),
    (ValueError, {"max_size": 0}),
    (TypeError, {"max_size": "1"}),
    (TypeError, {"max_size": 1.5}),
    (ValueError, {"max_fragments": 0}),
    (TypeError, {"max_fragments": "1"}),
    (ValueError, {"max_header": -1}),
    (TypeError, {"max_header": "1"}),
    (ValueError, {"max_fields": 0}),
    (ValueError, {"read_size": 130}),
    (TypeError, {"read_size": None}),
    (ValueError, {"write_size": 255}),
    (TypeError, {"message_timeout": "1"}),
    (ValueError, {"message_timeout": -1}),
    (ValueError, {"close_timeout": -1}),
    (ValueError, {"subprotocols": "chat"}),
    (ValueError, {"subprotocols": ["a b"]}),
    (TypeError, {"subprotocols": [5]}),
)

CONNECTING = (
    (ValueError, {"timeout": FOREVER}),
    (ValueError, {"timeout": float("nan")}),
    (ValueError, {"timeout": 1e30}),
    (TypeError, {"timeout": "1"}),
    (ValueError, {"close_timeout": FOREVER}),
    (TypeError, {"close_timeout": "1"}),
    (ValueError, {"timeout": -1}),
    (TypeError, {"ssl": True}),
    (TypeError, {"nonsense": 1}),
    (ValueError, {"compression": "gzip"}),
    (ValueError, {"headers": [("a b", "c")]}),
    (TypeError, {"headers": 5}),
    (TypeError, {"subprotocols": 5}),
)

SERVING = (
    (ValueError, {"handshake_timeout": FOREVER}),
    (TypeError, {"handshake_timeout": "1"}),
    (ValueError, {"close_timeout": FOREVER}),
    (ValueError, {"compression": "gzip"}),
    (TypeError, {"ssl": True}),
    (TypeError, {"nonsense": 1}),
    (TypeError, {"subprotocols": 5}),
)

SERVING_MANY = (
    (ValueError, {"max_clients": 0}),
    (ValueError, {"max_clients": -1}),
    (TypeError, {"max_clients": "8"}),
    (ValueError, {"max_pending": 0}),
    (ValueError, {"max_backlog": -1}),
    (TypeError, {"max_backlog": "1"}),
    (ValueError, {"slow": "wait"}),
    (ValueError, {"keepalive_timeout": FOREVER}),
    (TypeError, {"keepalive_timeout": "1"}),
    (TypeError, {"process_request": 5}),
    (TypeError, {"on_refused": "log"}),
)

OPEN = (
    (TypeError, "send(None)", lambda ws: ws.send(None)),
    (TypeError, "send(5)", lambda ws: ws.send(5)),
    (TypeError, "send(dict)", lambda ws: ws.send({"temp": 21})),
    (TypeError, "send(set)", lambda ws: ws.send({"temp"})),
    (TypeError, "send(frozenset)", lambda ws: ws.send(frozenset(("temp",)))),
    (ValueError, "send(no UTF-8)", lambda ws: ws.send(b"\xff", text=True)),
    (ValueError, "ping(126 bytes)", lambda ws: ws.ping(bytes(126))),
    (TypeError, "ping(5)", lambda ws: ws.ping(5)),
    (TypeError, "ping('x')", lambda ws: ws.ping("x")),
    (ValueError, "close(999)", lambda ws: ws.close(999)),
    (ValueError, "close(1005)", lambda ws: ws.close(1005)),
    (TypeError, "close('1000')", lambda ws: ws.close("1000")),
    (TypeError, "close(1000, None)", lambda ws: ws.close(1000, None)),
    (TypeError, "close(1000, b'x')", lambda ws: ws.close(1000, b"x")),
    (ValueError, "close(1000, 124 bytes)", lambda ws: ws.close(1000, "x" * 124)),
    (ValueError, "recv(inf)", lambda ws: ws.recv(FOREVER)),
    (TypeError, "recv('1')", lambda ws: ws.recv("1")),
    (TypeError, "recv_into(None)", lambda ws: ws.recv_into(None)),
    (TypeError, "recv_into(bytes)", lambda ws: ws.recv_into(b"abcd")),
    (TypeError, "recv_into(5)", lambda ws: ws.recv_into(5)),
    (TypeError, "recv_streaming(bytes)", lambda ws: pieces(ws, b"abcd")),
    (ValueError, "recv_streaming(3 bytes)", lambda ws: pieces(ws, bytearray(3))),
)


async def run():
    global failed
    for kind, options in BOUNDS + CONNECTING:
        await expect(kind, "connect(%s)" % options, lambda o=options: FRONT.connect(url, **o))
    for wrong in ("", "http://x/", "ws:///", url + "#part", url + "\r\n"):
        await expect(ValueError, "connect(%r)" % wrong, lambda u=wrong: FRONT.connect(u))
    for port in (-1, 65536):
        await expect(ValueError, "serve(%d)" % port, lambda p=port: listen(p))
    for kind, options in BOUNDS + SERVING:
        await expect(kind, "serve(%s)" % options, lambda o=options: listen(0, **o))
    if front == "asyncio":
        options = {"keepalive_timeout": FOREVER}
        await expect(ValueError, "connect(%s)" % options, lambda: FRONT.connect(url, **options))
        for kind, options in SERVING_MANY:
            await expect(kind, "serve(%s)" % options, lambda o=options: listen(0, **o))
    ws = await FRONT.connect(url)
    for kind, what, attempt in OPEN:
        await expect(kind, what, lambda a=attempt: a(ws))
    await ws.send("still here")
    if await ws.recv(10) != "still here":
        failed += 1
        print("the connection suffered")
    await ws.close()
    await expect(microws.ConnectionClosed, "send() when closed", lambda: ws.send("x"))
    await expect(microws.ConnectionClosed, "recv() when closed", lambda: ws.recv())


FRONT.run(run())
print(failed, "failed")
