"""Power on: run boot.py and main.py of the current folder, the stand-ins beside this file at hand.

It runs on MicroPython and on CPython.
"""

import sys

import machine  # noqa: F401  (it stands for what `os` says of the chip, too)

# sys.path[0] is this folder. A board looks in its root and in /lib.
sys.path[1:1] = ["", "lib"]

if sys.platform == "win32":
    import asyncio

    # The usual loop there cannot wait for a socket.
    asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())

scope = {"__name__": "__main__"}
for name in ("boot.py", "main.py"):
    with open(name) as file:
        exec(compile(file.read(), name, "exec"), scope)
