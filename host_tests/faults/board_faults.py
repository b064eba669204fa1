"""Faults inside the board: memory that is short, a flash that is full, power that fails."""

import contextlib
import shutil
import subprocess
import time

from host_tests.faults.network_faults import connect, must
from host_tests.faults.rig import MICROPYTHON, PATIENCE, TOP, Differs

# --- memory --------------------------------------------------------------------------------------

# How many bytes are left: densely where every allocation counts, up to what a connection takes.
LEFT = [*range(0, 1024, 16), *range(1024, 4096, 64), *range(4096, 8192, 256)]
# With hardly any left, poll() fails on a computer, where an address is a large integer.
QUICK_LEFT = (1536, 3072, 6144)


def short_of_memory(scene):
    """Let memory be short while messages come and connections begin and end."""
    wire, listener = connect(scene, short=True, hurry=True)
    board = scene.board
    sockets = board.sockets()
    sizes = QUICK_LEFT if scene.quick else LEFT
    held = 0
    for turn, left in enumerate(sizes):
        new = board.folder / "short.new"
        new.write_text(str(left))
        new.replace(board.folder / "short")
        board.wait(f"short of memory: {left}$")
        other = under_load(scene, wire, listener, turn)
        # A reset, if it comes to that, ends the shortage as well.
        board.wait(r"enough memory|\(hard reset\)", scene.patience)
        if other:
            other.hang_up()
        before, wire = wire, lives_somehow(scene, wire, listener)
        held += wire is before
    told = f"{len(sizes)} times short, {sizes[0]} to {sizes[-1]} bytes left"
    if board.resets:
        raise Differs(f"{told}: {board.resets} resets")
    if uncaught := list(exceptions(board.lines)):
        raise Differs(f"{told}: {len(uncaught)} exceptions that nobody caught, {uncaught[-1]}")
    end = time.monotonic() + PATIENCE
    while board.sockets() != sockets:
        if time.monotonic() > end:
            raise Differs(f"{told}: {board.sockets()} sockets in the end, {sockets} before")
        time.sleep(0.2)
    return f"{told}: it held {held} times, else a new connection worked"


def exceptions(lines):
    """Where each exception came from that reached the log, those of asyncio itself left out."""
    where = ""
    for line in lines:
        if line.startswith("  File "):
            where = line.strip()
        elif where:
            if "asyncio/" not in where:
                yield where
            where = ""


def under_load(scene, wire, listener, turn):
    """Messages, a Ping, each other time the end of the connection, and one more client."""
    with contextlib.suppress(Differs, OSError):  # lives_somehow() tells
        for i in range(4):
            wire.send(f"load {i} " + "x" * 100 * i)
            wire.ping(b"load")
            time.sleep(0.02)
        if turn & 1:
            wire.reset()
        if listener is None:
            other = scene.dial()
            other.raw(other.request(scene.address[0]))
            return other
    return None


def lives_somehow(scene, wire, listener):
    """Whichever connection works within the patience: this one, or a new one."""
    end = time.monotonic() + scene.patience
    while True:
        try:
            if wire.end is None:
                scene.lives(wire, 3)
                return wire
        except (Differs, OSError):
            pass
        if time.monotonic() > end:
            raise Differs("nothing works any more")
        try:
            wire.hang_up()
            wire = scene.call() if listener is None else scene.accept(listener).accept()
        except (Differs, OSError):
            time.sleep(0.2)


must("memory short", "client", "held, or ended and connected anew; the program goes on")(
    short_of_memory
)
must("memory short", "server", "held, or ended; the program goes on and serves")(short_of_memory)


# --- flash ---------------------------------------------------------------------------------------

# Something in the program that nobody expects, once a message says so.
TRAP = """

_log = log
_fallen = False


def log(text):
    global _fallen
    _log(text)
    if "received fall" in text:
        _fallen = True
    elif _fallen and text.startswith("sent "):
        raise KeyError("a fault of the program")
"""

# Fills what is left of a flash. It runs on MicroPython.
FILL = """
import sys
sys.path.insert(0, {folder!r})
from flash import mount
mount({image!r}, {blocks})
# Large ones, then such as fit into what is left of a folder's own blocks.
for size in (4096, 256, 16):
    try:
        for number in range(1000):
            with open("full%d.%d" % (size, number), "wb") as file:
                file.write(bytes(size))
    except OSError:
        pass
"""


