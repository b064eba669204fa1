"""./deploy.sh --virtual --fleet N: all boards come online, and the page shows them."""

import re
import urllib.request

from host_tests.support.paths import TOP
from host_tests.support.tools import tool


def test_a_fleet_and_its_page(start, micropython32, mpremote):
    tool("mosquitto")
    process = start([TOP / "deploy.sh", "--virtual", "--fleet", "5", "--listen", "0"])
    page = re.search(r"http://\S+", process.wait_for("Open http://"))[0]
    names = {"board0", "board1", "board2", "whole1", "whole2"}
    online = set()
    while online != names:
        online.add(process.wait_for(": online").split(":")[0])
    with urllib.request.urlopen(page) as answer:
        shown = answer.read().decode()
    assert "<h1>5 boards, 5 online, " in shown
    rows = re.findall(r'<tr class="online"><td>(\w+)<td>online<td>(.+?)<td>pin0: \d+<td>', shown)
    versions = dict(rows)
    assert versions.keys() == names
    assert "MicroPython" in versions["whole1"]
    assert "CPython" in versions["board0"]
    process.send_signal(2)
    assert process.wait() == 130
    assert "Traceback" not in process.output
