"""What the tests of the library share."""

import pytest
from microws import compression, core

from host_tests.library.front import Openings
from host_tests.library.mock_socket import FRONTS, Network


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


@pytest.fixture(params=FRONTS)
def front(request):
    return request.param


@pytest.fixture
def networks(monkeypatch, front):
    """As many as are taken, one after the other."""

    def make():
        while True:
            with monkeypatch.context() as patch:
                network = Network(patch, front)
                try:
                    yield network
                finally:
                    network.end()

    networks = make()
    yield networks
    networks.close()


@pytest.fixture
def network(networks):
    return next(networks)
