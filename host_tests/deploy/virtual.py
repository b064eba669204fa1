"""Virtual boards: the board's program in processes, with stand-ins for the hardware alone.

deploy.sh --virtual calls this. It needs nothing but CPython's standard library. On MicroPython a
board is one behind a serial port, and the program comes on it as on any other; without MicroPython
it is a folder with a copy of the program, which

    python -m host_tests.deploy.virtual OPTION...

starts wherever it runs; its options are those of deploy.sh.
"""

import contextlib
import json
import os
import platform
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from firmware import boards as profiles
from firmware import config_file
from firmware.config import ConfigError
from firmware.deploy import options, packages
from firmware.deploy.board_files import NOT_ON_A_BOARD, program
from firmware.deploy.refusal import Refusal
from firmware.deploy.sketch import files_of
from host_tests.support.paths import BIN, TOP

START = TOP / "host_tests" / "board" / "start.py"
DEFAULT_PORT = 8080
HEAP = {"32": "128k", "64": "256k"}  # for the board's own program
LOOK_EVERY = 0.2  # seconds, whether a sketch was saved
PROMPT = b">>> "
ENDED = "the program has ended; a board shows its prompt now"
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
PROBE = """
import sys
print("%d.%d.%d" % sys.implementation.version[:3], 64 if sys.maxsize > 1 << 31 else 32)
"""


def find_micropython():
    """The MicroPython to run, set up where it is missing, and None; or None, and why not."""
    reasons = []
    for name in ("micropython32", "micropython64"):
        if os.name == "nt":  # no pseudo-terminal, so no serial port
            return None, "Windows has no pseudo-terminals"
        result = subprocess.run(
            [TOP / "host_tests" / "setup.sh", name], stderr=subprocess.PIPE, text=True
        )
        if result.returncode == 0:
            if reasons:
                print(f"No 32-bit MicroPython: {reasons[0]}")
            return BIN / name, None
        said = result.stderr.strip().splitlines() or ["set-up failed"]
        reasons.append(said[-1].removeprefix(f"Missing: {name}: "))
    return None, reasons[-1]


def describe(micropython):
    """What a MicroPython is, for people, and the bits of its words."""
    answer = subprocess.run([micropython, "-c", PROBE], capture_output=True, text=True, check=True)
    version, bits = answer.stdout.split()
    return f"MicroPython {version}, {bits} bit, {HEAP[bits]} of heap", bits


def choose_port(wanted, address="127.0.0.1"):
    """The server's port: the wanted one, a free one for 0, the default or a free one for None."""
    # A board cannot ask its system which port it got, so this asks before.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, DEFAULT_PORT if wanted is None else wanted))
        except OSError as error:
            if wanted is not None:
                raise Refusal(
                    f"Port {wanted}: {error.strerror}. "
                    "Give another one after --listen; 0 is any free one."
                ) from None
            probe.bind((address, 0))
            print(f"Port {DEFAULT_PORT} is taken; the server takes {probe.getsockname()[1]}.")
        return probe.getsockname()[1]


def environment():
    """This one without what is meant for other Pythons."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MICROPY"))
    }


class Bench:
    """What a person does to a virtual board while it runs: see board/bench.py."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._count = 0

    def environment(self, profile):
        """For a virtual board with this profile."""
        return {
            **environment(),
            "MICROWS_BENCH": str(self.folder),
            "MICROWS_CHIP": profile["chip"],
            "MICROWS_W5500": json.dumps(w5500_of(profile)),
        }

    def put(self, files):
        """Files, {path: content}, into the flash of the board."""
        lines = ""
        for path, content in files.items():
            self._count += 1
            (self.folder / str(self._count)).write_bytes(content)
            lines += f"file {self._count} {path}\n"
        with (self.folder / "events").open("a") as file:
            file.write(lines)


