"""Stands in for ``machine.SPI`` and the pins between a board and the chip of chip.py."""


class SPI:
    def __init__(self, chip):
        self.chip = chip

    def write(self, data):
        byte = self.chip.byte
        for value in data:
            byte(value)

    def readinto(self, buffer, fill=0):
        byte = self.chip.byte
        for i in range(len(buffer)):
            buffer[i] = byte(fill)

    def read(self, n, fill=0):
        buffer = bytearray(n)
        self.readinto(buffer, fill)
        return bytes(buffer)

    def write_readinto(self, data, buffer):
        byte = self.chip.byte
        for i in range(len(buffer)):
            buffer[i] = byte(data[i])


class ChipSelect:
    def __init__(self, chip):
        self.chip = chip

    def __call__(self, level):
        if level:
            self.chip.deselect()
        else:
            self.chip.select()


class Reset:
    def __init__(self, chip):
        self.chip = chip

    def __call__(self, level):
        if not level:
            self.chip.reset()


class Interrupt:
    def __init__(self, chip):
        self.chip = chip
        self.handler = None

    def __call__(self):
        chip = self.chip
        if chip.position < 0:
            chip.select()  # for time to go on
            chip.position = -1
        return chip.int_level()

    def irq(self, handler, trigger):
        self.handler = handler
