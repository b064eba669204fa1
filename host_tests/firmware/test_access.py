"""Origins, credentials and subprotocols: the roles with the websockets package as their peer."""

import base64
import http.client
import json
import re
import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import basic_auth

from firmware import access, credentials, offenders, settings
from host_tests.deploy import virtual
from host_tests.firmware.test_roles import Server
from host_tests.support.interpreters import BOARDS

SECRET = "c0rrect-h0rse/b@ttery"
BASIC = {"user": "me", "password": SECRET + ":é"}
TOKEN = "a.b-c_d~e/f+g=="


@pytest.fixture
def board(interpreter, start, tmp_path):
    """`board(setting=value...)` starts a board in the server role: its process and host:port."""

    def start_board(**settings):
        port = virtual.choose_port(0)
        made = virtual.Board("board", tmp_path / "board", {"port": port, **settings})
        process = start(interpreter.command(virtual.START), cwd=made.folder)
        process.wait_for("listening on ")
        return process, f"127.0.0.1:{port}"

    return start_board


def ask(place, path="/", source="127.0.0.1", **headers):
    """Status and header fields of the answer to a plain GET."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    link = http.client.HTTPConnection(place, timeout=30, source_address=(source, 0))
    link.request("GET", path, headers=names)
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer.status, answer.headers


def refused(place, path="/", source="127.0.0.1", name="127.0.0.1", **options):
    """The status with which a WebSocket to `name` is refused, None where it is opened."""
    host, _, port = place.partition(":")
    sock = socket.create_connection((host, int(port)), source_address=(source, 0))
    try:
        with connect(f"ws://{name}:{port}{path}", sock=sock, **options) as client:
            assert client.recv().startswith("pin0:")
        return None
    except InvalidStatus as error:
        return error.response.status_code


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_pages_of_others_are_kept_out(board):
    process, place = board(origins=["https://friend.example"], sample_interval=0.05)
    port = place.partition(":")[2]
    assert refused(place) is None
    assert refused(place, origin=f"http://{place}") is None
    assert refused(place, origin="https://friend.example") is None
    for i, origin in enumerate((
        "http://127.0.0.1",
        f"http://127.0.0.2:{port}",
        "https://friend.example:8443",
        "http://friend.example",
        "null",
    )):  # fmt: skip
        assert refused(place, origin=origin, source=f"127.0.0.{10 + i}") == 403
        process.wait_for(f'refused, "origins" has no {origin} (HTTP 403)')
    # A name that anybody can let point here; names of the local network are the board's own.
    for name, status in (("evil.example", 403), ("board.local", None), ("board", None)):
        origin = f"http://{name}:{port}"
        assert refused(place, source="127.0.0.20", name=name, origin=origin) == status
    # What is asked by script is asked with an origin, too.
    assert ask(place, source="127.0.0.21", Origin="http://evil.example")[0] == 403


def test_what_arduino_libraries_send_where_nobody_set_an_origin_comes_in(board):
    _, place = board(sample_interval=0.05)
    for origin in ("file://", "https://github.com/gilmaimon/TinyWebsockets"):
        assert refused(place, origin=origin) is None


def test_origins_are_texts_or_patterns_or_all(board):
    process, place = board(origins=["null", "*.a.example", "https://*.b.example", "my-program"])
    for i, (origin, status) in enumerate((
        ("null", None),
        ("my-program", None),
        ("http://x.a.example", None),
        ("https://y.x.a.example", None),
        ("https://x.b.example", None),
        ("http://x.b.example", 403),
        ("https://a.example", 403),
        ("https://xa.example", 403),
        ("https://x.a.example.org", 403),
        ("https://b.example", 403),
        ("file:///home", 403),
    )):  # fmt: skip
        assert refused(place, origin=origin, source=f"127.0.0.{10 + i}") == status, origin
    assert "anywhere" not in process.output


def test_all_origins_are_said_to_be_so_at_the_start(board):
    process, place = board(origins=["*"], sample_interval=0.05)
    assert '"origins" has "*": a page from anywhere may connect' in process.output
    assert refused(place, origin="https://evil.example") is None
    assert ask(place, "/metrics", Host="evil.example")[0] == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/other"])
def test_no_path_answers_under_a_name_that_anybody_may_let_point_here(board, path):
    process, place = board(origins=["http://board.example"])
    port = place.partition(":")[2]
    status, headers = ask(place, path, Host=f"evil.example:{port}")
    assert (status, headers["X-Content-Type-Options"]) == (403, "nosniff")
    process.wait_for(f'refused, "origins" has no http://evil.example:{port} (HTTP 403)')
    good = 404 if path == "/other" else 200
    for i, name in enumerate((place, "board", "board.local", "BOARD.local:80", "board.example")):
        assert ask(place, path, f"127.0.0.{10 + i}", Host=name)[0] == good, name


def test_the_page_and_the_counters_say_what_a_browser_may_do_with_them(board):
    _, place = board()
    _, headers = ask(place)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert ask(place, "/metrics")[1]["X-Content-Type-Options"] == "nosniff"


def test_a_subprotocol_that_nobody_set_is_hinted_at(board):
    process, place = board(subprotocols=["a"], sample_interval=0.05)
    with connect(f"ws://{place}/", subprotocols=["a", "c"]) as client:
        client.recv()
    assert "subprotocols" not in process.output
    with connect(f"ws://{place}/", subprotocols=["b-c", "d"]) as client:
        client.recv()
    line = process.wait_for('see "subprotocols"')
    assert "asks for the subprotocol b-c, d; a browser leaves at once" in line


def test_the_page_has_a_ticket_for_a_websocket_without_credentials(board):
    """Safari sends none."""
    _, place = board(**BASIC, sample_interval=0.05)
    link = http.client.HTTPConnection(place, timeout=30)
    link.request("GET", "/metrics?ticket", headers={"Authorization": basic(**BASIC)})
    ticket = json.loads(link.getresponse().read())["ticket"]
    assert len(ticket) == 32
    assert ask(place, "/metrics?ticket=" + ticket)[0] == 401  # it is for a WebSocket, and gone
    assert refused(place, "/?ticket=" + ticket) == 401
    link = http.client.HTTPConnection(place, timeout=30)
    link.request("GET", "/metrics?a=b&ticket", headers={"Authorization": basic(**BASIC)})
    ticket = json.loads(link.getresponse().read())["ticket"]
    assert refused(place, "/?name=x&ticket=" + ticket) is None
    assert refused(place, "/?ticket=" + ticket) == 401
    # Who asks for the counters alone takes nobody's ticket.
    link = http.client.HTTPConnection(place, timeout=30)
    link.request("GET", "/metrics", headers={"Authorization": basic(**BASIC)})
    assert "ticket" not in json.loads(link.getresponse().read())


def test_a_foreign_page_is_slowed_down_and_its_reader_is_not(board):
    _, place = board(sample_interval=0.05)
    assert ask(place, Origin="http://evil.example")[0] == 403
    status, headers = ask(place, Origin="http://evil.example")
    assert (status, headers["Retry-After"]) == (429, "1")
    assert refused(place, origin=f"http://{place}") is None


def test_the_token_opens_the_board(board):
    process, place = board(token=TOKEN, sample_interval=0.05)
    # The path alone is told, not what may be secret.
    assert refused(place, "/other?token=" + TOKEN) == 404
    process.wait_for("refused, /other is not here")
    for path in ("/", "/metrics"):
        status, headers = ask(place, path)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="microws"')
    process.wait_for("refused, no credentials (HTTP 401)")
    assert refused(place) == 401
    assert refused(place, additional_headers={"Authorization": "Bearer " + TOKEN}) is None
    assert refused(place, additional_headers={"Authorization": "bearer  " + TOKEN}) is None
    assert refused(place, "/?a=b&token=a.b-c_d~e%2Ff%2Bg%3D%3D") is None
    assert ask(place, "/?token=" + TOKEN)[0] not in (401, 403, 429)
    for i, (path, header) in enumerate((
        ("/", "Bearer " + TOKEN[:-1]),
        ("/", "Bearer " + TOKEN + "="),
        ("/", "Bearer"),
        ("/", "Bearer a, Bearer " + TOKEN),
        ("/", basic("", TOKEN)),
        ("/?token=" + TOKEN, "Bearer wrong"),
    )):  # fmt: skip
        assert ask(place, path, f"127.0.0.{10 + i}", Authorization=header)[0] == 401, header
    process.wait_for("refused, wrong credentials (HTTP 401)")
    assert refused(place, "/?token=%", "127.0.0.20") == 401
    assert refused(place, "/?token=", "127.0.0.21") == 401
    assert refused(place, "/?token=" + TOKEN, "127.0.0.22") is None
    process.wait_for("client 4: closed")
    assert TOKEN not in process.output


def test_user_and_password_open_the_board(board):
    process, place = board(**BASIC, sample_interval=0.05)
    status, headers = ask(place)
    assert (status, headers["WWW-Authenticate"]) == (
        401, 'Basic realm="microws", charset="UTF-8"',
    )  # fmt: skip
    right = {"Authorization": basic(**BASIC)}
    assert refused(place, additional_headers=right) is None
    assert refused(place, "/?token=" + SECRET) == 401
    assert ask(place, Authorization=basic("you", BASIC["password"]))[0] == 401
    # Whoever was wrong waits, even when right now; another address does not.
    status, headers = ask(place, **right)
    assert (status, headers["Retry-After"]) == (429, "1")
    assert refused(place, additional_headers=right) == 429
    assert refused(place, source="127.0.0.2", additional_headers=right) is None
    assert SECRET not in process.output


def test_the_server_role_chooses_a_subprotocol(board):
    _, place = board(subprotocols=["b", "a"])
    for offered, chosen in ((["a", "b"], "b"), (["a"], "a"), (["c"], None), (None, None)):
        with connect(f"ws://{place}/", subprotocols=offered) as client:
            assert client.subprotocol == chosen


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"token": TOKEN}, {"Authorization": "Bearer " + TOKEN}),
        (BASIC, {"Authorization": basic(**BASIC)}),
        ({"headers": {"X-Board": "7", "Cookie": SECRET}}, {"X-Board": "7", "Cookie": SECRET}),
    ],
    ids=["token", "password", "headers"],
)
def test_the_client_role_says_who_it_is(interpreter, start, tmp_path, settings, fields):
    def handler(connection):
        found = connection.request.headers
        connection.send("; ".join(name for name in fields if found.get(name) == fields[name]))
        for _ in connection:
            pass

    with Server(handler) as server:
        board = virtual.Board(
            "board", tmp_path / "board", {"role": "client", "url": server.url, **settings}
        )
        process = start(interpreter.command(virtual.START), cwd=board.folder)
        process.wait_for("received " + "; ".join(fields))
    assert TOKEN not in process.output
    assert SECRET not in process.output


def test_the_client_role_takes_credentials_from_its_url(start, tmp_path):
    def handler(connection):
        connection.send("welcome " + connection.subprotocol)
        for _ in connection:
            pass

    check = basic_auth(credentials=("me", "hunter 2"))
    with Server(handler, process_request=check, subprotocols=["b", "a"]) as server:
        url = server.url.replace("ws://", "ws://me:hunter%202@")
        settings = {"role": "client", "url": url, "subprotocols": ["a"]}
        board = virtual.Board("board", tmp_path / "board", settings)
        process = start(BOARDS["micropython32"].command(virtual.START), cwd=board.folder)
        process.wait_for("received welcome a")
    assert "hunter" not in process.output


# The pauses, with a clock of our own.


class Request:
    def __init__(self, address, authorization, path="/"):
        self.remote_address = address + ":1"
        self.path = path
        self.headers = {
            "upgrade": "websocket",
            "host": "board",
            "authorization": "Bearer " + authorization,
        }


@pytest.fixture
def asked(monkeypatch):
    """`asked(address, token)` is the status and the pause; `asked.now` is the clock, in ms."""
    guard = access.Guard({**settings.defaults(), "token": "right"}, lambda address, reason: None)

    def ask_guard(address, token):
        answer = guard.check(Request(address, token))
        if answer is None:
            return 200, 0
        return answer[0], int(dict(answer[1]).get("Retry-After", 0))

    ask_guard.now = 0
    ask_guard.guard = guard
    for module in (offenders, credentials):
        monkeypatch.setattr(module, "ticks_ms", lambda: ask_guard.now)
    return ask_guard


def test_pauses_grow_up_to_a_minute_and_end(asked):
    pauses = []
    for _ in range(9):
        assert asked("a", "wrong") == (401, 0)
        _, pause = asked("a", "right")
        pauses.append(pause)
        asked.now += pause * 1000 - 1
        assert asked("a", "right") == (429, 1)
        asked.now += 1
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert asked("a", "right") == (200, 0)
    # That is forgotten, as it is after a while without a mistake.
    for _ in range(2):
        assert asked("a", "wrong") == (401, 0)
        assert asked("a", "right") == (429, 1)
        asked.now += 65000


def test_guesses_from_many_addresses_are_slowed_down_together(asked):
    assert asked("friend", "right") == (200, 0)
    looked = 0
    for i in range(10000):  # in 10 s
        asked.now += 1
        looked += asked(str(i % 100), "wrong")[0] == 401
    assert 16 + 10 * 2 - 2 <= looked <= 16 + 10 * 2
    # Who was let in before is not held up by that, and at another address one waits.
    assert asked("friend", "right") == (200, 0)
    assert asked("stranger", "right") == (429, 1)
    asked.now += 500
    assert asked("stranger", "right") == (200, 0)
    # Its own mistakes are its own, though.
    assert asked("friend", "wrong") == (401, 0)
    assert asked("friend", "right") == (429, 1)


def test_a_ticket_does_not_hold_for_long(monkeypatch, asked):
    guard = access.Guard({**settings.defaults(), "user": "me", "password": "x"}, lambda *_: None)

    def comes_in(ticket):
        request = Request("a", "", "/?ticket=" + ticket)
        del request.headers["authorization"]
        return guard.check(request) is None

    late, soon = guard.new_ticket(), guard.new_ticket()
    asked.now += 29999
    assert comes_in(soon)
    assert not comes_in(soon)
    asked.now += 1
    assert not comes_in(late)
    first = guard.new_ticket()
    for _ in range(4):
        guard.new_ticket()
    assert len(guard.credentials._tickets) == 4
    assert not comes_in(first)
    assert not comes_in("")


def test_the_table_of_offenders_is_bounded(asked):
    for i in range(1000):
        asked.now += 500
        table = asked.guard._offenders
        table._offenders = [(name, asked.now, 1) for name, _, _ in table._offenders]
        assert asked(str(i), "wrong") == (401, 0)
    assert len(asked.guard._offenders._offenders) == 16
    assert asked("999", "right") == (429, 1)
    assert asked("984", "right") == (429, 1)
    assert asked("983", "right") == (200, 0)


@pytest.mark.parametrize("given", ["", "a", "secre", "secret!", "Secret", "secretsecret", "\0"])
def test_only_the_same_is_the_same(given):
    assert not credentials.same(given.encode(), b"secret")
    assert credentials.same(b"secret", b"secret")


def test_comparing_looks_at_every_byte():
    looked = []

    class Given(bytes):
        def __getitem__(self, i):
            looked.append(i)
            return bytes.__getitem__(self, i)

    credentials.same(Given(b"xxxxxx"), b"secret")
    assert looked == [0, 1, 2, 3, 4, 5]


def test_prometheus_gets_its_own_format(board):
    _, place = board()

    def metrics(**headers):
        link = http.client.HTTPConnection(place, timeout=30)
        link.request("GET", "/metrics", headers=headers)
        answer = link.getresponse()
        found = answer.headers["Content-Type"], answer.read().decode()
        link.close()
        return found

    # As Prometheus 2.45 asks.
    accepted = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    kind, text = metrics(Accept=accepted + ",*/*;q=0.1")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    values = {}
    for line in text.splitlines():
        match = re.fullmatch(
            r"# TYPE (\w+) (counter|gauge)|(\w+(?:\{\w+=\"[^\"]*\"\})?) (-?[\d.]+)", line
        )
        assert match, line
        if match[3]:
            values[match[3]] = float(match[4])
    assert values["microws_clients"] == 0
    assert values["microws_messages_in_total"] == 0
    assert values["microws_uptime"] >= 0
    assert 0 <= values['microws_value{name="pin0"}'] <= 65535
    for accept in ("*/*", "application/json", "application/json, text/plain, */*"):
        kind, text = metrics(Accept=accept)
        assert kind == "application/json"
        assert "uptime" in json.loads(text)
