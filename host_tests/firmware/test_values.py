"""Inputs, outputs and what is told of them: firmware/values.py and the modules it loads."""

import json

import pytest

from host_tests.deploy.virtual import START
from host_tests.support.interpreters import environment

# A board's values with a clock of the test's. `told` has what was sent, and who had caused it.
BEGIN = """
import machine
from firmware import config, config_file, log, modules, outputs, values
from firmware.check import check_settings

now = [0]
values.ticks_ms = lambda: now[0]
values.tenths = lambda: now[0] // 100
outputs.log = lambda text: None
told = []

def make(**given):
    settings, problems = check_settings(given, "ESP32", (1, 26))
    assert not problems, problems
    def publish(items, now, source):
        told.extend([(text, source) for text in board.texts(items, now)])
    board = values.Values(settings, lambda: 5, 0.5, publish)
    return board

def after(board, ms):
    now[0] += ms
    del told[:]
    pause = board.look()
    print(pause, sorted([text for text, _ in told]))
"""


@pytest.fixture
def lines(interpreter):
    """Run code after BEGIN; the lines that it printed."""

    def run(code):
        result = interpreter.run("-c", BEGIN + code, env=environment(START.parent))
        assert result.stderr == ""
        return result.stdout.splitlines()

    return run


def test_with_neither_inputs_nor_outputs_there_is_pin0(lines):
    assert lines("""
board = make()
after(board, 0)
after(board, 499)
after(board, 1)
print(board.command("pin0:1", None), board.command("lamp:1", None))
print(board.set({"lamp": 1}, None))
board = make(outputs={"lamp": 2})
after(board, 0)
""") == [
        "500 ['pin0:5']",
        "1 []",
        "500 ['pin0:5']",
        "None None",
        "error: this board has no outputs",
        "500 ['pin0:5']",
    ]


def test_an_analog_input_has_a_scale_an_interval_and_a_change(lines):
    assert lines("""
machine.ADC.driven.update({36: 0, 32: 65535, 33: 1000})
board = make(inputs={
    "light": {"pin": 36, "scale": [0, 100], "interval": 2},
    "level": {"pin": 32, "scale": [5, -5], "change": 0.5},
    "raw": 33,
})
after(board, 0)
machine.ADC.driven.update({36: 32768, 32: 63000, 33: 1001})
after(board, 500)
machine.ADC.driven[32] = 62000
after(board, 500)
after(board, 1000)
""") == [
        "500 ['level:-5', 'light:0', 'raw:1000']",
        "500 ['raw:1001']",
        "500 ['level:-4.46', 'raw:1001']",
        "500 ['light:50', 'raw:1001']",
    ]


def test_a_switch_is_told_at_once_and_not_while_it_bounces(lines):
    assert lines("""
board = make(inputs={"door": {"pin": 14, "kind": "digital", "pull": "up"}})
after(board, 0)
for level in (0, 1, 0, 0, 0, 0, 1, 1):
    machine.Pin.drive(14, level)
    after(board, 20)
""") == [
        "20 ['door:1']",
        *["20 []"] * 3,
        "20 ['door:0']",
        *["20 []"] * 3,
        "20 ['door:1']",
    ]


def test_a_switch_is_told_as_often_as_its_interval_allows(lines):
    told = lines("""
board = make(inputs={"door": {"pin": 21, "interval": 0.2}})
after(board, 0)
for i in range(40):
    machine.Pin.drive(21, i // 2 % 2)
    after(board, 20)
""")
    assert [i for i, line in enumerate(told) if "door" in line] == [0, 12, 22, 32]


def test_pulses_are_counted(lines):
    assert lines("""
board = make(inputs={"water": {"pin": 14, "kind": "count", "interval": 1}})
after(board, 0)
for level in (1, 0, 1, 1, 0):
    machine.Pin.drive(14, level)
after(board, 1000)
after(board, 1000)
""") == ["1000 ['water:0']", "1000 ['water:2']", "1000 []"]


def test_the_chip_tells_its_own_temperature(lines):
    assert lines("""
inputs = {"chip": {"kind": "temperature", "interval": 10}}
after(make(inputs=inputs), 0)
import esp32
esp32.mcu_temperature = lambda: 41
after(make(inputs=inputs), 0)
machine.ADC.CORE_TEMP = 4
machine.Pin = lambda number: number
class Converter:
    CORE_TEMP = 4
    def __init__(self, channel):
        pass
    def read_u16(self):
        return 14021  # 0.706 V
machine.ADC = Converter
after(make(inputs=inputs), 0)
""") == ["10000 ['chip:45']", "10000 ['chip:41']", "10000 ['chip:27']"]


