"""``refused.py FRONT URL [CA]``: connect to a server whose certificate is not to be trusted."""

import sys

from fronts import FRONTS, client_context

front, url, *files = sys.argv[1:]
options = {"ssl": client_context(*files)} if files else {}


async def run():
    try:
        await FRONTS[front].connect(url, **options)
    except OSError as error:
        print("refused:", error)
    else:
        print("connected")


FRONTS[front].run(run())
