"""Virtual boards: the board's program in processes, with stand-ins for the hardware alone.

deploy.sh --virtual calls this. It needs nothing but CPython's standard library. On MicroPython a
board is one behind a serial port, and deploy.sh puts the program on it as on any other; without
MicroPython it is a folder with a copy of the program.
"""

import argparse
import contextlib
import json
import os
import platform
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from firmware.deploy.board_files import NOT_ON_A_BOARD, program
from host_tests.deploy import serial_port
from host_tests.support.paths import TOP

START = TOP / "host_tests" / "board" / "start.py"
DEFAULT_PORT = 8080
HEAP = {"32": "128k", "64": "256k"}  # for the board's own program
PROMPT = b">>> "
ENDED = "the program has ended; a board shows its prompt now"
PROBE = """
import sys
print("%d.%d.%d" % sys.implementation.version[:3], 64 if sys.maxsize > 1 << 31 else 32)
"""


class Failure(Exception):
    """Something that the person at the terminal can put right."""


def describe(micropython):
    """What a MicroPython is, for people, and the bits of its words."""
    answer = subprocess.run([micropython, "-c", PROBE], capture_output=True, text=True, check=True)
    version, bits = answer.stdout.split()
    return f"MicroPython {version}, {bits} bit, {HEAP[bits]} of heap", bits


def choose_port(wanted):
    """The server's port: the wanted one, a free one for 0, the default or a free one for None."""
    # A board cannot ask its system which port it got, so this asks before.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT if wanted is None else wanted))
        except OSError as error:
            if wanted is not None:
                raise Failure(
                    f"Port {wanted}: {error.strerror}. "
                    "Give another one after --listen; 0 is any free one."
                ) from None
            probe.bind(("127.0.0.1", 0))
            print(f"Port {DEFAULT_PORT} is taken; the server takes {probe.getsockname()[1]}.")
        return probe.getsockname()[1]


def environment():
    """This one without what is meant for other Pythons."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MICROPY"))
    }


class Board:
    """A folder with a board's files, and the process of CPython that runs them."""

    def __init__(self, name, folder, config):
        self.name = name
        self.folder = folder
        self.process = None
        files = program()
        for path in NOT_ON_A_BOARD:  # it may run on CPython
            files[path] = (TOP / path).read_bytes()
        files["config.json"] = json.dumps(config).encode()
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

    def power_on(self, lines):
        """Start the program: (board, line) to the queue for a line, (board, None) at its end."""
        self.process = subprocess.Popen(
            [sys.executable, "-E", "-s", "-u", "-X", "utf8", START],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            # Ctrl-C is for us: a board knows nothing of this terminal.
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def _read(self, lines):
        for line in self.process.stdout:
            lines.put((self, line.rstrip("\r\n")))
        lines.put((self, ENDED))
        lines.put((self, None))

    def power_off(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class SerialBoard:
    """A board behind a serial port, on which deploy.sh puts the program."""

    def __init__(self, name, folder, config, micropython, bits):
        self.name = name
        self._board = serial_port.SerialBoard(folder, micropython, heap=serial_port.HEAP[bits])
        self._deploy = None
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(config), encoding="utf-8")

    def power_on(self, lines):
        """Deploy, then start: lines to the queue as Board.power_on() does."""
        self._board.plug_in()
        self._deploy = subprocess.Popen(
            [TOP / "deploy.sh", "--port", self._board.device, "--config", self._config],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def _read(self, lines):
        for line in self._deploy.stdout:
            lines.put((self, line.rstrip("\n")))
        if self._deploy.wait() != 0:
            lines.put((self, None))
            return
        # The serial log, read as a terminal program reads it.
        log = os.open(self._board.device, os.O_RDWR | os.O_NOCTTY)
        rest = b""
        with contextlib.suppress(OSError):  # the power goes off
            while rest != PROMPT and (data := os.read(log, 4096)):
                *whole, rest = (rest + data).split(b"\r\n")
                for line in whole:
                    lines.put((self, line.decode(errors="backslashreplace")))
            lines.put((self, ENDED))
            lines.put((self, None))

    def power_off(self):
        if self._deploy is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._deploy.pid, signal.SIGKILL)
            self._deploy.wait()
        self._board.pull_out()


def run(boards, port):
    """Power on the first board, then the next when the server listens; show what they print."""
    lines = queue.SimpleQueue()
    off = list(boards)
    off.pop(0).power_on(lines)
    running = 1
    told = False
    while running:
        board, line = lines.get()
        if line is None:
            running -= 1
            continue
        print(f"{board.name} | {line}", flush=True)
        if board.name == "server" and "listening" in line and not told:
            told = True
            address = f"127.0.0.1:{port}/"
            print(f"Open http://{address} in a browser to see it.", flush=True)
            print(f"Any WebSocket client can connect to ws://{address} now.", flush=True)
            for other in off:
                other.power_on(lines)
                running += 1
            off = []


def plan(args, make):
    """The boards to start, in order, and the server's port. `make(name, config)` is a board."""
    port = None if args.role == "client" else choose_port(args.listen)
    boards = []
    if args.role != "client":
        boards.append(make("server", {"role": "server", "hostname": "server", "port": port}))
    if args.role != "server":
        config = {"role": "client", "hostname": "client"}
        url = f"ws://127.0.0.1:{port}/" if port else args.url
        if url:
            config["url"] = url
        boards.append(make("client", config))
    return boards, port


def terminate(number, frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--micropython", help="the interpreter; CPython if it is not given")
    parser.add_argument("--reason", default="", help="why there is no MicroPython")
    parser.add_argument("--role", choices=("server", "client"), help="only this one")
    parser.add_argument("--url", help="where a client that is alone connects to")
    parser.add_argument("--listen", type=int, metavar="PORT", help="0: any free one")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    boards = []
    try:
        with tempfile.TemporaryDirectory(prefix="microws-") as folder:
            try:
                if args.micropython:
                    description, bits = describe(args.micropython)

                    def make(name, config):
                        own = Path(folder) / name
                        return SerialBoard(name, own, config, args.micropython, bits)
                else:
                    version = platform.python_version()
                    description = f"CPython {version}, for want of MicroPython ({args.reason})"

                    def make(name, config):
                        return Board(name, Path(folder) / name, config)

                boards, port = plan(args, make)
                names = " and ".join(board.name for board in boards)
                print(f"Virtual {names} on {description}. Press Ctrl-C to stop.", flush=True)
                run(boards, port)
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
                for board in boards:
                    board.power_off()
        return 1
    except KeyboardInterrupt:
        print("Stopped.")
        return 130
    except BrokenPipeError:
        # Nobody reads any more; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Failure as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
