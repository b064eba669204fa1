"""The deployment program where there is no POSIX shell, no serial port and no mpremote.

These tests run on Windows and macOS as well: see .github/workflows/test.yml.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import microws
import pytest

from firmware.deploy import attached
from firmware.deploy.flash import flash
from firmware.deploy.options import known, parse
from firmware.deploy.plan import plan
from firmware.deploy.refusal import PROGRAM, Refusal, WrongOption
from host_tests.support.paths import TOP

DEPLOY = [sys.executable, TOP / "firmware" / "deploy"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--virtul", "There is no option --virtul. Did you mean --virtual?"),
        ("--virtual --rol client", "There is no option --rol. Did you mean --role?"),
        ("--Listen 0 --virtual", "There is no option --Listen. Did you mean --listen?"),
        ("--flush-all", "There is no option --flush-all. See ./deploy.sh --help"),
        ("--dryrun", "There is no option --dryrun. Did you mean --dry-run?"),
        ("virtual", "There is no option virtual. Did you mean --virtual?"),
        ("--virtual --role", "--role needs a value. See ./deploy.sh --help"),
        ("--url --virtual", "--url needs a value. See ./deploy.sh --help"),
        ("--virtual --listen=", "--listen needs a value. See ./deploy.sh --help"),
        ("--virtual --role sever", "--role is sever; allowed: server, client, mqtt"),
        ("--virtual --role=sever", "--role is sever; allowed: server, client, mqtt"),
        ("--virtual --listen http", "--listen is http; allowed: a number from 0 to 65535"),
        ("--virtual --listen 65536", "--listen is 65536; allowed: a number from 0 to 65535"),
        ("--virtual --url ws://127.0.0.1/", "--url goes with --role client"),
        ("--virtual --role client --listen 0", "--listen is for a server, not for --role client"),
        ("--virtual --port /dev/ttyUSB0", "--port is the serial device of a real board; "),
        ("--virtual --mpy", "What goes together with --virtual: --role --url --listen"),
        ("--fleet 5", "--fleet goes with --virtual"),
        ("--virtual --fleet 1", "--fleet is 1; allowed: a number from 2 to 1000"),
        ("--virtual --fleet 5 --role server", "What goes together with --fleet: --virtual"),
        ("--virtual --fleet 5 --board custom", "What goes together with --fleet: --virtual"),
        ("doctor --role server", "What goes together with doctor: --port --on-board"),
        ("--monitor --mpy", "What goes together with --monitor: --port"),
        ("--list --version", "What goes together with --list: nothing else"),
        ("--on-board", "--on-board goes with doctor: ./deploy.sh doctor --on-board"),
        ("--all --port x", "--all is for every board: --port and --backup are for one"),
        ("--mpy=yes", "--mpy takes no value. See ./deploy.sh --help"),
        ("--flash nowhere.bin", "--flash: there is no file nowhere.bin to read"),
        ("--listen 0", "--listen goes with --virtual and --serve; a board takes"),
        ("--config nowhere.json", "--config: there is no file nowhere.json to read"),
        ("--backup host_tests", "--backup: host_tests is not empty; name a new folder"),
    ],
)
def test_a_wrong_option_is_one_clear_line(options, told, monkeypatch):
    monkeypatch.chdir(TOP)
    with pytest.raises(WrongOption) as caught:
        parse(options.split())
    assert str(caught.value).startswith(told.replace("./deploy.sh", PROGRAM))
    assert "\n" not in str(caught.value)


def test_a_wrong_option_is_told_on_stderr():
    result = subprocess.run([*DEPLOY, "--virtul"], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (
        2, "", "There is no option --virtul. Did you mean --virtual?\n"
    )  # fmt: skip


def test_it_is_a_module_too():
    command = [sys.executable, "-m", "firmware.deploy", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=TOP)
    assert (result.stdout, result.stderr) == (f"microws {microws.__version__}\n", "")


def test_virtual_boards_run_without_micropython():
    process = subprocess.Popen(
        [sys.executable, "-m", "host_tests.deploy.virtual", "--listen", "0"],
        cwd=TOP,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if "received pin0:" in line:
            break
    process.terminate()
    process.wait()
    process.stdout.close()
    assert "received pin0:" in said[-1], said


def test_help_names_every_option():
    result = subprocess.run([*DEPLOY, "--help"], capture_output=True, text=True, check=True)
    for option in known():
        assert f"  {option} " in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 100


def test_what_the_deployment_takes_is_what_the_tests_take():
    own = (TOP / "host_tests/setup/requirements.txt").read_text().splitlines()
    for name in ("requirements.txt", "requirements-mpy.txt"):
        text = (TOP / "firmware/deploy" / name).read_text()
        pins = [line for line in text.splitlines() if not line.startswith("#")]
        assert pins
        assert set(pins) <= set(own)


def test_a_python_with_no_packages_and_no_pip_gets_them(tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from firmware.deploy import packages\n"
        "from pathlib import Path\n"
        "packages.CACHE = Path(sys.argv[3])\n"
        "packages.need('mpremote')\n"
        "import mpremote, serial\n"
        "print(mpremote.__file__, serial.__file__, sep='\\n')\n"
    )
    command = [sys._base_executable, "-I", "-S", "-c", code, TOP, TOP / "lib", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = [Path(line) for line in result.stdout.splitlines()[-2:]]
    folder = tmp_path / "mpremote"
    assert found == [folder / "mpremote" / "__init__.py", folder / "serial" / "__init__.py"]


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"UF2\nWQ]\x9e" + bytes(504), 0, "A .uf2 file needs no tool. Hold the board's BOOTSEL"),
        (b"\xe9\x03\x02\x20" + bytes(508), 0, "is for an ESP32. All that is on the board goes"),
        (b"\xe9\x03\x02\x20" + bytes(8) + b"\x09" + bytes(9), 0, "is for an ESP32-S3. All that"),
        (b"\xe9\x03\x02\x20" + bytes(8) + b"\x63" + bytes(9), 1, "with the number 99, not known"),
        (b"<html>", 1, "is no image of MicroPython for an ESP32 (.bin) or RP2 (.uf2). Take the"),
    ],
)
def test_an_image_says_what_it_is_for(tmp_path, capsys, content, status, told):
    image = tmp_path / "image"
    image.write_bytes(content)
    args = parse(["--flash", str(image), "--dry-run"])
    if status:
        with pytest.raises(Refusal) as caught:
            flash(args)
        assert told in str(caught.value)
    else:
        assert flash(args) == 0
        assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mode", "group", "advice"),
    [
        (0o660, "dialout", "Join its group: sudo usermod -aG dialout "),
        (0o660, "root", "Until it is plugged in anew, make it yours: sudo chown "),
        (0o600, "dialout", "Until it is plugged in anew, make it yours: sudo chown "),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="on Windows everybody may use a port")
def test_a_port_that_one_may_not_use(monkeypatch, mode, group, advice):
    import grp

    number = 0 if group == "root" else 20
    monkeypatch.setattr(os, "stat", lambda path: SimpleNamespace(st_mode=mode, st_gid=number))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name=group))
    with pytest.raises(Refusal) as caught:
        attached.check("/dev/ttyUSB0")
    assert str(caught.value).startswith(f"You may not use /dev/ttyUSB0. {advice}")


ABOUT = {
    "name": "micropython", "version": [1, 24, 0], "machine": "x with ESP32", "id": "00",
    "mpy": 6 + (10 << 10), "network": ["LAN"], "free": 1 << 20, "installed": {}, "config": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": [1, 23, 0]}, "The board runs MicroPython 1.23.0, too old for a W5500. Flash"),
        ({"name": "circuitpython"}, "The board runs circuitpython. Flash MicroPython 1.24 or"),
        ({"mpy": 0}, "--mpy: this board loads no .mpy files of a kind known here. Go without it."),
        ({"machine": "x with ESP32-P4"}, "this is an ESP32P4"),
        (None, "The board gave no answer that makes sense. Reset it, then run this again."),
    ],
)
def test_what_the_board_says_of_itself_is_looked_at(tmp_path, change, told):
    report = ["noise" if change is None else json.dumps({**ABOUT, **change})]
    args = parse(["--mpy"])
    with pytest.raises(Refusal) as caught:
        plan(tmp_path, args, report)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("classes", [["WLAN", "WIZNET5K"], []])
def test_a_firmware_without_a_driver_for_the_board_gets_ours(tmp_path, classes):
    about = {**ABOUT, "machine": "x with RP2040", "network": classes}
    said = []
    args = parse(["--board", "wiznet-w5500-evb-pico"])
    plan(tmp_path, args, [json.dumps(about)], said.append)
    told = "This MicroPython has no network.WIZNET5K: it gets the driver lib/w5500."
    assert (told in said) is ("WIZNET5K" not in classes)
    assert (tmp_path / "stage/lib/w5500/sockets.py").exists() is ("WIZNET5K" not in classes)
