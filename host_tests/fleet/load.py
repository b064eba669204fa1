"""How a broker fares with many boards: a line of a table for each broker and number of boards.

    PYTHONPATH=lib:. .venv/bin/python -m host_tests.fleet.load mosquitto|nats BOARDS

The boards are sessions of the board's own program, in a process for each 500. Everything shares
this computer: the figures are of the whole, not of a broker.
"""

import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from host_tests.deploy import virtual
from host_tests.fleet.boards import program
from host_tests.support.brokers import Mosquitto, Nats
from host_tests.support.interpreters import environment
from host_tests.support.ports import free_port

IN_ONE = 500
INTERVAL = 5  # seconds between two values of a board
WELCOME = "the broker knows this board as"


class Program:
    """A process of which the lines are counted that have something in them."""

    def __init__(self, command, env=None):
        self.counts = {}
        self._popen = subprocess.Popen(
            [str(part) for part in command],
            env=env or environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.pid = self._popen.pid
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._popen.stdout:
            with self._news:
                for text in (WELCOME, "running", "Server is ready"):
                    if text in line:
                        self.counts[text] = self.counts.get(text, 0) + 1
                        self._news.notify_all()

    def wait_for(self, text, count=1):
        with self._news:
            if not self._news.wait_for(lambda: self.counts.get(text, 0) >= count, 150):
                raise SystemExit(f"{self._popen.args}: {self.counts}")

    def memory(self):
        """Its resident memory in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def send_signal(self, number):
        self._popen.send_signal(number)

    def wait(self):
        self._popen.wait()


def main(kind, boards):
    boards = int(boards)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="microws-") as name:
        folder = Path(name)
        if kind == "nats":
            routes = [free_port() for _ in range(3)]
            brokers = [Nats(Program, folder / f"n{i}", number=i, routes=routes) for i in range(3)]
        else:
            brokers = [Mosquitto(Program, folder / kind)]
        for broker in brokers:
            broker.process = Program(broker.command())
        for broker in brokers:
            broker.process.wait_for(broker.ready)
        time.sleep(5 if kind == "nats" else 0)  # a leader
        measure(kind, brokers, boards)


def measure(kind, brokers, boards):
    processes = []
    try:
        empty = sum(broker.process.memory() for broker in brokers)
        urls = [broker.url for broker in brokers]
        given = {**brokers[0].settings(), "sample_interval": INTERVAL, "discovery": ""}
        env = environment(virtual.START.parent)
        alone = Program([sys.executable, "-c", program(given, 1, urls)], env)
        processes.append(alone)
        alone.wait_for(WELCOME)
        base = alone.memory()  # most of it is not a session's
        alone.send_signal(9)
        alone.wait()
        processes.remove(alone)
        begin = time.monotonic()
        for number in range(0, boards, IN_ONE):
            count = min(IN_ONE, boards - number)
            code = program({**given, "topic": f"fleet{number}"}, count, urls)
            # Names have to differ between the processes, too.
            code = code.replace('"board%d"', f'"b{number}-%d"')
            processes.append(Program([sys.executable, "-c", code], env))
        sizes = [min(IN_ONE, boards - number) for number in range(0, boards, IN_ONE)]
        for process, count in zip(processes, sizes, strict=True):
            process.wait_for(WELCOME, count)
        connected = time.monotonic() - begin
        time.sleep(2 * INTERVAL)
        client = sum(process.memory() - base for process in processes) / boards
        server = (sum(broker.process.memory() for broker in brokers) - empty) / boards
        before = [process.counts[WELCOME] for process in processes]
        begin = time.monotonic()
        for broker in brokers:
            broker.process.send_signal(9)
            broker.process.wait()
        time.sleep(2)
        for broker in brokers:
            broker.process = Program(broker.command())
        for process, count, seen in zip(processes, sizes, before, strict=True):
            process.wait_for(WELCOME, seen + count)
        back = time.monotonic() - begin
        print(
            f"| {kind} | {boards} | {boards / connected:.0f} | {boards / INTERVAL:.0f} "
            f"| {client:.1f} | {server:.1f} | {back:.1f} |",
            flush=True,
        )
    finally:
        for process in processes + [broker.process for broker in brokers]:
            process.send_signal(9)
            process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
