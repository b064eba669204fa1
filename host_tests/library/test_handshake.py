"""The opening handshake, both sides, and the head that is collected for it from any reads."""

import base64
import builtins

import pytest
from microws import client_handshake, plain_http
from microws.core import READ
from microws.errors import HandshakeError
from microws.handshake import accept_key
from microws.server_handshake import ServerHandshake
from microws.url import parse_url

from host_tests.library.front import Front
from host_tests.support.wire import PING, PONG, TEXT, frame
from host_tests.support.wire import accept_key as expected_accept

# RFC 6455 §1.3
RFC_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
RFC_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

REQUEST = {
    "": "GET /chat HTTP/1.1",
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": RFC_KEY,
    "Origin": "http://example.com",
    "Sec-WebSocket-Protocol": "chat, superchat",
    "Sec-WebSocket-Version": "13",
}
RESPONSE = {
    "": "HTTP/1.1 101 Switching Protocols",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": RFC_ACCEPT,
    "Sec-WebSocket-Protocol": "chat",
}


def head(fields, changes=(), form="{}: {}"):
    """The bytes of a head up to its empty line; a change to None leaves a field out."""
    fields = {**fields, **dict(changes)}
    first = fields.pop("")
    lines = [form.format(name, value) for name, value in fields.items() if value is not None]
    return "\r\n".join([first, *lines]).encode("latin-1")


@pytest.fixture
def rfc_key(monkeypatch):
    monkeypatch.setattr(client_handshake, "urandom", lambda n: base64.b64decode(RFC_KEY))


@pytest.fixture
def connect(openings, rfc_key):
    """``connect()`` makes a client that has sent the request of the RFC."""

    def connect(**options):
        return openings.client(
            "ws://server.example.com/chat",
            [("Origin", "http://example.com")],
            ["chat", "superchat"],
            **options,
        )

    return connect


def fields_of(data):
    """First line, fields by lower-case name and body of a request or response."""
    top, _, body = data.decode().partition("\r\n\r\n")
    first, *lines = top.split("\r\n")
    return first, {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


# Addresses


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("ws://host", (False, "host", 80, "/", b"")),
        ("wss://host", (True, "host", 443, "/", b"")),
        ("WS://host:8080/a/b?c=d", (False, "host", 8080, "/a/b?c=d", b"")),
        ("ws://host?q", (False, "host", 80, "/?q", b"")),
        ("ws://host:/x", (False, "host", 80, "/x", b"")),
        ("ws://host:1?a/b@c:d", (False, "host", 1, "/?a/b@c:d", b"")),
        ("wss://[::1]:65535/p@q:r", (True, "::1", 65535, "/p@q:r", b"")),
        ("ws://[fe80::1]", (False, "fe80::1", 80, "/", b"")),
        ("ws://192.168.1.20:8080/", (False, "192.168.1.20", 8080, "/", b"")),
        ("ws://me:a%40b@host:1/c", (False, "host", 1, "/c", b"me:a@b")),
        ("wss://me:@[::1]:1/c", (True, "::1", 1, "/c", b"me:")),
    ],
)
def test_url(url, parts):
    assert parse_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "", "host", "http://host", "ws:/host", "ws//host", "ws://", "ws:///path", "ws://:80/",
        "ws://host:0", "ws://host:65536", "ws://host:8o", "ws://host:-1", "ws://host:1:2",
        "ws://::1", "ws://[::1", "ws://[::1]80", "ws://[]", "ws://user@host", "ws://u:p@",
        "ws://u:%@host", "ws://u:%4@host", "ws://u:%xx@host",
        "ws://host/#f", "ws://host/a b", "ws://host/\r\nX: y", "ws://höst/", "ws://host/é",
    ],
)  # fmt: skip
def test_bad_url(url):
    with pytest.raises(ValueError):
        parse_url(url)


# The client's side


def test_accept_key_of_the_rfc():
    assert accept_key(RFC_KEY) == RFC_ACCEPT


def test_client_request_of_the_rfc(connect):
    request = bytes(connect().wire.sent)
    first, fields, body = fields_of(request)
    assert request.endswith(b"\r\n\r\n")
    assert (first, body) == (REQUEST[""], "")
    assert fields == {k.lower(): v for k, v in REQUEST.items() if k}


