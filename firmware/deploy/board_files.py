"""Which files of this project go on a board: the one list of those that do not.

deploy.sh, manifest.py, virtual boards and the tests ask here; a test compares package.json.
"""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import gzip
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent

# For computers only. Folders in firmware/ are, too.
NOT_ON_A_BOARD = ("firmware/manifest.py", "lib/microws/_cpython.py")
# Of the library, what the board's program does not use need not take flash.
NOT_IN_THE_PROGRAM = ("lib/microws/compression.py",)


def needless(settings, classes=("LAN", "WIZNET5K", "WLAN")):
    """What of the program a board with these settings has no use for.

    `classes` are the interfaces that its firmware has.
    """
    found = []
    is_mqtt = settings["role"] == "mqtt"
    if not is_mqtt:
        found += ["mqtt", "mqtt_packets", "mqtt_queue", "mqtt_session"]
    if not (is_mqtt and settings["queue_file"]):
        found.append("mqtt_file")
    if not (is_mqtt and settings["discovery"]):
        found.append("discovery")
    if settings["update_token"] is None:
        found += ["inventory", "quiet", "receiving", "swap", "update", "update_state", "watching"]
    if is_mqtt and settings["role_pin"] is None:
        found.append("prometheus")
    found = [f"firmware/{name}.py" for name in found]
    if settings["update_token"] is None:
        found.append("lib/microws/aio_listener.py")
    from firmware import boards  # the reader of the manifest does not find it

    if boards.with_driver(boards.profile(settings), classes)["driver"] != boards.OURS:
        found += modules("lib/w5500")
    return found


def modules(*folders):
    """The modules for a board in these folders, by their paths from the top."""
    paths = [path for folder in folders for path in TOP.glob(folder + "/*.py")]
    found = [path.relative_to(TOP).as_posix() for path in paths]
    return sorted(path for path in found if path not in NOT_ON_A_BOARD)


def library():
    """The library's modules, and the driver's: all that mip brings."""
    return modules("lib/microws", "lib/w5500")


def program_modules():
    """The modules of the board's program, the libraries' among them."""
    found = modules("lib/microws", "lib/w5500", "firmware")
    return [path for path in found if path not in NOT_IN_THE_PROGRAM]


def program():
    """{path on the board: content} of all that deploy.sh puts there."""
    paths = ["boot.py", "main.py", *program_modules()]
    files = {path: (TOP / path).read_bytes() for path in paths}
    page = (TOP / "firmware/page.html").read_bytes()
    files["page.html"] = page
    files["page.html.gz"] = gzip.compress(page, 9, mtime=0)
    return files
