"""What the tests of deploying share."""

import pytest


@pytest.fixture
def attached(monkeypatch, tmp_path, mpremote):
    """`attached(device...)`: these serial ports, and one that is the computer's own, are there."""

    def plug_in(*devices):
        ports = "".join(
            f"    port({device!r}, 0x10c4, 0xea60, '0001', 'Silicon Labs', 'CP2102'),\n"
            for device in devices
        )
        (tmp_path / "sitecustomize.py").write_text(
            "import serial.tools.list_ports as ports\n"
            "from types import SimpleNamespace\n"
            "class port(SimpleNamespace):\n"
            "    def __init__(self, device, vid, pid, serial, maker, product):\n"
            "        super().__init__(device=device, vid=vid, pid=pid, serial_number=serial,\n"
            "            manufacturer=maker, product=product)\n"
            "    def __lt__(self, other):\n"
            "        return self.device < other.device\n"
            "ports.comports = lambda: [\n"
            f"{ports}"
            "    port('/dev/ttyS0', None, None, None, None, None),\n"
            "]\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return plug_in
