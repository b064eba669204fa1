"""The whole program on a Pico with its stock firmware and a W5500: server and client."""

import contextlib
import json
import queue
import subprocess
import threading
import urllib.request

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from firmware.deploy import board_files
from host_tests.conformance import run as conformance
from host_tests.rp2040.board import PATIENCE, Board
from host_tests.rp2040.file_system import file_system, library, programs
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port
from host_tests.support.tools import tool

FULL = pytest.mark.full
ADDRESS = "address 10.0.0.7"


def power_on(folder, config, ports):
    """A Pico with the program on its flash, which starts by itself."""
    tool("micropython64")
    (folder / "config.json").write_text(json.dumps({"board": "pico-w5500", **config}))
    modules = board_files.program_modules()
    groups = [
        (place, [TOP / path for path in modules if path.rpartition("/")[0] == place], True)
        for place in ("lib/microws", "lib/w5500", "firmware")
    ]
    groups.append(("", [TOP / "boot.py", TOP / "main.py", folder / "config.json"], False))
    groups.append(("", [TOP / "firmware" / "page.html"], False))
    (folder / "files").write_bytes(file_system(*groups))
    return Board(folder, files=folder / "files", w5500=ports)


def off(board):
    said = board.off()
    assert "offence" not in said, said


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A board in the server role, and its port here."""
    port = free_port()
    folder = tmp_path_factory.mktemp("server")
    config = {"role": "server", "port": 80, "chat": True}
    board = power_on(folder, config, {80: port})
    board.restarted("soft reboot", "starting as server", ADDRESS, "listening")
    yield board, port
    off(board)


def client(port):
    return connect(
        f"ws://127.0.0.1:{port}/", compression=None, open_timeout=PATIENCE, close_timeout=PATIENCE,
        proxy=None,
    )  # fmt: skip


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return answer.read()


def test_a_client_gets_samples(server):
    _, port = server
    with client(port) as ws:
        samples = [ws.recv(timeout=PATIENCE) for _ in range(2)]
    assert all(sample.startswith("pin0:") for sample in samples)
    assert all(0 <= int(sample[5:]) <= 65535 for sample in samples)


def test_the_page_and_the_counters(server):
    _, port = server
    assert fetch(port, "/") == (TOP / "firmware" / "page.html").read_bytes()
    assert b"clients" in fetch(port, "/metrics")


@FULL
def test_ten_come_together(server):
    """Five are served; who is too many is told by HTTP or by a reset, and nobody by silence."""
    _, port = server
    with contextlib.ExitStack() as stack:
        served, refused = [], 0
        for _ in range(10):
            try:
                served.append(stack.enter_context(client(port)))
            except InvalidStatus as error:
                refused += error.response.status_code == 503
            except (ConnectionError, EOFError, InvalidMessage):
                refused += 1
        assert (len(served), refused) == (5, 5)
        for ws in served:
            assert ws.recv(timeout=PATIENCE).startswith("pin0:")


@FULL
def test_a_hundred_come_one_after_the_other(server):
    """Each gets a place at once that the one before gave back, and nothing of it is left."""
    _, port = server
    for _ in range(100):
        with client(port) as ws:
            assert ws.recv(timeout=PATIENCE).startswith("pin0:")


def test_a_cable_that_is_pulled_and_plugged(server):
    board, port = server
    board.pull_or_plug()
    board.says("no link")
    board.pull_or_plug()
    board.says(ADDRESS, "listening")
    with client(port) as ws:
        assert ws.recv(timeout=PATIENCE).startswith("pin0:")


def test_the_client_role(tmp_path):
    """Against `websockets`: samples come, what is sent is on the log, it comes back."""
    samples = queue.SimpleQueue()

    def handler(ws):
        ws.send("hello from here")
        samples.put(ws.recv())
        ws.close(1001)

    with serve(handler, "127.0.0.1", 0, compression=None) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        port = listening.socket.getsockname()[1]
        config = {"role": "client", "url": f"ws://10.0.0.1:{port}/"}
        board = power_on(tmp_path, config, {})
        try:
            board.says("connected to 10.0.0.1", "hello from here", "trying again", "connected to")
            for _ in range(2):
                assert samples.get(timeout=PATIENCE).startswith("pin0:")
        finally:
            off(board)
        listening.shutdown()


@FULL
def test_two_boards_talk_to_each_other(tmp_path):
    port = free_port()
    roles = {
        "server": ({"role": "server", "port": 80}, {80: port}),
        "client": ({"role": "client", "url": f"ws://10.0.0.1:{port}/"}, {}),
    }
    with contextlib.ExitStack() as stack:
        boards = {}
        for role, (config, ports) in roles.items():
            folder = tmp_path / role
            folder.mkdir()
            boards[role] = power_on(folder, config, ports)
            stack.callback(off, boards[role])
        boards["client"].says("connected to 10.0.0.1", "received pin0:", "received pin0:")
        boards["server"].says("connected from", "client 1: received pin0:", "received pin0:")


# Of the core groups all but what sends messages that a Pico has no room for: 64 KiB.
CASES = [f"{group}.*" for group in (2, 3, 4, 5, 6, 7)] + ["1.[12].[1-5]"]
NUMBER = 240  # of these


@FULL
def test_autobahn(tmp_path):
    tool("micropython64")
    main = tmp_path / "main.py"
    main.write_text("import echo_server\necho_server.run()\n")
    groups = [(f"lib/{name}", library(TOP / "lib" / name), True) for name in ("microws", "w5500")]
    image = file_system(*groups, ("lib", programs(), True), ("", [main], False))
    (tmp_path / "files").write_bytes(image)
    port = free_port()
    board = Board(tmp_path, files=tmp_path / "files", w5500={80: port})
    try:
        board.says("listening")
        results = suite(tmp_path, f"ws://127.0.0.1:{port}")
    finally:
        off(board)
    wrong = {
        case: result
        for case, result in results.items()
        if not conformance.as_expected(case, result)
    }
    assert (wrong, len(results)) == ({}, NUMBER)


def suite(folder, url):
    """What the Autobahn test suite says of the cases, by their numbers."""
    every = subprocess.run([*conformance.SUITE, "list"], stdout=subprocess.PIPE, check=True)
    cases = [case for case in json.loads(every.stdout) if conformance.matches(case, CASES)]
    spec = folder / "spec.json"
    told = {"side": "server", "cases": cases, "outdir": str(folder / "reports"), "url": url}
    # A second is for a real one: of it the library waits a quarter for a peer that it fails.
    patience = dict.fromkeys(("openHandshakeTimeout", "serverConnectionDropTimeout"), PATIENCE)
    spec.write_text(json.dumps({**told, "options": patience, "slowness": 10}))
    with (folder / "suite.log").open("wb") as log:
        # Where its input ends, it ends.
        process = subprocess.Popen(
            [*conformance.SUITE, spec], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        with process:
            results = list(map(json.loads, process.stdout))
    return {result["id"]: result for result in results}
