"""What the tests of the library share."""

import pytest
from microws import compression, core

from host_tests.library.front import Openings


@pytest.fixture
def memory(monkeypatch):
    """The size of each bytearray that the core and its compression make."""
    sizes = []

    def counted(*of):
        new = bytearray(*of)
        sizes.append(len(new))
        return new

    for module in (core, compression):
        monkeypatch.setattr(module, "bytearray", counted, raising=False)
    return sizes


@pytest.fixture
def openings(monkeypatch):
    """Opening handshakes over a ``Wire``."""
    return Openings(monkeypatch.setattr)
