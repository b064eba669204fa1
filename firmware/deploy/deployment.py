"""A deployment to a board, from its first word to its restart."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import contextlib
import json
import sys
import tempfile
from pathlib import Path

from firmware.deploy import attached, link
from firmware.deploy.board_files import TOP
from firmware.deploy.plan import plan
from firmware.deploy.refusal import Refusal

INVENTORY = TOP / "firmware" / "inventory.py"
BOARD = TOP / "firmware" / "deploy" / "board.py"


def deploy(args, say=print):
    """Put the program on the board at `args.port`; its name in the network.

    `say` takes the lines for the person.
    """
    board = link.Link(args.port)
    say(f"Asking the board at {args.port} ...")
    report = board.ask("run", INVENTORY, "+", "exec", "report()")
    if args.backup:
        Path(args.backup).mkdir(parents=True, exist_ok=True)
        board.run("resume", "fs", "cp", "-r", ":/", f"{args.backup}/")
        say(f"Copied its files to {args.backup}.")
    with tempfile.TemporaryDirectory(prefix="microws-") as folder:
        try:
            made = plan(Path(folder), args, report, say)
        except Refusal:
            restart_if_it_can(board)  # it goes on as it was
            raise
        if args.dry_run:
            board.restart()
            say("A dry run: nothing was changed.")
            return made.name
        if not made.is_done:
            send(board, Path(folder), made, args.wipe, say)
    say("Done. The board starts now.")
    if not (args.no_repl or args.all) and is_at_terminal():
        board.show_log("reset")
    else:
        board.restart()
    return made.name


def deploy_all(args):
    """As deploy(), to every attached board with a line for each; the status to end with."""
    devices = [port.device for port in attached.some()]
    failed = 0
    for number, device in enumerate(devices, 1):
        args.port = device
        lines = []
        try:
            attached.check(device)
            name = deploy(args, lines.append)
            end = f"{name}: {lines[-1]}"
        except Refusal as refusal:
            failed += 1
            end = str(refusal)
        kept = [line for line in lines if "yours is kept" in line]
        print(f"[{number}/{len(devices)}] {device} {' '.join([*kept, end])}")
    if failed:
        raise Refusal(f"{failed} of {len(devices)} boards failed: see above.")
    return 0


def monitor(device):
    """Show what the board says, without a restart."""
    if not is_at_terminal():
        raise Refusal("--monitor is for a terminal. Run it in one, without a pipe.")
    link.Link(device).show_log()


def is_at_terminal():
    return sys.stdin.isatty() and sys.stdout.isatty()


def send(board, work, made, wipe, say):
    """Have mpremote do what a Plan says; its files are in work/stage."""
    # Not as arguments: Windows takes 32 KB of these. As one text: a board's compiler would need
    # several times the memory for a display of it.
    wanted = f"wanted = json.loads({json.dumps(made.wanted)!r})"
    begin = f"{wanted}\nbegin(wanted, {made.there!r}, {made.kept!r})"
    (work / "begin.py").write_text(f"wipe()\n{begin}" if wipe else begin)
    (work / "commit.py").write_text("commit(wanted)")
    arguments = ["resume", "run", INVENTORY, "+", "run", BOARD, "+", "run", work / "begin.py"]
    for path in made.missing:
        arguments += ["+", "fs", "cp", "-f", path, f":{path}.new"]
    arguments += ["+", "run", work / "commit.py"]
    try:
        with link.progress(len(made.missing)) as show:
            board.run(*arguments, cwd=work / "stage", told=show)
    except link.Failure as failure:
        if failure.is_full:
            restart_if_it_can(board)
        raise
    say("Every file on the board has the right hash.")


def restart_if_it_can(board):
    with contextlib.suppress(link.Failure):
        board.restart()
