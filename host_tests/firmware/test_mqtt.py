"""The mqtt role with real brokers, Mosquitto and nats-server, on loopback."""

import json
import re
import shutil
import signal

import pytest

from host_tests.deploy import virtual
from host_tests.deploy.serial_port import HEAP
from host_tests.fleet.boards import program
from host_tests.support.brokers import Mosquitto, Nats, Observer, certificate
from host_tests.support.interpreters import INTERPRETERS, Interpreter, environment
from host_tests.support.interrupt import interrupt

BROKERS = {"mosquitto": Mosquitto, "nats": Nats}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def make_broker(start, tmp_path, files):
    """`make_broker(kind, tls=False, password=False)` starts one."""

    def make(kind, tls=False, **options):
        pair = files[:2] if tls else None
        return BROKERS[kind](start, tmp_path / kind, pair, **options).start()

    return make


@pytest.fixture
def observe(files):
    """`observe(broker...)` is an observer that ends with the test."""
    observers = []

    def make(*args, **options):
        observer = Observer(*args, ca=files[2], **options)
        observers.append(observer)
        return observer

    yield make
    for observer in observers:
        observer.close()


@pytest.fixture
def board(start, tmp_path, files):
    """`board(settings, python="micropython32")` starts a virtual board, with a board's heap."""

    def make(settings, python="micropython32", name="greenhouse", sketch=None):
        folder = tmp_path / name
        given = {"role": "mqtt", "hostname": name, "sample_interval": 0.2, **settings}
        made = virtual.Board(name, folder, given)
        shutil.copy(files[2], folder / "ca.pem")
        if sketch:
            (folder / "sketch.py").write_text(sketch)
        # What it has beside the program, in place of hardware, takes memory of its own.
        heap = ("-X", f"heapsize={HEAP['32']}") if python == "micropython32" else ()
        return start(Interpreter(python, *heap).command(virtual.START), cwd=made.folder)

    return make


@pytest.mark.parametrize("kind", BROKERS)
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_board_on_a_broker(make_broker, observe, board, kind, tls):
    broker = make_broker(kind, tls, password=tls)
    observer = observe(broker)
    process = board(broker.settings(), "cpython" if tls and kind == "nats" else "micropython32")
    process.wait_for("the broker knows this board as greenhouse")
    topic = "homeassistant/sensor/greenhouse/pin0/config"
    _, found, _ = observer.wait_for(lambda found, *_: found == topic)
    assert json.loads(found)["state_topic"] == "microws/greenhouse/pin0"
    observer.wait_for_value("microws/greenhouse/status", "online")
    for _ in range(3):
        _, value, _ = observer.wait_for(lambda topic, *_: topic == "microws/greenhouse/pin0")
        assert 0 <= int(value) <= 65535
    if tls:
        process.send_signal(9)
    else:
        interrupt(process.pid)
        process.wait_for("stopped by Ctrl-C")
    observer.wait_for_value("microws/greenhouse/status", "offline")
    # It is what a client is told that comes later.
    late = observe(broker, client_id="late", topic="microws/+/status")
    late.wait_for(
        lambda *found: found == ("microws/greenhouse/status", "offline", True), "the status"
    )


@pytest.mark.parametrize("kind", BROKERS)
def test_a_wrong_password(make_broker, board, kind):
    broker = make_broker(kind, password=True)
    process = board({**broker.settings(), "password": "not this one"})
    for _ in range(2):
        process.wait_for("the broker refuses: ")
        process.wait_for("trying again in ")
    assert "not this one" not in process.output
    assert '"user" or "password" is wrong' in process.output or "not allowed" in process.output


