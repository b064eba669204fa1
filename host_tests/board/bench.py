"""What a person does to a virtual board, by files in the folder $MICROWS_BENCH of the computer.

Each line of its file `events` is one of these, and lines are added to it: "pin NUMBER LEVEL", what
somebody does to a pin, 0 or 1, or for an analog one 0 to 65535; "file NAME PATH", a file of that
folder that comes into the board's flash. The stand-ins look there whenever the program asks them
for something.
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
    lines = _news("/events").split("\n")
    for line in lines[_done:-1]:
        what, one, other = line.split()
        if what == "pin":
            machine.ADC.driven[int(one)] = int(other)
            machine.Pin.drive(int(one), int(other))
        else:
            _copy("/" + one, other)
    _done = max(_done, len(lines) - 1)


def _copy(name, path):
    folder = path.rpartition("/")[0]
    if folder:
        try:
            os.mkdir(folder)
        except OSError:
            pass  # it is there
    with _open(name, "rb") as source, open(path, "wb") as target:
        while True:
            piece = source.read(256)
            if not piece:
                return
            target.write(piece)


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
