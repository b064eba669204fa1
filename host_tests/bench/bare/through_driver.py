"""An echo server through lib/w5500, on the wires of WIZnet's boards; what it answers ends it."""

import asyncio
import gc

import microws
from machine import SPI, Pin
from measure import report
from w5500 import W5500

PORT = 80
SIZE = 125  # bytes
WARM = 20  # echoes before heap is counted
COUNTED = 20


def start(has_int):
    spi = SPI(0, 24_000_000, sck=Pin(18), mosi=Pin(19), miso=Pin(16))
    reset = Pin(20, Pin.OUT, value=1)
    interrupt = Pin(21, Pin.IN, Pin.PULL_UP) if has_int else None
    chip = W5500(spi, Pin(17, Pin.OUT, value=1), reset, interrupt)
    chip.ifconfig(("10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1"))
    chip.active(True)
    return chip


class Heap:
    """Heap that some echoes take, each told of; nothing is freed meanwhile."""

    def __init__(self):
        self._echoes = 0
        self._before = 0

    def tell(self):
        self._echoes += 1
        if self._echoes == WARM:
            gc.collect()
            gc.disable()
            self._before = gc.mem_alloc()
        elif self._echoes == WARM + COUNTED:
            used = gc.mem_alloc() - self._before
            gc.enable()
            report("heap", used / COUNTED, "B")


def blocking(has_int):
    listener = microws.listen("0.0.0.0", PORT, pool=start(has_int))
    buffer = bytearray(SIZE)
    heap = Heap()
    ws = listener.accept()
    try:
        while True:
            ws.recv_into(buffer)
            ws.send(buffer)
            heap.tell()
    except (OSError, microws.ConnectionClosed):
        pass


def asynchronous(has_int):
    asyncio.run(_serve(start(has_int)))


async def _serve(chip):
    from microws import aio

    over = asyncio.Event()

    async def echo(ws):
        buffer = bytearray(SIZE)
        heap = Heap()
        try:
            while True:
                await ws.recv_into(buffer)
                await ws.send(buffer)
                heap.tell()
        except (OSError, microws.ConnectionClosed):
            pass
        over.set()

    await aio.serve(echo, "0.0.0.0", PORT, pool=chip, keepalive_timeout=None)
    await over.wait()
