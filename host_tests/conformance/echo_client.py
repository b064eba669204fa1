"""Echo client for the suite.

``echo_client.py FRONT MODE COMPRESSION MAX_SIZE MAX_FRAGMENTS PORT CASES`` is how it is started.

Runs the cases 1 to CASES of the suite's server, then ends.
"""

import sys

import echo
import microws

PORT, CASES = sys.argv[6:]


def targets():
    for number in range(1, int(CASES) + 1):
        echo.tidy()
        yield f"ws://127.0.0.1:{PORT}/runCase?case={number}&agent=microws"


def run():
    for target in targets():
        try:
            echo.echo(microws.connect(target, **echo.OPTIONS))
        except echo.ENDED:
            continue


async def run_asyncio():
    from microws import aio

    for target in targets():
        try:
            await echo.echo_asyncio(await aio.connect(target, **echo.OPTIONS))
        except echo.ENDED:
            continue


if echo.FRONT == "asyncio":
    import asyncio

    asyncio.run(run_asyncio())
else:
    run()
