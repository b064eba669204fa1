"""What the tests of the board's program share."""

import pytest

from host_tests.support.interpreters import BOARDS


@pytest.fixture(params=BOARDS.values(), ids=BOARDS.keys())
def interpreter(request):
    """Each of the three interpreters in turn, with the heap of a board."""
    return request.param
