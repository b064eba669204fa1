"""Boards as data: which chip, which interface, which pins.

A profile's keys: `chip` (a key of CHIPS; None in "custom", whatever runs), `driver` ("firmware"
for MicroPython's own where this firmware has it, "w5500" for that in lib/w5500), `interface`
(the class in `network`, or "W5500" of that driver), `spi` (the number for machine.SPI), `sck`,
`mosi`, `miso`, `cs`, `int`, `reset` (GPIO numbers, None where nothing is wired), `analog` (the
GPIO to sample when the configuration names none) and `led` (a plain one, None where the board has
none for sure).
"""

OURS = "w5500"  # the driver in lib/w5500


def _w5500(chip, spi, sck, mosi, miso, cs, interrupt, reset, analog, led, driver="firmware"):
    interface = "WIZNET5K" if chip == "RP2040" else "LAN"
    return {
        "chip": chip, "driver": driver, "interface": "W5500" if driver == OURS else interface,
        "spi": spi, "sck": sck, "mosi": mosi, "miso": miso, "cs": cs, "int": interrupt,
        "reset": reset, "analog": analog, "led": led,
    }  # fmt: skip


def _wifi(chip, analog, radio=()):
    return {
        "chip": chip, "driver": "firmware", "interface": "WLAN", "radio": radio, "analog": analog,
        "led": None,
    }  # fmt: skip


_PICO_RADIO = (23, 24, 25, 29)  # what its radio keeps busy


PROFILES = {
    #                                   chip       spi sck mosi miso cs int reset analog led
    "esp32-w5500":              _w5500("ESP32",     2, 18, 23, 19,  5,  4, None, 36, None),
    "esp32-w5500-spi1":         _w5500("ESP32",     1, 18, 21, 19,  5,  4, 15,   36, None),
    "esp32-s3-w5500":           _w5500("ESP32S3",   1, 12, 13, 14, 10, 11, None,  1, None),
    "lilygo-t-eth-lite-s3":     _w5500("ESP32S3",   1, 10, 12, 11,  9, 13, 14,    1, None),
    "lilygo-t-eth-elite-s3":    _w5500("ESP32S3",   1, 48, 21, 47, 45, 14, None,  1, None),
    "waveshare-esp32-s3-eth":   _w5500("ESP32S3",   1, 13, 11, 12, 14, 10,  9,    1, None),
    # Its INT is GPIO34, which has no pull-up of its own: the board needs a resistor to 3.3 V.
    "m5stack-lan-base":         _w5500("ESP32",     2, 18, 23, 19, 26, 34, 13,   36, None),
    "wiznet-w5500-evb-pico":    _w5500("RP2040",    0, 18, 19, 16, 17, 21, 20,   26, 25),
    # No stock firmware has a driver for these, or it needs an INT that they do not wire.
    "pico-w5500":               _w5500("RP2040",    0, 18, 19, 16, 17, 21, 20,   26, 25, OURS),
    "pico2-w5500":              _w5500("RP2350",    0, 18, 19, 16, 17, 21, 20,   26, 25, OURS),
    "wiznet-w5500-evb-pico2":   _w5500("RP2350",    0, 18, 19, 16, 17, 21, 20,   26, 25, OURS),
    "m5stack-atom-poe":         _w5500("ESP32",     1, 22, 33, 23, 19, None, None, 32, None, OURS),
    "m5stack-atoms3-poe":       _w5500("ESP32S3",   1,  5,  8,  7,  6, None, None,  1, None, OURS),
    "esp32-c3-w5500":           _w5500("ESP32C3",   1,  4,  6,  5,  7, 10, None,  0, None, OURS),
    "esp32-wifi":               _wifi("ESP32", 36),
    "raspberry-pi-pico-w":      _wifi("RP2040", 26, _PICO_RADIO),
    "raspberry-pi-pico-2-w":    _wifi("RP2350", 26, _PICO_RADIO),
}  # fmt: skip

CUSTOM = "custom"  # the board whose profile is the setting "pins"

_NO_W5500 = "it has no W5500; its Ethernet is of another kind, which this firmware does not drive"

# Boards that people have and that cannot work, with the reason.
IMPOSSIBLE = {
    "m5stack-poesp32": _NO_W5500,
    "olimex-esp32-poe": _NO_W5500,
    "wt32-eth01": _NO_W5500,
}

# What keeps a GPIO busy on a board; the rest is free for samples and jumpers.
WIRES = ("sck", "mosi", "miso", "cs", "int", "reset")

