"""The watchdog: fed while the role goes on, started late, and at the prompt nearly for ever."""

import json
import signal

import pytest
from websockets.sync.client import connect

from host_tests.deploy.virtual import choose_port
from host_tests.firmware.test_main import messages
from host_tests.firmware.test_roles import Server
from host_tests.support.interpreters import environment
from host_tests.support.interrupt import interrupt
from host_tests.support.paths import TOP

BOARD = TOP / "host_tests" / "board"
TIME = 60  # seconds, and at this speed one

BEGIN = f"""
import machine, main, time
from firmware import values
machine.WDT.speed = {TIME}
class Time:
    def sleep(self, seconds):
        print("sleeping", seconds)
main.time = Time()
"""

# Samples that come for long enough to be bitten otherwise, and then a hang.
HANG = """
count = 0
def read():
    global count
    count += 1
    if count > 50:
        print("hanging")
        time.sleep(60)
    return 5
values.sampler = lambda pin: read
main.main()
"""


@pytest.fixture
def running(interpreter, start, tmp_path):
    def run(code, **settings):
        (tmp_path / "config.json").write_text(json.dumps({"watchdog": TIME, **settings}))
        command = interpreter.command("-c", BEGIN + code)
        return start(command, env=environment(BOARD), cwd=tmp_path)

    return run


def test_a_server_role_that_hangs_is_bitten_and_not_before(running):
    port = choose_port(0)
    process = running(HANG, port=port, sample_interval=0.05)
    process.wait_for("listening")
    with connect(f"ws://127.0.0.1:{port}/", close_timeout=0.1):
        process.wait_for("sent pin0:5")
        assert process.wait() == -signal.SIGALRM
    assert process.lines[-1] == "hanging"


def test_a_client_role_that_hangs_is_bitten_and_not_before(running):
    with Server(list) as server:
        process = running(HANG, role="client", url=server.url, sample_interval=0.05)
        process.wait_for("sent pin0:5")
        assert process.wait() == -signal.SIGALRM
    assert process.lines[-1] == "hanging"


def test_a_board_that_waits_for_its_network_is_not_bitten(running):
    code = """
import network
from firmware import net
network.cable = False
net._TELL_EVERY = 5  # once a second
main.main()
"""
    process = running(code)
    for _ in range(4):
        process.wait_for("no link")


def test_it_starts_after_two_seconds_and_at_the_prompt_it_waits_a_day(running):
    code = """
class Watchdog:
    def __init__(self, timeout):
        print("started", timeout)
    def feed(self):
        pass
machine.WDT = Watchdog
main.main()
print("prompt")
"""
    process = running(code, port=choose_port(0))
    process.wait_for("listening")
    interrupt(process.pid)
    assert process.wait() == 0
    told = messages(process.output)
    start = told.index("the watchdog starts in 2 s; Ctrl-C stops the board")
    assert told[start + 1 : start + 3] == ["sleeping 2", "started 60000"]
    assert told[-3:] == ["started 86400000", "stopped by Ctrl-C", "prompt"]


# A chip whose own watchdog counts to 8.3 s, with a watchdog and a timer of the test's.
SHORT = """
import machine
machine.chip = {chip!r}
class Fed:
    count = 0
    def __init__(self, timeout):
        print("timeout", timeout)
    def feed(self):
        Fed.count += 1
machine.WDT = Fed
from firmware import watchdog
class Rp2:
    platform = "rp2"
watchdog.sys = Rp2()
dog = watchdog.start(60)
timer = machine.Timer.running
print(timer.period, timer.hard)
for _ in range(29):
    timer.tick()
dog.feed()
for _ in range(100):
    timer.tick()
print(Fed.count)
dog.let_sleep()
print(machine.Timer.running, machine.mem32)
"""


@pytest.mark.parametrize(("chip", "register"), [("RP2040", 0x40058000), ("RP2350", 0x400D8000)])
def test_a_timer_feeds_a_short_one_while_there_is_progress(interpreter, chip, register):
    result = interpreter.run("-c", SHORT.format(chip=chip), env=environment(BOARD))
    # 58 s, then 60 s more, each 2 s once; at the prompt it does not count.
    clear = 0x3000  # by the chips' data sheets: writing there clears bits
    expected = ["timeout 8000", "2000 True", "59", "None " + str({register + clear: 1 << 30})]
    assert (result.stdout.splitlines(), result.stderr) == (expected, "")


def test_a_crash_is_not_bitten_while_it_pauses(running):
    code = """
def sampler(pin):
    raise ValueError
values.sampler = sampler
from firmware import crash
class Watchdog:
    def __init__(self, timeout):
        print("started", timeout)
    def feed(self):
        pass
machine.WDT = Watchdog
main.main()
"""
    process = running(code)
    process.wait_for("started 60000")
    process.wait_for("started 86400000")
    process.wait_for("resetting the board in 2 s")


def test_a_reset_by_the_watchdog_is_told(running):
    code = "machine.cause = machine.WDT_RESET\nmain.main()"
    process = running(code, port=choose_port(0))
    process.wait_for("the watchdog reset the board: the program had made no progress")
