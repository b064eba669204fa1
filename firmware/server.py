"""The server role: serve at the board's address, and take up the next one when it is gone."""

import asyncio

from microws.aio_server import serve  # now, while the heap is whole

from firmware import net
from firmware.answers import STARVED
from firmware.describe import describe_error
from firmware.log import log
from firmware.service import MAX_SIZE, Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_EVERY = 0.5  # seconds, whether all is as it should be
_RETRY = 5  # seconds
_NAME_SIZE = 512  # bytes, most of them a name's, that come to a message in the chat


async def run(settings: dict, read: "Callable[[], int] | None") -> None:
    """Run the role for ever; `read()` gives a sample of pin0."""
    service = Service(settings, read)
    if settings["wifi_ap"]:
        from firmware import own_wifi

        net.own_wifi = own_wifi.OwnWifi(settings)
    ssl = None
    if settings["cert_file"]:
        from firmware import certificates

        ssl = certificates.server_context(settings)
    values = service.values
    tasks = [
        asyncio.create_task(one)
        for one in (service.watch(), values.watch(), values.watch_sketch(service.say))
    ]
    try:
        while True:
            try:
                await _listen(settings, service, tasks[1], ssl)
            except MemoryError:
                log("out of memory")
                await asyncio.sleep(_RETRY)
    finally:
        for task in tasks:
            task.cancel()
        values.end()


async def _listen(settings, service, watch, ssl):
    """Serve at one address, until it is gone."""
    address = await net.wait_for_address(settings)
    await service.values.start_sketch(service.say)
    max_size = settings["max_size"] or MAX_SIZE
    try:
        server = await serve(
            service.handle,
            address,
            settings["port"],
            max_clients=service.max_clients,
            max_pending=net.most_pending(),
            max_unacknowledged=net.most_unacknowledged(),
            process_request=service.answers.answer,
            subprotocols=settings["subprotocols"] or (),
            on_refused=service.answers.refused,
            max_backlog=max_size + _NAME_SIZE,  # one message of another, with its name
            slow=settings["slow"],
            max_size=max_size,
            max_header=settings["max_header"] or 2048,
            max_body=512 if settings["outputs"] else 0,  # what POST /values sets
            close_timeout=2,
            keepalive_timeout=settings["keepalive"],
            ssl=ssl,
        )
    except OSError as error:
        log("cannot listen on port %d: %s" % (settings["port"], describe_error(error)))
        log("trying again in %d s" % _RETRY)
        await net.sleep_with_address(address, _RETRY)
        return
    service.server = server
    net.does_its_work = True
    place = (address, settings["port"])
    log("listening on %s://%s:%d" % (("wss" if ssl else "ws",) + place) + settings["path"])
    url = "%s://%s:%d/" % (("https" if ssl else "http",) + place)
    log("the page is at " + url)
    if net.has_own_wifi():
        log("which Wi-Fi the board is to join, it is told at %swifi" % url)
    try:
        while True:
            try:
                if not await net.sleep_with_address(address, _LOOK_EVERY):
                    break
                if watch.done():
                    await watch  # what ended it goes on from here
                if not server.is_serving():
                    raise RuntimeError("the server takes no clients any more")
                if service.answers.is_starved:
                    raise RuntimeError("no memory for a single client in %d s" % STARVED)
            except MemoryError:
                await asyncio.sleep(1)
        log("the address %s is gone" % address)
    finally:
        server.close()
        await server.wait_closed()
