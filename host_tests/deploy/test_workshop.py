"""Every command of the workshop does what the lesson says of it."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import textwrap

import pytest
from websockets.sync.client import connect

from host_tests.deploy import virtual
from host_tests.deploy.serial_port import SerialBoard, flash
from host_tests.deploy.virtual import choose_port
from host_tests.support.interpreters import PATIENCE, environment
from host_tests.support.paths import TOP

LESSON = (TOP / "firmware" / "workshop" / "README.md").read_text("utf-8")
SHEET = (TOP / "firmware" / "workshop" / "SHEET.md").read_text("utf-8")

# What the tests below run, each as it stands in the lesson.
PREPARE = "./deploy.sh --prepare class.zip"
VIRTUAL = "./deploy.sh --virtual"
LOOK = "python3 firmware/workshop/look.py"
LOOK_AT_A_BOARD = LOOK + " 192.168.1.20 8080"
DOCTOR = "./deploy.sh doctor"
FLASH = "./deploy.sh --flash ESP32_GENERIC.bin"
DEPLOY = "./deploy.sh"
MONITOR = "./deploy.sh --monitor"
SERVE = "./deploy.sh --serve"
JOIN = "./deploy.sh --role client --url ws://192.168.1.5:8080/?name=ada"
ALL = "./deploy.sh --all"
SERVER = "./deploy.sh --role server"
CLIENT = "./deploy.sh --role client --url ws://192.168.1.20:8080/"
WATCH = "./deploy.sh --virtual --sketch firmware/workshop/hello.py --watch"
HELLO = "./deploy.sh --sketch firmware/workshop/hello.py"
DICE = "./deploy.sh --sketch firmware/workshop/dice.py"

RUN = {
    *(PREPARE, VIRTUAL, LOOK, LOOK_AT_A_BOARD, DOCTOR, FLASH, DEPLOY),
    *(MONITOR, SERVE, JOIN, ALL, SERVER, CLIENT, WATCH, HELLO, DICE),
}


def words(command):
    """The command for this computer: the program itself, by its path."""
    program, *rest = command.split()
    if program == "./deploy.sh":
        return [sys.executable, TOP / "firmware" / "deploy", *rest]
    return [sys.executable, TOP / rest[0], *rest[1:]]


def run(command, **options):
    """What a command prints that must succeed."""
    result = subprocess.run(
        words(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, **options
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    return result.stdout


def test_each_command_is_run_here():
    commands = re.findall(r"^ {4}((?:\./deploy\.sh|python3).*)$", LESSON, re.MULTILINE)
    assert set(commands) == RUN
    on_the_sheet = re.findall(r"`((?:\./deploy\.sh|python3 ).*?)`", SHEET)
    for command in on_the_sheet:
        if command in (DEPLOY, DOCTOR + " --on-board"):
            continue
        pattern = re.sub("_{4,}", ".+", re.escape(command))
        assert any(re.fullmatch(pattern, one) for one in RUN), command


def test_before_the_lesson(tmp_path):
    assert "deploys without a network" in run(PREPARE, cwd=tmp_path)
    assert (tmp_path / "class.zip").stat().st_size > 100_000


def test_what_a_websocket_is(start):
    process = start(words(VIRTUAL), cwd=TOP)
    page = process.wait_for("Open http://127.0.0.1:")
    port = re.search(r":(\d+)/", page)[1]
    # The usual port of this computer may be taken; then the virtual server says so.
    look = (
        LOOK
        if port == "8080"
        else LOOK_AT_A_BOARD.replace("192.168.1.20 8080", f"127.0.0.1 {port}")
    )
    said = run(look)
    assert "  we > Upgrade: websocket\n" in said
    assert "they > HTTP/1.1 101 " in said
    assert "They gave the same: they do speak WebSocket.\n" in said
    frames = re.findall(
        r"they > (81 [0-9a-f ]+)\n"
        r" +81: text, the last frame of this message\n"
        r" +[0-9a-f]{2}: not masked, (\d+) bytes\n"
        r" +[0-9a-f ]+: (pin0:\d+)\n",
        said,
    )
    assert len(frames) == 3
    for data, size, text in frames:
        assert bytes.fromhex(data)[2:] == text.encode()
        assert len(text) == int(size)
    assert ": hello, each byte XOR a byte of the mask\n" in said
    process.wait_for("received hello")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130


def test_who_is_no_websocket_is_told(start):
    port = choose_port(0)
    start([sys.executable, "-u", "-m", "http.server", str(port), "--bind", "127.0.0.1"]).wait_for(
        ""
    )
    result = subprocess.run([*words(LOOK), "127.0.0.1", str(port)], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith(("This is no WebSocket: ", "No connection: "))
    assert result.stderr.count("\n") == 1


def test_an_image_is_taken_by_its_chip(tmp_path):
    (tmp_path / "ESP32_GENERIC.bin").write_bytes(b"\xe9\x03\x02\x20" + bytes(508))
    said = run(FLASH + " --dry-run", cwd=tmp_path)  # no chip here can be flashed
    assert said.startswith("ESP32_GENERIC.bin is for an ESP32. All that is on the board goes")


def test_one_board_through_the_lesson(attached, micropython32, tmp_path):
    board = SerialBoard(tmp_path / "board", micropython32)
    board.plug_in()
    attached(board.device)
    try:
        assert "no program of ours. Fits --board esp32-w5500" in run(DOCTOR)
        assert "Role server, board esp32-w5500" in run(DEPLOY)
        # Dry, for a test stays within this computer.
        assert "Role client" in run(JOIN + " --dry-run")
        assert re.search(r"microws-[0-9a-f]{4}: Done\. The board starts now\.", run(ALL))
        assert "Role client" in run(CLIENT + " --dry-run")
        assert "Role server" in run(SERVER)
        monitor()
        assert "hello.py" in run(HELLO, cwd=TOP)
        assert "dice.py" in run(DICE, cwd=TOP)
    finally:
        board.pull_out()
    files = flash(board)
    assert files["sketch.py"] == (TOP / DICE.split()[-1]).read_bytes()
    settings = json.loads(files["config.json"])
    assert (settings["role"], settings["hostname"][:8]) == ("server", "microws-")


def monitor():
    """Look at the serial log, stop the program there, and end the view."""
    master, slave = pty.openpty()
    process = subprocess.Popen(words(MONITOR), stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    said = b""
    try:
        while b"to exit this shell" not in said:
            said += os.read(master, 4096)
        while b">>> " not in said:
            os.write(master, b"\x03")  # again, for the first one may have ended boot.py alone
            if select.select([master], [], [], 1)[0]:
                said += os.read(master, 4096)
        os.write(master, b"\x1d")
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_the_sketch_that_says_hello(start):
    process = start([*words(WATCH), "--listen", "0"], cwd=TOP)
    page = process.wait_for("the page is at http://127.0.0.1:").split()[-1]
    with connect(page.replace("http", "ws")) as ws:
        ws.send("hello")
        heard = [message := ws.recv(PATIENCE)]
        while not message.startswith("hello "):
            heard.append(message := ws.recv(PATIENCE))
        while message != "greetings:1":
            heard.append(message := ws.recv(PATIENCE))


def test_the_die_of_the_class(start):
    sketch = TOP / DICE.split()[-1]
    process = start([sys.executable, "-m", virtual.__name__, "--sketch", sketch, "--listen", "0"])
    page = process.wait_for("the page is at http://127.0.0.1:").split()[-1]
    url = page.replace("http", "ws")
    with connect(url) as ada, connect(url) as bob:
        ada.send("throw")
        for ws in (ada, bob):
            while not (message := ws.recv(PATIENCE)).startswith("die:"):
                pass
            assert message[4:] in "123456"
    process.wait_for("has thrown")


def test_the_lesson_shows_the_sketch_as_it_is():
    code = (TOP / HELLO.split()[-1]).read_text("utf-8")
    _, _, code = code.partition('"""\n\n')
    assert textwrap.indent(code, "    ") in LESSON