def test_key_is_16_bytes_from_urandom_and_new_each_time(monkeypatch, openings):
    asked = []

    def urandom(n):
        asked.append(n)
        return bytes([len(asked)]) * n

    monkeypatch.setattr(client_handshake, "urandom", urandom)
    keys = [fields_of(openings.client().wire.sent)[1]["sec-websocket-key"] for _ in "ab"]
    assert asked == [16, 16]
    assert [base64.b64decode(key) for key in keys] == [b"\1" * 16, b"\2" * 16]


class Plain:
    """A TLS context that does nothing."""

    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        assert not do_handshake_on_connect
        sock.do_handshake = lambda: None
        return sock


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("ws://h", "h", "/"),
        ("ws://h:80/x?y", "h", "/x?y"),
        ("ws://h:443", "h:443", "/"),
        ("wss://h:443", "h", "/"),
        ("wss://h:80", "h:80", "/"),
        ("ws://[::1]:8080", "[::1]:8080", "/"),
        ("ws://[::1]", "[::1]", "/"),
    ],
)
def test_client_names_host_and_path(openings, monkeypatch, url, host, path):
    monkeypatch.setattr(client_handshake, "client_context", Plain)
    first, fields, _ = fields_of(openings.client(url).wire.sent)
    assert first == f"GET {path} HTTP/1.1"
    assert fields["host"] == host
    assert "sec-websocket-protocol" not in fields


@pytest.mark.parametrize("user", ["me:secret", "me:", "a:c:d", "%C3%A9:%40/%25", "a@b:c@d"])
def test_client_sends_the_credentials_of_a_url_as_websockets_does(openings, user):
    from websockets.client import ClientProtocol
    from websockets.uri import parse_uri

    url = f"ws://{user.replace('/', '%2F')}@host:8080/path"
    theirs = ClientProtocol(parse_uri(url)).connect().headers
    _, fields, _ = fields_of(openings.client(url).wire.sent)
    assert fields["authorization"] == theirs["Authorization"]
    assert fields["host"] == theirs["Host"] == "host:8080"


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": [("X\r\nY", "z")]},
        {"headers": [("X", "y\r\nZ: z")]},
        {"headers": [("X", "y\nZ: z")]},
        {"headers": [("", "y")]},
        {"headers": [("X Y", "z")]},
        {"headers": [("X:", "z")]},
        {"subprotocols": [""]},
        {"subprotocols": ["a b"]},
        {"subprotocols": ["a,b"]},
        {"subprotocols": ["a\r\nb"]},
    ],
    ids=repr,
)
def test_client_refuses_what_may_not_stand_in_a_request(openings, arguments):
    with pytest.raises(ValueError):
        openings.client(**arguments)
    assert openings.wire.sent == b""


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": b"ws://h"},
        {"headers": [("X", 1)]},
        {"headers": [(b"X", "y")]},
        {"subprotocols": [1]},
        {"subprotocols": b"chat"},
    ],
    ids=repr,
)
def test_client_takes_text_only(openings, arguments):
    with pytest.raises(TypeError):
        openings.client(**arguments)
    assert openings.wire.sent == b""


def test_client_accepts_the_answer_of_the_rfc(connect):
    client = connect()
    client.feed(head(RESPONSE) + b"\r\n\r\n")
    assert client.is_open
    assert (client.ws.path, client.ws.subprotocol) == ("/chat", "chat")
    assert client.ws.remote_address == "server.example.com:80"


