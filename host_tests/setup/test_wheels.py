"""Python packages from wheels that are kept, in a project of its own that reaches no index."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from host_tests.support.interpreters import environment

HERE = Path(__file__).resolve().parent
WHEEL = "sample-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path):
    """A folder with one wheel."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("sample.py", "answer = 42\n")
        info = "sample-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def install(tmp_path, index):
    """``install(requirement)`` into ``target``: the exit status and what it says on stderr."""
    setup = tmp_path / "project" / "host_tests" / "setup"
    setup.mkdir(parents=True)
    for file in ("wheels.py", "progress.py"):
        shutil.copy(HERE / file, setup)
    env = {name: value for name, value in environment().items() if not name.startswith("PIP_")}
    env.update(PIP_CONFIG_FILE="/dev/null", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))

    def run(requirement="sample==1.0"):
        (setup / "requirements.txt").write_text(f"# what it wants\n{requirement}\n")
        result = subprocess.run(
            [
                *(sys.executable, setup / "wheels.py", "a sample", setup / "requirements.txt"),
                *("--target", tmp_path / "target"),
            ],
            env=env,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in result.stderr
        return result.returncode, result.stderr

    return run


def test_what_was_downloaded_is_kept(tmp_path, index, install):
    assert install() == (0, "")
    assert (tmp_path / "target" / "sample.py").exists()
    assert (tmp_path / "project" / ".cache" / "wheels" / WHEEL).exists()
    shutil.rmtree(tmp_path / "target")
    (index / WHEEL).unlink()
    assert install() == (0, "")
    assert (tmp_path / "target" / "sample.py").exists()


def test_what_is_damaged_in_the_cache_is_fetched_again(tmp_path, install):
    cache = tmp_path / "project" / ".cache" / "wheels"
    cache.mkdir(parents=True)
    (cache / WHEEL).write_bytes(b"half")
    assert install() == (0, "")
    assert (tmp_path / "target" / "sample.py").exists()


def test_what_cannot_be_had_is_named(tmp_path, install):
    status, said = install("sample==2.0")
    assert status == 1
    assert said.startswith("Cannot download the packages of host_tests/setup/requirements.txt: ")
    assert "sample==2.0" in said
    assert not (tmp_path / "project" / ".cache" / "wheels.new").exists()
