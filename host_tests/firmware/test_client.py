"""firmware/client.py by itself: how it comes back, what it remembers, what it keeps."""

import contextlib
import socket
import threading
import time

import pytest

from host_tests.deploy import virtual
from host_tests.firmware.test_roles import Server
from host_tests.support.interpreters import environment
from host_tests.support.wire import response

# The role with a clock and a die of the test's, and pauses that take no time. `script` are
# functions called one by one at the pauses after a session; the role ends with the last.
BEGIN = """
import asyncio, socket
from firmware import modules
modules.load_role("client")
from firmware import client, connecting, net
from firmware.settings import defaults
from microws import reconnecting

clock = [0]
bounds = []
sent = []

class Die:
    def uniform(self, least, bound):
        bounds.append(bound)
        return bound

class Done(BaseException):
    pass

def uptime():
    return clock[0]

def log(text):
    print(text)

reconnecting.random = Die()
connecting.uptime = client.uptime = uptime
connecting.log = client.log = log

def run(url, script, read=int, **given):
    settings = defaults()
    settings["url"] = url
    settings.update(given)
    net.start(settings)
    real = net.sleep_with_address
    async def hold(address, seconds):
        if not bounds or not pausing():
            return await real(address, seconds)
        if not script:
            raise Done
        script.pop(0)()
        await asyncio.sleep(0)
        return True
    def pausing():
        if len(bounds) > paused[0]:
            paused[0] = len(bounds)
            return True
    paused = [0]
    net.sleep_with_address = hold
    try:
        asyncio.run(client.run(settings, read))
    except Done:
        pass

def later(seconds):
    clock[0] += seconds
"""

# A name is found as often as `answers` say.
NAMES = """
class Names:
    SOCK_STREAM = socket.SOCK_STREAM
    def getaddrinfo(self, host, *rest):
        print("asked for", host)
        if answers.pop(0):
            return socket.getaddrinfo("127.0.0.1", *rest)
        raise OSError(-2, "no such name")
connecting.socket = Names()
"""


@pytest.fixture
def lines(interpreter):
    """Run code after BEGIN; the lines of its log without the dates."""

    def run(code):
        result = interpreter.run("-c", BEGIN + code, env=environment(virtual.START.parent))
        assert result.stderr == ""
        return [line.split("] ")[-1] for line in result.stdout.splitlines()]

    return run


def closed_port():
    return virtual.choose_port(0)


def test_the_role_knows_the_default_url(lines):
    assert lines("print(connecting._DEFAULT_URL == defaults()['url'])") == ["True"]


def test_the_wait_grows_up_to_a_minute(lines):
    told = lines(f"run('ws://127.0.0.1:{closed_port()}/', [int] * 8)\nprint(bounds)")
    assert told[-1] == "[1, 2, 4, 8, 16, 32, 60, 60, 60]"
    assert told[2:4] == [
        "connection refused, no server listens there",
        "trying again in 1.0 s",
    ]


def test_the_wait_is_drawn_from_all_of_it(lines):
    code = f"""
class Least:
    def uniform(self, least, bound):
        bounds.append((least, bound))
        return least
reconnecting.random = Least()
run('ws://127.0.0.1:{closed_port()}/', [])
print(bounds)
"""
    assert lines(code)[-2:] == ["trying again in 0.1 s", "[(0, 1)]"]


@pytest.mark.parametrize(("held", "last"), [(29, 4), (30, 1)])
def test_only_a_connection_that_held_for_a_while_shortens_the_wait(lines, held, last):
    def handler(connection):
        connection.recv()

    with Server(handler) as server:
        code = f"""
def read():
    later({held})  # between the handshake and the end
    return 5
run({server.url!r}, [int, int], read)
print(bounds)
"""
        told = lines(code)
    assert told.count("closed with code 1000 (normal)") == 3
    assert told[-1] == str([1, 2, 4] if last == 4 else [1, 1, 1])


