"""Many boards in one process: the mqtt role as often as is asked for, each with a name of its own.

They count instead of sampling, so that a gap shows.
"""

import json

_PROGRAM = """
import asyncio, json
from firmware import modules
modules.load_role("mqtt")
from firmware import mqtt, net
from firmware.settings import defaults

GIVEN, BOARDS, URLS = json.loads(%r)

def counter():
    count = -1
    def read():
        nonlocal count
        count += 1
        return count
    return read

async def run():
    boards = []
    for number in range(BOARDS):
        turn = number %% len(URLS)
        settings = defaults()
        settings.update(GIVEN, role="mqtt", hostname="board%%d" %% number)
        settings["url"] = URLS[turn:] + URLS[:turn]
        boards.append(mqtt.run(settings, counter()))
    await asyncio.gather(*boards)

net.start(defaults())
asyncio.run(run())
"""


def program(given, boards, urls):
    """Its source: boards begin at the urls of brokers in turn."""
    return _PROGRAM % json.dumps([given, boards, urls])
