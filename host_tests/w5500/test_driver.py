"""The driver of the W5500 over the chip in Python, on each interpreter."""

import pytest

from host_tests.support.interpreters import INTERPRETERS, Interpreter, environment
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port

HERE = TOP / "host_tests" / "w5500"
# The chip's two buffers of 16 KiB are on that heap as well, several times.
ON = {**INTERPRETERS, "micropython32": Interpreter("micropython32", "-X", "heapsize=2m")}


@pytest.mark.parametrize("name", ON)
@pytest.mark.parametrize("program", ["tcp", "udp", "faults"])
def test_driver(name, program):
    path = HERE / "programs" / f"{program}.py"
    tests = [line[4:-3] for line in path.read_text().splitlines() if line.startswith("def test_")]
    ports = [free_port() for _ in range(7)]
    result = ON[name].run(path, *ports, env=environment(HERE / "programs", HERE), timeout=90)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.split() == sorted(tests)
