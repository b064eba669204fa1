"""Stands in for the driver of a 1-Wire bus."""

import machine


class OneWire:
    def __init__(self, pin):
        if not isinstance(pin, machine.Pin):
            raise TypeError("expecting a Pin")
