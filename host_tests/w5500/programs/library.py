"""`microws` through the driver: both ends over one chip, both fronts."""

import asyncio
import errno
import sys

import microws
from microws import aio
from rig import Rig, get, run

URL = "ws://10.0.0.1:80/"
TEXTS = ("", "text", "x" * 125, "y" * 5000)
REQUEST = "\r\n".join((
    "GET / HTTP/1.1", "Host: 10.0.0.7", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "",
)).encode()  # fmt: skip
FRAME = b"\x82\x85" + bytes(4) + b"bytes"
CLOSE = b"\x88\x82" + bytes(4) + b"\x03\xe8"


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def converse(chip):
    chip.reserve = 2
    server = await aio.serve(echo, "0.0.0.0", 80, pool=chip)
    async with aio.connect(URL, pool=chip) as ws, aio.connect(URL, pool=chip) as other:
        for text in TEXTS:
            for one in ws, other:
                await one.send(text)
            for one in ws, other:
                assert await one.recv() == text
    assert ws.close_code == 1000
    server.close()
    await server.wait_closed()


def test_both_ends_over_asyncio():
    for with_int in False, True:
        rig = Rig(with_int=with_int)
        asyncio.run(asyncio.wait_for(converse(rig.nic), 20))
        rig.fair()
        rig.off()


def test_nobody_listens():
    rig = Rig()

    async def connect():
        await aio.connect("ws://10.0.0.1:3/", pool=rig.nic)

    for call in (
        lambda: microws.connect("ws://10.0.0.1:3/", pool=rig.nic, timeout=5),
        lambda: asyncio.run(connect()),
    ):
        try:
            call()
            raise AssertionError("no error")
        except OSError as error:
            assert error.errno == errno.ECONNREFUSED, error
    rig.off()


def test_a_blocking_server():
    rig = Rig()
    listener = microws.listen("0.0.0.0", 80, pool=rig.nic)
    peer = rig.peer()
    peer.send(REQUEST + FRAME + CLOSE)
    ws = listener.accept()
    assert ws.recv() == b"bytes"
    ws.send("answer")
    try:
        ws.recv()
        raise AssertionError("no end")
    except microws.ConnectionClosed as closed:
        assert closed.code == 1000
    rig.nic.drain()
    said = rig.until(lambda: get(peer))
    assert said.endswith(b"\x81\x06answer\x88\x02\x03\xe8"), said
    listener.close()
    rig.fair()
    rig.off()


def with_tls(port, ca):
    """From the command line: one message to a server of wss:// and back."""
    import tls
    from chip import address

    rig = Rig()
    rig.chip.target = lambda ip, number: address(number)
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    with open(ca, "rb") as file:
        context.load_verify_locations(file.read())
    url = "wss://127.0.0.1:%s/" % port
    with microws.connect(url, pool=rig.nic, ssl=context, timeout=20) as ws:
        ws.send("x" * 3000)
        print(len(ws.recv()))

    async def meet():
        async with aio.connect(url, pool=rig.nic, ssl=context, timeout=20) as ws:
            await ws.send("asyncio")
            print(await ws.recv())

    asyncio.run(meet())
    rig.fair()
    rig.off()


if __name__ == "__main__" and len(sys.argv) > 8:
    with_tls(*sys.argv[8:])
elif __name__ == "__main__":
    run(globals())
