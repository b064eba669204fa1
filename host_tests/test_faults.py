"""./host_tests/faults/run.sh: the faults with shorter times, and a short soak."""

import subprocess

import pytest
from conftest import TOP

RUN = TOP / "host_tests" / "faults" / "run.sh"


@pytest.mark.parametrize("options", [["--quick"], ["--soak", "20"]], ids=" ".join)
def test_all_is_as_it_must_be(options):
    result = subprocess.run([RUN, *options], capture_output=True, text=True, timeout=110)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("All as it must be.\n")
