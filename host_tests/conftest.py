"""What the tests of every room share."""

import signal

import pytest

from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.paths import BIN
from host_tests.support.process import Process


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


def pytest_configure():
    # Whoever starts this in the background has it ignored, and so had every program started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    needed = [BIN / name for name in ("micropython64", "micropython32", "chromium", "websocketd")]
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        raise pytest.UsageError(
            f"{', '.join(missing)} missing in .cache/bin. Run ./host_tests/setup.sh first."
        )