@pytest.mark.parametrize("form", ["{}: {}", "{}:{}", "{}: \t {} \t"])
@pytest.mark.parametrize("case", [str.upper, str.lower, str.swapcase])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE ,close"},
        {"Upgrade": "WebSocket"},
        {"Sec-WebSocket-Protocol": None, "X-Any": "\xe9 , : x"},
        {"": "HTTP/1.1 101"},
        {"": "HTTP/1.1 101 any phrase at all"},
    ],
    ids=repr,
)
def test_client_accepts(connect, changes, case, form):
    fields = {case(name): value for name, value in {**RESPONSE, **changes}.items()}
    client = connect()
    client.feed(head(fields, form=form) + b"\r\n\r\n")
    assert client.is_open


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Upgrade": None}, 101),
        ({"Upgrade": "h2c"}, 101),
        ({"Connection": None}, 101),
        ({"Connection": "keep-alive"}, 101),
        ({"Connection": "notUpgrade"}, 101),
        ({"Sec-WebSocket-Accept": None}, 101),
        ({"Sec-WebSocket-Accept": ""}, 101),
        ({"Sec-WebSocket-Accept": RFC_ACCEPT.lower()}, 101),
        ({"Sec-WebSocket-Accept": RFC_ACCEPT[:-1]}, 101),
        ({"Sec-WebSocket-Accept": RFC_KEY}, 101),
        ({"sec-websocket-accept": RFC_ACCEPT}, 101),  # twice
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, 101),
        ({"Sec-WebSocket-Protocol": "other"}, 101),
        ({"Sec-WebSocket-Protocol": "Chat"}, 101),
        ({"Sec-WebSocket-Protocol": "chat, superchat"}, 101),
        ({"sec-websocket-protocol": "chat"}, 101),  # twice
        ({"": "HTTP/1.0 101 Switching Protocols"}, 101),
        ({"": "HTTP/1.1 200 OK"}, 200),
        ({"": "HTTP/1.1 301 Moved Permanently"}, 301),
        ({"": "HTTP/1.1 401 Unauthorized"}, 401),
        ({"": "HTTP/1.0 404 Not Found"}, 404),
        ({"": "HTTP/1.1 503"}, 503),
        ({"": "HTTP/2 101 x"}, 0),
        ({"": "HTTP/1.1 1010 x"}, 0),
        ({"": "HTTP/1.1 abc x"}, 0),
        ({"": "HTTP/1.1"}, 0),
        ({"": "SSH-2.0-OpenSSH_9.2"}, 0),
        ({"": ""}, 0),
        ({"X": "a\r\nno colon"}, 101),
        ({"X": "a\r\n folded"}, 101),
        ({"X": "a\nb: c"}, 101),
        ({"X": "a\rb: c"}, 101),
        ({"X": "a\0b"}, 101),
        ({"X ": "space before the colon"}, 101),
        ({"\xe9": "x"}, 101),
    ],
    ids=repr,
)
def test_client_refuses(connect, changes, status):
    client = connect()
    client.feed(head(RESPONSE, changes) + b"\r\n\r\n")
    assert not client.is_open
    assert client.error.status == status
    assert "\n" not in client.error.reason
    assert str(client.error) == client.error.reason


@pytest.mark.usefixtures("rfc_key")
def test_client_without_subprotocols_refuses_one(openings):
    client = openings.client()
    client.feed(head(RESPONSE) + b"\r\n\r\n")
    assert client.error.reason == "the response has a wrong sec-websocket-protocol"


# The server's side


def test_server_answers_the_request_of_the_rfc():
    server = ServerHandshake(["chat"])
    first, fields, body = fields_of(server.respond(head(REQUEST)))
    assert (first, body) == (RESPONSE[""], "")
    assert fields == {k.lower(): v for k, v in RESPONSE.items() if k}
    assert (server.path, server.subprotocol) == ("/chat", "chat")


@pytest.mark.parametrize(
    ("supported", "offered", "chosen"),
    [
        ([], "chat", None),
        (["chat"], None, None),
        (["chat"], "", None),
        (["chat"], "superchat", None),
        (["chat"], "Chat", None),
        (["b", "a"], "a, b", "b"),
        (["b", "a"], " ,a ,, x\t", "a"),
    ],
)
def test_server_chooses_its_first_subprotocol(supported, offered, chosen):
    server = ServerHandshake(supported)
    answer = server.respond(head(REQUEST, {"Sec-WebSocket-Protocol": offered}))
    assert server.subprotocol == chosen
    assert fields_of(answer)[1].get("sec-websocket-protocol") == chosen


def test_subprotocols_in_several_fields_are_one_list():
    server = ServerHandshake(["b"])
    server.respond(head(REQUEST, {"sec-websocket-protocol": "x, b"}))
    assert server.subprotocol == "b"


