"""The page in a browser: one file on the board, plain and compressed, as an HTTP response."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Not in a folder "firmware": a frozen one would no longer be found.
FILE = "page.html"

_CHUNK = 1024  # bytes


def response(accepted: str) -> "tuple[int, tuple, Any] | None":
    """Status, headers and body, by what the request accepts as Content-Encoding.

    None where the file is not there.
    """
    accepted = accepted.lower().replace(" ", "")
    if "gzip" in accepted and "gzip;q=0" not in accepted.replace("gzip;q=0.", ""):
        found = _response(FILE + ".gz", (("Content-Encoding", "gzip"),))
        if found:
            return found
    return _response(FILE, ())


def _response(file, headers):
    try:
        size = os.stat(file)[6]
    except OSError:
        return None
    headers += (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(size)),
        ("Vary", "Accept-Encoding"),
        ("Cache-Control", "no-cache"),
    )
    return 200, headers, _chunks(file)


def _chunks(file):
    position = 0
    while True:
        # Not open in between: whoever asked may go away, and nobody would close it.
        with open(file, "rb") as stream:
            stream.seek(position)
            chunk = stream.read(_CHUNK)
        if not chunk:
            return
        yield chunk
        position += len(chunk)
