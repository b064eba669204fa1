"""The deployment program: its options, and with the real mpremote what it does to boards."""

import contextlib
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from firmware.deploy import board_files
from firmware.settings import defaults
from host_tests.deploy.serial_port import BLOCK, HARD, SerialBoard, flash
from host_tests.deploy.virtual import choose_port
from host_tests.support.interpreters import PATIENCE
from host_tests.support.paths import TOP

DEPLOY = [sys.executable, TOP / "firmware" / "deploy"]
LIST = "firmware/installed.txt"

# A client that nobody answers: a board that needs no free port.
CLIENT = {"role": "client", "url": "ws://127.0.0.1:9/", "hostname": "quiet"}


def program():
    """What is put on a board with no broker."""
    files = board_files.program()
    needless = board_files.needless(defaults())
    return {path: files[path] for path in files if path not in needless}


def listing(files):
    """The list of what is ours on a board that these files were sent to."""
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return "".join(f"{path} {hashes[path]}\n" for path in hashes).encode() + LIST.encode() + b"\n"


def ours(files):
    """Those files but for the configuration and the list of what is ours."""
    return {path: files[path] for path in files if path not in (LIST, "config.json")}


@pytest.fixture
def new_board(tmp_path, mpremote, micropython32):
    boards = []

    def make(files=None, name=None, micropython=micropython32, **options):
        folder = tmp_path / (name or f"board{len(boards)}")
        board = SerialBoard(folder, micropython, **options)
        boards.append(board)
        flash(board, {"config.json": json.dumps(CLIENT).encode(), **(files or {})})
        board.plug_in()
        return board

    yield make
    for board in boards:
        board.pull_out()
        assert board.errors == b""


