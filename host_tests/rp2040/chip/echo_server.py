"""An echo server on a W5500, for the Autobahn test suite; wired as on WIZnet's boards."""

import asyncio
import gc

import microws
from machine import SPI, Pin
from microws import aio
from w5500 import W5500

PORT = 80


async def echo(ws):
    try:
        async for message in ws:
            await ws.send(message)
    except (OSError, microws.WebSocketError):
        pass  # how the suite ends a connection is what it tests


async def serve():
    spi = SPI(0, 24_000_000, sck=Pin(18), mosi=Pin(19), miso=Pin(16))
    reset = Pin(20, Pin.OUT, value=1)
    chip = W5500(spi, Pin(17, Pin.OUT, value=1), reset, Pin(21, Pin.IN, Pin.PULL_UP))
    chip.ifconfig(("10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1"))
    chip.active(True)
    server = await aio.serve(echo, "0.0.0.0", PORT, pool=chip)
    gc.collect()
    gc.threshold(gc.mem_free() // 4)
    print("listening")
    await server.serve_forever()


def run():
    asyncio.run(serve())
