"""The faults: what each does to a role of the board's program, and what must happen.

A function gets a Scene, tells what happened, and raises Differs where that is something else.
"""

import signal
import time

from host_tests.faults.rig import Differs
from host_tests.support.wire import BINARY, TEXT, switching_protocols

FAULTS: dict = {}  # (fault, role): (what must happen, the function)


def must(fault, role, what):
    def register(function):
        FAULTS[fault, role] = what, function
        return function

    return register


LOST = r"closed with code 1006"
MOVED = LOST + r"|the address \S+ is gone"


class Stopwatch:
    def __init__(self):
        self._began = time.monotonic()

    def __str__(self):
        return f"{time.monotonic() - self._began:.1f} s"


# --- the peer goes -------------------------------------------------------------------------------


@must("peer killed", "client", "1006 at once; connects anew")
def _(scene):
    peer = scene.peer("server")
    scene.power_on()
    scene.board.wait("received hello")
    watch = Stopwatch()
    peer.kill()
    scene.board.wait(LOST)
    lost = str(watch)
    scene.peer("server")
    scene.board.wait("received hello", scene.patience)
    return f"1006 after {lost}; connected anew"


@must("peer killed", "server", "1006 at once; other clients notice nothing")
def _(scene):
    scene.power_on()
    witness = scene.call()
    peer = scene.peer("client")
    scene.board.wait("received hello")
    watch = Stopwatch()
    peer.kill()
    scene.board.wait(LOST)
    lost = str(watch)
    scene.undisturbed(witness)
    return f"1006 after {lost}; the other lost nothing"


@must("peer frozen", "client", "1006 within keepalive; connects anew when it thaws")
def _(scene):
    peer = scene.peer("server")
    scene.power_on()
    scene.board.wait("received hello")
    watch = Stopwatch()
    peer.freeze()
    scene.board.wait(LOST, scene.patience)
    lost = str(watch)
    peer.thaw()
    scene.board.wait("received hello", scene.patience)
    return f"1006 after {lost}; connected anew"


@must("peer frozen", "server", "1006 within keepalive; other clients notice nothing")
def _(scene):
    scene.power_on()
    witness = scene.call()
    peer = scene.peer("client")
    scene.board.wait("received hello")
    watch = Stopwatch()
    peer.freeze()
    scene.board.wait(LOST, scene.patience)
    lost = str(watch)
    scene.undisturbed(witness)
    return f"1006 after {lost}; the other lost nothing"


# --- the wire ------------------------------------------------------------------------------------


def connect(scene, **options):
    """A board with one connection that works: that, and where the client role finds its peer."""
    if scene.role == "server":
        scene.power_on(**options)
        wire, listener = scene.call(), None
    else:
        listener = scene.listen()
        scene.power_on(wait=False, **options)
        wire = scene.accept(listener).accept()
    scene.lives(wire)
    return wire, listener


def drop_briefly(scene):
    wire, _ = connect(scene)
    seconds = 1 if scene.quick else 5
    scene.link.drop()
    time.sleep(seconds)
    scene.link.restore()
    scene.lives(wire)
    if wire.gaps():
        raise Differs(f"{wire.gaps()} values lost")
    return f"dropped for {seconds} s; the same connection, nothing lost"


must("packets dropped briefly", "client", "the connection holds, nothing is lost")(drop_briefly)
must("packets dropped briefly", "server", "the connection holds, nothing is lost")(drop_briefly)


def drop_long(scene):
    seconds = 8 if scene.quick else 120
    wire, listener = connect(scene)
    watch = Stopwatch()
    scene.link.drop()
    end = time.monotonic() + seconds
    scene.board.wait(LOST, scene.patience)
    lost = str(watch)
    time.sleep(max(0, end - time.monotonic()))
    scene.link.restore()
    wire.reset()
    if listener:
        scene.comes_back(listener)
        after = "connected anew"
    else:
        scene.lives(scene.call())
        after = "serves again"
    return f"dropped for {seconds} s: 1006 after {lost}; {after}"


must("packets dropped for long", "client", "1006 within keepalive; connects anew")(drop_long)
must("packets dropped for long", "server", "1006 within keepalive; serves again")(drop_long)


@must("RST inside a frame", "client", "1006, no half message; connects anew")
def _(scene):
    wire, listener = connect(scene)
    half_a_frame(wire)
    scene.board.wait(LOST)
    scene.comes_back(listener)
    no_half(scene)
    return "1006; connected anew"


