"""From one version of the program to the next at a start, and back where the new one fails.

All of it lies in the folder `microws-update`, which receiving.py fills. It has each new file as
new!PATH, with ! for each slash, what was there before as old!PATH, and the list of what is to be
done, of which each line has a sign and a path:

    * changed    + added    - removed    = to be kept under the second name

What state the update is in stands in a file of its own, which is exchanged in one step:

    quiet     the next start is for an update alone, for which there is no memory else
    staged    all new files are there: the next start puts them in their places
    swapped   they are: the next start is the first one of the new version
    trying    it has started; where it starts again before it was found good, it goes back
    back      the old files come back to their places
    taken     they are; the rest is there to be told
    good      the new version stays; what is left of the old one goes

Each step can be done again where the power was cut in it, and none leaves a name without a whole
file, the old one or the new one.
"""

import os

import machine

from firmware.inventory import copy, exists, make_folders
from firmware.update_state import FILE, FOLDER, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LIST = FOLDER + "/files.txt"


def name_of(kind: str, path: str) -> str:
    """Where the new file ("new") that is to be at `path`, or the one of before ("old"), lies."""
    return "%s/%s!%s" % (FOLDER, kind, path.replace("/", "!"))


def lines() -> "Iterator[list]":
    """What is to be done: of each line the words."""
    try:
        with open(LIST) as file:
            for line in file:
                words = line.split()
                if words:
                    yield words
    except OSError:
        pass


def go_on(word: str, *rest: "Any") -> None:
    """Do what is due in this state, and reset the board: the next start has the memory for all."""
    if word == "staged":
        print("putting version %s in the place of %s" % (rest[1], rest[2]))
        try:
            _forward()
            word = "swapped"
        except OSError as error:
            print("it does not go: %s" % error)
            word = "back"
        write(word, *rest)
    elif word == "trying":
        word = "back"
        write(word, *rest)
    if word == "back":
        print("version %s has failed: %s comes back" % (rest[1], rest[2]))
        _back()
        write("taken", *rest)
    elif word == "good":
        clear()
    machine.reset()


def clear(but: str = "") -> None:
    """Remove all of the update, but for the files whose names begin like that; its state last."""
    last = FILE[len(FOLDER) + 1 :]
    for name in os.listdir(FOLDER):
        if name != last and not (but and name.startswith(but)):
            os.remove(FOLDER + "/" + name)
    if exists(FILE):
        os.remove(FILE)
    if not os.listdir(FOLDER):
        os.rmdir(FOLDER)


def move(path: str) -> None:
    """Put the new file at `path`, in one step."""
    make_folders(path)
    os.rename(name_of("new", path), path)


def _forward():
    for sign, path, *_ in lines():
        old = name_of("old", path)
        if sign == "-" and exists(path):
            os.rename(path, old)
        elif sign in ("*", "+") and exists(name_of("new", path)):
            # A copy, lest the name is without a file if the power is cut now.
            if sign == "*" and not exists(old):
                copy(path, old)
            move(path)


def _back():
    for sign, path, *_ in lines():
        old = name_of("old", path)
        if exists(old):
            os.rename(old, path)
        elif sign == "+" and exists(path):
            os.remove(path)
