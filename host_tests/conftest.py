"""What the tests of every room share."""

import gc
import signal
import sys

import pytest

from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.paths import TOP
from host_tests.support.process import Process
from host_tests.support.tools import tool, watch_imports


@pytest.fixture(params=INTERPRETERS.values(), ids=INTERPRETERS.keys())
def interpreter(request):
    """Each of the three interpreters in turn."""
    return request.param


@pytest.fixture
def start():
    """``start(command, env=None, cwd=None)`` starts a ``Process`` that ends with the test."""
    processes = []

    def start_process(command, env=None, cwd=None):
        process = Process(command, env, cwd)
        processes.append(process)
        return process

    yield start_process
    for process in reversed(processes):
        process.stop()


@pytest.fixture(scope="session")
def micropython32():
    """The path of the 32-bit MicroPython."""
    return tool("micropython32")


@pytest.fixture(scope="session")
def mpremote():
    """The path of the mpremote that deploy.sh takes."""
    return tool("mpremote")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Forget a module of tests that was skipped: one that takes something from it is skipped, too.

    With --import-mode=importlib, pytest leaves in ``sys.modules`` what was read until then.
    """
    report = yield
    if report.outcome != "passed":
        sys.modules.pop(".".join(collector.path.relative_to(TOP).with_suffix("").parts), None)
    return report


def pytest_collection_finish():
    # The library collects garbage, and need not look through thousands of tests each time.
    gc.collect()
    gc.freeze()


def pytest_configure():
    watch_imports()
    # Whoever starts this in the background has it ignored, and so had every program started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
