"""setup.sh: a part that cannot be had costs that part."""

import shutil
import subprocess
from pathlib import Path

import pytest

from host_tests.support.interpreters import environment
from host_tests.support.ports import free_port

HERE = Path(__file__).resolve().parent


@pytest.fixture
def setup(tmp_path):
    """``setup(part...)`` in a project of its own whose mirror does not answer."""
    folder = tmp_path / "host_tests"
    shutil.copytree(HERE, folder / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE.parent / "setup.sh", folder)
    # An ip that this system has, wherever the tests run.
    program = tmp_path / "bin" / "ip"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho this system has it\n")
    program.chmod(0o755)
    env = environment()
    env["PATH"] = f"{program.parent}:{env['PATH']}"
    env["DEBIAN_MIRROR"] = f"http://127.0.0.1:{free_port()}"

    def run(*parts, **more):
        return subprocess.run(
            [folder / "setup.sh", *parts], env={**env, **more}, capture_output=True, text=True
        )

    return run


def test_the_rest_is_set_up_and_the_end_says_what_is_missing(tmp_path, setup):
    result = setup("websocketd", "ip")
    assert result.returncode == 1
    assert "[1/2] websocketd (bookworm, " in result.stdout
    assert result.stderr.splitlines()[-1].startswith(
        "Missing: websocketd: Cannot download websocketd_"
    )
    assert result.stderr.count("Missing: ") == 1
    assert not (tmp_path / ".cache" / "bin" / "websocketd").exists()
    ip = subprocess.run([tmp_path / ".cache" / "bin" / "ip"], capture_output=True, text=True)
    assert ip.stdout == "this system has it\n"


def test_a_part_that_does_not_exist_is_named(setup):
    result = setup("websocket")
    assert result.returncode == 1
    assert "no such part: websocket\nUsage: " in result.stderr


def test_a_micropython_that_does_not_exist_is_named(setup):
    result = setup("micropython64", SETUP_MICROPYTHON="latest")
    assert (result.returncode, result.stderr) == (
        1,
        "SETUP_MICROPYTHON is latest; allowed: newest, or nothing\n",
    )