def test_a_name_that_is_not_found_any_more_has_the_address_it_had(lines):
    requests = []

    def handler(connection):
        requests.append(connection.request.headers["Host"])
        connection.recv()

    with Server(handler) as server:
        port = server.port
        code = f"""
{NAMES}
answers = [0, 1, 0, 1]
run("ws://board.example:{port}/", [int, int, int])
"""
        told = lines(code)
    asked = [line for line in told[1:] if "sent" not in line and "trying" not in line]
    begin = [f"connecting to ws://board.example:{port}/", "asked for board.example"]
    good = [
        f"connected to board.example:{port}, handshake done",
        "closed with code 1000 (normal)",
    ]
    assert asked == [
        *begin,
        "no such host name",
        *begin,
        *good,
        *begin,
        "no such host name; taking the address of the last time",
        *good,
        *begin,
        *good,
    ]
    assert requests == [f"board.example:{port}"] * 3


def test_an_address_that_nobody_answers_at_brings_the_interface_down_and_up(lines):
    code = """
class Names:
    SOCK_STREAM = socket.SOCK_STREAM
    def getaddrinfo(self, *name):
        raise OSError(-2, "no such name")
connecting.socket = Names()
net.log = log
run("ws://board.example/", [lambda: later(299), lambda: later(1), lambda: later(299)])
"""
    told = lines(code)
    assert [line for line in told if "answer" in line or "interface" in line] == [
        "no answer from anybody for 300 s",
        "network interface down and up",
    ]


def test_a_heap_in_pieces_is_made_whole_by_a_reset(lines):
    code = f"""
class Names:
    SOCK_STREAM = socket.SOCK_STREAM
    def getaddrinfo(self, *name):
        if answers.pop(0):
            return socket.getaddrinfo(*name)
        raise MemoryError
connecting.socket = Names()
answers = [0] * 9 + [1] + [0] * 10  # one that reaches a port, if only a closed one, in between
try:
    run("ws://127.0.0.1:{closed_port()}/", [int] * 30)
except RuntimeError as error:
    print(len(answers), error)
"""
    assert lines(code)[-1] == "0 no memory for a connection 10 times in a row"


def test_a_server_that_refuses_is_an_answer(lines):
    code = f"""
net.log = log
run("ws://127.0.0.1:{closed_port()}/", [lambda: later(300), lambda: later(300)])
"""
    assert "network interface down and up" not in lines(code)


def test_a_flood_of_messages_does_not_flood_the_log(lines):
    def handler(connection):
        for i in range(1000):
            connection.send(f"flood {i}")
        connection.recv()  # a value
        while time.monotonic() < end:
            connection.send("more")
            time.sleep(0.1)

    end = time.monotonic() + 3
    with Server(handler) as server:
        told = lines(f"run({server.url!r}, [])")
    assert "received flood 0" in told
    shown = [line for line in told if line.startswith("received flood")]
    rest = [line for line in told if line.endswith(" more messages, too many to show")]
    assert len(shown) + sum(int(line.split()[1]) for line in rest) >= 1000
    assert len(shown) <= 150


def test_messages_may_be_as_long_as_configured(lines):
    def handler(connection):
        connection.send("x" * 9000)
        connection.send("x" * 9001)
        connection.recv()

    with Server(handler) as server:
        told = lines(f"run({server.url!r}, [], max_size=9000)")
    at = told.index("received " + 80 * "x" + "... (9000 characters)")
    assert "closed here with code 1009 (message too big)" in "".join(told[at + 1 :])


def redirecting(places):
    """A server that sends the path /N on to the Nth of these places, and lets others in."""

    def process(connection, request):
        step = request.path.partition("?")[0].strip("/")
        if int(step or 0) >= len(places):
            return None
        response = connection.respond(302, "")
        port = connection.local_address[1]
        response.headers["Location"] = places[int(step or 0)].replace("PORT", str(port))
        return response

    return Server(lambda connection: connection.send("welcome"), process_request=process)


