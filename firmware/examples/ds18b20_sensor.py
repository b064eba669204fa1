"""The temperatures of all DS18B20 on one wire at GPIO 27."""

import asyncio

import ds18x20
import machine
import onewire

from firmware import board

wire = ds18x20.DS18X20(onewire.OneWire(machine.Pin(27)))


def setup():
    board.every(5, measure)


async def measure():
    wire.convert_temp()
    await asyncio.sleep(0.75)  # so long it takes; the others go on meanwhile
    for number, sensor in enumerate(wire.scan()):
        board.send("water%d" % number, round(wire.read_temp(sensor), 1))
