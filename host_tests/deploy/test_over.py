"""Updates over the network, of real MicroPython boards on loopback."""

import contextlib
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading

import microws
import pytest

from firmware.deploy import board_files, package
from firmware.deploy.over import Link, Secrets
from firmware.deploy.refusal import Refusal
from firmware.settings import defaults
from host_tests.deploy.serial_port import HEAP, SerialBoard, flash
from host_tests.support.brokers import Mosquitto, Observer
from host_tests.support.interpreters import PATIENCE
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port
from host_tests.support.tools import tool

LIST = "firmware/installed.txt"
# Of the writes while a package comes the power is cut in each so many; the nightly run: in all.
CUT_EVERY = int(os.environ.get("UPDATE_CUT_EVERY", "4"))
GIVEN = {"update_token": "let-me-in", "update_key": "nobody-else-has-this-key"}
SECRETS = Secrets(GIVEN, TOP)


def program(settings):
    """What a board with these settings has of the program."""
    files = board_files.program()
    needless = board_files.needless({**defaults(), **settings})
    return {path: files[path] for path in files if path not in needless}


def listing(files):
    """The list of what is ours on a board that these files were sent to."""
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return "".join(
        [*(f"{path} {hashes[path]}\n" for path in sorted(hashes)), f"{LIST}\n"]
    ).encode()


class Board:
    """A virtual board that takes updates; `settings` are beside those for them.

    `older` is what an older deployment sent in the place of files, `mine` what a person changed.
    """

    def __init__(self, folder, start, settings, older, bits, mine=None):
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/"
        self._config = {"update_port": self.port, "update_trial": 20, **GIVEN, **settings}
        self.files = {**program(self._config), **older}
        python = tool(f"micropython{bits}")
        self.board = SerialBoard(folder, python, heap=HEAP[bits])
        self._start = start
        self.put({**self.files, LIST: listing(self.files), **(mine or {})})

    def put(self, files):
        """Files into its flash, while it is off."""
        flash(self.board, {**files, "config.json": json.dumps(self._config).encode()})

    def power_on(self):
        self.board.plug_in()
        self.log = self._start(["cat", self.board.device])

    def power_off(self):
        """Its files."""
        self.board.pull_out()
        return flash(self.board)


@pytest.fixture
def make_board(tmp_path, start):
    """`make_board(settings)` is one that waits for an update, with the program but for `older`."""
    boards = []

    def make(settings, older=None, bits="32", **options):
        one = Board(tmp_path / f"b{len(boards)}", start, settings, older or {}, bits, **options)
        boards.append(one.board)
        one.power_on()
        one.log.wait_for("updates come at " + one.url[:-1])
        return one

    yield make
    for board in boards:
        board.pull_out()
        assert board.errors == b""


@pytest.fixture
def client(make_board):
    """A board in the client role whose server is not there, with memory for an update beside."""
    return make_board({"role": "client", "url": "ws://127.0.0.1:9/"}, bits="64")


