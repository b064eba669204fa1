"""What is on the board: asked before a deployment, which needs to know what has changed.

A deployment over the serial port runs this on the board from memory. A board that takes updates
over the network has it as a module.
"""

import binascii
import hashlib
import json
import os
import sys

import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_os: "Any" = os  # the type stubs do not know its uname()
_sys: "Any" = sys

CONFIG = "config.json"
INSTALLED = "firmware/installed.txt"  # a line for each file that is ours: its path, its hashes
FOLDERS = ("firmware", "lib/microws", "lib/w5500")  # where everything is ours
OTHERS = ("boot.py", "main.py", "page.html", "page.html.gz", CONFIG)
NEW = ".new"
MINE = ".mine"  # what a person's own file is kept as


def about() -> dict:
    """What runs here."""
    _, fragment, _, _, free = _os.statvfs("/")[:5]
    return {
        "name": sys.implementation.name,
        "version": list(sys.implementation.version)[:3],
        "machine": _os.uname().machine,
        "id": str(binascii.hexlify(machine.unique_id()), "ascii"),
        "mpy": getattr(_sys.implementation, "_mpy", 0),
        "network": _interfaces(),
        "free": fragment * free,
    }


def files() -> "Iterator[str]":
    """In JSON, for each file that is ours its path and hashes as they were sent.

    Then for each that is there its path, size in bytes, and hash where needed.
    """
    if exists(INSTALLED):
        with open(INSTALLED) as file:
            for line in file:
                if line.strip():
                    yield json.dumps({"installed": line.split()})
    for path, size in walk(""):
        name = path[: -len(NEW)] if path.endswith(NEW) else path
        ours = name in OTHERS or in_folders(name) or _is_listed(name)
        yield json.dumps([path, size, digest(path) if ours or MINE in name else None])


def report() -> None:
    """Print both, and the configuration in hexadecimal."""
    found = about()
    found["config"] = None
    if exists(CONFIG):
        with open(CONFIG, "rb") as file:
            found["config"] = str(binascii.hexlify(file.read()), "ascii")
    print(json.dumps(found))
    for line in files():
        print(line)


def digest(path: str) -> str:
    """The SHA-256 of a file in hexadecimal."""
    found = hashlib.sha256()
    buffer = bytearray(512)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return str(binascii.hexlify(found.digest()), "ascii")
            found.update(memoryview(buffer)[:count])


def exists(path: str) -> bool:
    """Whether there is a file, or folder, of this name."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def in_folders(path: str) -> bool:
    """Whether it lies where everything is ours."""
    return path.startswith(tuple([folder + "/" for folder in FOLDERS]))


def walk(folder: str) -> "Iterator[tuple[str, int]]":
    """(path, size) of every file below it."""
    for entry in _os.ilistdir(folder or "/"):
        path = folder + "/" + entry[0] if folder else entry[0]
        if entry[1] & 0x4000:
            yield from walk(path)
        else:
            yield path, entry[3]


def copy(path: str, name: str) -> None:
    """Copy a file; under its new name it is whole, or not there."""
    with open(path, "rb") as old, open(name + NEW, "wb") as new:
        while True:
            piece = old.read(512)
            if not piece:
                break
            new.write(piece)
    os.rename(name + NEW, name)


def make_folders(path: str) -> None:
    """Have the folders that a file lies in."""
    folder = ""
    for part in path.split("/")[:-1]:
        folder += part
        if not exists(folder):
            os.mkdir(folder)
        folder += "/"


def _interfaces():
    """The classes that its firmware has for a network."""
    try:
        import network
    except ImportError:
        return []
    return [name for name in dir(network) if name in ("LAN", "WIZNET5K", "WLAN")]


def _is_listed(path):
    if not exists(INSTALLED):
        return False
    with open(INSTALLED) as file:
        for line in file:
            if line.split(" ")[0].strip() == path:
                return True
    return False
