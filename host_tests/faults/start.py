"""Power on a board whose samples are numbered, and whose address and heap are at hand.

    micropython start.py OPTIONS

in the board's folder. OPTIONS is JSON: `cause` (of machine.reset_cause()), `shift` (each number
goes out with that many zeros behind it), `probe` (every so many samples a line tells the heap; 0:
none), `short` (a file of that name makes memory short: for a moment so many bytes are left as
stand in it), `hurry` (no random time is longer than a second). The file `lease` holds the address
that DHCP gives. Status 10: hard reset.
"""

import gc
import json
import os
import sys

HERE = __file__.rpartition("/")[0]
sys.path[0] = HERE + "/../board"

options = json.loads(sys.argv[1])


import machine  # noqa: E402  (from there; it stands for what `os` says of the chip, too)
import network  # noqa: E402

if options["short"]:
    import asyncio

machine.cause = options["cause"]


class Random:
    """The `random` module for a client in a hurry."""

    def __init__(self, real):
        self._real = real
        # No method: `from random import ...` takes none.
        self.uniform = lambda least, most: real.uniform(least, min(most, 1))

    def __getattr__(self, name):
        return getattr(self._real, name)


if options["hurry"]:
    import random

    sys.modules["random"] = Random(random)

shift = 10 ** options["shift"]
probe = options["probe"]
number = 0
shortage = None


def fill(left):
    """Take the heap but for about `left` bytes in one piece; what is taken, to be let go of."""
    gc.collect()
    taken = None
    spare = None
    while spare is None:
        try:
            spare = bytearray(left)
        except MemoryError:
            left //= 2  # it is that short already
    size = 4096
    while size >= 16:
        try:
            while True:
                taken = [taken, bytearray(size)]
        except MemoryError:
            size //= 2
    spare = None
    gc.collect()
    return taken


async def make_short():
    while True:
        await asyncio.sleep_ms(50)
        try:
            with open("short") as file:
                left = int(file.read())
        except OSError:
            continue
        os.remove("short")
        print("short of memory: %d" % left)
        taken = fill(left)
        await asyncio.sleep_ms(300)
        taken = None  # noqa: F841
        gc.collect()
        print("enough memory")


def read_u16(adc):
    global number, shortage
    if shortage is None and options["short"]:
        shortage = asyncio.create_task(make_short())
    number += 1
    if probe and number % probe == 0:
        gc.collect()
        print("probe %d" % gc.mem_alloc())
    return number * shift


def lease():
    try:
        with open("lease") as file:
            return file.read()
    except MemoryError:
        return network.lease  # a board's driver does not open a file


machine.ADC.read_u16 = read_u16
real_ifconfig = network.Lan.ifconfig


def ifconfig(interface, to=None):
    network.lease = lease()
    return real_ifconfig(interface, to)


network.Lan.ifconfig = ifconfig

try:
    with open(sys.path[0] + "/start.py") as file:
        source = file.read()
    exec(compile(source, "start.py", "exec"), {})
except SystemExit:
    sys.exit(10)
