"""A sketch on its way to a board: which files belong to it, and how they get there."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import ast
import tempfile
import time
from pathlib import Path

from firmware.deploy import deployment, link
from firmware.deploy.refusal import Refusal

NAME = "sketch.py"
_OURS = ("firmware", "lib", "boot", "main", "microws")  # what no sketch brings along
# Takes the names of the new files, which have arrived whole.
_COMMIT = "import os\nfor name in {names}:\n os.rename(name + '.new', name)\n"
_MAKE = "import os\nfor name in {folders}:\n try: os.mkdir(name)\n except OSError: pass\n"


def files_of(path):
    """{path on the board: content} of a sketch and of what it imports from its folder.

    Refusal for one that is no Python.
    """
    path = Path(path)
    found = {NAME: path.read_bytes()}
    left = [(path, found[NAME])]
    while left:
        file, source = left.pop()
        for name in sorted(_imported(file, source)):
            for place in (f"{name}.py", f"{name}/__init__.py", f"lib/{name}.py"):
                helper = path.parent / place
                if place not in found and helper.is_file():
                    found[place] = helper.read_bytes()
                    left.append((helper, found[place]))
    return found


def _imported(file, source):
    """The modules that a file imports, by their full names with slashes."""
    try:
        tree = ast.parse(source, str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f", line {line}" if line else ""
        raise Refusal(f"{file.name}{place}: {getattr(error, 'msg', error)}") from None
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    paths = set()
    for name in names:
        parts = name.split(".")
        if parts[0] not in _OURS:  # and the packages that it is in
            paths.update("/".join(parts[: end + 1]) for end in range(len(parts)))
    return paths


def put(args):
    """Put a sketch on the board at `args.port` and start it, with one reset."""
    files = files_of(args.sketch)
    began = time.monotonic()
    board = link.Link(args.port)
    folders = {str(parent) for path in files for parent in Path(path).parents} - {"."}
    with tempfile.TemporaryDirectory(prefix="microws-") as folder:
        arguments = ["resume", "exec", _MAKE.format(folders=sorted(folders, key=len))]
        for number, (path, content) in enumerate(files.items()):
            (Path(folder) / str(number)).write_bytes(content)
            arguments += ["+", "fs", "cp", "-f", str(number), f":{path}.new"]
        commit = _COMMIT.format(names=list(files))
        board.run(*arguments, "+", "exec", commit, cwd=folder)
    # The board opens its port again with the reset.
    shows = not args.no_repl and deployment.is_at_terminal()
    if not shows:
        board.restart()
    names = " and ".join([Path(args.sketch).name, *(path for path in files if path != NAME)])
    print(f"On the board after {time.monotonic() - began:.1f} s: {names}.")
    if shows:
        board.show_log("reset")
