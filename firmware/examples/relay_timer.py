"""A relay that switches itself off: send "10" to have it on for ten seconds.

config.json: { "outputs": { "relay": 26 } }
"""

import asyncio

from firmware import board

until_off = None


def on_message(message, client):
    global until_off
    if not message.isdigit():
        return "how many seconds?"
    if until_off:
        until_off.cancel()
    until_off = asyncio.create_task(on_for(int(message)))
    return "on for %s s" % message


async def on_for(seconds):
    board.outputs["relay"].on()
    await asyncio.sleep(seconds)
    board.outputs["relay"].off()
