"""How far an update over the network is: a file, which is exchanged in one step; see swap.py.

boot.py and main.py load this where there is a folder `microws-update`.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "microws-update"
FILE = FOLDER + "/state.txt"

_MORE = 10  # seconds that the chip's watchdog waits longer than the program does

# What at_start() found out of this start.
quiet = False  # it is for an update alone
on_trial = False  # it is the first one of a new version
watchdog: "Any" = None  # the chip's, meanwhile
_is_done = False


def at_start() -> None:
    """Go on with an update, as far as one start goes; the board may be reset in it."""
    global quiet, on_trial, watchdog, _is_done
    if _is_done:
        return
    _is_done = True
    word, seconds, version, before = read()
    if word == "quiet":
        quiet = True
        os.remove(FILE)
    elif word == "swapped":
        write("trying", seconds, version, before)
        on_trial = True
        try:
            from firmware import watchdog as chip

            watchdog = chip.start(seconds + _MORE)
        except Exception as error:  # a port that cannot have one; a crash is seen without it
            print("no watchdog for the new version: %s" % error)
    elif word not in ("", "taken"):
        from firmware import swap

        swap.go_on(word, seconds, version, before)


def read() -> list:
    """The state, the seconds that a new version has, its number, and that of the old one."""
    try:
        with open(FILE) as file:
            words = file.read().split(" ")
        return [words[0], int(words[1]), words[2], words[3]]
    except (OSError, ValueError, IndexError):
        return ["", 0, "", ""]


def write(word: str, seconds: int, version: str, before: str) -> None:
    """Exchange it."""
    if FOLDER not in os.listdir():
        os.mkdir(FOLDER)
    with open(FILE + ".new", "w") as file:
        file.write("%s %d %s %s" % (word, seconds, version, before))
    os.rename(FILE + ".new", FILE)
