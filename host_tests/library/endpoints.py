"""The two ends of a test of interoperation: programs/, on which interpreter and front."""

from host_tests.support.interpreters import INTERPRETERS
from host_tests.support.paths import TOP

PROGRAMS = TOP / "host_tests" / "library" / "programs"
OURS = [(name, front) for name in INTERPRETERS for front in ("blocking", "asyncio")]
THEIRS = ("cpython", "websockets")
# Bytes in one piece; most of a board's heap is taken by the programs, compiled there.
BUFFER_SIZE = {"cpython": 70000, "micropython64": 70000, "micropython32": 4096}
