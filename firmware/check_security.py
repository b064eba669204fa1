"""What check.py does, for the settings of access and encryption; few boards load this.

It imports nothing of the library: at the start that would cut a small heap into pieces.
"""

_HEX = b"0123456789abcdefABCDEF"
_TOKEN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/"

_SEPARATORS = b'()<>@,;:\\"/[]?={}'  # not in a name of HTTP (RFC 9110 §5.6.2)

# What the handshake says itself.
_TAKEN = ("host", "upgrade", "connection", "content-length", "transfer-encoding")

# Of each pair the second one needs the first.
_TOGETHER = (
    ("user", "password"),
    ("password", "user"),
    ("cert_file", "key_file"),
    ("key_file", "cert_file"),
    ("update_token", "update_key"),
)
_SECRETS = ("token", "watch_token", "update_token", "update_key")
_LEAST_KEY = 16  # characters; who listens may try keys at home


def conflicts(settings: dict) -> list:
    """A line for each of these settings that is missing beside others, or contradicts them."""
    # What parse_url() makes of it takes a good part of the library along.
    urls = settings["url"] if isinstance(settings["url"], list) else [settings["url"]]
    secure = bool([url for url in urls if url[:6].lower() == "wss://"])
    in_url = bool([url for url in urls if "@" in url.split("/")[2]])
    problems = []
    for missing, given in _TOGETHER:
        if settings[given] and not settings[missing]:
            problems.append('"%s" is missing; "%s" goes with it' % (missing, given))
    if settings["watch_token"] and not (settings["token"] or settings["user"]):
        problems.append('"token" or "user" is missing; "watch_token" goes with it')
    secrets: dict = {}
    for name in _SECRETS:
        value = settings[name]
        if value and value in secrets:
            problems.append('"%s" and "%s" are the same' % (secrets[value], name))
        secrets[value] = name
    is_server = settings["role"] == "server"
    if settings["update_token"] and is_server and settings["update_port"] == settings["port"]:
        problems.append('"port" and "update_port" are both %d' % settings["port"])
    ways = [name for name in ("token", "user") if settings[name]]
    if in_url:
        ways.append("url")
    if [name for name in settings["headers"] or () if name.lower() == "authorization"]:
        ways.append("headers")
    if len(ways) > 1:
        problems.append('"%s" and "%s" both say who you are; one is enough' % (ways[0], ways[1]))
    checks = [name for name in ("ca_file", "fingerprint") if settings[name]]
    if secure and not checks:
        problems.append('"url" is wss://, which needs "ca_file" or "fingerprint", see the README')
    if checks and not secure:
        problems.append('"%s" is of no use to "url", which is not wss://' % checks[0])
    if len(checks) > 1:
        problems.append('"ca_file" and "fingerprint" are both given; one is enough')
    return problems


def _is_visible(text):
    return not [letter for letter in text.encode() if not 0x20 < letter < 0x7F]


def _is_name(value):
    """Whether it is a token of HTTP, as the names of header fields and subprotocols are."""
    return (
        isinstance(value, str)
        and value != ""
        and _is_visible(value)
        and not [letter for letter in value.encode() if letter in _SEPARATORS]
    )


def _is_text(value):
    return isinstance(value, str) and 0 < len(value) <= 128 and not _controls(value)


def _controls(text):
    return [letter for letter in text.encode() if letter < 0x20 or letter == 0x7F]


def _is_token(value):
    body = value.rstrip("=").encode() if isinstance(value, str) else b""
    return 0 < len(body) <= 512 and not [letter for letter in body if letter not in _TOKEN]


def _is_key(value):
    return _is_token(value) and len(value) >= _LEAST_KEY


def _is_file(value, example=""):
    return _is_text(value) and _is_visible(value)


def _is_fingerprint(value):
    digits = value.replace(":", "") if isinstance(value, str) else ""
    return len(digits) == 64 and not [digit for digit in digits.encode() if digit not in _HEX]


def _is_header(name, value):
    return (
        _is_name(name)
        and name.lower() not in _TAKEN
        and not name.lower().startswith("sec-websocket-")
        and isinstance(value, str)
        and not _controls(value)
    )


def _is_origin(value):
    """Whether something may send this as its origin, or it stands for some that may."""
    if not isinstance(value, str) or not value or not _is_visible(value):
        return False
    if "*" in value:
        scheme, _, name = value.partition("*.")
        whole = value == "*" or scheme == "" or scheme.endswith("://")
        return (
            whole and (value == "*" or name != "") and "*" not in name and value == value.lower()
        )
    scheme, _, host = value.partition("://")
    if scheme.lower() not in ("http", "https"):
        return True
    # So browsers write it: in small letters, with no port that goes without saying, no slash.
    port = ":80" if scheme.lower() == "http" else ":443"
    return (
        host != "" and not host.endswith(("/", port)) and ("/" in host or value == value.lower())
    )


def _list_of(test):
    return lambda value: isinstance(value, list) and not [one for one in value if not test(one)]


# As in check.py.
KINDS = {
    "token": (_is_token, "1 to 512 letters, digits and - . _ ~ + /, and = at the end"),
    "key": (_is_key, "%d to 512 letters, digits and - . _ ~ + /, and = at the end" % _LEAST_KEY),
    "user": (lambda value: _is_text(value) and ":" not in value, "a text without colon"),
    "password": (_is_text, "a text of at most 128 characters"),
    "origins": (
        _list_of(_is_origin),
        'a list of pages\' origins, like ["https://example.org", "*.example.org", "null", "*"]',
    ),
    "subprotocols": (_list_of(_is_name), 'a list of names, like ["chat"]'),
    "headers": (
        lambda value: (
            isinstance(value, dict)
            and not [name for name in value if not _is_header(name, value[name])]
        ),
        '{ "name": "value", ... }, none of them of the handshake itself',
    ),
    "file": (_is_file, 'the name of a file on the board, like "%s"'),
    "fingerprint": (_is_fingerprint, "64 hexadecimal digits, with colons or without"),
    "host": (_is_file, 'a host name, like "pool.ntp.org"'),
}
