"""The types, as a user's own checkers see them: they find what is wrong, and only that."""

import json
import re
import subprocess

import pytest

from host_tests.library.endpoints import PROGRAMS
from host_tests.support.paths import TOP
from host_tests.support.tools import tool

FILES = ["typed_blocking.py", "typed_asyncio.py"]
PLANTED = {
    (file, number)
    for file in FILES
    for number, line in enumerate((PROGRAMS / file).read_text().splitlines(), 1)
    if line.endswith("# wrong")
}


def test_mypy_finds_the_mistakes_in_a_users_program(tmp_path):
    result = subprocess.run(
        [tool("mypy"), "--strict", "--config-file=", f"--cache-dir={tmp_path}"]
        # The user's mypy says nothing of the packages that he installed.
        + ["--follow-imports=silent", *FILES],
        cwd=PROGRAMS,
        env={"MYPYPATH": str(TOP / "lib")},
        capture_output=True,
        text=True,
        timeout=150,
    )
    found = re.findall(r"^(\w+\.py):(\d+): error: ", result.stdout, re.MULTILINE)
    assert {(file, int(line)) for file, line in found} == PLANTED, result.stdout + result.stderr


def test_pyright_finds_the_mistakes_in_a_users_program(tmp_path):
    project = tmp_path / "pyrightconfig.json"
    project.write_text(
        json.dumps(
            {
                "include": [str(PROGRAMS / file) for file in FILES],
                "extraPaths": [str(TOP / "lib")],
                "typeCheckingMode": "strict",
            }
        )
    )
    result = subprocess.run(
        [tool("basedpyright"), "--outputjson", "-p", project],
        capture_output=True,
        text=True,
        timeout=150,
    )
    found = {
        (diagnostic["file"].rsplit("/", 1)[1], diagnostic["range"]["start"]["line"] + 1)
        for diagnostic in json.loads(result.stdout)["generalDiagnostics"]
    }
    assert found == PLANTED, result.stdout


@pytest.mark.parametrize("file", FILES)
def test_there_are_mistakes_of_each_kind(file):
    assert len([where for where in PLANTED if where[0] == file]) > 12
