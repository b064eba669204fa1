"""A peer that vanishes: every packet is dropped from some moment on. `unshare -Urn` runs this.

    python vanish.py ROLE FOLDER COMMAND...

COMMAND is a board of that role in FOLDER. What it says is printed.
"""

import fcntl
import json
import socket
import struct
import subprocess
import sys
import threading

from websockets.sync.client import connect
from websockets.sync.server import serve

SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def link(up):
    """The loopback of this network namespace: without it no packet gets anywhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", IFF_UP if up else 0)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def main():
    role, folder, *command = sys.argv[1:]
    link(True)
    server = serve(lambda connection: list(connection), "127.0.0.1", 0, ping_interval=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.socket.getsockname()[1]
    settings = {"role": role, "port": port + 1, "url": f"ws://127.0.0.1:{port}/", "keepalive": 1}
    with open(folder + "/config.json", "w") as file:
        json.dump(settings, file)
    board = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        peer = None
        for line in board.stdout:
            print(line, end="", flush=True)
            if "listening" in line:
                peer = connect(f"ws://127.0.0.1:{port + 1}/", ping_interval=None)
            elif "sent pin0:" in line:
                link(False)
            elif "closed with code 1006" in line:
                link(True)
                if role == "server" or peer == "back":
                    return
                peer = "back"
    finally:
        board.kill()


main()