class Watch:
    """Puts a sketch, and what it imports, on boards again whenever one of the files is saved."""

    def __init__(self, sketch, benches):
        self._sketch = Path(sketch)
        self._benches = benches
        self._before = None
        self.put()

    def put(self):
        files = files_of(self._sketch)
        for bench in self._benches:
            # The sketch comes last: the board looks whether that has changed.
            bench.put({path: files[path] for path in reversed(files)})
        self._before = self._stamps(files)

    def _stamps(self, files):
        paths = [self._sketch, *(self._sketch.parent / path for path in files)]
        return [(path, path.stat().st_mtime_ns) for path in paths if path.exists()]

    def look(self):
        """Whether they were saved since the last time, and are on their way now."""
        now = [
            (path, path.stat().st_mtime_ns if path.exists() else None) for path, _ in self._before
        ]
        if now == self._before:
            return False
        self._before = now
        try:
            self.put()
        except (OSError, Refusal) as error:
            print(f"Not exchanged: {error}", flush=True)
            return False
        print(f"{self._sketch.name} was saved.", flush=True)
        return True

    def live(self):
        while True:
            time.sleep(LOOK_EVERY)
            self.look()


class Board:
    """A folder with a board's files, and the process of CPython that runs them."""

    device = None  # it has no serial port

    def __init__(self, name, folder, config, bench=None):
        self.name = name
        self.folder = folder
        self.process = None
        self._env = bench.environment(profile_of(config)) if bench else environment()
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
            env=self._env,
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
    """A board behind a serial port, on which the program is put as on any other."""

    def __init__(self, name, folder, config, bench, micropython, bits):
        from host_tests.deploy import serial_port  # which Windows cannot import

        self.name = name
        profile = profile_of(config)
        heap = (serial_port.HEAP_WITH_W5500 if w5500_of(profile) else serial_port.HEAP)[bits]
        self._board = serial_port.SerialBoard(folder, micropython, chip=profile["chip"], heap=heap)
        self._board.env = bench.environment(profile)
        self._board.tap = self._hear
        self._deploy = None
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(config), encoding="utf-8")
        self._lock = threading.Lock()
        self._is_deployed = False
        self._hard = serial_port.HARD
        self._said = b""  # since the last whole line

    @property
    def device(self):
        """The path of its serial port."""
        return self._board.device

    def power_on(self, lines):
        """Deploy, then start: lines to the queue as Board.power_on() does."""
        self._lines = lines
        self._board.plug_in()
        program = TOP / "firmware" / "deploy"
        self._deploy = subprocess.Popen(
            [sys.executable, program, "--port", self.device, "--config", self._config],
            env=packages.environment(environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._deploy.stdout:
            self._lines.put((self, line.rstrip("\n")))
        if self._deploy.wait() != 0:
            self._lines.put((self, None))
            return
        with self._lock:
            self._is_deployed = True
            self._tell()

    def _hear(self, data):
        """What the board says: its serial log, from the hard reset that ends a deployment."""
        if self._hard not in self._board.resets:
            return
        with self._lock:
            self._said += data
            if self._is_deployed:
                self._tell()

    def _tell(self):
        *whole, self._said = self._said.split(b"\r\n")
        for line in whole:
            text = CONTROLS.sub("", line.decode(errors="backslashreplace"))
            self._lines.put((self, text))
        if self._said == PROMPT:
            self._lines.put((self, ENDED))
            self._said = b""

    def power_off(self):
        if self._deploy is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._deploy.pid, signal.SIGKILL)
            self._deploy.wait()
        self._board.pull_out()


def run(boards, addresses):
    """Power on the first board, then the next when the server listens; show what they print.

    The addresses come when all of them have started.
    """
    lines = queue.SimpleQueue()
    off = list(boards)
    off.pop(0).power_on(lines)
    running = 1
    starting = {board.name for board in boards}
    while running:
        board, line = lines.get()
        if line is None:
            running -= 1
            starting.discard(board.name)
            continue
        print(f"{board.name} | {line}", flush=True)
        if "listening" in line or "connecting to" in line:
            if board.name not in starting:
                continue
            starting.discard(board.name)
            for other in off:
                other.power_on(lines)
                running += 1
            off = []
            if not starting:
                print(*addresses(), sep="\n", flush=True)


def plan(args, make):
    """The boards to start, in order, and the server's port. `make(name, config)` is a board.

    A board with a configuration or a sketch of its own is alone, unless a role is told. Of two
    the server has the name that is told.
    """
    given = config_of(args)
    role = args.role
    if role is None and (args.config or args.sketch):
        role = given.get("role", "server")
    port = None
    boards = []
    if role != "client":
        port = choose_port(given.get("port") if args.listen is None else args.listen)
        config = {"hostname": "server", **given, "role": "server", "port": port}
        boards.append(make(config["hostname"], config))
    if role != "server":
        own = given if role else {"board": args.board} if args.board else {}
        config = {"hostname": "client", **own, "role": "client"}
        if port:
            config["url"] = f"ws://127.0.0.1:{port}/"
        elif args.url:
            config["url"] = args.url
        boards.append(make(config["hostname"], config))
    return boards, port


def config_of(args):
    """What the options say of a board's configuration."""
    given = {}
    if args.config:
        try:
            given = config_file.parse(Path(args.config).read_bytes(), args.config)
        except ConfigError as error:
            raise Refusal(error.problems[0]) from None
        if given.get("role") == "mqtt":
            raise Refusal("A virtual board has no broker; see --fleet.")
    if args.board:
        given["board"] = args.board
    if args.name:
        given["hostname"] = args.name
    return given


def profile_of(config):
    """The profile of the configured board, to be played by a virtual one."""
    board = config.get("board", "esp32-w5500")
    if board == profiles.CUSTOM and isinstance(config.get("pins"), dict):
        return {**profiles.profile(config), "chip": "ESP32"}
    return profiles.PROFILES.get(board, profiles.PROFILES["esp32-w5500"])


def w5500_of(profile):
    """The pins of the chip that the board gets, where its driver is ours."""
    if profile["driver"] != profiles.OURS:
        return {}
    return {name: profile.get(name) for name in ("cs", "reset", "int")}


def terminate(number, frame):
    sys.exit(128 + number)


def addresses_of(boards, port):
    """What a person needs to know of the boards that run."""
    told = []
    for board in boards:
        if board.device:
            told.append(f"{board.name} has the serial port {board.device}.")
    if port is not None:
        told.append(f"Any WebSocket client can connect to ws://127.0.0.1:{port}/ now.")
        told.append(f"Open http://127.0.0.1:{port}/ in a browser to see it.")
    return told


def start(args, is_cpython=False):
    """Run the boards that the options say until Ctrl-C; the status to end with."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), terminate)
    boards = []
    port = None
    try:
        micropython, reason = (None, "as asked for") if is_cpython else find_micropython()
        if micropython:
            packages.need("mpremote")
            description, bits = describe(micropython)
        else:
            description = (
                f"CPython {platform.python_version()}, for want of MicroPython ({reason})"
            )
        with tempfile.TemporaryDirectory(prefix="microws-") as folder:
            benches = []

            def make(name, config):
                own = Path(folder) / name
                benches.append(Bench(own / "bench"))
                parts = (name, own, config, benches[-1])
                if micropython:
                    return SerialBoard(*parts, micropython, bits)
                return Board(*parts)

            try:
                boards, port = plan(args, make)
                if args.sketch:
                    watch = Watch(args.sketch, benches)
                    if args.watch:
                        threading.Thread(target=watch.live, daemon=True).start()
                names = " and ".join(board.name for board in boards)
                print(f"Virtual {names} on {description}. Press Ctrl-C to stop.", flush=True)
                run(boards, lambda: addresses_of(boards, port))
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
                for board in boards:
                    board.power_off()
        return 1
    except KeyboardInterrupt:
        if port is not None:
            print(f"The page was at http://127.0.0.1:{port}/")
        print("Stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(options.main(["--virtual", *sys.argv[1:]], lambda args: start(args, True)))
