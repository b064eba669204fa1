"""The fuzzer's checks (``fuzz/checks.py``) on a few inputs each: short, and the same every time.

``./host_tests/fuzz/run.sh`` runs them on millions. What it finds stands here as ``FOUND``.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.fuzz import checks

SHORT = settings(derandomize=True, deadline=None, max_examples=300)
SETUP = st.binary(min_size=2, max_size=2)

FOUND = [
    # A request without a target let an IndexError out of parse(), and so out of accept().
    ("server_handshake", b"\0\0" + checks.TO_SERVER.replace(b"GET /path ", b"GET  ")),
    # A response whose version was no number was taken: "HTTP/1.e 101 Switching Protocols".
    ("client_handshake", b"\0\0" + checks.TO_CLIENT.replace(b"HTTP/1.1", b"HTTP/1.e")),
]


def changed(head, more=b""):
    """``head`` with a few bytes changed, left out or put in."""
    whole = head[:-2] + more + head[-2:]
    places = st.integers(0, len(whole))
    change = st.tuples(places, st.integers(0, 3), st.binary(max_size=3))

    def apply(changes):
        data = whole
        for at, left_out, put_in in changes:
            data = data[:at] + put_in + data[at + left_out :]
        return data

    return st.lists(change, max_size=3).map(apply)


EXTENSIONS = (
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9;"
    b" server_max_window_bits=10; server_no_context_takeover; client_no_context_takeover\r\n"
)


@given(SETUP, changed(checks.TO_SERVER) | changed(checks.TO_SERVER, EXTENSIONS), st.binary())
@SHORT
def test_server_handshake(setup, head, rest):
    checks.server_handshake(setup + head + rest)


@given(SETUP, changed(checks.TO_CLIENT) | changed(checks.TO_CLIENT, EXTENSIONS), st.binary())
@SHORT
def test_client_handshake(setup, head, rest):
    checks.client_handshake(setup + head + rest)


@given(SETUP, st.binary(max_size=60))
@SHORT
def test_open_connection(setup, data):
    checks.open_connection(setup + data)


@given(SETUP, st.binary(max_size=100))
@SHORT
def test_frame_bytes(setup, script):
    checks.frame_bytes(setup + script)


@pytest.mark.parametrize(("check", "data"), FOUND)
def test_found(check, data):
    checks.CHECKS[check](data)
