"""A broker, virtual boards on it, and a page that shows them: deploy.sh --virtual --fleet N.

Two of the boards are whole virtual ones. The others are sessions of the program in one process.
"""

import contextlib
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from firmware.deploy import packages
from firmware.deploy.refusal import Refusal
from host_tests.deploy import virtual
from host_tests.fleet.boards import program
from host_tests.support.paths import BIN, TOP
from host_tests.support.ports import free_port

WHOLE = 2
TOPIC = "microws"


def brokers():
    """Have Mosquitto."""
    result = subprocess.run(
        [TOP / "host_tests" / "setup.sh", "brokers"], stderr=subprocess.PIPE, text=True
    )
    if result.returncode:
        said = result.stderr.strip().splitlines() or ["set-up failed"]
        raise Refusal(said[-1])


class Program:
    """A program in the background; `hear(line)` gets what it prints, and None at its end."""

    def __init__(self, command, hear, env=None):
        self._process = subprocess.Popen(
            command,
            env=env,
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,  # Ctrl-C is for us
        )
        threading.Thread(target=self._read, args=(hear,), daemon=True).start()

    def _read(self, hear):
        for line in self._process.stdout:
            hear(line.rstrip())
        hear(None)

    def stop(self):
        self._process.kill()
        self._process.wait()


def start(args):
    """Run the fleet that the options say until Ctrl-C; the status to end with."""
    brokers()
    micropython = virtual.find_micropython()[0]
    if micropython:
        packages.need("mpremote")
    port = virtual.choose_port(args.listen)
    lines = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="microws-") as folder, contextlib.ExitStack() as stack:
        try:
            run(args, Path(folder), stack, micropython, lines, port)
        except KeyboardInterrupt:
            print("Stopped.")
            return 130
        finally:
            stack.close()
    return 1


def run(args, folder, stack, micropython, lines, port):
    broker = free_port()
    url = f"ws://127.0.0.1:{broker}/mqtt"
    config = folder / "mosquitto.conf"
    config.write_text(
        f"user root\nallow_anonymous true\nlistener {free_port()} 127.0.0.1\n"
        f"listener {broker} 127.0.0.1\nprotocol websockets\nset_tcp_nodelay true\n"
    )

    def begin(name, command, env=None):
        program = Program(command, lambda line: lines.put((name, line)), env)
        stack.callback(program.stop)

    begin("broker", [BIN / "mosquitto", "-c", config])
    wait_for(lines, "broker", "running")
    env = {**virtual.environment(), "PYTHONPATH": f"{TOP / 'lib'}:{TOP}", "PYTHONUNBUFFERED": "1"}
    begin("watch", [sys.executable, "-m", "host_tests.fleet.watch", url, TOPIC, str(port)], env)
    given = {"topic": TOPIC, "sample_interval": 1}
    more = program(given, args.fleet - WHOLE, [url])
    env["PYTHONPATH"] = f"{virtual.START.parent}:{env['PYTHONPATH']}"
    begin("sessions", [sys.executable, "-c", more], env)
    print(f"Open http://127.0.0.1:{port}/ in a browser to see them. Press Ctrl-C to stop.")
    print(f"The broker is at {url}.", flush=True)
    for number in range(1, WHOLE + 1):
        name = f"whole{number}"
        settings = {"role": "mqtt", "hostname": name, "url": url, "sample_interval": 1}
        parts = (name, folder / name, settings, virtual.Bench(folder / name / "bench"))
        if micropython:
            board = virtual.SerialBoard(*parts, micropython, virtual.describe(micropython)[1])
        else:
            board = virtual.Board(*parts)
        stack.callback(board.power_off)
        board.power_on(Named(lines))
    while True:
        name, line = lines.get()
        if line is None and name in ("broker", "watch", "sessions"):
            raise Refusal(f"{name}: it has ended")
        if name == "watch" and line:
            print(line, flush=True)


class Named:
    """A queue that takes (board, line) and passes on the board's name."""

    def __init__(self, lines):
        self._lines = lines

    def put(self, item):
        board, line = item
        self._lines.put((board.name, line))


def wait_for(lines, name, text):
    """Until a program has said so; Refusal where it ends first."""
    said = []
    while True:
        found, line = lines.get(timeout=30)
        if found == name and line is None:
            raise Refusal(f"{name}: {said[-1] if said else 'it has ended'}")
        said.append(line)
        if found == name and text in line:
            return
