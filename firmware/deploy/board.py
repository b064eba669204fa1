"""The board's half of a deployment: deploy.sh runs it there, from memory.

It is never copied to the board. A new file comes as NAME.new and takes its name only when its
hash is right, and renaming is one step on the boards' file system: whatever stops a deployment,
each name holds a whole file, the old one or the new one.

The list of what is ours has the hashes of what was sent: a file that has none of them was changed
by a person.
"""

import binascii
import hashlib
import json
import os
import sys

import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_os: "Any" = os  # the type stubs do not know its uname()
_sys: "Any" = sys

CONFIG = "config.json"
INSTALLED = "firmware/installed.txt"  # a line for each file that is ours: its path, its hashes
FOLDERS = ("firmware", "lib/microws", "lib/w5500")  # where everything is ours
OTHERS = ("boot.py", "main.py", "page.html", "page.html.gz", CONFIG)
NEW = ".new"
MINE = ".mine"  # what a person's own file is kept as


def report() -> None:
    """Print what runs here, then for each file its path, size in bytes, and hash where needed."""
    _, fragment, _, _, free = _os.statvfs("/")[:5]
    about = {
        "name": sys.implementation.name,
        "version": list(sys.implementation.version)[:3],
        "machine": _os.uname().machine,
        "id": str(binascii.hexlify(machine.unique_id()), "ascii"),
        "mpy": getattr(_sys.implementation, "_mpy", 0),
        "network": _interfaces(),
        "free": fragment * free,
        "installed": _installed(),
        "config": None,
    }
    if _exists(CONFIG):
        with open(CONFIG, "rb") as file:
            about["config"] = str(binascii.hexlify(file.read()), "ascii")
    print(json.dumps(about))
    for path, size in _walk(""):
        name = path[: -len(NEW)] if path.endswith(NEW) else path
        ours = name in about["installed"] or name in OTHERS or _in_folders(name)
        print(json.dumps([path, size, digest(path) if ours or MINE in name else None]))


def _interfaces():
    """The classes that its firmware has for a network."""
    try:
        import network
    except ImportError:
        return []
    return [name for name in dir(network) if name in ("LAN", "WIZNET5K", "WLAN")]


def wipe() -> None:
    """Remove every file but the configuration."""
    for path, _ in list(_walk("")):
        if path != CONFIG:
            os.remove(path)
    _prune("")


def begin(wanted: dict, there: list, kept: dict) -> None:
    """Make ready: folders for the files, and whose they are from now on.

    `wanted` is the hash of each file that there is to be. What an earlier deployment left half
    done is removed, but for the new files that are `there` whole. `kept` has the files that are
    a person's own, and the name that each is copied to.
    """
    for path, _ in list(_walk("")):
        name = path[: -len(NEW)]
        if name in there:
            continue
        if path == name + NEW and (name in wanted or name == CONFIG or _in_folders(path)):
            os.remove(path)
    for path in wanted:
        folder = ""
        for part in path.split("/")[:-1]:
            folder += part
            if not _exists(folder):
                os.mkdir(folder)
            folder += "/"
    for path in kept:
        _copy(path, kept[path])
    # Until the end a file may be the old one or the new one, and is ours both times.
    listed = _installed()
    for path in wanted:
        listed[path] = [old for old in listed.get(path, []) if old != wanted[path]]
        listed[path].append(wanted[path])
    _list(listed)


def commit(wanted: dict) -> None:
    """Give the new files their names, then remove what is stale, then look at every file again.

    `wanted` is the hash of each file that there is to be. OSError for a file that is not what it
    should be; one that came damaged has not taken its name then.
    """
    new = [path for path in wanted if _exists(path + NEW)]
    for path in new:
        if digest(path + NEW) != wanted[path]:
            raise OSError("%s did not arrive whole" % path)
    for path in new:
        os.rename(path + NEW, path)
    for path in _installed():
        if path not in wanted and _exists(path):
            os.remove(path)
    for path, _ in list(_walk("")):
        twin = path[:-3] + ".mpy"  # the .py file would be taken instead of it
        if path.endswith(".py") and twin in wanted:
            os.remove(path)
    for folder in FOLDERS:
        _prune(folder)
    _list({path: [wanted[path]] for path in wanted})
    for path in wanted:
        if digest(path) != wanted[path]:
            raise OSError("%s is damaged on the board" % path)


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


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _in_folders(path):
    return path.startswith(tuple([folder + "/" for folder in FOLDERS]))


def _walk(folder):
    """(path, size) of every file below it."""
    for entry in _os.ilistdir(folder or "/"):
        path = folder + "/" + entry[0] if folder else entry[0]
        if entry[1] & 0x4000:
            yield from _walk(path)
        else:
            yield path, entry[3]


def _prune(folder):
    """Remove the empty folders in it."""
    if folder and not _exists(folder):
        return
    for entry in list(_os.ilistdir(folder or "/")):
        if entry[1] & 0x4000:
            _prune(folder + "/" + entry[0] if folder else entry[0])
    if folder and not os.listdir(folder):
        os.rmdir(folder)


def _installed():
    """{path: hashes} of what is ours. An older deployment listed paths alone."""
    found = {}
    if _exists(INSTALLED):
        with open(INSTALLED) as file:
            for line in file:
                parts = line.split()
                if parts:
                    found[parts[0]] = parts[1:]
    return found


def _list(hashes):
    with open(INSTALLED + NEW, "w") as file:
        for path in sorted(hashes):
            if path not in (CONFIG, INSTALLED):
                file.write(" ".join([path] + hashes[path]) + "\n")
        file.write(INSTALLED + "\n")
    os.rename(INSTALLED + NEW, INSTALLED)


def _copy(path, name):
    with open(path, "rb") as old, open(name + NEW, "wb") as copy:
        while True:
            piece = old.read(512)
            if not piece:
                break
            copy.write(piece)
    os.rename(name + NEW, name)
