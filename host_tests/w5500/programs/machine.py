"""Of a board's `machine`, what the driver asks for; the wires are wires.py."""


class Pin:
    IRQ_FALLING = 4


class Timer:
    def __init__(self, number, period, callback):
        self.period = period

    def deinit(self):
        pass


def unique_id():
    return b"\xe6\x60\x58\x38\x83\x10\x2b\x2a"