def test_a_command_sets_an_output_and_only_a_change_is_told(lines):
    assert lines("""
board = make(outputs={"lamp": 2, "fan": {"pin": 25, "pwm": 1000, "start": 20}})
for command in (
    "lamp:1", "lamp:1", "lamp: 0", "fan:37.54", "fan:100", "fan:20.0", "lamp:2", "lamp:on",
    "lamp:", "lamp:nan", "fan:-1", "fan:101", "fan:1e9", "fan:" + 50 * "1", "lampe:1", "lamp",
    "error: lamp takes 0 or 1", '{"lamp": 1}', b"lamp:1",
):
    del told[:]
    print(board.command(command, "me"), told)
print(board.command("lamp:1", "me", False))
print(make(outputs={"lamp": 2}, read_only=True).command("lamp:1", "me"))
""") == [
        "pin 25: 20.0 % at 1000 Hz",
        "pin 2: 1",
        " [('lamp:1', 'me')]",
        " []",
        "pin 2: 0",
        " [('lamp:0', 'me')]",
        "pin 25: 37.5 % at 1000 Hz",
        " [('fan:37.5', 'me')]",
        "pin 25: 100.0 % at 1000 Hz",
        " [('fan:100', 'me')]",
        "pin 25: 20.0 % at 1000 Hz",
        " [('fan:20', 'me')]",
        *["error: lamp takes 0 or 1 []"] * 4,
        *["error: fan takes 0 to 100 []"] * 4,
        *["None []"] * 5,
        *["error: lamp cannot be switched from here"] * 2,
    ]


def test_json_has_what_belongs_together_in_one_object(lines):
    told = lines("""
import time
from firmware import samples
class Clock:
    def gmtime(self, *when):
        return time.gmtime(0)
samples.time = Clock()
machine.ADC.driven.update({36: 65535, 32: 0})
board = make(
    format="json",
    inputs={"light": {"pin": 36, "scale": [0, 100]}, "level": {"pin": 32, "change": 10},
            "door": {"pin": 14, "kind": "digital", "pull": "up"}},
    outputs={"lamp": 2, "fan": {"pin": 25, "pwm": 1000}},
)
def show(what):
    print(what, [text for text, _ in told])
    del told[:]
now[0] = 12500
show(board.look())
show(board.command('{"lamp": 1, "fan": 3}', 1))
show(board.command('lamp:0', 1))
board.command('{"lamp": true}', 1)
board.command('{"lamp": false}', 1)
show("both")
for wrong in ('"lamp": 1, "fn": 3', '"lamp": 1, "fan": 101', '"lamp": "1"', '"lamp": null'):
    wrong = "{%s}" % wrong
    show(board.command(wrong, 1))
show(board.command('{"t": 3.5, "light": 40, "lamp": 1}', 1))
for message in ('{"lamp": 1', '["lamp"]', '5'):
    show(board.command(message, 1))
machine.Pin.drive(14, 0)
for _ in range(3):
    now[0] += 20
    board.look()
show(0)
samples.time = time
samples._SET = 2000
now[0] += 500
board.look()
show(0)
""")
    told = [line for line in told if not line.startswith("pin ")]

    def sent(line):
        what, _, texts = line.partition(" [")
        return what, [json.loads(text.strip("'")) for text in texts[:-1].split("', '") if text]

    assert sent(told[0]) == ("20", [{"t": 12.5, "light": 100.0, "level": 0, "door": 1}])
    assert sent(told[1]) == ("", [{"t": 12.5, "lamp": 1, "fan": 3}])
    assert sent(told[2]) == ("", [{"t": 12.5, "lamp": 0}])
    assert [one["lamp"] for one in sent(told.pop(3))[1]] == [1, 0]
    assert told[3:7] == [
        "error: there is no output fn []",
        "error: fan takes 0 to 100 []",
        *["error: lamp takes 0 or 1 []"] * 2,
    ]
    assert sent(told[7]) == ("", [{"t": 12.5, "lamp": 1}])
    assert told[8:11] == ["None []"] * 3
    assert sent(told[11]) == ("0", [{"t": 12.5, "door": 0}])
    _, [timed] = sent(told[12])
    assert timed.keys() == {"t", "time", "light", "level", "door"}
    assert timed["time"] > 1700000000


