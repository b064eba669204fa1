"""The small server on asyncio: one client at a time, on the three interpreters."""

import http.client

import microws
import pytest

from host_tests.support.ports import free_port

PROGRAM = """
import asyncio, sys
from microws.aio_listener import Listener

def refuse(request):
    if request.headers.get("authorization") != "Bearer right":
        return 401, (("WWW-Authenticate", "Bearer"),), b"no"

async def main():
    for wrong in ({"port": "x"}, {"port": -1}, {"port": 1, "max_size": 0}):
        try:
            Listener("127.0.0.1", **wrong)
        except (TypeError, ValueError):
            print("wrong arguments are told")
    listener = Listener("127.0.0.1", %d, refuse, max_size=100)
    print("listening")
    while True:
        ws = await listener.accept()
        message = await ws.recv()
        if message == "end":
            break
        await ws.send(message)
        await ws.close()
    async def end():
        listener.close()
    task = asyncio.create_task(end())
    try:
        await listener.accept()
    except OSError as error:
        print(error)
    await ws.send("still open")
    await ws.close()

asyncio.run(main())
"""


def test_one_client_after_the_other(interpreter, start):
    port = free_port()
    process = start(interpreter.command("-c", PROGRAM % port))
    for _ in range(3):
        process.wait_for("wrong arguments are told")
    process.wait_for("listening")
    url = f"ws://127.0.0.1:{port}/"
    for token in ("wrong", None):
        with pytest.raises(microws.HandshakeError) as caught:
            microws.connect(url, headers={"Authorization": f"Bearer {token}"} if token else {})
        assert caught.value.status == 401
    plain = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    plain.request("GET", "/", headers={"Authorization": "Bearer right"})
    assert plain.getresponse().status == 426
    plain.close()
    headers = {"Authorization": "Bearer right"}
    for message in ("hello", b"\0\xff"):
        with microws.connect(url, headers=headers) as ws:
            ws.send(message)
            assert ws.recv(30) == message
    with microws.connect(url, headers=headers) as ws:
        ws.send("end")
        assert ws.recv(30) == "still open"
    process.wait_for("the listener is closed")
    assert process.wait() == 0
