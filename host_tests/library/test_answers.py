"""What a client makes of each answer, and a server of requests that are no WebSocket's."""

import contextlib
import errno

import pytest
from microws.errors import HandshakeError, Timeout
from microws.redirects import join

from host_tests.library.mock_socket import Hang, MockListener, MockSocket
from host_tests.support.wire import TEXT, frame, request, response

STEPS = pytest.mark.parametrize("step", [1, 1 << 30])


class Server:
    """Answers a request with ``answer``, ``OPEN`` in it a right 101, then leaves if ``ends``."""

    def __init__(self, answer, ends=False):
        self.answer = answer
        self.ends = ends

    def __call__(self, sock):
        if sock.written.endswith(b"\r\n\r\n") and not sock.ended:
            sock.say(self.answer.replace(b"OPEN", response(bytes(sock.written))))
            if self.ends:
                sock.end()


HELLO = b"OPEN" + frame(TEXT, b"hello")


def servers(network, *answers, **options):
    """The sockets of as many connections, one after the other, each answered so."""
    socks = [MockSocket(network, Server(answer), **options) for answer in answers]
    network.sockets += socks
    return socks


def refused(network, url="ws://192.0.2.1/", **options):
    with pytest.raises(HandshakeError) as caught:
        network.connect(url, **options)
    return caught.value


def fields(sock):
    """The header fields of the request that went out, as pairs, names in lower case."""
    lines = sock.written.decode().split("\r\n")[1:-2]
    return [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]


# Interim answers (RFC 9110 §15.2)

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@STEPS
@pytest.mark.parametrize("first", [EARLY, CONTINUE, CONTINUE + EARLY * 9])
def test_interim_answers_are_skipped(network, step, first):
    servers(network, first + HELLO, step=step)
    assert network.connect("ws://192.0.2.1/").recv() == "hello"


@STEPS
def test_interim_answers_are_bounded(network, step):
    [sock] = servers(network, CONTINUE + EARLY * 10 + HELLO, step=step)
    error = refused(network)
    assert (error.status, sock.closed) == (103, True)


@STEPS
def test_what_follows_interim_answers_may_be_a_refusal(network, step):
    servers(network, EARLY + b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", step=step)
    error = refused(network)
    assert (error.status, error.body) == (403, b"no")


# What a HandshakeError carries

UNAUTHORIZED = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: Bearer\r\n"
    b"Set-Cookie: a=1; Expires=Wed, 25 Nov 2026 00:00:00 GMT\r\nSet-Cookie: b=2\r\n"
    b"Retry-After: 5\r\n"
)


