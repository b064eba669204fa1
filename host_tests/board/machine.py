"""Stands in for a board's `machine` module: pins, a converter that shows a moving value, SPI."""

import math
import random
import time


class Pin:
    IN = 1
    OUT = 3
    PULL_UP = 2

    # GPIO numbers that a jumper connects to ground.
    grounded: set = set()

    def __init__(self, number, mode=-1, pull=-1):
        if not isinstance(number, int) or not 0 <= number <= 48:
            raise ValueError("invalid pin")
        self.number = number
        self.pull = pull

    def value(self):
        return 1 if self.pull == Pin.PULL_UP and self.number not in Pin.grounded else 0


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin):
        if not isinstance(pin, Pin):
            raise TypeError("expecting a Pin")

    def atten(self, attenuation):
        pass

    def read_u16(self):
        slow = math.sin(2 * math.pi * time.time() / 20)
        return int(32768 + 20000 * slow + random.uniform(-500, 500))


class SPI:
    def __init__(self, number, baudrate=1000000, *, sck, mosi, miso):
        if number not in (0, 1, 2):
            raise ValueError("SPI(%s) doesn't exist" % number)
        for pin in (sck, mosi, miso):
            if not isinstance(pin, Pin):
                raise TypeError("expecting a Pin")
