"""The page in a browser: one file on the board, plain and compressed, as an HTTP response."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Not in a folder "firmware": a frozen one would no longer be found.
FILE = "page.html"

_PIECE = 1024  # bytes

# All is in the one file, it talks to its board alone, and no other page may hold it in a frame.
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Vary", "Accept-Encoding"),
    ("Cache-Control", "no-cache"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


def response(accept: str) -> "tuple[int, tuple, Any] | None":
    """Status, headers and body, by what the request accepts as Content-Encoding.

    None where the file is not there.
    """
    accept = accept.lower().replace(" ", "")
    if "gzip" in accept and "gzip;q=0" not in accept.replace("gzip;q=0.", ""):
        found = _response(FILE + ".gz", (("Content-Encoding", "gzip"),))
        if found:
            return found
    return _response(FILE, ())


def _response(file, headers):
    try:
        size = os.stat(file)[6]
    except OSError:
        return None
    return 200, HEADERS + (("Content-Length", str(size)),) + headers, _chunks(file)


def _chunks(file):
    at = 0
    while True:
        # Not open in between: whoever asked may go away, and nobody would close it.
        with open(file, "rb") as stream:
            stream.seek(at)
            chunk = stream.read(_PIECE)
        if not chunk:
            return
        yield chunk
        at += len(chunk)