def trapped(scene):
    """A board whose program crashes when it is told to, its power off, and who listens for it."""
    board = scene.serial_board()
    log = (TOP / "firmware" / "log.py").read_text()
    board.files({"firmware/log.py": (log + TRAP).encode()})
    return board, scene.listen() if scene.role == "client" else None


def meet(scene, listener):
    """A connection to a board that was just powered on, and works."""
    if listener is None:
        scene.board.wait("listening on")
        wire = scene.call()
        scene.lives(wire)
        return wire
    scene.board.wait("connecting to")
    end = time.monotonic() + scene.patience
    while time.monotonic() < end:
        # What the board had begun when its power failed waits there, too.
        with contextlib.suppress(Differs, OSError):
            wire = scene.accept(listener).accept()
            scene.lives(wire, 5)
            return wire
    raise Differs("no connection that works")


def full(scene):
    board, listener = trapped(scene)
    code = FILL.format(
        folder=str(TOP / "host_tests" / "board"),
        image=str(board.board.image),
        blocks=board.board.blocks,
    )
    subprocess.run([MICROPYTHON[0], "-c", code], check=True, timeout=PATIENCE)
    board.power_on()
    fall(scene, listener)
    board.wait("KeyError: a fault of the program")
    board.wait("crash.txt cannot be written")
    seconds = int(board.wait(r"resetting the board in (\d+) s")[1])
    if scene.quick:
        board.power_off()
        board.power_on()
        how = "powered off and on"
    else:
        board.wait("starting as", seconds + scene.patience)
        how = f"reset after {seconds} s"
    meet(scene, listener).hang_up()
    return f"worked; a crash was told, though its file had no room; {how}, works again"


must("a full file system", "client", "works; a crash is told though not kept; comes back")(full)
must("a full file system", "server", "works; a crash is told though not kept; comes back")(full)


def cut_in_crash(scene):
    board, listener = trapped(scene)
    allowed = {path: [content] for path, content in board.files().items()}
    board.power_on()
    fall(scene, listener)
    board.wait("KeyError: a fault of the program")
    board.wait("starting as", scene.patience)
    meet(scene, listener).hang_up()
    writes = board.board.writes
    board.power_off()
    if not writes:
        raise Differs("a crash wrote nothing")
    for cut in range(1, writes + 1, writes - 1 if scene.quick else 1):
        board.files({"crash.txt": b"", "crash.txt.new": b""})
        board.board.cut_at_write = cut
        board.power_on()
        fall(scene, listener)
        has_failed(board, cut)
        works_again(scene, listener, allowed)
    how = "the first and the last" if scene.quick else "each"
    return f"cut in {how} of {writes} writes: starts and works, every file whole"


must("power cut while a crash is written", "client", "starts and works; every file is whole")(
    cut_in_crash
)
must("power cut while a crash is written", "server", "starts and works; every file is whole")(
    cut_in_crash
)

CUTS = 10  # in a deployment


def cut_in_deployment(scene):
    board, listener = trapped(scene)
    older = board.files()
    image = board.board.image
    kept = image.with_suffix(".older")
    shutil.copy(image, kept)
    board.power_on(deploy=True)
    board.wait("starting as", scene.patience)
    board.power_off()
    newer = board.files()
    writes = board.board.writes
    allowed = {path: [content, newer[path]] for path, content in older.items()}
    cuts = range(1, writes, writes - 2 if scene.quick else max(1, writes // CUTS))
    for cut in cuts:
        shutil.copy(kept, image)
        board.board.cut_at_write = cut
        board.power_on(deploy=True)
        has_failed(board, cut)
        works_again(scene, listener, allowed)
    return f"cut in {len(cuts)} of {writes} writes: starts and works, every file whole"


must("power cut during a deployment", "client", "starts and works; every file is old or new")(
    cut_in_deployment
)
must("power cut during a deployment", "server", "starts and works; every file is old or new")(
    cut_in_deployment
)


def fall(scene, listener):
    wire = meet(scene, listener)
    wire.send("fall")
    scene.board.wait("received fall")
    return wire


def has_failed(board, cut):
    if not board.board.wait_until_off(PATIENCE):
        raise Differs(f"there was no write of number {cut}")
    board.power_off()


def works_again(scene, listener, allowed):
    board = scene.board
    board.power_on()
    meet(scene, listener).hang_up()
    board.power_off()
    files = board.files()
    for path, contents in allowed.items():
        if files.get(path) not in contents:
            raise Differs(f"{path} is damaged")
