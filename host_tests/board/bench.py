"""What a person does to a virtual board, by files in the folder $MICROWS_BENCH of the computer.

Each line of its file `pins` is what somebody does to a pin: its number and a level, 0 or 1, or for
an analog one 0 to 65535. Lines are added to it. The stand-ins look there whenever the program asks
them for something.
"""

import os
import sys

import machine

_folder = os.getenv("MICROWS_BENCH")
_seen: dict = {}
if sys.implementation.name == "micropython":
    import vfs

    # By itself: the board's own file system takes the place of the computer's.
    _host = vfs.VfsPosix(_folder)
    _stat, _open = _host.stat, _host.open
else:

    def _stat(name):
        return os.stat(_folder + name)

    def _open(name, mode):
        return open(_folder + name, mode)


_done = 0  # lines of it


def look():
    """Do what is new there."""
    global _done
    lines = _news("/pins").split("\n")
    for line in lines[_done:-1]:
        number, level = line.split()
        machine.ADC.driven[int(number)] = int(level)
        machine.Pin.drive(int(number), int(level))
    _done = max(_done, len(lines) - 1)


def _news(name):
    """The text of a file that has grown since the last time, else an empty one."""
    try:
        size = _stat(name)[6]
    except OSError:
        return ""
    if _seen.get(name) == size:
        return ""
    _seen[name] = size
    with _open(name, "r") as file:
        return file.read()