@pytest.mark.parametrize("form", ["{}: {}", "{}:{}", "{}: \t {} \t"])
@pytest.mark.parametrize("case", [str.upper, str.lower, str.swapcase])
@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "/chat"),
        ({"": "GET / HTTP/1.1"}, "/"),
        ({"": "GET /a?b=%20&c HTTP/1.1"}, "/a?b=%20&c"),
        ({"": "GET http://server.example.com/x/y?z HTTP/1.1"}, "/x/y?z"),
        ({"": "GET http://server.example.com HTTP/1.1"}, "/"),
        ({"Connection": "keep-alive, Upgrade"}, "/chat"),
        ({"Connection": "upgrade"}, "/chat"),
        ({"Upgrade": "WebSocket"}, "/chat"),
        ({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}, "/chat"),
        ({"Cookie": "\xe9=\xff", "Empty": ""}, "/chat"),
        ({"Content-Length": "0"}, "/chat"),
    ],
    ids=repr,
)
def test_server_accepts(changes, path, case, form):
    server = ServerHandshake()
    fields = {case(name): value for name, value in {**REQUEST, **changes}.items()}
    answer = fields_of(server.respond(head(fields, form=form)))[1]
    assert answer["sec-websocket-accept"] == RFC_ACCEPT
    assert "sec-websocket-extensions" not in answer
    assert server.path == path


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"": "POST /chat HTTP/1.1"}, 405),
        ({"": "HEAD /chat HTTP/1.1"}, 405),
        ({"": "get /chat HTTP/1.1"}, 405),
        ({"": "GET /chat HTTP/1.0"}, 426),
        ({"": "GET /chat HTTP/1.0", "Host": None}, 426),
        ({"": "GET /chat HTTP/2.0"}, 505),
        ({"": "GET /chat HTTP/0.9"}, 505),
        ({"": "GET /chat"}, 400),
        ({"": "GET /chat HTTP/1"}, 400),
        ({"": "GET /chat HTTP/11"}, 400),
        ({"": "GET /chat HTTP/1.x"}, 400),
        ({"": "GET /chat HTTP/x.1"}, 400),
        ({"": "GET /chat FTP/1.1"}, 400),
        ({"": "GET /chat HTTQ/1.1"}, 400),
        ({"": "GET  /chat HTTP/1.1"}, 400),
        ({"": "GET /chat HTTP/1.1 "}, 400),
        ({"": "GET /a b HTTP/1.1"}, 400),
        ({"": "GET chat HTTP/1.1"}, 400),
        ({"": "GET * HTTP/1.1"}, 400),
        ({"": "GET /\tx HTTP/1.1"}, 400),
        ({"": "GET /\x7f HTTP/1.1"}, 400),
        ({"": "GET /\xe9token=secret HTTP/1.1"}, 400),
        ({"": "GET /?\xe9 HTTP/1.1"}, 400),
        ({"": "G\xc9T /chat HTTP/1.1"}, 400),
        ({"": "G@T /chat HTTP/1.1"}, 400),
        ({"": ""}, 400),
        ({"": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"}, 400),  # TLS to a plain port
        ({"Host": None}, 400),
        ({"Host": ""}, 400),
        ({"host": "other.example.com"}, 400),  # twice
        ({"Upgrade": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": None}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Connection": "close, notUpgrade"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": "13, 8"}, 426),
        ({"Sec-WebSocket-Version": "013"}, 426),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": base64.b64encode(bytes(15)).decode()}, 400),
        ({"Sec-WebSocket-Key": base64.b64encode(bytes(17)).decode()}, 400),
        ({"Sec-WebSocket-Key": base64.b64encode(bytes(18)).decode()}, 400),
        ({"Sec-WebSocket-Key": RFC_KEY[:-1]}, 400),
        ({"Sec-WebSocket-Key": "*" + RFC_KEY[1:]}, 400),
        ({"Sec-WebSocket-Key": "-_" + RFC_KEY[2:]}, 400),
        ({"Sec-WebSocket-Key": "`@" + RFC_KEY[2:]}, 400),
        ({"Sec-WebSocket-Key": RFC_KEY[:10] + " " + RFC_KEY[11:]}, 400),
        ({"sec-websocket-key": RFC_KEY}, 400),  # twice
        ({"Content-Length": "5"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"X": "a\r\nno colon"}, 400),
        ({"X": "a\r\n folded"}, 400),
        ({"X": "a\nb: c"}, 400),
        ({"X": "a\rb: c"}, 400),
        ({"X": "a\0b"}, 400),
        ({"X ": "space before the colon"}, 400),
        ({"": "GET /chat HTTP/1.1\r\n: no name"}, 400),
        ({"\xe9": "x"}, 400),
    ],
    ids=repr,
)
def test_server_refuses(changes, status):
    server = ServerHandshake()
    with pytest.raises(HandshakeError) as caught:
        server.respond(head(REQUEST, changes))
    assert caught.value.status == status
    check_rejection(refusal(server, caught.value), status, caught.value.reason)


# RFC 3986 §3.3 and §3.4, and beside it what browsers send all the same.
VISIBLE = set(range(33, 127))
IN_PATH = VISIBLE - set(b'"#<>\\`{}')
IN_QUERY = VISIBLE - set(b'"#<>')


@pytest.mark.parametrize(("path", "allowed"), [("/@", IN_PATH), ("/?@", IN_QUERY)])
def test_which_characters_may_stand_in_a_path_and_in_a_query(path, allowed):
    asked = head(REQUEST, {"": f"GET {path} HTTP/1.1"})
    for byte in range(256):
        server = ServerHandshake()
        try:
            server.respond(asked.replace(b"@", bytes([byte]), 1))
        except HandshakeError as error:
            assert (byte in allowed, error.status) == (False, 400)  # noqa: PT017
        else:
            assert byte in allowed
            assert server.path == path.replace("@", chr(byte))


def refusal(server, error):
    top, body = plain_http.refusal(server, error)
    return top + b"".join(body)


REASONS = {
    400: "Bad Request",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


def check_rejection(answer, status, reason=None):
    first, fields, body = fields_of(answer)
    assert first == f"HTTP/1.1 {status} {REASONS[status]}"
    assert int(fields["content-length"]) == len(body)
    assert body.count("\n") == 1
    assert body.endswith("\n")
    assert reason is None or body == reason + "\n"
    tokens = [token.strip() for token in fields["connection"].split(",")]
    assert "close" in tokens
    # RFC 9110 §15.5.22 and RFC 6455 §4.2.2
    assert ("Upgrade" in tokens) == (status == 426)
    assert fields.get("upgrade") == ("websocket" if status == 426 else None)
    assert fields.get("sec-websocket-version") == ("13" if status == 426 else None)
    assert fields.get("allow") == ("GET" if status == 405 else None)
    assert ("retry-after" in fields) == (status == 503)


def test_full_server_answers_503_but_only_to_what_it_would_have_accepted():
    full = ServerHandshake(is_full=lambda handshake: True)
    with pytest.raises(HandshakeError) as caught:
        full.respond(head(REQUEST))
    check_rejection(refusal(full, caught.value), 503)
    with pytest.raises(HandshakeError) as caught:
        full.respond(head(REQUEST, {"Upgrade": None}))
    assert caught.value.status == 426
    assert b" 101 " in ServerHandshake(is_full=lambda handshake: False).respond(head(REQUEST))


def test_who_is_refused_is_told_so_without_memory_for_the_answers_module(openings, monkeypatch):
    def no_memory(name, *rest):
        if "refusing" in (rest[2] or ()):
            raise MemoryError
        return original(name, *rest)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", no_memory)
    server = openings.server()
    server.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x89")
    assert server.wire.sent == b"HTTP/1.1 503 \r\n\r\n"
    assert server.error.status == 426
    # What else comes is dropped, no frame of it answered.
    server.wire.incoming, server.wire.ended = b"\x00" * 9, True
    assert list(server.ws._receiver) == [READ]
    assert server.wire.sent == b"HTTP/1.1 503 \r\n\r\n"


def test_program_answers_with_plain_http(openings):
    seen = []

    def process(asked):
        seen.append((asked.method, asked.path, asked.headers["host"], asked.remote_address))
        if asked.path == "/ws":
            return None
        if asked.path == "/stream":
            return 200, [("X-A", "b")], (piece for piece in (b"a", b"b"))
        return 200, (), b"page"

    for path, body in (("/", b"page"), ("/stream", b"ab")):
        data = head(REQUEST, {"": f"GET {path} HTTP/1.1", "Upgrade": None}) + b"\r\n\r\n"
        server = openings.server(process_request=process)
        server.feed_cut(data, range(1, len(data)))
        assert not server.is_open
        first, fields, found = fields_of(server.wire.sent)
        assert (first, found.encode()) == ("HTTP/1.1 200 OK", body)
        assert fields["connection"] == "close"
        # The end of a stream of unknown length is that of the connection.
        assert fields.get("content-length") == ("4" if path == "/" else None)
        assert fields.get("x-a") == (None if path == "/" else "b")
    answer = ServerHandshake(process_request=process).respond(
        head(REQUEST, {"": "GET /ws HTTP/1.1"})
    )
    assert b" 101 " in answer
    assert seen == [
        ("GET", "/", "server.example.com", "10.0.0.1:2"),
        ("GET", "/stream", "server.example.com", "10.0.0.1:2"),
        ("GET", "/ws", "server.example.com", ""),
    ]


@pytest.mark.parametrize("value", range(0, 256, 5))
def test_all_keys_of_16_bytes_are_taken(value):
    key = base64.b64encode(bytes((value + 7 * i) % 256 for i in range(16))).decode()
    answer = fields_of(ServerHandshake().respond(head(REQUEST, {"Sec-WebSocket-Key": key})))[1]
    assert answer["sec-websocket-accept"] == expected_accept(key.encode()).decode()


# The head, however it is read


def splits(n):
    return [[], list(range(1, n)), *([cut] for cut in range(1, n))]


def test_client_reads_the_response_in_any_pieces(connect):
    data = head(RESPONSE) + b"\r\n\r\n"
    for cuts in splits(len(data)):
        client = connect(limits={"read_size": 131})
        request = bytes(client.wire.sent)
        client.feed_cut(data, cuts)
        assert (client.is_open, client.ws.subprotocol) == (True, "chat")
        assert client.wire.sent == request


def test_server_reads_the_request_in_any_pieces(openings):
    data = head(REQUEST) + b"\r\n\r\n"
    expected = ServerHandshake(("chat",)).respond(head(REQUEST))
    for cuts in splits(len(data)):
        server = openings.server(("chat",), limits={"read_size": 131}).feed_cut(data, cuts)
        assert (server.is_open, server.wire.sent) == (True, expected)
        assert (server.ws.path, server.ws.subprotocol) == ("/chat", "chat")
        assert server.ws.remote_address == "10.0.0.1:2"


@pytest.mark.parametrize("side", ["client", "server"])
def test_what_comes_behind_the_head_begins_the_connection(side, connect, openings):
    masked = side == "server"
    data = head(REQUEST if masked else RESPONSE) + b"\r\n\r\n"
    data += frame(TEXT, b"early", masked) + frame(PING, b"p", masked)
    for cuts in splits(len(data)):
        opening = openings.server() if masked else connect()
        opening.feed_cut(data, cuts)
        assert opening.is_open
        front = Front(not masked, opening=opening)
        front.feed()
        assert front.outcome()[:2] == ([(TEXT, b"early")], [(PONG, 1, b"p")])


def test_refusal_is_the_same_in_any_pieces(openings):
    data = head(REQUEST, {"Upgrade": None}) + b"\r\n\r\n"
    for cuts in splits(len(data)):
        server = openings.server().feed_cut(data, cuts)
        check_rejection(server.wire.sent, 426)
        assert (server.is_open, server.error.status) == (False, 426)


def test_header_bound_holds_at_every_split(openings):
    data = head(REQUEST, {"X": "y" * 200}) + b"\r\n\r\n"
    for cuts in splits(len(data)):
        assert openings.server(max_header=len(data)).feed_cut(data, cuts).is_open
        server = openings.server(max_header=len(data) - 1).feed_cut(data, cuts)
        check_rejection(server.wire.sent, 431)
        assert server.error.status == 431


@pytest.mark.parametrize("extra", [0, 1])
def test_fields_are_bounded(openings, extra):
    fields = {f"X-{i}": str(i) for i in range(64 - len(REQUEST) + 1 + extra)}
    server = openings.server()
    server.feed(head(REQUEST, fields) + b"\r\n\r\n")
    assert server.is_open == (not extra)
    if extra:
        check_rejection(server.wire.sent, 431)


def test_client_bounds_the_response_as_well(connect):
    client = connect(max_header=300)
    client.feed(b"HTTP/1.1 404 x\r\nX: " + b"y" * 300)
    assert client.error.status == 404
    client = connect(max_fields=3)
    client.feed(head(RESPONSE) + b"\r\n\r\n")
    assert client.error.status == 101


@pytest.mark.parametrize("lines", [b"\r\r\n\r\n", b"\n\r\n\r\n", b"\n\n\r\n\r\n"])
def test_empty_line_is_found_after_odd_line_ends_which_are_refused(openings, lines):
    server = openings.server()
    server.feed(b"GET / HTTP/1.1" + lines)
    check_rejection(server.wire.sent, 400)


@pytest.mark.parametrize("side", ["client", "server"])
def test_end_of_stream_at_every_byte_of_the_head(side, connect, openings):
    data = head(RESPONSE if side == "client" else REQUEST) + b"\r\n\r\n"
    for end in range(len(data)):
        opening = connect() if side == "client" else openings.server()
        sent = bytes(opening.wire.sent)
        opening.feed(data[:end])
        assert (opening.is_open, opening.error) == (False, None)
        opening.wire.ended = True
        opening.feed()
        assert opening.error.status == (101 if side == "client" and end > 11 else 0)
        assert opening.wire.sent == sent  # nobody is there to be told
