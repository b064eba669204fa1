"""Boards as data: which chip, which interface, which pins. No code and no imports.

A profile's keys: `chip` as MicroPython names it, `interface` (the class in `network`), `spi` (the
number for machine.SPI), `sck`, `mosi`, `miso`, `cs`, `int`, `reset` (GPIO numbers, None where
nothing is wired) and `analog` (the GPIO to sample when the configuration names none).
"""


def _w5500(chip, spi, sck, mosi, miso, cs, interrupt, reset, analog, interface="LAN"):
    return {
        "chip": chip, "interface": interface, "spi": spi, "sck": sck, "mosi": mosi, "miso": miso,
        "cs": cs, "int": interrupt, "reset": reset, "analog": analog,
    }  # fmt: skip


PROFILES = {
    #                                   chip       spi sck mosi miso cs int reset analog
    "esp32-w5500":              _w5500("ESP32",     2, 18, 23, 19,  5,  4, None, 36),
    "esp32-w5500-spi1":         _w5500("ESP32",     1, 18, 21, 19,  5,  4, 15,   36),
    "esp32-s3-w5500":           _w5500("ESP32S3",   1, 12, 13, 14, 10, 11, None,  1),
    "lilygo-t-eth-lite-s3":     _w5500("ESP32S3",   1, 10, 12, 11,  9, 13, 14,    1),
    "lilygo-t-eth-elite-s3":    _w5500("ESP32S3",   1, 48, 21, 47, 45, 14, None,  1),
    "waveshare-esp32-s3-eth":   _w5500("ESP32S3",   1, 13, 11, 12, 14, 10,  9,    1),
    # Its INT is GPIO34, which has no pull-up of its own: the board needs a resistor to 3.3 V.
    "m5stack-lan-base":         _w5500("ESP32",     2, 18, 23, 19, 26, 34, 13,   36),
    "wiznet-w5500-evb-pico":    _w5500("RP2040",    0, 18, 19, 16, 17, 21, 20,   26, "WIZNET5K"),
    "esp32-wifi":               {"chip": "ESP32", "interface": "WLAN", "analog": 36},
}  # fmt: skip

# What keeps a GPIO busy on a board; the rest is free for samples and jumpers.
WIRES = ("sck", "mosi", "miso", "cs", "int", "reset")

# GPIO numbers by chip: `free` of flash memory, serial console and USB; `analog`, which the
# converter can read; `floating`, which have no pull-up inside and cannot tell an open jumper.
CHIPS = {
    "ESP32": {
        "free": (0, 2, 4, 5, 21, 22, 23, 25, 26, 27) + tuple(range(12, 20)) + tuple(range(32, 40)),
        "analog": (0, 2, 4, 12, 13, 14, 15, 25, 26, 27) + tuple(range(32, 40)),
        "floating": tuple(range(34, 40)),
    },
    "ESP32S3": {
        "free": tuple(range(19)) + (21,) + tuple(range(33, 43)) + tuple(range(45, 49)),
        "analog": tuple(range(1, 19)),
        "floating": (),
    },
    "RP2040": {"free": tuple(range(30)), "analog": (26, 27, 28, 29), "floating": ()},
}
