"""The server role on a computer, for all the boards of a classroom: deploy.sh --serve.

It is the program of a board, on CPython, with the network of this computer in the place of a
board's. It has no pin: what it passes on comes from the boards and from people.
"""

import asyncio
import os
import socket
import sys
import tempfile
from pathlib import Path

from firmware.deploy.board_files import TOP, program
from firmware.deploy.refusal import PROGRAM
from firmware.settings import defaults
from host_tests.deploy.virtual import choose_port

MOST = 64  # clients


class Network:
    """What stands in for a part of firmware/net.py. `tell()` is called once the server listens."""

    def __init__(self, tell):
        self._tell = tell

    async def wait_for_address(self, settings):
        return self.address()

    async def sleep_with_address(self, held, seconds):
        tell, self._tell = self._tell, lambda: None
        tell()
        await asyncio.sleep(min(seconds, 1))
        return True

    def address(self):
        return "0.0.0.0"  # each that this computer has


def addresses():
    """The IPv4 addresses at which others may reach this computer, the most likely one first."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, but chooses the way out
            found.append(probe.getsockname()[0])
        except OSError:
            pass  # no network
    try:
        for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
            found.append(entry[4][0])
    except OSError:
        pass
    return [one for one in dict.fromkeys(found) if not one.startswith("127.")]


def tell(port):
    """Print what a teacher has to know."""
    own = addresses()
    told = []
    if not own:
        told.append("This computer has no network: only what runs on it can connect.")
        own = ["127.0.0.1"]
    url = f"ws://{own[0]}:{port}/"
    told += [
        f"Boards connect to {url} as in: {PROGRAM} --role client --url {url}?name=ada",
        f"Open http://{own[0]}:{port}/ in a browser to see them all and to chat.",
    ]
    for more in own[1:]:
        told.append(f"In another network of this computer it is {more} in place of {own[0]}.")
    told.append(
        "A server without a page, which says to each board what it sent, is: "
        f"websocketd --port={port} cat"
    )
    print(*told, sep="\n", flush=True)


def start(args):
    """Serve until Ctrl-C; the status to end with."""
    port = choose_port(args.listen, "0.0.0.0")
    sys.path.append(str(TOP / "host_tests" / "board"))  # a pin of a board for who asks for one
    from firmware import net, server

    network = Network(lambda: tell(port))
    for name in ("wait_for_address", "sleep_with_address", "address"):
        setattr(net, name, getattr(network, name))
    settings = {
        **defaults(),
        "role": "server",
        "hostname": args.name or socket.gethostname()[:32],
        "port": port,
        "max_clients": MOST,
        "chat": True,
    }
    with tempfile.TemporaryDirectory(prefix="microws-") as folder:
        for path, content in program().items():
            if path.startswith("page.html"):
                (Path(folder) / path).write_bytes(content)
        os.chdir(folder)
        try:
            # The usual loop on Windows cannot wait for a socket.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(server.run(settings, None))
        except KeyboardInterrupt:
            tell(port)
            print("Stopped.")
        finally:
            os.chdir(TOP)
    return 130
