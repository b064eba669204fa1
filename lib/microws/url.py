"""ws:// and wss:// URLs (RFC 6455 §3)."""


def parse_url(url: str) -> "tuple[bool, str, int, str, bytes]":
    """``(secure, host, port, path, user)`` of a ws:// or wss:// URL (§3), or ``ValueError``.

    ``user`` is ``b"name:password"``, or empty (RFC 3986 §3.2.1).
    """
    if not isinstance(url, str):
        raise TypeError("url must be str")
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    # The authority ends at the first slash or question mark.
    end = len(rest)
    for mark in "/?":
        at = rest.find(mark)
        if 0 <= at < end:
            end = at
    user, sign, host = rest[:end].rpartition("@")
    path = rest[end:]
    if not path.startswith("/"):
        path = "/" + path
    if host.startswith("["):
        host, bracket, port = host[1:].partition("]")
        valid = bracket and port[:1] in ("", ":")
        port = port[1:]
    else:
        host, _, port = host.partition(":")
        valid = ":" not in port
    number = 443 if scheme == "wss" else 80
    if port:
        number = int(port) if port.isdigit() else 0
    if (
        not (valid and host and 0 < number < 65536)
        or scheme not in ("ws", "wss")
        or "#" in rest
        or (sign and ":" not in user)
        or [c for c in rest.encode() if not 32 < c < 127]
    ):
        raise ValueError("url must be ws[s]://[user:password@]host[:port][/path] without #")
    if sign:
        from .userinfo import unquote

        return scheme == "wss", host, number, path, unquote(user)
    return scheme == "wss", host, number, path, b""