@must("RST inside a frame", "server", "1006, no half message; other clients notice nothing")
def _(scene):
    witness, _ = connect(scene)
    half_a_frame(scene.call())
    scene.board.wait(LOST)
    scene.undisturbed(witness)
    no_half(scene)
    return "1006; the other lost nothing"


def half_a_frame(wire):
    frame = wire.frame(TEXT, b"half a message, half a message")
    wire.raw(frame[: len(frame) // 2])
    wire.reset()


def no_half(scene):
    if scene.board.count("half a"):
        raise Differs("half a message was delivered")


@must("one byte per segment", "client", "the handshake and every message pass")
def _(scene):
    listener = scene.listen()
    scene.power_on()
    wire = scene.accept(listener)
    wire.raw = drip(wire)
    wire.accept()
    return dripped(scene, wire)


@must("one byte per segment", "server", "the handshake and every message pass")
def _(scene):
    scene.power_on()
    wire = scene.dial()
    wire.raw = drip(wire)
    wire.raw(wire.request(scene.link.there))
    wire.head()
    wire.read()
    return dripped(scene, wire)


def drip(wire):
    """A way to send in which each byte is a segment."""

    def raw(data):
        with wire._lock:
            for i in range(len(data)):
                wire.sock.sendall(data[i : i + 1])
                time.sleep(0.001)

    return raw


def dripped(scene, wire):
    for i in range(3):
        text = f"drop {i} " + "." * 200
        wire.send(text)
        scene.board.wait(f"received drop {i}")
    wire.raw(wire.frame(BINARY, b"\x01\x02\x03"))
    scene.board.wait("received 3 bytes: 01 02 03")
    scene.lives(wire)
    return "4 messages, all whole"


SHIFT = 1000  # digits that make a value so long that a buffer is soon full
SMALL = {"SO_RCVBUF": 2304}


def power_on_long(scene):
    # Who does not read does not answer a Ping: the usual time leaves room to look.
    settings = {"sample_interval": 0.05, "keepalive": 40}
    scene.power_on(settings=settings, shift=SHIFT)


def values(wire):
    return [sample // 10**SHIFT for sample in wire.samples]


@must("send buffer full", "client", "sending waits, receiving goes on; nothing is lost")
def _(scene):
    listener = scene.listen(**SMALL)
    power_on_long(scene)
    wire = scene.accept(listener)
    wire.read = lambda: None
    wire.accept()
    board = scene.board
    sent = -1
    while board.count("sent pin0:") > sent:
        sent = board.count("sent pin0:")
        time.sleep(1)
    wire.send("while it waits")
    board.wait("received while it waits")
    del wire.read
    wire.read()
    wire.until(lambda: len(wire.samples) > sent + 3, "what waited")
    if values(wire) != list(range(1, len(wire.samples) + 1)):
        raise Differs("values lost or out of order")
    return f"sending stood still after {sent} values; all came, in order"


@must("send buffer full", "server", "its oldest values are dropped; other clients lose nothing")
def _(scene):
    power_on_long(scene)
    witness = scene.call()
    wire = scene.dial(**SMALL)
    wire.raw(wire.request(scene.link.there))
    scene.board.wait("client 2: connected")
    witness.until(lambda: len(witness.samples) > 150, "values for the other")
    wire.head()
    wire.read()
    newest = witness.samples[-1]
    wire.until(lambda: wire.samples and wire.samples[-1] > newest, "values for the slow one")
    numbers = values(wire)
    dropped = numbers[-1] - numbers[0] + 1 - len(numbers)
    if numbers != sorted(set(numbers)):
        raise Differs("out of order")
    if not dropped:
        raise Differs("nothing was dropped")
    others = values(witness)
    if others != list(range(others[0], others[0] + len(others))):
        raise Differs("the other client lost a value")
    scene.lives(wire)
    return f"{dropped} of its values dropped, the rest in order; the other lost nothing"


# --- the address ---------------------------------------------------------------------------------


@must("address changing", "client", "ends the connection; connects anew from the new address")
def _(scene):
    _, listener = connect(scene)
    watch = Stopwatch()
    move(scene)
    scene.board.wait(MOVED, scene.patience)
    lost = str(watch)
    wire = scene.comes_back(listener)
    if wire.sock.getpeername()[0] != scene.link.there:
        raise Differs("it came from " + wire.sock.getpeername()[0])
    return f"ended after {lost}; connected anew from the new address"


@must("address changing", "server", "says so; listens at the new address")
def _(scene):
    connect(scene)
    move(scene)
    scene.board.wait("listening on ws://" + scene.link.there, scene.patience)
    scene.lives(scene.call())
    return "listens and serves at the new address"


def move(scene):
    scene.board.lease("0.0.0.0")
    scene.link.move()
    scene.board.lease(scene.link.there)


@must("DNS failing, then working", "client", "connects when it works, and later without it")
def _(scene):
    names, inside = scene.names()
    names.answer = 2  # SERVFAIL
    listener = scene.listen()
    scene.power_on(inside=inside, settings={"url": "ws://server.test:8080/"})
    scene.board.wait("addrinfo error -3")  # as the computer's C library has it
    names.answer = 3  # NXDOMAIN
    scene.board.wait("addrinfo error -2|no such host name")
    names.answer = "right"
    wire = scene.comes_back(listener)
    for answer in (2, "silent"):
        names.answer = answer
        wire.reset()
        wire = scene.comes_back(listener)
    return "connected once it worked; anew with its errors, and with its silence"


@must("DNS failing, then working", "server", "nothing: it asks no name server")
def _(scene):
    names, inside = scene.names()
    names.answer = 2
    wire, _ = connect(scene, inside=inside)
    names.answer = "right"
    scene.lives(wire)
    if names.asked:
        raise Differs(f"it asked {names.asked} times")
    return "asked for nothing; served"


# --- restarts ------------------------------------------------------------------------------------


@must("server restarting every second", "client", "never gives up, does not hammer; connects")
def _(scene):
    scene.power_on()
    times = 5 if scene.quick else 30
    for _ in range(times):
        peer = scene.peer("server")
        time.sleep(1)
        peer.kill()
    attempts = scene.board.count("connecting to")
    if attempts > 3 * times:
        raise Differs(f"{attempts} attempts while the server restarted {times} times")
    peer = scene.peer("server")
    peer.wait("received pin0:", scene.patience)
    return f"{times} restarts, {attempts} attempts; connected"


@must("server restarting every second", "server", "listens again on the same port each time")
def _(scene):
    scene.power_on()
    times = 3 if scene.quick else 20
    for _ in range(times):
        scene.lives(scene.call())
        scene.board.power_off()
        scene.board.power_on()
        scene.board.wait("listening on")
    scene.lives(scene.call())
    return f"listened and served after each of {times} restarts"


# --- peers that are none -------------------------------------------------------------------------


@must("a port that says nothing", "client", "gives up after its time; connects elsewhere later")
def _(scene):
    listener = scene.listen()
    scene.power_on()
    wire = scene.accept(listener)
    watch = Stopwatch()
    wire.head()
    wire.read()
    wire.wait_end(scene.patience)
    gave_up = str(watch)
    scene.comes_back(listener)
    return f"gave up after {gave_up}; connected at the next attempt"


@must("a client that says nothing", "server", "ends it after its time; others notice nothing")
def _(scene):
    witness, _ = connect(scene)
    silent = [scene.dial() for _ in range(3)]
    watch = Stopwatch()
    for wire in silent:
        wire.read()
        wire.wait_end(scene.patience)
    ended = str(watch)
    scene.undisturbed(witness)
    return f"3 of them ended after {ended}; the other lost nothing"


ANSWERS = {
    200: "OK",
    301: "Moved Permanently\r\nLocation: ws://elsewhere.invalid/",
    401: 'Unauthorized\r\nWWW-Authenticate: Basic realm="x"',
    503: "Service Unavailable\r\nRetry-After: 1",
}


@must("HTTP 200, 301, 401, 503", "client", "says which; connects when it gets a WebSocket")
def _(scene):
    listener = scene.listen()
    scene.power_on()
    for status, rest in ANSWERS.items():
        wire = scene.accept(listener)
        wire.head()
        wire.raw(f"HTTP/1.1 {status} {rest}\r\nContent-Length: 3\r\n\r\nno\n".encode())
        told = f"handshake failed: .*{status}"
        scene.board.wait("redirected to ws://elsewhere" if status == 301 else told)
        wire.hang_up()
    scene.comes_back(listener)
    return "each told; went where it was sent; connected at the next attempt"


@must("requests that are no WebSocket's", "server", "an HTTP answer each; others notice nothing")
def _(scene):
    witness, _ = connect(scene)
    host = scene.link.there
    requests = {
        "GET": f"GET /no-such-page HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "POST": f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.0": "GET / HTTP/1.0\r\n\r\n",
        "no HTTP": "\x16\x03\x01\x02\r\n\r\n",
        "no host": "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "large": "GET / HTTP/1.1\r\n" + "X: " + "x" * 5000 + "\r\n\r\n",
    }
    told = []
    for name, request in requests.items():
        wire = scene.dial()
        wire.raw(request.encode())
        told.append(f"{name} {wire.head().split()[1]}")
        wire.hang_up()
    scene.undisturbed(witness)
    return ", ".join(told)


@must("wrong accept key", "client", "says so; connects when it is right")
def _(scene):
    listener = scene.listen()
    scene.power_on()
    wire = scene.accept(listener)
    wire.head()
    wire.raw(switching_protocols(b"A" * 27 + b"="))
    scene.board.wait("handshake failed: .*(?i:accept)")
    wire.hang_up()
    scene.comes_back(listener)
    return "told; connected at the next attempt"


@must("wrong key or version", "server", "400 or 426; other clients notice nothing")
def _(scene):
    witness, _ = connect(scene)
    told = []
    for wrong in ({"key": "short"}, {"key": ""}, {"version": "8"}):
        wire = scene.dial()
        wire.raw(wire.request(scene.link.there, **wrong))
        status = wire.head().split()[1]
        if status not in ("400", "426"):
            raise Differs(f"{wrong} was answered with {status}")
        told.append(status)
        wire.hang_up()
    scene.undisturbed(witness)
    return ", ".join(told) + "; the other lost nothing"


# --- closing -------------------------------------------------------------------------------------

ALLOWED = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999)
FORBIDDEN = (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
QUICK = (1000, 1013, 4999, 1006)


def answered(scene, wire, code):
    """Close with this code; make sure of the answer and of what the log says."""
    wire.close(code)
    answer = wire.wait_end(scene.patience)
    expected = code if code in ALLOWED else 1002
    if answer != expected:
        raise Differs(f"{code} was answered with {answer}")
    scene.board.wait(f"closed .*code {expected}")


@must("every close code", "client", "the same code back, 1002 if forbidden; connects anew")
def _(scene):
    codes = QUICK if scene.quick else ALLOWED + FORBIDDEN
    listener = scene.listen()
    while codes:
        # A fresh board now and then: one that was sent away that often waits for long.
        scene.power_on()
        for code in codes[:4]:
            wire = scene.accept(listener).accept()
            answered(scene, wire, code)
            wire.hang_up()
        scene.comes_back(listener)
        scene.board.power_off()
        codes = codes[4:]
    return f"{len(QUICK if scene.quick else ALLOWED + FORBIDDEN)} codes as they must be"


@must("every close code", "server", "the same code back, 1002 if forbidden; others stay")
def _(scene):
    witness, _ = connect(scene)
    for code in ALLOWED + FORBIDDEN:
        wire = scene.call()
        answered(scene, wire, code)
        wire.hang_up()
    scene.undisturbed(witness)
    return f"{len(ALLOWED + FORBIDDEN)} codes as they must be"


# --- clocks --------------------------------------------------------------------------------------


def wrap(scene):
    """Start shortly before MicroPython's milliseconds reach 2**30, after which 0 comes."""
    ahead = (1 << 30) // 1000 - 4 - int(time.monotonic()) % ((1 << 30) // 1000)
    inside = ["unshare", "--time", "--monotonic", str(ahead), "--fork", "--kill-child", "--"]
    wire, _ = connect(scene, inside=inside)
    # With Pings before and after it.
    time.sleep(2 * scene.keepalive)
    scene.lives(wire)
    if wire.gaps():
        raise Differs("a value was lost")
    said = [line for line in scene.board.lines if line.startswith("[ ")]
    stamps = [float(line[1:].split("]")[0]) for line in said]
    if stamps != sorted(stamps) or stamps[-1] > 1000:
        raise Differs("the log's seconds jump")
    return "the same connection, nothing lost, the log's seconds in order"


must("the clock starts again from 0", "client", "nothing: the connection holds")(wrap)
must("the clock starts again from 0", "server", "nothing: the connection holds")(wrap)


def stall(scene):
    seconds = 2 * scene.keepalive
    wire, _ = connect(scene)
    scene.board.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    scene.board.process.send_signal(signal.SIGCONT)
    scene.lives(wire)
    return f"{seconds} s ahead: the same connection works"


must("the clock jumps ahead", "client", "nothing: the connection holds")(stall)
must("the clock jumps ahead", "server", "nothing: the connection holds")(stall)