@pytest.fixture
def deploy(tmp_path):
    """`deploy(address, option...)` is the deployment over the network, from the folder `top`."""
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps(GIVEN))

    def run(address, *options, top=TOP):
        command = [sys.executable, top / "firmware" / "deploy", "--over", address]
        return subprocess.run(
            [*command, "--secrets", secrets, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


@pytest.fixture
def release(tmp_path):
    """`release(version, changes)` is a folder with the project as of that version."""

    def make(version, changes):
        top = tmp_path / version
        for name in ("firmware", "lib"):
            shutil.copytree(TOP / name, top / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("boot.py", "main.py"):
            shutil.copy(TOP / name, top)
        file = top / "lib/microws/__init__.py"
        file.write_text(file.read_text().replace(f'"{microws.__version__}"', f'"{version}"'))
        for path, (before, after) in changes.items():
            source = (top / path).read_text()
            assert before in source
            (top / path).write_text(source.replace(before, after))
        return top

    return make


def test_a_fleet_on_a_broker_is_updated_and_takes_back_what_fails(
    tmp_path, start, make_board, deploy, release
):
    broker = Mosquitto(start, tmp_path / "broker").start()
    given = {"role": "mqtt", **broker.settings(), "outputs": {"lamp": {"pin": 2}}}
    given["queue_size"] = 512
    small = make_board({**given, "hostname": "small"})
    large = make_board({**given, "hostname": "large"}, bits="64")
    for name, one in (("small", small), ("large", large)):
        with contextlib.closing(Observer(broker, client_id=f"home{name}")) as home:
            topic = f"homeassistant/switch/{name}/lamp/config"
            _, found, _ = home.wait_for(lambda *message, topic=topic: message[0] == topic)
            home.send(json.loads(found)["command_topic"], "1")
            one.log.wait_for("pin 2: 1")
            home.wait_for_value(f"microws/{name}/lamp", "1")
    (tmp_path / "boards.txt").write_text(f"# the shelf\n{small.url}\n\n{large.url[:-1]}\n")
    result = deploy(tmp_path / "boards.txt", top=release("9.0.0", {}))
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert result.stdout == (
        f"[1/2] {small.url} small: version 9.0.0 does its work and stays.\n"
        f"[2/2] {large.url} large: version 9.0.0 does its work and stays.\n"
    )
    small.log.wait_for("microws 9.0.0 loaded")
    bad = release(
        "9.1.0", {"firmware/mqtt.py": ("def name_of(", "raise OSError(5)\n\n\ndef name_of(")}
    )
    result = deploy(tmp_path / "boards.txt", top=bad)
    assert (result.returncode, result.stderr) == (1, "No other board gets this version.\n")
    assert result.stdout == (
        f"[1/2] {small.url} version 9.1.0 did not do its work, and the board took it back: it "
        "runs 9.0.0 as before. Its log tells why: --monitor\n"
    )
    small.log.wait_for("OSError: [Errno 5] EIO")
    small.log.wait_for("version 9.1.0 has failed: 9.0.0 comes back")
    small.log.wait_for("version 9.1.0 was taken back, it did not do its work; this is 9.0.0")
    with contextlib.closing(Observer(broker)) as home:
        home.wait_for(lambda topic, *_: topic == "microws/small/pin0", "a value")
    files = small.power_off()
    changed = {path for path in small.files if files[path] != small.files[path]}
    assert changed == {"lib/microws/__init__.py"}


def test_only_what_changed_is_sent_and_what_a_person_changed_is_kept(make_board, deploy):
    main = (TOP / "main.py").read_bytes()
    older = {
        "firmware/chat.py": b"old = 1\n",
        "firmware/old.py": b"stale = 1\n",
        "main.py": main + b"# older\n",
    }
    settings = {"role": "server", "port": free_port(), "read_only": True}
    one = make_board(settings, older, bits="64", mine={"main.py": main + b"# mine\n"})
    result = deploy(one.url, "--dry-run")
    assert (result.returncode, result.stderr) == (0, "")
    kept = "main.py on the board is not as it was sent: yours is kept there as main.py.mine."
    assert result.stdout.splitlines()[-6:] == [
        kept,
        "  change firmware/chat.py",
        "  change main.py",
        "  remove firmware/old.py",
        f"2 of {len(one.files) - 1} files to send, 1 to remove.",
        "A dry run: nothing was changed.",
    ]
    result = deploy(one.url)
    assert (result.returncode, result.stderr) == (0, "")
    assert kept in result.stdout
    assert result.stdout.endswith(
        f"microws: version {microws.__version__} does its work and stays.\n"
    )
    one.power_off()
    one.power_on()  # with which the last of the old version goes
    one.log.wait_for("listening on")
    files = one.power_off()
    files.pop("config.json")
    now = {path: content for path, content in one.files.items() if path not in older}
    now.update({path: (TOP / path).read_bytes() for path in older if path != "firmware/old.py"})
    assert files == {**now, LIST: listing(now), "main.py.mine": main + b"# mine\n"}


def test_a_sketch_comes_without_a_restart(client, deploy, tmp_path):
    for number in (1, 2):
        (tmp_path / "helper.py").write_text(f"NUMBER = {number}\n")
        (tmp_path / "mine.py").write_text(
            "from firmware import board\nimport helper\n"
            "def setup():\n    board.log('this is sketch', helper.NUMBER)\n"
        )
        result = deploy(client.url, "--sketch", tmp_path / "mine.py")
        assert (result.returncode, result.stderr) == (0, "")
        assert re.fullmatch(
            r"On the board after [\d.]+ s: mine.py and helper.py.\n", result.stdout
        )
        client.log.wait_for(f"this is sketch {number}")
    assert len(client.board.resets) == 1


def test_the_log_over_the_network(client, start, tmp_path):
    secrets = tmp_path / "s.json"
    secrets.write_text(json.dumps({"update_token": GIVEN["update_token"]}))
    command = [sys.executable, TOP / "firmware/deploy", "--over", client.url, "--monitor"]
    process = start([*command, "--secrets", secrets])
    process.wait_for("Its log follows")
    process.wait_for("watches the log")
    process.wait_for("connection refused, no server listens there")
    board = Link(client.url, SECRETS)
    board.say("log")
    with pytest.raises(Refusal, match="somebody else watches"):
        board.hear()
    process.send_signal(signal.SIGINT)
    process.wait_for("Stopped.")
    assert process.wait() == 0


def test_who_does_not_know_the_token_is_slowed_down(client):
    def link(token):
        return Link(client.url, Secrets({"update_token": token}, TOP))

    for token in ("", "let-me-i", "let-me-in!"):
        with pytest.raises(Refusal, match=r"it does not know this|wrong token"):
            link(token)
        with pytest.raises(Refusal, match="a wrong token was tried before"):
            link(GIVEN["update_token"])
        client.log.wait_for("refused: a wrong update_token, or none")
        while True:
            try:
                link(GIVEN["update_token"]).close()
            except Refusal:
                continue
            break


class Wrong(package.Package):
    """A package whose head, or what follows it, is not as it should be."""

    def __init__(self, about, entries=(), files=None, kind="program", need=0, **head):
        super().__init__(kind, microws.__version__, about, list(entries), files or {}, need)
        self.head = json.dumps({**json.loads(self.head), **head})


SKETCH = package.line("+", "sketch.py", b"x = 1\n")
HASH = hashlib.sha256(b"x").hexdigest()
REFUSED = [
    ({"machine": "Virtual board with RP2040"}, "it is for a board Virtual board with RP2040; th"),
    ({"version": "0.0.9"}, f"version 0.0.9 is older than {microws.__version__}, which is here"),
    ({"version": "new"}, "this is no package"),
    ({"kind": "image"}, "this is no package"),
    ({"nonce": "0" * 32}, "it was made for another connection"),
    ({"need": 1 << 30}, "KB of flash are free and 1048576 KB needed, for the new version beside"),
    ({"entries": [f"+ ../x 1 {HASH}"]}, "the path ../x leaves the folder of the program"),
    ({"entries": [f"+ /x 1 {HASH}"]}, "the path /x leaves the folder"),
    ({"entries": [f"+ firmware/a/../../x 1 {HASH}"]}, "leaves the folder"),
    ({"entries": ["- lib/../config.json"]}, "leaves the folder"),
    ({"entries": [r"+ lib\x 1 " + HASH]}, "leaves the folder"),
    ({"entries": ["= main.py ../main.py"]}, "leaves the folder"),
    ({"entries": [f"+ microws-update/x 1 {HASH}"]}, "microws-update/x is the board's own"),
    ({"entries": ["- config.json"]}, "config.json is the board's own"),
    ({"entries": ["- main.py"], "kind": "sketch"}, "this is no list"),
    ({"entries": [f"+ firmware/x.py 1 {HASH}"], "kind": "sketch"}, "is no file of a sketch"),
    ({"entries": [f"+ main.py 1 {HASH}"], "kind": "sketch"}, "is no file of a sketch"),
    ({"entries": ["+ main.py"]}, "this is no list"),
    ({"entries": [f"+ main.py -1 {HASH}"]}, "this is no list"),
    ({"entries": ["hello"]}, "this is no list"),
    ({"entries": [f"- {'x' * 90}/{i}" for i in range(400)]}, "the list is too long"),
    (
        {"entries": [SKETCH], "files": {"sketch.py": b"x = 2\n"}, "kind": "sketch"},
        "sketch.py did not arrive whole",
    ),
    (
        {"entries": [SKETCH], "files": {"sketch.py": b"x = 1\n."}, "kind": "sketch"},
        "sketch.py did not come as it should",
    ),
]


def brought(url):
    """A Link to a board that waits for a package."""
    board = Link(url, SECRETS)
    board.say("update")
    board.about.update(json.loads(board.hear()))
    return board


def test_what_is_refused_in_words(client):
    for wrong, told in REFUSED:
        board = brought(client.url)
        with pytest.raises(Refusal) as caught:
            board.send(Wrong(board.about, **wrong), GIVEN["update_key"])
        board.close()
        assert told in str(caught.value), wrong
        client.log.wait_for("refused: ")
    board = brought(client.url)
    with pytest.raises(Refusal, match="the signature is wrong: is"):
        board.send(Wrong(board.about, [SKETCH], kind="sketch"), "another-key-than-this")
    board.close()
    for message in ("", "[]", "{}", b"\0", '{"kind": 1}', "x" * 2000):
        board = brought(client.url)
        board.ws.send(message)
        with pytest.raises(Refusal):
            board.hear()
        board.close()
    # While one is at it, nobody else.
    first = brought(client.url)
    with pytest.raises(Refusal, match="another update is under way"):
        brought(client.url)
    # One that is cut off is no harm, and what has come need not come again.
    files = {"one.py": b"x = 1\n" * 500, "sketch.py": b"x = 1\n"}
    bundle = package.of_sketch(microws.__version__, first.about, files)
    for message in (bundle.head, *bundle.messages()):
        first.say(message)
    first.say(f"signature {bundle.signature(GIVEN['update_key'])}")
    assert first.hear() == "send one.py"
    for at in range(0, 3000, 1000):
        first.say(files["one.py"][at : at + 1000])
    assert first.hear() == "send sketch.py"
    first.ws._close_socket()
    client.log.wait_for("code 1006")
    again = brought(client.url)
    asked = []
    again.send(
        package.of_sketch(microws.__version__, again.about, files),
        GIVEN["update_key"],
        asked.append,
    )
    again.close()
    assert asked == ["cp sketch.py"]
    client.log.wait_for("starting sketch.py")
    assert len(client.board.resets) == 1
    now = client.power_off()
    assert {path: now[path] for path in client.files} == client.files
    assert {path: now[path] for path in files} == files
    assert not [path for path in now if path.startswith("microws-update")]


def test_without_a_key_there_is_the_log_only(make_board):
    one = make_board({"role": "client", "url": "ws://127.0.0.1:9/", "update_key": None})
    with pytest.raises(Refusal, match='without an "update_key" in its'):
        brought(one.url)


# The power is cut ----------------------------------------------------------------------------

_BOOT = """
import machine
from firmware import update_state
update_state.at_start()
word, *rest = update_state.read()
if update_state.on_trial:
    update_state.write("good", *rest)
print("%s runs")
"""
OLD = {
    "main.py": (_BOOT % "old").encode(),
    "firmware/a.py": b"old = 1\n" * 700,
    "firmware/gone.py": b"x = 1\n",
}
NEW = {
    "main.py": (_BOOT % "new").encode(),
    "firmware/a.py": b"new = 1\n" * 600,
    "lib/deep/b.py": b"x = 2\n",
}
ALWAYS = {"boot.py": (TOP / "boot.py").read_bytes()} | {
    f"firmware/{name}.py": (TOP / f"firmware/{name}.py").read_bytes()
    for name in ("inventory", "swap", "update_state", "watchdog")
}
FOLDER = "microws-update"


def half_done(word):
    """The files of a board in that state of an update from OLD to NEW."""
    entries = [package.line("*" if path in OLD else "+", path, NEW[path]) for path in sorted(NEW)]
    entries.append("- firmware/gone.py")
    flat = {path: path.replace("/", "!") for path in {**OLD, **NEW}}
    files = {f"{FOLDER}/files.txt": ("\n".join(entries) + "\n").encode()}
    files[f"{FOLDER}/state.txt"] = f"{word} 20 2.0 1.0".encode()
    if word == "staged":
        files.update({f"{FOLDER}/new!{flat[path]}": NEW[path] for path in NEW})
        return {**files, **OLD}
    files.update({f"{FOLDER}/old!{flat[path]}": OLD[path] for path in OLD})
    return {**files, **NEW}


@pytest.mark.parametrize(
    ("word", "ends"),
    [("staged", (OLD, NEW)), ("swapped", (OLD, NEW)), ("trying", (OLD,)), ("good", (NEW,))],
)
def test_the_power_is_cut_at_each_write_of_the_swap(tmp_path, micropython32, word, ends):
    first = SerialBoard(tmp_path / "first", micropython32, blocks=32)
    flash(first, {**ALWAYS, **half_done(word)})
    point = 0
    seen = []
    while True:
        point += 1
        folder = tmp_path / str(point)
        folder.mkdir()
        shutil.copy(first.image, folder / "flash")
        one = SerialBoard(folder, micropython32, blocks=32)
        one.cut_at_write = point
        runs(one)
        was_cut = one.device is None
        one.pull_out()
        if was_cut:
            one.cut_at_write = 0
            runs(one)
            one.pull_out()
        files = flash(one)
        assert one.errors == b""
        now = {path: files[path] for path in files if path not in ALWAYS}
        now = {path: now[path] for path in now if not path.startswith(FOLDER)}
        assert now in ends, point
        seen.append(now)
        if not was_cut:
            break
    assert seen[-1] == ends[-1]
    assert point > 3


def runs(board):
    """Power on, until the program runs, whichever it is, or the power is cut."""
    news = queue.SimpleQueue()
    said = b""
    board.tap = news.put
    board.plug_in()
    while not re.search(rb"(old|new) runs", said) and board.device:
        with contextlib.suppress(queue.Empty):
            said += news.get(timeout=0.02)


def test_the_power_is_cut_at_each_write_of_what_comes(tmp_path, start):
    settings = {"role": "client", "url": "ws://127.0.0.1:9/"}
    first = Board(tmp_path / "first", start, settings, {}, "32")
    first.put({f"{FOLDER}/state.txt": b"quiet 0 - -"})
    before = flash(first.board)
    files = {"firmware/chat.py": b"x = 1\n" * 300, "lib/deep/b.py": b"x = 2\n"}
    entries = [
        package.line("*" if path in before else "+", path, files[path]) for path in sorted(files)
    ]
    entries.append("= main.py main.py.mine")
    new = {f"{FOLDER}/new!{path.replace('/', '!')}": files[path] for path in files}
    point = 1
    while True:
        point += CUT_EVERY
        folder = tmp_path / str(point)
        folder.mkdir()
        shutil.copy(first.board.image, folder / "flash")
        one = SerialBoard(folder, tool("micropython32"), heap=HEAP["32"])
        one.cut_at_write = point
        listens = threading.Event()
        one.tap = lambda said, listens=listens: b"updates" in said and listens.set()
        one.plug_in()
        while one.device and not listens.wait(0.02):
            pass
        was_cut = True
        with contextlib.suppress(Refusal), contextlib.closing(brought(first.url)) as board:
            board.send(Wrong(board.about, entries, files), GIVEN["update_key"])
            was_cut = False
        assert not was_cut or one.wait_until_off(PATIENCE)
        one.pull_out()
        now = flash(one)
        assert {path: now[path] for path in before if FOLDER not in path} == {
            path: before[path] for path in before if FOLDER not in path
        }
        if now.get(f"{FOLDER}/state.txt", b"").startswith(b"staged"):
            assert {path: now[path] for path in new} == new
            assert now["main.py.mine"] == before["main.py"]
        if not was_cut:
            break
    assert now[f"{FOLDER}/state.txt"].startswith(b"staged")
    assert point > 10