def test_what_is_published_while_the_broker_is_away_comes_later(make_broker, observe, board):
    broker = make_broker("mosquitto")
    observer = observe(broker)
    process = board({**broker.settings(), "queue_size": 4096})
    observer.wait_for(lambda topic, *_: topic.endswith("/pin0"), "a value")
    broker.kill()
    process.wait_for("connection refused")
    process.wait_for("connection refused")
    broker.start()
    process.wait_for("waiting, 0 older ones were dropped")
    observer.wait_for_value("microws/greenhouse/status", "online")
    for _ in range(5):
        observer.wait_for(lambda topic, *_: topic.endswith("/pin0"), "a value")


def test_a_broker_that_hangs_is_left_and_found_again(make_broker, observe, board):
    broker = make_broker("mosquitto")
    process = board({**broker.settings(), "keepalive": 1})
    process.wait_for("the broker knows this board")
    broker.process.send_signal(signal.SIGSTOP)
    process.wait_for("closed with code 1006 (connection lost)")
    broker.process.send_signal(signal.SIGCONT)
    process.wait_for("the broker knows this board")
    observer = observe(broker)
    observer.wait_for(lambda topic, *_: topic.endswith("/pin0"))


def test_two_with_one_name_do_not_fight_for_ever(make_broker, observe, board):
    broker = make_broker("mosquitto")
    process = board(broker.settings())
    process.wait_for("the broker knows this board as greenhouse")
    other = observe(broker, client_id="greenhouse", topic="microws/greenhouse/#")
    process.wait_for("another client may be called greenhouse")
    process.wait_for("the broker knows this board as greenhouse-")
    for _ in range(3):
        other.wait_for(lambda topic, *_: topic.endswith("/pin0"))


def test_what_others_publish_to_a_board(make_broker, observe, board):
    broker = make_broker("mosquitto")
    observer = observe(broker, topic="microws/greenhouse/pin0")
    process = board(broker.settings())
    process.wait_for("the broker knows this board as greenhouse")
    start = "microws/greenhouse/"
    observer.wait_for(lambda topic, *_: topic == start + "pin0")
    for topic, payload in (
        ("lamp/set", "1"),
        ("/set", ""),
        ("caf\u00e9 \U0001f680 \u202e/set", "\x1b[2J"),
        ("x" * 600 + "/set", "1"),
        ("lamp/set", "x" * 100_000),
        ("lamp/set", b"\xff\x00"),
    ):
        observer.send(start + topic, payload)
    process.wait_for("received lamp: 1")
    process.wait_for("received caf\u00e9 \U0001f680 \\u{202e}: \\u{1b}[2J")
    process.wait_for("error: this board has no outputs")
    process.wait_for("a message of 626 bytes to this board is too large")
    process.wait_for("a message of 100029 bytes to this board is too large")
    process.wait_for("received lamp: 2 bytes: ff 00")
    observer.wait_for(lambda topic, *_: topic == start + "pin0")
    assert process.output.count("handshake done") == 1


def test_a_fleet_comes_back_each_once_and_nothing_is_lost(make_broker, observe, start):
    boards = 12
    broker = make_broker("mosquitto")
    observer = observe(broker, topic="microws/+/pin0")
    given = {**broker.settings(), "sample_interval": 0.2, "queue_size": 8192}
    command = INTERPRETERS["cpython"].command("-c", program(given, boards, [broker.url]))
    fleet = start(command, env=environment(virtual.START.parent))
    for _ in range(boards):
        fleet.wait_for("the broker knows this board as")
    for _ in range(3 * boards):
        observer.wait_for(lambda *_: True)
    before = broker.process
    broker.kill()
    waits = [float(fleet.wait_for("trying again in").split()[-2]) for _ in range(boards)]
    assert len(set(waits)) > 3  # spread
    broker.start()
    for _ in range(boards):
        fleet.wait_for("the broker knows this board as")
    last = {}
    while len(last) < boards or min(last.values()) < 25:
        topic, value, _ = observer.wait_for(lambda *_: True)
        last[topic] = int(value)
    for topic in last:
        seen = [int(value) for found, value, _ in observer.messages if found == topic]
        assert set(seen) == set(range(max(seen) + 1)), topic
    broker.kill()
    for process in (before, broker.process):
        names = re.findall(r"New client connected from \S+ as (board\d+) ", process.output)
        assert sorted(names) == sorted(f"board{number}" for number in range(boards))


