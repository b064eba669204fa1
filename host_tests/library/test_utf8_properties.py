"""UTF-8 validation of any text in any pieces; apart, for hypothesis is not everybody's."""

from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests.library.test_utf8 import found


@given(st.text(), st.integers(0), st.integers(0))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_any_text_at_any_split(text, a, b):
    data = text.encode()
    cuts = sorted((a % (len(data) + 1), b % (len(data) + 1)))
    assert found(data, *cuts) == (True, True, 0)
