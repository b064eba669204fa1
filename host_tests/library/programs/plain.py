"""``plain.py PROGRAM ...``: run it as on a MicroPython whose asyncio has another queue of sockets.

Then the library takes that queue as it is. For MicroPython.
"""

import sys
from asyncio import core

core.IOQueue.unknown = None
sys.argv.pop(0)
with open(sys.argv[0]) as file:
    exec(file.read())
