"""The packets and queues of the mqtt role, on every Python that runs it."""

import re
from pathlib import Path

UNITS = Path(__file__).with_name("mqtt_units.py")


def test_packets_and_queues(interpreter, tmp_path):
    result = interpreter.run(UNITS, cwd=tmp_path)
    assert result.stderr == ""
    wanted = sorted(re.findall(r"^def (test_\w+)", UNITS.read_text(), re.M))
    assert result.stdout.split() == wanted