def deploy(board, *options):
    """The program for this board."""
    return subprocess.run(
        [*DEPLOY, "--port", board.device, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )


def deployed(board, *options):
    """The files of the board after a deployment that must succeed, its power off."""
    result = deploy(board, *options)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    board.pull_out()
    return flash(board), result.stdout


@pytest.fixture(scope="module")
def up_to_date(tmp_path_factory, mpremote, micropython32):
    """The flash of a board that was just deployed to."""
    folder = tmp_path_factory.mktemp("template")
    board = SerialBoard(folder, micropython32)
    flash(board, {"config.json": json.dumps(CLIENT).encode()})
    board.plug_in()
    try:
        deployed(board)
    finally:
        board.pull_out()
    return board.image


@pytest.fixture
def board(up_to_date, new_board, tmp_path):
    """`board(changes, older, ...)` is one that was deployed to and whose files were changed then.

    The `older` ones are files that an earlier deployment sent.
    """
    count = 0

    def make(changes=None, older=None, **options):
        nonlocal count
        if older:
            changes = {**older, LIST: listing({**program(), **older}), **(changes or {})}
        count += 1
        name = f"deployed{count}"
        (tmp_path / name).mkdir()
        shutil.copy(up_to_date, tmp_path / name / "flash")
        return new_board(changes, name=name, **options)

    return make


# The front ---------------------------------------------------------------------------------


def test_the_front_starts_it_from_anywhere(tmp_path):
    command = [TOP / "deploy.sh", "--role", "a b"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (
        2, "--role is a b; allowed: server, client, mqtt\n"
    )  # fmt: skip


def test_without_python_the_front_says_what_to_install(tmp_path):
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
    result = subprocess.run(
        ["/bin/sh", TOP / "deploy.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (
        1, "There is no python3 here. Install Python 3.11 or later, then run this again.\n"
    )  # fmt: skip


# What is attached ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--list"]])
def test_no_board(attached, options):
    attached()
    result = subprocess.run([*DEPLOY, *options], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("No board found. Plug one in with a USB cable that carries")
    assert result.stderr.count("\n") == 1


def test_two_boards(attached):
    attached("/dev/ttyUSB0", "/dev/ttyUSB1")
    result = subprocess.run(DEPLOY, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == (
        "2 boards found: /dev/ttyUSB0 /dev/ttyUSB1. Choose one with --port DEVICE\n"
    )
    result = subprocess.run([*DEPLOY, "--list"], capture_output=True, text=True, check=True)
    assert result.stdout == (
        "/dev/ttyUSB0 0001 10c4:ea60 Silicon Labs CP2102\n"
        "/dev/ttyUSB1 0001 10c4:ea60 Silicon Labs CP2102\n"
    )


def test_the_only_board_needs_no_name(attached, board):
    one = board()
    attached(one.device)
    result = subprocess.run([*DEPLOY, "--dry-run"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"Asking the board at {one.device} ...\n")


@pytest.mark.usefixtures("mpremote")
def test_a_port_that_is_not_there():
    result = subprocess.run([*DEPLOY, "--port", "/dev/ttyNONE"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (
        1, "There is no /dev/ttyNONE. See ./deploy.sh --list for what is attached.\n"
    )  # fmt: skip


@pytest.mark.usefixtures("mpremote")
def test_what_is_no_serial_port():
    result = subprocess.run([*DEPLOY, "--port=/dev/null"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (
        1, "/dev/null is no serial port. See ./deploy.sh --list for what is attached.\n"
    )  # fmt: skip


def test_all_boards_one_after_the_other_with_a_name_each(attached, board):
    nameless = {"config.json": json.dumps({"role": "client", "url": CLIENT["url"]}).encode()}
    boards = [board(nameless), board({**nameless, "main.py": b"# mine"}), board()]
    attached(*(one.device for one in boards), "/dev/ttyNONE")
    result = subprocess.run([*DEPLOY, "--all"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (1, "1 of 4 boards failed: see above.\n")
    devices = [one.device for one in boards]
    names = []
    for one in boards:
        one.pull_out()
        names.append(json.loads(flash(one)["config.json"])["hostname"])
    assert re.fullmatch("microws-[0-9a-f]{4}", names[0])
    assert re.fullmatch("microws-[0-9a-f]{4}", names[1])
    assert names[0] != names[1]
    assert names[2] == CLIENT["hostname"]
    kept = "main.py on the board is not as it was sent: yours is kept there as main.py.mine. "
    for device, name, more in zip(devices, names, ("", kept, ""), strict=True):
        assert f"{device} {more}{name}: Done. The board starts now.\n" in result.stdout
    assert "/dev/ttyNONE There is no /dev/ttyNONE. See" in result.stdout
    assert result.stdout.count("\n") == 4


# Doctor --------------------------------------------------------------------------------------


def test_doctor_tells_what_is_attached(attached, board, start):
    one = board({"page.html": b"changed"})
    attached(one.device)
    result = subprocess.run([*DEPLOY, "doctor"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first == f"{one.device} 0001 10c4:ea60 Silicon Labs CP2102"
    assert second.startswith(f"{one.device}: Virtual board with ESP32, MicroPython 1.")
    assert "new enough; " in second
    assert "the program is on it; changed there: page.html. Fits --board esp32-w5500, " in (second)
    start(["cat", one.device]).wait_for("starting as client")


def test_doctor_tries_the_board_itself(board, start):
    one = board()
    result = subprocess.run(
        [*DEPLOY, "doctor", "--port", one.device, "--on-board"], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    report = result.stdout.splitlines()[-1]
    assert re.fullmatch(
        r"report: Virtual board with ESP32; micropython [\d.]+; \d+ KB of heap free; "
        r"microws [\d.]+; esp32-w5500, the W5500 answers, address 127\.0\.0\.1; "
        r"\d+ or more sockets; \d+ echoes of 125 bytes a second",
        report,
    )
    start(["cat", one.device]).wait_for("starting as client")


def test_doctor_tells_what_does_not_work(new_board):
    one = new_board()
    result = subprocess.run(
        [*DEPLOY, "doctor", "--port", one.device, "--on-board"], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert "no program of ours" in result.stdout
    assert "library: ImportError no module named 'microws'; " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("For all of it the program has to be on")


# Deploying -----------------------------------------------------------------------------------


def test_a_fresh_board_gets_the_program_and_runs_it(new_board, start):
    one = new_board()
    result = deploy(one)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Virtual board with ESP32, MicroPython 1." in result.stdout
    assert "Role client, board esp32-w5500 as in the board's config.json." in result.stdout
    assert f"{len(program())} of {len(program())} files to send, 0 to remove." in result.stdout
    assert result.stdout.count("\n") == 6  # how far it is takes one line, and only on a terminal
    assert result.stdout.endswith("Done. The board starts now.\n")
    log = start(["cat", one.device])
    log.wait_for("starting as client, board esp32-w5500")
    log.wait_for("connecting to ws://127.0.0.1:9/")
    one.pull_out()
    files = flash(one)
    assert ours(files) == program()
    assert json.loads(files["config.json"]) == CLIENT
    assert sorted(files[LIST].splitlines()) == sorted(listing(program()).splitlines())


def test_the_second_time_there_is_nothing_to_do(board):
    one = board()
    files, said = deployed(one)
    assert "Nothing to change: every file has the right hash." in said
    assert ours(files) == program()


def test_it_ends_with_a_hard_reset(board, start):
    one = board(older={"firmware/net.py": b"older"})
    assert deploy(one).returncode == 0
    start(["cat", one.device]).wait_for("starting as client")
    assert one.resets[-1] == HARD  # so that a W5500 has its interrupt


def test_only_what_changed_is_sent_and_what_is_stale_goes(board):
    stale = {
        "firmware/old.py": b"x = 1",
        "lib/microws/old/deep.py": b"x = 2",
        "lib/microws/compression.py": b"x = 3",  # it once went along
    }
    foreign = {
        "notes.txt": b"mine",
        "crash.txt": b"mine, too",
        "lib/other.py": b"x = 1",
        "data/a.bin": bytes(range(256)),
    }
    one = board(
        {
            "firmware/log.py.new": b"half of",
            **foreign,
        },
        {"firmware/net.py": b"print('an older one')", **stale},
    )
    files, said = deployed(one)
    assert f"1 of {len(program())} files to send, 3 to remove." in said
    assert {path: files[path] for path in foreign} == foreign
    assert ours(files) == {**program(), **foreign}


def test_a_program_of_somebody_else_is_kept(new_board):
    one = new_board({"main.py": b"print('mine')", "boot.py": b"# mine"})
    files, said = deployed(one)
    assert (
        "main.py on the board is not as it was sent: yours is kept there as main.py.mine" in said
    )
    assert files["main.py.mine"] == b"print('mine')"
    assert files["boot.py.mine"] == b"# mine"
    assert files["main.py"] == program()["main.py"]


def test_what_a_person_changed_is_kept_each_version_once(board):
    changed = {
        "main.py": b"print('mine')",
        "firmware/net.py": b"# changed",
        "firmware/old.py": b"# changed, and no longer sent",
        "firmware/log.py": b"# changed twice",
        "firmware/log.py.mine": b"# changed once",
        "page.html": b"the same",
        "page.html.mine": b"the same",
    }
    one = board(changed, {"firmware/old.py": b"as it was sent"})
    result = deploy(one, "--dry-run")
    kept = re.findall("^(.*) on the board is not .* kept there as (.*)[.]$", result.stdout, re.M)
    expected = {path: path + ".mine" for path in changed if not path.endswith(".mine")}
    expected["firmware/log.py"] = "firmware/log.py.mine2"
    assert dict(kept) == expected
    before = flash_while_on(one)
    assert {path: before[path] for path in changed} == changed
    files, said = deployed(one)
    assert said.count("yours is kept there as") == len(expected)
    for path, name in expected.items():
        assert files[name] == changed[path]
    assert files["firmware/log.py.mine"] == b"# changed once"
    assert {path: files[path] for path in program()} == program()
    assert "firmware/old.py" not in files
    assert not [path for path in files if path.endswith("3")]


def test_without_hashes_in_the_list_main_and_boot_are_kept(board):
    """As an older deployment left it."""
    older = {"main.py": b"print('perhaps mine')", "firmware/net.py": b"# of that deployment"}
    one = board({**older, LIST: "\n".join([*program(), LIST]).encode()})
    files, _ = deployed(one)
    assert {path: files[path] for path in files if ".mine" in path} == {
        "main.py.mine": older["main.py"]
    }


def test_the_configuration_stays_but_for_what_is_given(board, tmp_path):
    further = tmp_path / "further.json"
    further.write_text('{"hostname": "other", "sample_interval": 2, "token": "secret-too"}')
    one = board()
    files, said = deployed(one, "--url", "ws://127.0.0.1:10/a?token=secret", "--config", further)
    assert json.loads(files["config.json"]) == {
        **CLIENT,
        "url": "ws://127.0.0.1:10/a?token=secret",
        "hostname": "other",
        "sample_interval": 2,
        "token": "secret-too",
    }
    assert "secret" not in said
    assert ours(files) == program()


def test_a_configuration_that_the_board_cannot_have_is_refused_before_anything_is_done(board):
    one = board()
    for options, told in (
        (["--board", "lilygo-t-eth-lite-s3"], "made for the ESP32S3; this is an ESP32. Boards w"),
        (["--board", "esp32-wifi"], '"wifi_ssid" is missing'),
        (["--url", "http://127.0.0.1/"], '"url" is "http://127.0.0.1/"; allowed: ws:// or'),
        (["--config", TOP / "firmware/page.html"], "page.html is too long: a configuration"),
    ):
        result = deploy(one, *options)
        assert result.returncode == 1
        assert told in result.stderr
        assert result.stderr.count("\n") == 1
    one.pull_out()
    assert json.loads(flash(one)["config.json"]) == CLIENT


def test_a_board_of_another_chip_is_told_which_profiles_fit(new_board):
    one = new_board({"config.json": b""}, chip="ESP32S3")
    result = deploy(one)
    assert result.returncode == 1
    assert "made for the ESP32; this is an ESP32S3. Boards with an ESP32S3, for --board: " in (
        result.stderr
    )
    files, said = deployed(one, "--board", "lilygo-t-eth-lite-s3", "--role", "client")
    assert "Role client, board lilygo-t-eth-lite-s3." in said
    assert json.loads(files["config.json"]) == {"board": "lilygo-t-eth-lite-s3", "role": "client"}


def test_a_configuration_in_ruins_is_left_to_its_owner(board):
    ruins = b'{"role": "client", "port'
    one = board({"config.json": ruins})
    result = deploy(one, "--role", "server")
    assert result.returncode == 1
    assert "the board's config.json is cut off" in result.stderr
    assert result.stderr.endswith(f"mpremote connect {one.device} rm :config.json\n")
    files, said = deployed(one)
    assert "Note: config.json is cut off" in said
    assert files["config.json"] == ruins


def test_compiled_and_back(board, start):
    one = board()
    result = deploy(one, "--mpy")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Compiled for x86." in result.stdout
    log = start(["cat", one.device])
    log.wait_for("connecting to ws://127.0.0.1:9/")
    one.pull_out()
    files = ours(flash(one))
    assert set(files) == {
        path[:-3] + ".mpy" if path.endswith(".py") and "/" in path else path for path in program()
    }
    one.plug_in()
    files, _ = deployed(one)
    assert ours(files) == program()


def test_the_py_twin_of_an_mpy_goes_whoever_put_it_there(board):
    one = board({LIST: b""})
    files, _ = deployed(one, "--mpy")
    assert [path for path in ours(files) if path.endswith(".py")] == ["boot.py", "main.py"]


def test_wipe_leaves_the_configuration(board):
    one = board({"notes.txt": b"mine", "deep/er/file": b"x", "firmware/net.py": b"old"})
    files, said = deployed(one, "--wipe")
    assert "config.json stays" in said
    assert ours(files) == program()
    assert json.loads(files["config.json"]) == CLIENT


def test_backup_copies_everything_first(board, tmp_path):
    one = board({"data/a.bin": bytes(range(256))}, {"firmware/net.py": b"old"})
    folder = tmp_path / "backup"
    result = deploy(one, "--backup", folder, "--dry-run")
    assert (result.returncode, result.stderr) == (0, "")
    one.pull_out()
    copied = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert copied == flash(one)


def test_a_dry_run_tells_and_changes_nothing(board):
    one = board({"lib/microws/loops.py": b""}, {"firmware/net.py": b"old"})
    before = flash_while_on(one)
    result = deploy(one, "--dry-run", "--role", "server")
    assert (result.returncode, result.stderr) == (0, "")
    told = re.findall(r"^  (.*)", result.stdout, re.MULTILINE)
    assert told == ["change config.json", "change firmware/net.py", "add lib/microws/loops.py"]
    assert result.stdout.endswith("A dry run: nothing was changed.\n")
    one.pull_out()
    assert flash(one) == before


def flash_while_on(board):
    board.pull_out()
    files = flash(board)
    board.plug_in()
    return files


def test_a_full_file_system_is_told_before_anything_is_done(new_board):
    one = new_board({"mine": b"x" * 40000}, blocks=48)
    before = flash_while_on(one)
    result = deploy(one)
    assert result.returncode == 1
    assert re.match(r"The board's file system has \d+ KB free and \d+ KB are needed. Remove", (
        result.stderr
    ))  # fmt: skip
    assert result.stderr.count("\n") == 1
    one.pull_out()
    assert flash(one) == before


def test_a_file_system_that_fills_up_meanwhile_is_told(new_board):
    lies = b"import os; os.statvfs = lambda path: (4096, 4096, 999, 999, 999)"
    one = new_board({"boot.py": lies, "config.json": b'{"role": "client"}'}, blocks=30)
    result = deploy(one)
    assert result.returncode == 1
    assert result.stderr.startswith("The board's file system is full. Remove files from it, or")
    assert result.stderr.count("\n") == 1
    one.pull_out()
    assert flash(one)["boot.py"] == lies


def test_what_was_left_half_done_makes_room(new_board):
    half = {"lib/microws/aio.py.new": b"x" * 170000, "config.json.new": b'{"role":'}
    mine = {"data.new": b"mine", "lib/data.new": b"mine"}
    # The program, what else stays, and half of the half.
    blocks = sum(-(-len(content) // BLOCK) for content in program().values()) + 10 + 25
    one = new_board({**half, **mine}, blocks=blocks)
    files, _ = deployed(one)
    assert ours(files) == {**program(), **mine}


def test_in_a_terminal_the_serial_log_is_shown_from_its_first_line(board):
    server = {"role": "server", "port": choose_port(0)}
    one = board({"config.json": json.dumps(server).encode()}, {"main.py": b"old"})
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*DEPLOY, "--port", one.device],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(slave)
    said = b""
    try:
        while b"the page is at" not in said:
            said += os.read(master, 4096)
        os.write(master, b"\x1d")
        with contextlib.suppress(OSError):  # its end
            while True:
                said += os.read(master, 4096)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    before, _, log = said.decode().partition("Its serial log follows; Ctrl-] ends the view.")
    assert "\r[1/1] main.py\033[K\r\033[K" in before
    assert "starting as server, board esp32-w5500" in log
    assert log.replace("\r", "").endswith(
        f"\nlistening on ws://127.0.0.1:{server['port']}/\n"
        f"the page is at http://127.0.0.1:{server['port']}/\n"
    )


def test_a_board_that_was_refused_something_goes_on(board, start):
    one = board()
    assert deploy(one, "--board", "lilygo-t-eth-lite-s3").returncode == 1
    start(["cat", one.device]).wait_for("starting as client")


def test_a_port_in_use(board):
    from mpremote.transport_serial import SerialTransport

    one = board()
    terminal = SerialTransport(one.device)
    result = deploy(one)
    terminal.serial.close()
    assert (result.returncode, result.stderr) == (
        1,
        f"{one.device} is in use. Close the other program (a serial monitor?), then run this "
        "again.\n",
    )


def test_a_chip_without_micropython(new_board, tmp_path):
    one = new_board(micropython=None)
    # Under this name mpremote takes it for a real port, on which it waits 10 s.
    port = tmp_path / "port"
    port.symlink_to(one.device)
    result = subprocess.run([*DEPLOY, "--port", port], capture_output=True, text=True, timeout=100)
    assert result.returncode == 1
    assert result.stderr.startswith(f"No MicroPython answers at {port}. Still starting? Wait ")
    assert '"The first flash" in firmware/README.md' in result.stderr
    assert "\n### The first flash\n" in (TOP / "firmware/README.md").read_text("utf-8")
    assert "erase" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_board_whose_own_boot_never_ends_is_reached_all_the_same(new_board, tmp_path):
    one = new_board({"boot.py": b"import time\nwhile True: time.sleep(1)"})
    port = tmp_path / "port"
    port.symlink_to(one.device)
    result = subprocess.run([*DEPLOY, "--port", port], capture_output=True, text=True, timeout=100)
    assert (result.returncode, result.stderr) == (0, "")
    one.pull_out()
    assert flash(one)["boot.py"] == program()["boot.py"]


def test_a_board_that_is_slow_to_answer(board):
    one = board(older={"firmware/net.py": b"old"})
    one.delay = 0.02
    files, _ = deployed(one)
    assert ours(files) == program()


# Cut off -------------------------------------------------------------------------------------

OLDER = {
    "firmware/net.py": b"print('older')\n" * 300,
    "lib/microws/core.py": b"print('older')\n" * 200,
    "main.py": b"print('older')\n",
    "notes.txt": b"mine",
    "firmware/left.py": b"stale",
}
OLDER[LIST] = listing(
    {**program(), **{path: OLDER[path] for path in OLDER if path != "notes.txt"}}
)
POINTS = 6


@pytest.fixture(scope="module")
def whole(up_to_date, tmp_path_factory, micropython32):
    """What a whole update of OLDER takes: the bytes that arrive, and the writes to the flash."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(up_to_date, folder / "flash")
    one = SerialBoard(folder, micropython32)
    flash(one, OLDER)
    one.plug_in()
    try:
        assert deploy(one, "--role", "server").returncode == 0
        # The hard reset at the end tells of the writes, and only the program's start of it.
        terminal = os.open(one.device, os.O_RDWR | os.O_NOCTTY)
        while b"starting as" not in os.read(terminal, 4096):
            pass
        os.close(terminal)
        return {"bytes": one.received, "writes": one.writes}
    finally:
        one.pull_out()


@pytest.mark.parametrize("point", range(1, POINTS + 1))
@pytest.mark.parametrize("kind", ["bytes", "writes"])
def test_cut_off_anywhere_it_recovers(board, whole, kind, point):
    one = board(OLDER)
    if kind == "bytes":
        one.cut_at = whole[kind] * point // (POINTS + 1)
    else:
        one.cut_at_write = whole[kind] * point // POINTS
    result = deploy(one, "--role", "server")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("The connection to ")
    assert one.wait_until_off(PATIENCE)
    files = flash(one)
    # Each name holds a whole file, one or the other, and the configuration is there.
    for path, content in program().items():
        assert files[path] in (content, OLDER.get(path, content)), path
    assert json.loads(files["config.json"]) in (CLIENT, {**CLIENT, "role": "server"})
    assert files["notes.txt"] == b"mine"
    one.pull_out()
    one.plug_in()
    files, _ = deployed(one, "--role", "client", "--url", "ws://127.0.0.1:9/")
    assert ours(files) == {**program(), "notes.txt": b"mine"}
    assert json.loads(files["config.json"]) == CLIENT


def test_stopped_by_its_person_it_can_go_on(board, start):
    one = board(older=dict.fromkeys(program(), b"older"))
    process = start([*DEPLOY, "--port", one.device])
    process.wait_for("files to send")
    before = one.received
    while one.received < before + 100000:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert process.lines[-1] == "Stopped. Nothing is broken: run this again to finish."
    assert "Traceback" not in process.output
    files, said = deployed(one)
    assert ours(files) == program()
    # What had arrived is not sent again.
    there = int(re.search(r"^(\d+) new ones are there already", said, re.MULTILINE)[1])
    assert there >= 2
    assert f"{len(program()) - there} of {len(program())} files to send" in said


def test_half_a_file_of_a_deployment_that_broke_off_is_sent_again(board):
    whole, half = program()["main.py"], program()["firmware/net.py"][:100]
    new = {"main.py.new": whole, "firmware/net.py.new": half}
    one = board(new, {"main.py": b"older", "firmware/net.py": b"older"})
    files, said = deployed(one)
    assert ours(files) == program()
    assert f"1 of {len(program())} files to send, 0 to remove." in said
    assert "1 new ones are there already, from a deployment that broke off." in said


def test_a_file_that_arrives_damaged_takes_no_name(board, tmp_path, mpremote):
    one = board(older={"firmware/net.py": b"older"})
    said = "OSError: firmware/net.py did not arrive whole"
    code = (
        (TOP / "firmware" / "inventory.py").read_text()
        + (TOP / "firmware" / "deploy" / "board.py").read_text()
        + "\nwith open('firmware/net.py.new', 'w') as file: file.write('damaged')\n"
        + f"hashes = {{'firmware/net.py': {hashlib.sha256(b'right').hexdigest()!r}}}\n"
        + "commit(hashes)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    result = subprocess.run(
        [mpremote, "connect", one.device, "run", script],
        capture_output=True,
        text=True,
    )
    assert said in result.stdout + result.stderr
    one.pull_out()
    assert flash(one)["firmware/net.py"] == b"older"
