"""Echo server for the suite.

``echo_server.py FRONT MODE COMPRESSION MAX_SIZE MAX_FRAGMENTS PORT`` is how it is started.

Prints a line once it listens, then serves until it is ended.
"""

import sys

import echo
import microws

PORT = int(sys.argv[6])


def serve():
    listener = microws.listen("127.0.0.1", PORT, **echo.OPTIONS)
    echo.tidy()
    print("listening")
    while True:
        try:
            echo.echo(listener.accept())
        except echo.ENDED:
            continue


async def handle(ws):
    try:
        await echo.echo_asyncio(ws)
    except echo.ENDED:
        return


async def serve_asyncio():
    from microws import aio

    await aio.serve(handle, "127.0.0.1", PORT, **echo.OPTIONS)
    echo.tidy()
    print("listening")
    await asyncio.Event().wait()


if echo.FRONT == "asyncio":
    import asyncio

    asyncio.run(serve_asyncio())
else:
    serve()
