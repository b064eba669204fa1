"""Temperature and humidity of a DHT22 at GPIO 27, every five seconds."""

import dht
import machine

from firmware import board

sensor = dht.DHT22(machine.Pin(27))


def setup():
    board.every(5, measure)


def measure():
    sensor.measure()
    board.send("temperature", sensor.temperature())
    board.send("humidity", sensor.humidity())
