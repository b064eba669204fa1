"""The flow in firmware/examples with a real Node-RED: values in, a command out.

npm ci --prefix host_tests/node_red
.venv/bin/python -m pytest host_tests/node_red/nightly_node_red.py
"""

import json

import pytest

from host_tests.deploy.virtual import choose_port
from host_tests.firmware.test_wire import bench
from host_tests.support.paths import TOP

HERE = TOP / "host_tests" / "node_red"
FLOW = TOP / "firmware" / "examples" / "node_red.json"
PATIENCE = 120.0  # seconds: Node-RED takes its time to start


def test_the_lamp_is_on_while_it_is_dark(start, tmp_path):
    program = HERE / "node_modules" / "node-red" / "red.js"
    if not program.exists():
        pytest.fail("Node-RED is missing. Run: npm ci --prefix host_tests/node_red")
    settings = {
        "inputs": {"light": {"pin": 36, "scale": [0, 100]}},
        "outputs": {"lamp": 2},
        "format": "json",
        "sample_interval": 0.2,
    }
    with bench(tmp_path, settings) as board:
        flow = json.loads(FLOW.read_text())
        for node in flow:
            if node["type"] == "websocket-client":
                node["path"] = f"ws://127.0.0.1:{board.port}/"
        (tmp_path / "flows.json").write_text(json.dumps(flow))
        board.wire(36, 60000)
        options = ("--userDir", tmp_path, "--port", choose_port(0), tmp_path / "flows.json")
        red = start(["node", program, *options])
        red.wait_for("Started flows", PATIENCE)
        board.wait_for("client 1: connected from 127.0.0.1:")
        for light, lamp in ((5000, 1), (60000, 0), (0, 1)):
            board.wire(36, light)
            board.wait_for(f"pin 2: {lamp}", PATIENCE)
        assert board.metrics()["values"]["lamp"] == 1