@STEPS
def test_an_error_has_status_headers_and_body(network, step):
    answer = UNAUTHORIZED + b"Content-Length: 9\r\n\r\nwho's it?and more"
    [sock] = servers(network, answer, step=step)
    error = refused(network)
    assert (error.reason, error.status) == ("the server answered 401 Unauthorized", 401)
    assert error.headers == {
        "www-authenticate": "Basic, Bearer",
        "set-cookie": "a=1; Expires=Wed, 25 Nov 2026 00:00:00 GMT\nb=2",
        "retry-after": "5",
        "content-length": "9",
    }
    assert error.body[:9] == b"who's it?"
    assert sock.closed


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "length": (b"Content-Length: 2000\r\n\r\n" + b"x" * 2000, b"x" * 1024),
    "chunks": (CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
    "one long chunk": (CHUNKED + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n", b"x" * 1019),
    "no chunk": (CHUNKED + b"0\r\n\r\n", b""),
    "no good chunk": (CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", b""),
    "nothing": (b"Content-Length: 0\r\n\r\n", b""),
    "no good length": (b"Content-Length: x\r\n\r\n", b""),
    "unknown length": (b"\r\n", b""),
}


@STEPS
@pytest.mark.parametrize(("answer", "body"), BODIES.values(), ids=BODIES)
def test_the_start_of_a_body(network, step, answer, body):
    servers(network, b"HTTP/1.1 500 Oh\r\n" + answer, step=step)
    error = refused(network)
    assert (error.status, error.body) == (500, body)


@STEPS
def test_a_body_that_ends_with_the_connection(network, step):
    answer = b"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\nuntil here"
    network.sockets.append(MockSocket(network, Server(answer, ends=True), step=step))
    assert refused(network).body == b"until here"


@pytest.mark.parametrize("fault", [errno.ECONNRESET, 0])
def test_a_body_that_breaks_off(networks, fault):
    answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 400\r\n\r\n" + b"x" * 400
    bodies = []
    for at, network in zip(range(1, 100), networks, strict=False):
        [sock] = servers(network, answer, step=100, faults={at: fault})
        try:
            error = refused(network)
        except OSError:
            continue  # in the head
        assert error.status in (0, 500)
        bodies.append(len(error.body))
        if sock.calls <= at:
            break
    assert bodies[-1] == 400
    assert {100 - len(answer) + 400, 300 - len(answer) + 400} < set(bodies)


def test_a_body_that_never_comes_costs_the_time_but_not_the_error(network):
    answer = b"HTTP/1.1 503 Later\r\nRetry-After: 9\r\nContent-Length: 99\r\n\r\nsome"
    [sock] = servers(network, answer)
    error = refused(network, timeout=2)
    assert (error.status, error.headers["retry-after"], error.body) == (503, "9", b"some")
    assert 2000 <= network.clock < 2100
    assert sock.closed


@STEPS
@pytest.mark.parametrize("end", [b"X: y\n", b"X: y\nZ: z\r\n", b"\n"])
def test_lf_alone_is_refused_at_once(network, step, end):
    servers(network, b"HTTP/1.1 404 No\r\n" + end, step=step)
    error = refused(network, timeout=None)  # a wait would not end
    assert (error.status, error.reason) == (404, "line must end with CR LF")


def test_a_head_that_is_too_long_has_its_status(network):
    servers(network, b"HTTP/1.1 302 Found\r\nLocation: " + b"x" * 5000)
    error = refused(network)
    assert (error.status, error.reason) == (302, "header over 4096 bytes")


@pytest.mark.parametrize("keep_headers", [False, True])
def test_response_headers_on_request(network, keep_headers):
    answer = b"OPEN".replace(b"OPEN", b"OPEN")
    [sock] = servers(network, answer)
    sock.peer = lambda sock: (
        Server(b"")(sock)
        or sock.say(response(bytes(sock.written)).replace(b"\r\n\r\n", b"\r\nX-Server: 7\r\n\r\n"))
    )
    ws = network.connect("ws://192.0.2.1/", keep_headers=keep_headers)
    if keep_headers:
        assert ws.response_headers["x-server"] == "7"
    else:
        assert ws.response_headers is None


# Redirects


def location(place, status=302):
    return b"HTTP/1.1 %d Moved\r\nLocation: %s\r\n\r\n" % (status, place.encode())


# RFC 3986 §5.4, with what makes sense here
REFERENCES = {
    "g": "ws://a/b/c/g", "./g": "ws://a/b/c/g", "g/": "ws://a/b/c/g/", "/g": "ws://a/g",
    "//g": "ws://g", "?y": "ws://a/b/c/d;p?y", "g?y": "ws://a/b/c/g?y",
    "#s": "ws://a/b/c/d;p?q", "g#s": "ws://a/b/c/g", "g?y#s": "ws://a/b/c/g?y",
    ";x": "ws://a/b/c/;x", "g;x": "ws://a/b/c/g;x", ".": "ws://a/b/c/", "./": "ws://a/b/c/",
    "..": "ws://a/b/", "../": "ws://a/b/", "../g": "ws://a/b/g", "../..": "ws://a/",
    "../../": "ws://a/", "../../g": "ws://a/g", "../../../g": "ws://a/g", "/./g": "ws://a/g",
    "/../g": "ws://a/g", "g.": "ws://a/b/c/g.", "..g": "ws://a/b/c/..g", "./../g": "ws://a/b/g",
    "./g/.": "ws://a/b/c/g/", "g/../h": "ws://a/b/c/h", "g?y/../x": "ws://a/b/c/g?y/../x",
    "/l?to=http://x/": "ws://a/l?to=http://x/", "ws://x:1/y?z": "ws://x:1/y?z",
    "HTTP://x": "ws://x", "https://x/": "wss://x/", "wss://x": "wss://x",
}  # fmt: skip


@pytest.mark.parametrize(("reference", "target"), REFERENCES.items())
def test_references(reference, target):
    assert join("ws://a/b/c/d;p?q", reference) == target


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_where_that_is_asked_for(network, status):
    socks = servers(network, location("/there?x", status), location("ws://other:81"), HELLO)
    ws = network.connect("ws://192.0.2.1/here", max_redirects=2)
    assert ws.recv() == "hello"
    assert network.connected == [("192.0.2.1", 80), ("192.0.2.1", 80), ("other", 81)]
    assert [sock.written.split(b" ")[1] for sock in socks] == [b"/here", b"/there?x", b"/"]
    assert (ws.path, ws.remote_address) == ("/", "other:81")
    assert [sock.closed for sock in socks] == [True, True, False]
    # A new key each time (RFC 6455 §4.1, item 7)
    assert len({value for sock in socks for name, value in fields(sock) if "key" in name}) == 3


@pytest.mark.parametrize(
    ("max_redirects", "status", "to"),
    [
        (0, 302, "/x"),
        (5, 300, "/x"),
        (5, 304, "/x"),
        (5, 302, ""),
        (5, 302, "http://"),
        (5, 302, "mailto:x"),
        (5, 302, "ftp://x/"),
        (5, 302, "ws://x y/"),
        (5, 302, "/\xe9"),
    ],
)
def test_redirects_that_are_not_followed(network, max_redirects, status, to):
    [sock] = servers(network, location("@", status).replace(b"@", to.encode("latin-1")))
    error = refused(network, max_redirects=max_redirects)
    assert (error.status, len(network.connected), sock.closed) == (status, 1, True)
    assert error.headers["location"] == to.replace("\xe9", "\ufffd")


def test_redirects_in_a_circle_end(network):
    servers(network, *[location("/again")] * 4)
    error = refused(network, max_redirects=3)
    assert (error.status, len(network.connected)) == (302, 4)
    assert "over 3" in error.reason


class Plain:
    """A TLS context that does nothing."""

    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        sock.do_handshake = lambda: None
        return sock


@pytest.mark.parametrize("to", ["ws://192.0.2.1/", "http://192.0.2.1:443/", "ws://[::1]/"])
def test_a_redirect_to_a_weaker_scheme_is_not_followed(network, to):
    servers(network, location(to))
    error = refused(network, "wss://192.0.2.1/", ssl=Plain(), max_redirects=5)
    assert (error.status, len(network.connected)) == (302, 1)
    assert "from wss to ws" in error.reason


SECRETS = [("authorization", "Bearer 7"), ("cookie", "a=b"), ("x-key", "8")]


@pytest.mark.parametrize(
    ("url", "to", "goes"),
    [
        ("ws://a/", "/x", True),
        ("ws://a/", "ws://a:80/", True),
        ("ws://a/", "wss://A/", True),
        ("ws://a:443/", "wss://a/", True),
        ("ws://a/", "ws://b/", False),
        ("ws://a/", "//b/", False),
        ("ws://a/", "ws://a.b/", False),
        ("ws://a/", "ws://a:81/", False),
        ("ws://a:81/", "wss://a/", False),
        ("ws://a/", "wss://a:81/", False),
    ],
)
@pytest.mark.parametrize("given", ["headers", "url"])
def test_credentials_go_to_no_other_server(network, url, to, goes, given):
    first, second = servers(network, location(to), HELLO)
    secrets = [("authorization", "Basic bWU6N0A=")]
    if given == "url":
        url = url.replace("//", "//me:7%40@")
        options = {}
    else:
        secrets = SECRETS
        options = {"headers": [*SECRETS, ("Host", "iot.example.org")]}
    network.connect(url, ssl=Plain(), max_redirects=1, **options)
    names = ("authorization", "cookie", "x-key")
    assert [pair for pair in fields(first) if pair[0] in names] == secrets
    assert [pair for pair in fields(second) if pair[0] in names] == (secrets if goes else [])
    assert (("host", "iot.example.org") in fields(second)) == (goes and given == "headers")


def test_credentials_in_a_redirect_are_for_where_it_leads(network):
    _, second = servers(network, location("ws://you:8@b/"), HELLO)
    network.connect("ws://me:7@a/", max_redirects=1)
    assert ("authorization", "Basic eW91Ojg=") in fields(second)


# Several addresses


@pytest.mark.parametrize(("addresses", "at"), [(2, 3000), (3, 2000)])
def test_an_address_that_is_silent_leaves_time_for_the_next(network, addresses, at):
    network.addresses = addresses
    silent = MockSocket(network)
    silent.full = True
    network.sockets.append(silent)
    servers(network, HELLO)
    assert network.connect("ws://name/", timeout=6).recv() == "hello"
    assert at <= network.clock < at + 200  # by the mock's clock
    assert silent.closed


def test_the_last_address_has_all_the_time_that_is_left(network):
    network.addresses = 3
    socks = [MockSocket(network) for _ in range(3)]
    for sock in socks:
        sock.full = True
    network.sockets += socks
    with pytest.raises(Timeout):
        network.connect("ws://name/", timeout=6)
    assert len(network.connected) == 3
    assert all(sock.closed for sock in socks)
    assert 6000 <= network.clock < 6200


def test_the_addresses_have_no_bound_where_connecting_has_none(network):
    network.addresses = 2
    silent = MockSocket(network)
    silent.full = True
    network.sockets.append(silent)
    with pytest.raises(Hang):
        network.connect("ws://name/", timeout=None)


def test_a_server_that_is_slow_to_answer_is_not_left_for_another_address(network):
    network.addresses = 2
    network.sockets.append(sock := MockSocket(network))
    with pytest.raises(Timeout):
        network.connect("ws://name/", timeout=6)
    assert (len(network.connected), sock.closed) == (1, True)
    assert 6000 <= network.clock < 6200


# headers=


@pytest.mark.parametrize(
    "name",
    ["Sec-WebSocket-Protocol", "sec-websocket-key", "SEC-WEBSOCKET-X", "Upgrade", "connection"],
)
def test_headers_that_the_handshake_has_itself_are_refused(network, name):
    network.sockets.append(sock := MockSocket(network))
    with pytest.raises(ValueError, match="(?i)" + name):
        network.connect("ws://192.0.2.1/", headers=[(name, "x")])
    assert (sock.written, network.connected) == (b"", [])


def test_host_and_authorization_are_replaced(network):
    [sock] = servers(network, HELLO)
    headers = [("HOST", "iot.example.org"), ("Authorization", "Bearer 7"), ("X", "y")]
    network.connect("ws://me:secret@192.0.2.1:81/", headers=headers)
    found = fields(sock)
    assert [value for name, value in found if name == "host"] == ["iot.example.org"]
    assert [value for name, value in found if name == "authorization"] == ["Bearer 7"]
    assert ("x", "y") in found
    assert network.connected == [("192.0.2.1", 81)]


# Compression: what servers answer to an offer of a small window

NO_TAKEOVER = b"server_no_context_takeover; client_no_context_takeover"
DISAGREEING = {
    "gorilla 1.5.0, libwebsockets 4.1.6": b"permessage-deflate; " + NO_TAKEOVER,
    "Tornado 6.6.1": b"permessage-deflate; server_max_window_bits=10",
    "Mojolicious 9.31": b"permessage-deflate",
    "a window too large": b"permessage-deflate; server_max_window_bits=15; " + NO_TAKEOVER,
    "another extension": b"x-webkit-deflate-frame",
}


def agreeing(extensions):
    """A server that opens with these extensions where some were offered."""

    def answer(sock):
        if sock.written.endswith(b"\r\n\r\n"):
            found = response(bytes(sock.written))
            if b"Sec-WebSocket-Extensions: permessage-deflate; " in sock.written:
                found = found[:-2] + b"Sec-WebSocket-Extensions: " + extensions + b"\r\n\r\n"
            sock.say(found + frame(TEXT, b"hello"))

    return answer


@pytest.mark.parametrize("extensions", DISAGREEING.values(), ids=DISAGREEING)
@pytest.mark.parametrize("require", [False, True])
def test_a_server_with_which_no_agreement_on_compression_is_possible(network, extensions, require):
    first = MockSocket(network, agreeing(extensions))
    second = MockSocket(network, agreeing(b"not reached"))
    network.sockets += [first, second]
    options = {"compression": 10, "require_compression": require, "headers": [("X", "y")]}
    if require:
        error = refused(network, **options)
        assert (error.status, error.headers["sec-websocket-extensions"]) == (
            101,
            extensions.decode(),
        )
        assert second.written == b""
        return
    ws = network.connect("ws://192.0.2.1/p", subprotocols=(), **options)
    assert (ws.recv(), ws.compression) == ("hello", None)
    assert first.closed
    assert b"Extensions" not in second.written
    assert ("x", "y") in fields(second)


@pytest.mark.parametrize("require", [False, True])
def test_nhooyr_answers_400(network, require):
    bad = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n"
    servers(network, bad, HELLO)
    if require:
        error = refused(network, compression=10, require_compression=True)
        assert (error.status, error.body) == (400, b"no\n")
    else:
        ws = network.connect("ws://192.0.2.1/", compression=10)
        assert (ws.recv(), ws.compression) == ("hello", None)


@pytest.mark.parametrize(("status", "tries"), [(400, 2), (403, 1), (500, 1)])
def test_a_refusal_that_stays_one_without_compression(network, status, tries):
    servers(network, *[b"HTTP/1.1 %d No\r\n\r\n" % status] * 2)
    assert refused(network, compression=10).status == status
    assert len(network.connected) == tries


def test_a_redirect_and_a_disagreement(network):
    first, last = servers(network, location("/there"), HELLO)
    network.sockets.insert(1, MockSocket(network, agreeing(b"permessage-deflate")))
    ws = network.connect("ws://192.0.2.1/", compression=10, max_redirects=1)
    assert (ws.recv(), ws.compression, ws.path) == ("hello", None, "/there")
    assert b"Extensions" in first.written
    assert b"Extensions" not in last.written


def test_where_it_is_agreed_on_the_connection_says_so(network):
    answer = agreeing(b"permessage-deflate; server_max_window_bits=10; " + NO_TAKEOVER)
    network.sockets.append(MockSocket(network, answer))
    assert network.connect("ws://192.0.2.1/", compression=10).compression == "deflate"
    servers(network, HELLO, HELLO)
    assert network.connect("ws://192.0.2.1/", compression=10).compression is None
    assert network.connect("ws://192.0.2.1/").compression is None


# Requests


def answered(network, asked, step=1 << 30, **options):
    """The head and the body of what a server answers to a request that is no WebSocket's."""
    network.sockets.append(MockListener([sock := MockSocket(network, None, asked, step)]))
    with pytest.raises(Timeout):
        network.listen("0.0.0.0", 0, **options).accept(5)
    assert sock.closed
    head, _, body = bytes(sock.written).partition(b"\r\n\r\n")
    return head, body


@STEPS
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        (b"HEAD / HTTP/1.0\r\n\r\n", 426),
        (b"HEAD / HTTP/1.1\r\n\r\n", 400),
        (b"HEAD / HTTP/2.0\r\n\r\n", 505),
        (b"HEAD / HTTP/1.1\r\nHost: a\n", 400),
        (b"HEAD / HTTP/1.1\r\nX: " + b"x" * 600, 431),
        (request().replace(b"GET", b"HEAD"), 405),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 400),
    ],
)
def test_a_refusal_of_head_has_no_body(networks, step, asked, status):
    head, body = answered(next(networks), asked, step, max_header=500)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nContent-Length: " in head
    assert body == b""
    if status != 405:
        same, body = answered(next(networks), asked.replace(b"HEAD", b"GET"), step, max_header=500)
        assert (same, body != b"") == (head, True)


