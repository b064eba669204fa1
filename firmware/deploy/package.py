"""What goes to a board over the network: a head, a list of what is to be done, and a signature.

The board's half is update.py; what the lines of the list mean stands in swap.py.
"""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import hashlib
import hmac
import json

from firmware.deploy.plan import BLOCK, hash_of, size_on_board

LARGEST = 1000  # bytes of a message with lines of the list
PIECE = 1024  # bytes of a file in a message


class Package:
    """`about` is what the board said of itself, `files` has the new files, {path: content}.

    `entries` are the lines of the list. `kind` is "program" or "sketch".
    """

    def __init__(self, kind, version, about, entries, files, need):
        self.files = files
        self.entries = entries
        self.head = json.dumps(
            {
                "kind": kind,
                "version": version,
                "machine": about["machine"],
                "nonce": about["nonce"],
                "need": need,
            }
        )

    def messages(self):
        """The list, cut into messages between its lines."""
        found = []
        for entry in self.entries:
            if found and len(found[-1]) + 1 + len(entry) <= LARGEST:
                found[-1] += "\n" + entry
            else:
                found.append(entry)
        return found

    def signature(self, key):
        """HMAC-SHA256 (RFC 2104) of the head and the list, each line with its end."""
        text = "".join(line + "\n" for line in (self.head, *self.entries))
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def line(sign, path, content):
    """What the list says of a new file."""
    return f"{sign} {path} {len(content)} {hash_of(content)}"


def of_program(version, about, present, made, stage):
    """The package of a Plan; `present` is what the board has, {path: (size, hash)}."""
    files = {path: (stage / path).read_bytes() for path in made.sent}
    listed = [f"{path} {made.wanted[path]}\n" for path in sorted(made.wanted)]
    name = "firmware/installed.txt"
    files[name] = "".join([*listed, f"{name}\n"]).encode()
    entries = [f"= {path} {kept}" for path, kept in made.kept.items()]
    entries += [line("*" if path in present else "+", path, files[path]) for path in sorted(files)]
    entries += [f"- {path}" for path in made.stale]
    # While a file takes its place, that of before is there twice.
    largest = max([0, *(present[path][0] for path in files if path in present)])
    need = size_on_board(largest) + 4 * BLOCK
    need += sum(size_on_board(len(content)) for content in files.values())
    need += sum(size_on_board(present[path][0]) for path in made.kept)
    return Package("program", version, about, entries, files, need)


def of_sketch(version, about, files):
    """The package of a sketch and what it imports."""
    entries = [line("+", path, files[path]) for path in files]
    need = 4 * BLOCK + sum(size_on_board(len(content)) for content in files.values())
    return Package("sketch", version, about, entries, files, need)
