"""Twelve NeoPixels at GPIO 27: send "red", "off" or "0,50,100" to colour them."""

import machine
import neopixel

from firmware import board

NAMES = {"red": (60, 0, 0), "green": (0, 60, 0), "blue": (0, 0, 60), "off": (0, 0, 0)}
ring = neopixel.NeoPixel(machine.Pin(27), 12)


def on_message(message, client):
    colour = NAMES.get(message) or [int(part) for part in message.split(",") if part.isdigit()]
    if len(colour) != 3 or max(colour) > 255:
        return "I know red, green, blue, off and three numbers up to 255: 0,50,100"
    ring.fill(tuple(colour))
    ring.write()
    board.log("now", colour)
