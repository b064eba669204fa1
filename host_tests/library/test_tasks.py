"""Tasks that run at once, on every interpreter: see programs/tasks.py."""

import pytest

from host_tests.library.endpoints import PROGRAMS
from host_tests.support.interpreters import INTERPRETERS, Interpreter
from host_tests.support.ports import free_port

PLAYERS = {
    **INTERPRETERS,
    # The program itself takes 30 KB.
    "micropython32": Interpreter("micropython32", "-X", "heapsize=160k"),
}


@pytest.mark.parametrize("player", PLAYERS.values(), ids=PLAYERS.keys())
def test_tasks_at_once(player):
    result = player.run(PROGRAMS / "tasks.py", free_port(), timeout=60)
    assert result.stdout.splitlines()[-1:] == ["0 failed"], result.stdout + result.stderr
