"""Stands in for a board's `esp32` module."""

import machine

if not machine.chip.startswith("ESP32"):
    raise ImportError("no module named 'esp32'")

fahrenheit = 113  # of the chip; a test sets it


def raw_temperature():
    return fahrenheit