@pytest.mark.parametrize("front", ["asyncio"])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("asked", [b"HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.0\r\n\r\n",
                                   b"HTTP/1.0\r\nHost: a\r\nUpgrade: x\r\n\r\n"])  # fmt: skip
def test_head_and_http_1_0_get_what_get_in_1_1_gets(networks, asked, streams):
    seen = []

    def process(asked):
        seen.append(asked.method)
        return 200, [("X", "y")], iter((b"pa", b"ge")) if streams else b"page"

    for method, body in ((b"GET", b"page"), (b"HEAD", b"")):
        found = answered(next(networks), method + b" / " + asked, process_request=process)
        assert found[0].startswith(b"HTTP/1.1 200 OK\r\nX: y\r\nConnection: close")
        assert (b"\r\nContent-Length: 4" in found[0]) == (not streams)
        assert found[1] == body
    assert seen == ["GET", "HEAD"]


def test_an_upgrade_wants_http_1_1(network):
    head, body = answered(network, request().replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert head.startswith(b"HTTP/1.1 426 ")
    assert b"HTTP/1.1" in body


def test_two_hosts_are_wrong_in_http_1_0_as_well(network):
    head, _ = answered(network, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")


def accepted(network, asked, step, **options):
    network.sockets.append(MockListener([sock := MockSocket(network, None, asked, step)]))
    with contextlib.suppress(Timeout):
        network.listen("0.0.0.0", 0, handshake_timeout=9, **options).accept(10)
    return sock


@pytest.mark.parametrize("step", [60, 1 << 30])
@pytest.mark.parametrize("name", ["Cookie", "cOOKIE"])
@pytest.mark.parametrize("first", [False, True])
def test_cookies_are_skipped_and_have_a_bound_of_their_own(networks, step, name, first):
    more = [] if first else [f"{name}: b=2"]
    for size, status in ((16384 - 13 * len(more), 101), (16385 - 13 * len(more), 431)):
        line = f"{name}: a="
        line += "x" * (size - len(line) - 2)
        asked = request(line, *more)
        if first:
            top, _, rest = request(line).partition(b"\r\n")
            rest = rest.replace(line.encode() + b"\r\n", b"")
            asked = b"\r\n".join((top, line.encode(), rest))
        sock = accepted(next(networks), asked, step, max_header=512)
        assert sock.written.startswith(b"HTTP/1.1 %d " % status)


@STEPS
def test_what_is_no_cookie_counts_as_before(networks, step):
    plain = request("X: y")
    with_cookie = request("Cookie: c", "X: y", "Cookie: d")
    for asked in (plain, with_cookie):
        for bound, status in ((len(plain), 101), (len(plain) - 1, 431)):
            sock = accepted(next(networks), asked, step, max_header=bound)
            assert sock.written.startswith(b"HTTP/1.1 %d " % status)
    # Each cookie is a field.
    for bound, status in ((8, 101), (7, 431)):
        sock = accepted(next(networks), with_cookie, step, max_fields=bound)
        assert sock.written.startswith(b"HTTP/1.1 %d " % status)


@STEPS
@pytest.mark.parametrize("line", ["Cookie : a=b", " Cookie: a", "Cookie: a\n", "Cookie: a\r\n b"])
def test_what_is_malformed_is_refused_though_it_is_a_cookie(network, step, line):
    sock = accepted(network, request("X: y", line), step)
    assert sock.written.startswith(b"HTTP/1.1 400 ")


@STEPS
@pytest.mark.parametrize("front", ["asyncio"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_server_that_wants_cookies_gets_them(network, step, keep):
    seen = []
    asked = request("Cookie: a=b", "X: y", "cookie: c=d", "Cookies: e")
    sock = accepted(
        network, asked, step, keep_cookies=keep, process_request=lambda asked: seen.append(asked)
    )
    assert sock.written.startswith(b"HTTP/1.1 101 ")
    [asked] = seen
    assert asked.headers.get("cookie") == ("a=b, c=d" if keep else None)
    assert (asked.headers["x"], asked.headers["cookies"]) == ("y", "e")


@pytest.mark.parametrize("front", ["asyncio"])
def test_cookies_that_are_kept_count_as_all_the_rest(networks):
    asked = request("Cookie: a=" + "x" * 400)
    for bound, status in ((len(asked), 101), (len(asked) - 1, 431)):
        sock = accepted(next(networks), asked, 1 << 30, max_header=bound, keep_cookies=True)
        assert sock.written.startswith(b"HTTP/1.1 %d " % status)