def test_boards_whose_messages_cross_come_to_rest(lines):
    """A server and a client, or a client and an echo, with outputs of the same names."""
    told = lines("""
import random
import machine_pwm
machine.print = machine_pwm.print = lambda text: None
for echo in (False, True):
    for format in ("text", "json"):
        for _ in range(30):
            to_server, to_client = [], []
            settings = dict(outputs={"lamp": 2, "fan": {"pin": 25, "pwm": 50}}, format=format)
            server = make(**settings)
            client = make(**settings)
            def tell_client(items, now, source):
                to_client.extend(server.texts(items, now))
            def tell_server(items, now, source):
                if not source:
                    to_server.extend(client.texts(items, now))
            server._publish = tell_client
            client._publish = tell_server
            def step():
                if to_server and (not to_client or random.getrandbits(1)):
                    if echo:
                        to_client.append(to_server.pop(0))
                    else:
                        wrong = server.command(to_server.pop(0), "client")
                        if wrong:
                            to_client.append(wrong)
                elif to_client:
                    client.command(to_client.pop(0), "server")
            for _ in range(30):
                board = client if echo or random.getrandbits(1) else server
                if random.getrandbits(1):
                    board.outputs["lamp"].toggle()
                else:
                    board.outputs["fan"].value(random.getrandbits(6))
                if random.getrandbits(1):
                    step()
            steps = 0
            while to_server or to_client:
                step()
                steps += 1
                assert steps < 500
            for name in ("lamp", "fan"):
                if not echo:
                    assert server.outputs[name].value() == client.outputs[name].value(), name
print("at rest")
""")
    assert told == ["at rest"]


def test_an_output_has_a_start_and_a_state_for_nobody(lines):
    told = lines("""
board = make(outputs={
    "lamp": {"pin": 2, "start": 1, "idle": 0}, "fan": {"pin": 25, "pwm": 1000}, "bell": 26,
})
out = board.outputs
print(out["lamp"].value(), out["fan"].value())
out["fan"].value(40)
out["lamp"].toggle(); out["lamp"].on(); out["bell"].on()
del told[:]
out.idle()
print(told)
try:
    out["lamp"].value(2)
except ValueError as error:
    print(error)
out["bell"].off()
out["bell"].on()
out.rest()
print([out[name].value() for name in ("lamp", "fan", "bell")])
""")
    at = told.index("lamp takes 0 or 1")
    assert told[:at] == [
        "pin 25: 0.0 % at 1000 Hz",
        "1 0",
        "pin 25: 40.0 % at 1000 Hz",
        "pin 2: 0",
        "pin 2: 1",
        "pin 26: 1",
        "pin 2: 0",
        "[('lamp:0', None)]",
    ]
    assert told[at + 1 : at + 3] == ["pin 26: 0", "pin 26: 1"]
    assert set(told[at + 3 : -1]) == {"pin 2: 1", "pin 25: 0.0 % at 1000 Hz", "pin 26: 0"}
    assert told[-1] == "[1, 0, 0]"


def test_what_the_chip_cannot_have_is_a_mistake_in_the_configuration(lines):
    assert lines("""
def refuse(*args, **options):
    raise ValueError("all PWM channels are used")
machine.PWM = machine.ADC = refuse
for given in ({"outputs": {"fan": {"pin": 25, "pwm": 1000}}}, {"inputs": {"light": 36}}):
    try:
        make(**given)
    except config.ConfigError as error:
        print(error)
""") == [
        'this chip cannot have "fan" in "outputs": all PWM channels are used',
        'this chip cannot have "light" in "inputs": all PWM channels are used',
    ]


def test_the_history_is_dense_at_its_end_and_goes_far_back(lines):
    told = lines("""
from firmware.history import History
history = History(900)
for second in range(1000):
    history.add(10 * second, "light", second / 2)
    if second % 100 == 50:
        history.add(10 * second, "lamp", second // 100 % 2)
    history.add(10 * second, "text", "no number")
for piece in history.lines(10000):
    print(str(piece, "utf-8"), end="")
""")
    rows = [line.split() for line in told]
    light = [float(ago) for ago, value in rows if value.startswith("light:")]
    lamp = [value for _, value in rows if value.startswith("lamp:")]
    assert len(rows) <= 100
    assert light == sorted(light, reverse=True)
    assert light[0] == 1000
    assert light[-40:] == list(range(40, 0, -1))
    assert {float(ago) + 2 * float(value[6:]) for ago, value in rows if "light" in value} == {1000}
    # Both states are left.
    assert set(lamp) == {"lamp:0", "lamp:1"}
    assert "text" not in {value.partition(":")[0] for _, value in rows}


def test_a_history_where_memory_is_short_is_smaller(lines):
    assert lines("""
from firmware import history
def short(size):
    if size > 500:
        raise MemoryError
    return bytearray(size)
history.bytearray = short
kept = history.History(900)
del history.bytearray
for i in range(200):
    kept.add(i, "light", i)
print(len(kept._data), len(b"".join(kept.lines(200)).split(b"\\n")) <= 51)
""") == ["450 True"]
