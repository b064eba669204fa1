"""Tasks that run at once, on every interpreter: see programs/tasks.py."""

from host_tests.library.endpoints import PROGRAMS
from host_tests.support.ports import free_port


def test_tasks_at_once(interpreter):
    result = interpreter.run(PROGRAMS / "tasks.py", free_port(), timeout=60)
    assert result.stdout.splitlines()[-1:] == ["0 failed"], result.stdout + result.stderr