def test_redirects_are_told_and_followed(lines):
    with redirecting(["/1?token=secret", "2", "//me:secret@localhost:PORT/3"]) as server:
        told = lines(f"run({server.url!r}, [])")
    assert told[1:6] == [
        f"connecting to {server.url}",
        f"redirected to {server.url}1?...",
        f"redirected to {server.url}2",
        f"redirected to ws://localhost:{server.port}/3",
        f"connected to localhost:{server.port}, handshake done",
    ]


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        (["/1", "/2", "/3", "/4"], "a redirect to /4 is not followed: over 3 in a row"),
        (["wss://a/"], "a redirect to wss://a/ is not followed: for wss:// set "),
        (["nowhere:1"], "a redirect to nowhere:1 is not followed: no valid Location"),
    ],
)
def test_redirects_that_are_not_followed_are_told_too(lines, places, reason):
    with redirecting(places) as server:
        told = lines(f"run({server.url!r}, [])")
    *_, told, error = [line for line in told if "redirect" in line or "failed" in line]
    assert told.startswith(reason)
    assert error == "handshake failed: the server answered 302 Found"


def test_where_a_redirect_led_is_not_remembered_as_the_address_of_the_server(lines):
    with redirecting([]) as other, redirecting([f"ws://other.example:{other.port}/"]) as server:
        told = lines(f"""
{NAMES}
answers = [1, 1, 0, 0]
run("ws://board.example:{server.port}/", [int])
""")
    again = told[told.index("asked for board.example", 3) :]
    assert f"connected to other.example:{other.port}, handshake done" in told
    assert again[:4] == [
        "asked for board.example",
        "no such host name; taking the address of the last time",
        f"redirected to ws://other.example:{other.port}/",
        "asked for other.example",
    ]
    assert again[4] == "no such host name"


def test_what_was_to_be_sent_while_away_is_kept_up_to_a_bound(lines):
    received = []

    def handler(connection):
        received.extend(connection.recv() for _ in range(4))

    with Server(handler) as server:
        code = f"""
samples = iter(range(1, 100))
answers = [0, 1]
class Names:
    SOCK_STREAM = socket.SOCK_STREAM
    def getaddrinfo(self, *name):
        if answers.pop(0):
            return socket.getaddrinfo(*name)
        raise OSError(-2, "no such name")
connecting.socket = Names()
from firmware import outbox
outbox.log = log
real = net.wait_for_address
async def wait_for_address(settings):
    if len(answers) == 1:  # away until five samples were taken
        while client_read[0] < 5:
            await asyncio.sleep(0.01)
    return await real(settings)
net.wait_for_address = wait_for_address
client_read = [0]
def read():
    client_read[0] += 1
    return client_read[0]
run({server.url!r}, [int], read, queue=3, sample_interval=0.05)
"""
        told = lines(code)
    assert "3 messages are kept, no more fit: dropping the oldest" in told
    kept = next(line for line in told if line.startswith("3 messages were kept, "))
    dropped = int(kept.split()[4])
    assert dropped >= 2  # more, where the connection took its time
    assert received == [f"pin0:{dropped + number}" for number in range(1, 5)]


def test_a_mistake_in_the_sampling_leaves_the_role(interpreter):
    def handler(connection):
        for _ in connection:
            pass

    with Server(handler) as server:
        for queue in (0, 3):
            code = f"""
def read():
    raise ValueError("a mistake")
try:
    run({server.url!r}, [], read, queue={queue})
except ValueError as error:
    print("left with", error)
"""
            env = environment(virtual.START.parent)
            result = interpreter.run("-c", BEGIN + code, env=env)
            assert result.stdout.splitlines()[-1] == "left with a mistake"


def test_a_server_that_takes_nothing_any_more_is_left(lines):
    """Its keepalive is in order: it goes on saying something, but reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"

        def serve():
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(response(connection.recv(4096)))
                while not left.wait(0.1):
                    connection.sendall(b"\x81\x02hi")

        left = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        code = f"""
connecting.uptime = client.uptime = net.uptime
message = 400 * "x"
async def send_all(send):
    while True:
        await send(message)
client.Outbox.send_all = lambda outbox, send: send_all(send)
connecting.log = client.log = lambda text: print(text[:40])
run({url!r}, [], keepalive=1)
"""
        told = lines(code)
        left.set()
        thread.join()
    assert "received hi" in told
    assert "the server has taken nothing for 1 s" in told