def test_the_sketch_of_the_first_page(start, tmp_path):
    text = (TOP / "README.md").read_text("utf-8")
    _, _, section = text.partition("## Your own sketch\n")
    config, code, commands = re.findall(r"^((?: {4}.*\n|\n(?= {4}))+)", section, re.MULTILINE)[:3]
    (tmp_path / "hall.json").write_text(config)
    (tmp_path / "sketch.py").write_text(textwrap.dedent(code))
    first, *others = [line.strip() for line in commands.strip().splitlines()]
    assert others == ["./deploy.sh --config hall.json", "./deploy.sh --sketch sketch.py"]
    _, *options = words(first)[1:]
    assert options[0] == "--virtual"
    command = [sys.executable, "-m", virtual.__name__, *options[1:], "--listen", "0"]
    env = {**environment(), "PYTHONPATH": str(TOP)}
    process = start(command, cwd=tmp_path, env=env)
    page = process.wait_for("the page is at http://127.0.0.1:").split()[-1]
    with connect(page.replace("http", "ws")) as ws:
        ws.send("party")
        for state in ("1", "0"):
            while ws.recv(PATIENCE) != "lamp:" + state:
                pass


def test_the_server_of_the_class(start):
    process = start(words(SERVE))
    process.wait_for("Boards connect to ws://")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130


@pytest.mark.parametrize("text", [LESSON, SHEET], ids=["lesson", "sheet"])
def test_links_lead_to_files(text):
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (TOP / "firmware" / "workshop" / link).exists(), link
