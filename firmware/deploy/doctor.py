"""What is attached and whether it will do: ./deploy.sh doctor."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import time

from firmware import boards
from firmware.deploy import attached, link
from firmware.deploy.board_files import TOP
from firmware.deploy.deployment import INVENTORY
from firmware.deploy.plan import check_version, read_report
from firmware.deploy.refusal import PROGRAM, Refusal

STARTING = 3  # seconds after a hard reset in which the network interface starts
HERE = TOP / "firmware" / "deploy"


def doctor(args):
    """Look at every board, or the one at `args.port`; the status to end with."""
    if args.port:
        devices = [args.port]
    else:
        found = attached.some()
        for port in found:
            print(attached.described(port))
        devices = [port.device for port in found]
    well = True
    for device in devices:
        try:
            attached.check(device)
            print(f"{device}: {about(device)}")
            if args.on_board:
                on_board(device)
        except Refusal as refusal:
            well = False
            print(f"{device}: {refusal}")
    return 0 if well else 1


def about(device):
    """What the board is, and which wiring it may have. It goes on with its program."""
    board = link.Link(device)
    report = board.ask("run", INVENTORY, "+", "exec", "report()")
    board.restart()
    found, present = read_report(report)
    version = check_version(found)
    chip = boards.chip_of(found["machine"])
    fitting = [name for name, profile in boards.PROFILES.items() if profile["chip"] == chip]
    program = "the program is on it" if "main.py" in found["installed"] else "no program of ours"
    changed = sorted(path for path in present if is_changed(found, present, path))
    mine = f"; changed there: {', '.join(changed)}" if changed else ""
    return (
        f"{found['machine']}, MicroPython {version}, new enough; {found['free'] // 1024} KB free; "
        f"{program}{mine}. Fits --board {', '.join(fitting) or 'custom'}."
    )


def is_changed(found, present, path):
    known = found["installed"].get(path)
    return bool(known) and present[path][1] not in known


def on_board(device):
    """Try the board itself; prints one line that can be pasted into a report."""
    board = link.Link(device)
    # A soft reset would leave a W5500 on an ESP32 without its interrupt. The one before was hard.
    time.sleep(STARTING)
    lines = board.run("resume", "run", HERE / "on_board.py")
    board.restart()
    report = [line for line in lines if line.startswith("report: ")]
    if not report:
        raise Refusal(f"The board did not come to the end of it. Its last words: {lines[-1:]}")
    print(*report)
    if "microws" not in report[0] or "ImportError" in report[0]:
        print(f"For all of it the program has to be on the board: {PROGRAM} --port {device}")
