"""``conformance/run.py --continue``, in a copy of the project with reports of its own."""

import os
import shutil
import signal
import sys

import pytest

from host_tests.support.paths import TOP
from host_tests.support.tools import tool

CONFORMANCE = "host_tests/conformance"
ONLY = ("--side", "server", "--vm", "cpython", "--front", "blocking", "--jobs", "1")


@pytest.fixture
def run(tmp_path, start):
    """``run(cases, *options)`` starts it."""
    cache = tool("autobahn").parent
    for folder in ("lib", CONFORMANCE):
        shutil.copytree(TOP / folder, tmp_path / folder)
    own = tmp_path / ".cache" / "conformance"
    own.mkdir(parents=True)
    for name in ("python2", "site"):
        (own / name).symlink_to(cache / name)

    def run_cases(cases, *options):
        command = [sys.executable, tmp_path / CONFORMANCE / "run.py", *ONLY, *options]
        return start([*command, "--cases", *cases.split()], env=os.environ)

    return run_cases


@pytest.fixture
def whole_run(run):
    """The same, run to its end: its lines, and whether they say that it was found before."""

    def run_to_end(cases, *options, status=0):
        process = run(cases, *options)
        assert process.wait() == status, process.output
        return process.lines, process.lines[1].endswith(" s, found before")

    return run_to_end


def test_continue_takes_over_what_is_the_same(whole_run, tmp_path):
    lines, _ = whole_run("1.1.2")
    # Only that word is another, and the time is that of the run before.
    again = [lines[0], lines[1] + ", found before", *lines[2:]]
    assert whole_run("1.1.2", "--continue") == (again, True)
    assert not whole_run("1.1.2")[1]
    assert not whole_run("1.1.2", "--continue", "--pieces")[1]
    with (tmp_path / "lib" / "microws" / "frames.py").open("a") as module:
        module.write("# changed\n")
    assert not whole_run("1.1.2", "--continue", "--pieces")[1]
    (outcome,) = (tmp_path / ".cache" / "conformance" / "reports").glob("*/*/outcome.json")
    outcome.write_bytes(b"")  # as a power cut may leave it
    assert not whole_run("1.1.2", "--continue", "--pieces")[1]


def test_continue_runs_again_what_failed(whole_run, tmp_path):
    with (tmp_path / CONFORMANCE / "echo.py").open("a") as module:
        module.write("print('trouble', file=sys.stderr)\n")
    for _ in range(2):
        lines, found_before = whole_run("1.1.2", "--continue", status=1)
        assert "1 NOT AS EXPECTED" in lines[1]
        assert not found_before


def test_continue_after_an_interrupt(run, tmp_path):
    for options, end in ((), " s"), (("--continue",), " s, found before"):
        process = run("1.1.2 6.4.*", *options)
        # The cases after that have pauses of seconds.
        assert process.wait_for(", core: as expected").endswith(end)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.lines[-1] == "Interrupted. To go on, run it again with --continue."
        outcomes = (tmp_path / ".cache" / "conformance" / "reports").glob("*/*/outcome.json")
        assert [outcome.parent.name for outcome in outcomes] == ["core"]
