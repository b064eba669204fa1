"""How many messages a second the board's program takes of one client, counted on the chip.

    PYTHONPATH=.cache/rp2040/packages .venv/bin/python -m host_tests.rp2040.joystick

The server role runs there with sockets in memory, in which more waits than is taken. The figures
for firmware/README.md come from here. It takes two minutes.
"""

import asyncio

from firmware.deploy.board_files import program_modules
from host_tests.rp2040.file_system import file_system, programs
from host_tests.rp2040.pico import make_device
from host_tests.support.paths import TOP

MESSAGES = 400
PATIENCE = 600  # seconds

CODE = """
import asyncio, gc, time
import socket
from firmware import modules, net, settings
values = settings.defaults()
values.update(%r)
values["sample_pin"] = 26
async def address(settings):
    return "10.0.0.1"
async def sleep(address, seconds):
    await asyncio.sleep(seconds)
    return True
net.wait_for_address = address
net.sleep_with_address = sleep
modules.unload()
run = modules.load_role("server", modules.wanted_by(values, "server"))
from firmware import server
services = []
class Service(server.Service):
    def __init__(self, *given):
        super().__init__(*given)
        services.append(self)
server.Service = Service
REQUEST = "\\r\\n".join((
    "GET / HTTP/1.1", "Host: 10.0.0.1", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "",
)).encode()
SAID = b"".join([b"\\x81\\x87\\0\\0\\0\\0x:%%05d" %% i for i in range(100)])
async def main():
    task = asyncio.create_task(run(values, lambda: 12345))
    await asyncio.sleep(1)
    ends = []
    for _ in range(%d):
        end = socket.socket()
        end.connect(("", 8080))
        end.write(REQUEST)
        ends.append(end)
        await asyncio.sleep(1)
    (service,) = services
    for end in ends[1:]:
        end._peer.feed(b"")  # it says nothing, and takes everything
    ends[0]._peer.feed(SAID, True)
    counts = service.counters.values
    count = lambda: counts["messages_in"] + counts["skipped"]
    while count() < 50:
        await asyncio.sleep(0.1)
    gc.collect()
    first = count()
    start = time.ticks_ms()
    while count() < first + %d:
        await asyncio.sleep(0.1)
    took = time.ticks_diff(time.ticks_ms(), start)
    print("A second:", (count() - first) * 1000 // took)
    task.cancel()
asyncio.run(main())
"""

CASES = (
    ("one client, alone", 1, {}),
    ("one client, the newest of each name", 1, {"flood": "newest"}),
    ("one client of four, in a chat", 4, {"chat": True}),
)


async def measure(image, clients, settings):
    """Messages a second."""
    device = make_device(files=image)
    await device.astart()
    code = CODE % (settings, clients, MESSAGES)
    output, errors = await device.aexec(code, timeout=PATIENCE)
    device.stop()
    for line in output.decode().splitlines():
        if line.startswith("A second: "):
            return int(line.split()[-1])
    raise SystemExit(f"{output.decode()}{errors.decode()}")


def main():
    modules = [TOP / path for path in program_modules()]
    image = file_system(
        ("firmware", [path for path in modules if path.parent.name == "firmware"], True),
        ("lib/microws", [path for path in modules if path.parent.name == "microws"], True),
        ("lib", programs(), True),
    )
    for name, clients, settings in CASES:
        print(f"{name}: {asyncio.run(measure(image, clients, settings))} a second")


if __name__ == "__main__":
    main()
