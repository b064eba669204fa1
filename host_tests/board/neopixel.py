"""Stands in for the driver of NeoPixels: prints the colours that are written."""

import machine


class NeoPixel:
    def __init__(self, pin, n, bpp=3):
        if not isinstance(pin, machine.Pin):
            raise TypeError("expecting a Pin")
        self._pixels = [(0,) * bpp] * n

    def __len__(self):
        return len(self._pixels)

    def __setitem__(self, number, colour):
        self._pixels[number] = tuple(colour)

    def __getitem__(self, number):
        return self._pixels[number]

    def fill(self, colour):
        self._pixels = [tuple(colour)] * len(self._pixels)

    def write(self):
        if min([min(pixel) for pixel in self._pixels]) < 0:
            raise ValueError("a colour is 0 to 255")
        print("pixels:", self._pixels)