# GPIO numbers by chip: `free` of flash memory, serial console and USB; `analog`, which the
# converter can read; `floating`, which have no pull-up inside and cannot tell an open jumper;
# `input`, which cannot drive a wire. `spi`: the numbers machine.SPI takes. `interfaces`: the
# names in `network` that there may be, first the one that drives a W5500.
CHIPS = {
    "ESP32": {
        "free": (0, 2, 4, 5, 21, 22, 23, 25, 26, 27) + tuple(range(12, 20)) + tuple(range(32, 40)),
        "analog": (0, 2, 4, 12, 13, 14, 15, 25, 26, 27) + tuple(range(32, 40)),
        "floating": tuple(range(34, 40)),
        "input": tuple(range(34, 40)),
        "spi": (1, 2),
        "interfaces": ("LAN", "WLAN"),
    },
    "ESP32S2": {
        "free": tuple(range(19)) + (21,) + tuple(range(33, 43)),
        "analog": tuple(range(1, 19)),
        "floating": (),
        "input": (),
        "spi": (1, 2),
        "interfaces": ("LAN", "WLAN"),
    },
    "ESP32S3": {
        "free": tuple(range(19)) + (21,) + tuple(range(33, 43)) + tuple(range(45, 49)),
        "analog": tuple(range(1, 19)),
        "floating": (),
        "input": (),
        "spi": (1, 2),
        "interfaces": ("LAN", "WLAN"),
    },
    "ESP32C3": {
        "free": tuple(range(11)),
        "analog": tuple(range(5)),
        "floating": (),
        "input": (),
        "spi": (1,),
        "interfaces": ("LAN", "WLAN"),
    },
    "ESP32C6": {
        "free": tuple(range(12)) + (14, 15) + tuple(range(18, 24)),
        "analog": tuple(range(7)),
        "floating": (),
        "input": (),
        "spi": (1,),
        "interfaces": ("LAN", "WLAN"),
    },
    "ESP32C5": {
        "free": tuple(range(11)) + tuple(range(23, 29)),
        "analog": tuple(range(1, 7)),
        "floating": (),
        "input": (),
        "spi": (1,),
        "interfaces": ("LAN", "WLAN"),
    },
    "ESP32H2": {
        "free": tuple(range(6)) + tuple(range(8, 15)) + (22, 25),
        "analog": tuple(range(1, 6)),
        "floating": (),
        "input": (),
        "spi": (1,),
        "interfaces": ("LAN",),  # its radio is not Wi-Fi
    },
    "ESP32P4": {
        "free": tuple(range(24)) + tuple(range(26, 37)) + tuple(range(39, 55)),
        "analog": tuple(range(16, 24)) + tuple(range(49, 55)),
        "floating": (),
        "input": (),
        "spi": (1, 2),
        "interfaces": ("LAN", "WLAN"),
    },
    "RP2040": {
        "free": tuple(range(30)),
        "analog": (26, 27, 28, 29),
        "floating": (),
        "input": (),
        "spi": (0, 1),
        "interfaces": ("WIZNET5K", "WLAN"),
    },
    "RP2350": {
        "free": tuple(range(30)),
        "analog": (26, 27, 28, 29),
        "floating": (),
        "input": (),
        "spi": (0, 1),
        "interfaces": ("WIZNET5K", "WLAN"),
    },
}  # fmt: skip


def chip_of(machine: str) -> str:
    """The chip in what os.uname().machine says, as a key of CHIPS where it is one.

    "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3" gives "ESP32S3". Newer releases of
    MicroPython write ESP32-S3, and some boards add the package: ESP32-PICO-D4.
    """
    name = machine.split(" with ")[-1].replace("-", "")
    if name.startswith("RP2350"):
        return "RP2350"  # with either of its kinds of core
    if name.startswith("ESP32"):
        end = 6
        while name[end : end + 1].isdigit():
            end += 1
        # What follows is a family of its own (S3, C61) or how this one is packaged (PICO, D2WD).
        return name[:end] if end > 6 and name[5:6] in "CHPS" else "ESP32"
    return name


def profile(settings: dict) -> dict:
    """The profile of the configured board; "custom" takes its own from "pins"."""
    if settings["board"] != CUSTOM:
        return PROFILES[settings["board"]]
    pins = settings["pins"]
    custom: dict = {"chip": None, "analog": None, "led": None, "int": None, "reset": None}
    custom["driver"] = driver_of(pins)
    custom.update(pins)
    return _with_ours(custom) if custom["driver"] == OURS else custom


def driver_of(pins: dict) -> str:
    """The driver that "pins" ask for; else ours for a W5500 whose INT is not wired."""
    if "spi" in pins and pins.get("int") is None and pins.get("interface") != "WLAN":
        return pins.get("driver", OURS)
    return pins.get("driver", "firmware")


def with_driver(wanted: dict, names: "list | tuple") -> dict:
    """The profile, with our driver for a W5500 where `network` has no class for MicroPython's."""
    if wanted["interface"] in ("W5500", "WLAN") or wanted["interface"] in names:
        return wanted
    return _with_ours(wanted)


def _with_ours(wanted):
    found = {}
    found.update(wanted)
    found.update({"driver": OURS, "interface": "W5500"})
    return found
