"""Where a redirect leads to, and what may be told there; loaded by who follows one."""

from .compat import const
from .url import parse_url

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from ._types import Headers


def follow(url: str, headers: "Headers | None", location: str) -> "tuple[str, Headers | None]":
    """The URL and the header fields to go on with where ``url`` led to ``location``.

    To another server none of ``headers`` goes, for any may be a secret; nor do name and password.
    ``ValueError`` where it is no place, or one without TLS after one with.
    """
    if not location:
        raise ValueError("no Location")
    target = join(url, location)
    secure, host, port, _, _ = parse_url(url)
    to_secure, to_host, to_port, _, _ = parse_url(target)
    if secure and not to_secure:
        raise ValueError("from wss to ws")
    upgraded = not secure and to_secure and port == 80 and to_port == 443
    if host.lower() != to_host.lower() or not (port == to_port or upgraded):
        return target, ()
    user, at, _ = _split(url)[0].rpartition("@")
    if at and "@" not in _split(target)[0]:
        target = target.replace("://", "://" + user + at, 1)
    return target, headers


def join(base: str, reference: str) -> str:
    """The URL that a reference in an answer to ``base`` stands for (RFC 3986 §5.2).

    http and https are ws and wss. ``ValueError`` for some that stand for none.
    """
    reference = reference.partition("#")[0]
    if not reference:
        return base
    scheme, mark, rest = reference.partition("://")
    if mark and scheme.isalpha():
        scheme = scheme.lower()
        return {"http": "ws", "https": "wss"}.get(scheme, scheme) + mark + rest
    scheme = base.partition("://")[0]
    if reference.startswith("//"):
        return scheme + ":" + reference
    authority, path = _split(base)
    to, mark, rest = reference.partition("?")
    if ":" in to.partition("/")[0]:
        raise ValueError("no valid Location")
    if to.startswith("/"):
        path = to
    elif to:
        path = path[: path.rfind("/") + 1] + to
    return scheme + "://" + authority + _without_dots(path) + mark + rest


def _split(url: str) -> "tuple[str, str]":
    """Authority and path of a URL."""
    authority, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    return authority, "/" + path


def _without_dots(path: str) -> str:
    kept: list[str] = []
    part = ""
    for part in path.split("/")[1:]:
        if part == "..":
            if kept:
                kept.pop()
        elif part != ".":
            kept.append(part)
    if part in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