def test_home_assistant_switches_a_lamp(make_broker, observe, board):
    broker = make_broker("mosquitto")
    observer = observe(broker)
    observer.send("microws/greenhouse/lamp/set", "1", retain=True)  # of yesterday
    settings = {
        **broker.settings(),
        "inputs": {"door": {"pin": 14, "kind": "digital"}, "light": {"pin": 36, "unit": "%"}},
        "outputs": {"lamp": 2, "fan": {"pin": 12, "pwm": 1000}, "bell": 15},
        "show_as": {"fan": "light", "bell": "button"},
    }
    process = board(settings)
    found = {}
    while len(found) < 5:
        topic, payload, _ = observer.wait_for(lambda topic, *_: topic.startswith("homeassistant/"))
        found[topic.split("/")[3]] = json.loads(payload)
    observer.wait_for_value("microws/greenhouse/lamp", "0")
    observer.wait_for_value("microws/greenhouse/status", "online")
    process.wait_for("received lamp: 1")
    process.wait_for("not done: it was published as retained")

    def send(name, key, payload):
        observer.send(found[name][key], payload)

    lamp = found["lamp"]
    for payload in (lamp["payload_on"], lamp["payload_off"]):
        send("lamp", "command_topic", payload)
        observer.wait_for_value(lamp["state_topic"], payload)
    send("fan", "brightness_command_topic", "37")
    observer.wait_for_value(found["fan"]["brightness_state_topic"], "37")
    send("bell", "command_topic", found["bell"]["payload_press"])
    observer.wait_for_value("microws/greenhouse/bell", "1")
    observer.wait_for_value("microws/greenhouse/bell", "0")
    # All of many in a moment are done, though not all are logged.
    for level in range(40, 60):
        send("fan", "brightness_command_topic", str(level))
    for level in range(40, 60):
        observer.wait_for_value(found["fan"]["brightness_state_topic"], str(level))
    process.wait_for("more messages from the broker, too many to show")
    # What cannot be done is said, and nothing else happens.
    send("lamp", "command_topic", "bright")
    observer.wait_for_value("microws/greenhouse/log", "error: lamp takes 0 or 1")
    observer.send("microws/greenhouse/door/set", "1")
    observer.wait_for_value("microws/greenhouse/log", "error: there is no output door")
    # Who comes later finds the states, not the measurements.
    late = observe(broker, client_id="late", topic="microws/greenhouse/+")
    kept = {late.wait_for(lambda *found: found[2])[0].split("/")[2] for _ in range(5)}
    assert kept == {"bell", "door", "fan", "lamp", "status"}


SKETCH = """
from firmware import board
def setup():
    board.every(0.1, measure)
def measure():
    board.send("shade/+", 21.5)
def on_message(message, client):
    if message == "break":
        raise ValueError("no more")
    return "hello " + client.name
"""


def test_a_sketch_on_a_broker(make_broker, observe, board, tmp_path):
    broker = make_broker("mosquitto")
    observer = observe(broker)
    process = board(broker.settings(), sketch=SKETCH)
    observer.wait_for_value("microws/greenhouse/status", "online")
    observer.wait_for_value("microws/greenhouse/shade__", "21.5")
    observer.send("microws/greenhouse/message/set", "who?")
    observer.wait_for_value("microws/greenhouse/message", "hello broker")
    observer.send("microws/greenhouse/message/set", "break")
    _, told, _ = observer.wait_for(lambda topic, *_: topic == "microws/greenhouse/log")
    assert told.startswith("error: sketch.py, line 9, in on_message: ")
    process.wait_for("received message: break")
