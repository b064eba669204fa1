"""./host_tests/faults/run.sh: the faults with shorter times, and a short soak."""

import pytest

from host_tests.support.paths import TOP
from host_tests.support.tools import namespaces, tool

RUN = TOP / "host_tests" / "faults" / "run.sh"


@pytest.mark.parametrize("options", [["--quick"], ["--soak", "20"]], ids=" ".join)
def test_all_is_as_it_must_be(start, options):
    for name in ("mpremote", "micropython32", "ip"):  # or run.sh would fetch them
        tool(name)
    namespaces()
    process = start([RUN, *options])
    assert process.wait(280) == 0, process.output
    assert process.lines[-1] == "All as it must be."
