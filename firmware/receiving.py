"""A package that comes over the network: whether it is for this board, and its files.

It has a head, the list of what is to be done (see swap.py), and a signature over both, which holds
for one connection alone. Then it is asked for each file of the list that is not there yet.
update.py loads this when a package comes.
"""

import binascii
import hashlib
import json
import os
import sys

import microws

from firmware import inventory, swap, update_state
from firmware.inventory import copy, digest, exists
from firmware.log import uptime
from firmware.offenders import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIECE = 1024  # bytes of a message
_MOST_LISTED = 32768  # bytes of a list
_PATIENCE = 30  # seconds for a message
_LONGEST = 1800  # seconds for an update
_NOT_TO_BE_SENT = ("config.json", update_state.FOLDER)
# Whose files no sketch brings.
_OF_THE_PROGRAM = ("firmware", "boot.py", "main.py", "lib/microws", "lib/w5500")


class Refused(Exception):
    """A package that is not taken, and why not in words."""


def about() -> dict:
    """What whoever makes a package needs to know of the board."""
    found = inventory.about()
    found["free"] += _size_of_staged()
    return found


files = inventory.files


async def receive(ws: "Any", head: str, nonce: str, key: bytes, seconds: int) -> str:
    """Take a package; "sketch", or the version of the program that the next start is to swap in.

    `nonce` is what this connection was given, `seconds` are those that a new version has. Refused
    where it is not taken, and the errors of the connection.
    """
    if update_state.read()[0] not in ("", "good", "taken"):
        raise Refused("the update before is on trial still")
    package = _checked(head, nonce)
    is_sketch = package["kind"] == "sketch"
    try:
        if exists(update_state.FOLDER):
            swap.clear("new!")  # which need not come again
        if not exists(update_state.FOLDER):
            os.mkdir(update_state.FOLDER)
        await _take_list(ws, head, key, is_sketch)
        await _take_files(ws)
        if is_sketch:
            _exchange()
            return "sketch"
        for sign, path, *more in swap.lines():
            if sign == "=":
                copy(path, more[0])
        update_state.write("staged", seconds, package["version"], microws.__version__)
        return package["version"]
    except OSError as error:
        if isinstance(error, microws.Timeout) or ws.close_code:
            raise
        raise Refused("it cannot be written: %s" % error)


def _checked(head, nonce):
    """The head of a package, which is for this board."""
    try:
        package = json.loads(head)
        version = [int(part) for part in package["version"].split(".")]
        board, need = package["machine"], int(package["need"])
        if package["kind"] not in ("program", "sketch") or " " in package["version"]:
            raise ValueError
        given = package["nonce"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused("this is no package")
    found = about()
    if board != found["machine"]:
        raise Refused("it is for a board %s; this is %s" % (board, found["machine"]))
    if given != nonce:
        raise Refused("it was made for another connection")
    if version < [int(part) for part in microws.__version__.split(".")]:
        raise Refused(
            "version %s is older than %s, which is here; to go back takes the serial port"
            % (package["version"], microws.__version__)
        )
    if need > found["free"]:
        raise Refused(
            "%d KB of flash are free and %d KB needed, for the new version beside the old one"
            % (found["free"] // 1024, need // 1024)
        )
    return package


async def _take_list(ws, head, key, is_sketch):
    """The list, to its file, once its signature is right."""
    pads = [bytes([byte ^ pad for byte in _block(key)]) for pad in (0x36, 0x5C)]
    inner = hashlib.sha256(pads[0])
    inner.update(head.encode() + b"\n")
    size = 0
    new = swap.LIST + ".new"
    with open(new, "w") as file:
        while True:
            message = await ws.recv(_PATIENCE)
            if not isinstance(message, str):
                raise Refused("this is no list")
            if message.startswith("signature "):
                break
            size += len(message)
            if size > _MOST_LISTED:
                raise Refused("the list is too long")
            for line in message.split("\n"):
                _check(line.split(" "), is_sketch)
            inner.update(message.encode() + b"\n")
            file.write(message + "\n")
    outer = hashlib.sha256(pads[1])
    outer.update(inner.digest())
    if not same(message[10:].encode(), binascii.hexlify(outer.digest())):
        os.remove(new)
        raise Refused('the signature is wrong: is "update_key" that of this board?')
    os.rename(new, swap.LIST)


async def _take_files(ws):
    """Each file of the list that is not there yet."""
    began = uptime()
    buffer = bytearray(PIECE)
    for sign, path, *more in swap.lines():
        if sign not in ("*", "+"):
            continue
        name = swap.name_of("new", path)
        size = int(more[0])
        if exists(name) and os.stat(name)[6] == size and digest(name) == more[1]:
            continue
        await ws.send("send " + path)
        with open(name, "wb") as file:
            while size > 0:
                count = await ws.recv_into(buffer, _PATIENCE)
                if ws.is_text or count > size or uptime() - began > _LONGEST:
                    raise Refused("%s did not come as it should" % path)
                size -= count
                file.write(memoryview(buffer)[:count])
        if digest(name) != more[1]:
            os.remove(name)
            raise Refused("%s did not arrive whole" % path)


def _check(words, is_sketch):
    """Refuse a line that no list may have."""
    sign, *more = words
    counts = {"*": 3, "+": 3} if is_sketch else {"*": 3, "+": 3, "-": 1, "=": 2}
    if counts.get(sign) != len(more):
        raise Refused("this is no list")
    for path in more[: 2 if sign == "=" else 1]:
        if not _is_inside(path):
            raise Refused("the path %s leaves the folder of the program" % path)
        if is_sketch and _lies_in(path, _OF_THE_PROGRAM):
            raise Refused("%s is no file of a sketch" % path)
        if _lies_in(path, _NOT_TO_BE_SENT):
            raise Refused("%s is the board's own" % path)
    if len(more) == 3 and not (more[1].isdigit() and len(more[2]) == 64):
        raise Refused("this is no list")


def _is_inside(path):
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return False
    strange = [letter for letter in path.encode() if not 0x20 < letter < 0x7F or letter in b"!\\:"]
    return len(path) <= 100 and not strange


def _lies_in(path, places):
    for place in places:
        if path == place or path.startswith(place + "/"):
            return True
    return False


def _exchange():
    """Put the files of a sketch in their places; sketch.py last, for that is looked at."""
    paths = [words[1] for words in swap.lines()]
    for path in [one for one in paths if one != "sketch.py"] + ["sketch.py"]:
        if path in paths:
            swap.move(path)
    sketch: Any = sys.modules.get("firmware.sketch")
    if sketch:
        sketch.renewed += 1
    swap.clear()


def _block(key):
    """A key as HMAC takes it (RFC 2104 §2)."""
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    return key + bytes(64 - len(key))


def _size_of_staged():
    if not exists(update_state.FOLDER):
        return 0
    sizes = [
        os.stat(update_state.FOLDER + "/" + name)[6] for name in os.listdir(update_state.FOLDER)
    ]
    return sum([(size + 4095) // 4096 * 4096 for size in sizes])
