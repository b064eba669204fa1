"""Runs after boot.py: load the configuration, choose the role and run it."""

import asyncio
import gc
import sys

import machine

from firmware import config
from firmware.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def choose_role(settings: dict) -> str:
    """The configured role, or the jumper's at `role_pin`: to ground "server", open "client"."""
    number = settings["role_pin"]
    if number is None:
        return settings["role"]
    pin = machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)
    if pin.value():
        log("pin %d is open: client" % number)
        return "client"
    log("pin %d is at ground: server" % number)
    return "server"


def sampler(pin: int) -> "Callable[[], int]":
    """A function that reads the analog pin: 0 (0 V) to 65535 (full scale)."""
    adc = machine.ADC(machine.Pin(pin))
    if hasattr(machine.ADC, "ATTN_11DB"):  # an ESP32, which reads only up to 1 V without it
        adc.atten(machine.ADC.ATTN_11DB)
    return adc.read_u16


def main() -> None:
    try:
        settings = config.load()
    except config.ConfigError as error:
        for problem in error.problems:
            log(problem)
        # Back to the prompt: to reset would only bring the same again, for ever.
        log("stopped; correct %s, then reset the board" % config.FILE)
        return
    role = choose_role(settings)
    version = ".".join([str(part) for part in sys.implementation.version[:3]])
    python = sys.implementation.name + " " + version
    log("starting as %s, board %s, %s" % (role, settings["board"], python))
    # Done with; it fills a tenth of a small heap.
    for name in ("boards", "check"):
        del sys.modules["firmware." + name]
        delattr(sys.modules["firmware"], name)
    # Only this role, for the other would take memory. And step by step, for what loading leaves
    # behind would cut a small heap into pieces.
    gc.collect()
    import microws

    log("microws %s loaded" % microws.__version__)
    gc.collect()
    if role == "server":
        from firmware.server import run
    else:
        from firmware.client import run
    gc.collect()
    if hasattr(gc, "threshold"):
        # Early, lest what lives long comes to lie amid garbage up to the heap's end.
        gc.threshold(gc.mem_free() // 4)
    try:
        asyncio.run(run(settings, sampler(settings["sample_pin"])))
    except KeyboardInterrupt:
        log("stopped by Ctrl-C")
    finally:
        asyncio.new_event_loop()  # for whoever goes on at the prompt


if __name__ == "__main__":
    main()
