"""What a test does without its tools, where there is pytest and nothing that setup.sh brings."""

import importlib.metadata
import shutil
import subprocess
import venv

import pytest

from host_tests.support.interpreters import PATIENCE, environment
from host_tests.support.paths import TOP

LIBRARY = "host_tests/library/"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """``run(file...)`` is pytest in a copy of the project that was not set up: status, output."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("lib", "firmware", "host_tests"):
        shutil.copytree(
            TOP / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("boot.py", "main.py", "pyproject.toml"):
        shutil.copy(TOP / file, project)
    python = project / ".venv"
    venv.create(python, symlinks=True)
    packages = next(python.glob("lib/python*/site-packages"))
    for name in ("pytest", "iniconfig", "packaging", "pluggy", "pygments"):
        distribution = importlib.metadata.distribution(name)
        for entry in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            (packages / entry).symlink_to(distribution.locate_file(entry))

    def run_files(*files, **more):
        env = environment()
        for name in ("CI", "PYTEST_ADDOPTS"):
            env.pop(name, None)
        result = subprocess.run(
            [python / "bin" / "python", "-m", "pytest", *files],
            cwd=project,
            env={**env, "COLUMNS": "200", **more},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return result.returncode, result.stdout + result.stderr

    return run_files


def test_unit_tests_need_nothing_but_pytest(run):
    files = ("test_frames.py", "test_utf8.py", "test_handshake.py")
    status, output = run(*(LIBRARY + file for file in files))
    assert status == 0, output
    # One case of the handshake's is compared with the websockets package.
    assert output.count("SKIPPED") == output.count("no websockets") == 1


def test_no_file_breaks_for_want_of_a_tool(run):
    status, output = run("--collect-only", "--quiet")
    assert status == 0, output
    assert "no websockets" in output


LACKING = {
    "test_utf8_properties.py": "no hypothesis; it comes with ./host_tests/setup.sh venv",
    "test_websocketd.py": "no websocketd; it comes with ./host_tests/setup.sh websocketd",
    "test_frame_size.py": "no micropython32; it comes with ./host_tests/setup.sh micropython32",
}


@pytest.mark.parametrize("file", LACKING)
def test_who_lacks_a_tool_is_told_what_brings_it(run, file):
    status, output = run(LIBRARY + file)
    assert status in (0, 5), output  # 5: no test was left
    assert LACKING[file] in output
    assert "passed" not in output


@pytest.mark.parametrize("file", LACKING)
def test_under_ci_a_missing_tool_fails(run, file):
    status, output = run(LIBRARY + file, CI="true")
    assert status in (1, 2), output  # 2: while it was collected
    assert LACKING[file] in output
    assert "skipped" not in output
