"""Count what the library takes on an emulated RP2040: cycles and heap. See run.sh --bare-metal.

Each program of bare/ runs on a chip of its own that was just turned on, with stock firmware and
sockets in memory: no other end, no system call and no waiting hides what the interpreter takes.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from host_tests.bench import driver
from host_tests.rp2040.file_system import file_system, library, programs
from host_tests.rp2040.pico import make_device
from host_tests.support.paths import TOP

HERE = Path(__file__).resolve().parent
ROLES = ("blocking_client", "blocking_server", "aio_client", "aio_server")
PATIENCE = 600  # seconds
# What stands between these in the README is made here.
MARKS = ("<!-- made by host_tests/bench/run.sh --bare-metal -->", "<!-- made until here -->")


class Failed(Exception):
    """A program on the chip did not do its work."""


def files(folder, is_mpy):
    """The file system of a board with the library of a folder, and the programs."""
    everything = sorted((HERE / "bare").glob("*.py"))
    floor = [path for path in everything if path.name == "floor.py"]
    others = [path for path in everything if path.name != "floor.py"]
    return file_system(
        ("lib/microws", library(folder), is_mpy),
        ("lib", [*programs(), *others], True),
        ("lib", floor, is_mpy),
    )


async def run(image, code):
    """{(role, name, unit): figure} of one program; ``role`` is "" unless it tells one."""
    device = make_device(files=image)
    await device.astart()
    output, errors = await device.aexec(code, timeout=PATIENCE)
    device.stop()
    found = {}
    role = ""
    for line in output.decode().splitlines():
        if line.startswith("# "):
            role = line[2:]
        elif line:
            name, figure, unit = line.split("|")
            found[role, name, unit] = int(figure)
    if errors or not found:
        raise Failed(f"{code}\n{output.decode()}{errors.decode()}")
    return found


def measure(folder, progress):
    """{(role, name, unit): figure} of a library; of the floor where it is None."""
    found = {}
    for kind in "mpy", "py":
        image = files(folder or TOP / "lib" / "microws", kind == "mpy")
        for role in ROLES if folder else ["floor"]:
            progress(f"{role} from .{kind}")
            figures = asyncio.run(run(image, f"import memory; memory.{role}()"))
            for (_, name, unit), figure in figures.items():
                found[role, f"{name}, .{kind}", unit] = figure
        if kind == "mpy":
            for program in [*ROLES, "inner_loops"] if folder else ["floor_of_all"]:
                progress(program)
                for (role, name, unit), figure in asyncio.run(
                    run(image, f"import {program}")
                ).items():
                    found[role or program, name, unit] = figure
    return found


def table(columns):
    """Rows of names, with a column for each library, and one for the floor."""
    rows = dict.fromkeys(key for figures in columns.values() for key in figures)
    width = max(16, *(len(name) + 2 for name in columns))
    lines = []
    for role in dict.fromkeys(key[0] for key in rows):
        lines.append(f"\n{role:58}" + "".join(f"{name:>{width}}" for name in columns))
        for key in rows:
            if key[0] == role:
                figures = [column.get(key) for column in columns.values()]
                cells = "".join(f"{'' if f is None else f'{f:,}':>{width}}" for f in figures)
                lines.append(f"  {key[1] + ', ' + key[2]:56}{cells}")
    return "\n".join(lines)


# Rows of the README's tables: cycles of these works, and bytes of heap.
WORKS = (
    "import, .mpy",
    "import, .py",
    "handshake",
    "handshake and close",
    "echo of 125 B, recv_into and send",
    "echo of 125 B, recv and send",
    "echo of 125 B, recv(timeout=) and send",
    "125 B streaming in, recv_into",
    "125 B going out",
    "4 KiB received, recv_into",
    "4 KiB sent",
)
HEAPS = (
    "heap after import, .mpy",
    "heap after import, .py",
    "heap, one connected, .mpy",
    "heap, one connected, .py",
    "heap of a further one, .mpy",
    "echo of 125 B, recv_into and send",
    "echo of 125 B, recv and send",
)


def markdown(ours, floor):
    """The tables of the README: cycles, heap, and the inner loops."""

    def rows(title, names, unit):
        heads = [role.replace("_", " ").replace("aio", "asyncio") for role in ROLES]
        yield f"| {title} | " + " | ".join(f"{head} | floor" for head in heads) + " |"
        yield "|---|" + "--:|" * 2 * len(ROLES)
        for name in names:
            cells = []
            for role in ROLES:
                below = floor.get((role, name, unit))
                if below is None and name.startswith(("import", "heap after", "heap, one")):
                    below = floor.get(("floor", name, unit))
                if below is None and name == "handshake" and role.startswith("blocking"):
                    name_of_floor = "handshake, " + role.partition("_")[2]
                    below = floor["floor_of_all", name_of_floor, unit]
                for figure in ours.get((role, name, unit)), below:
                    cells.append("" if figure is None else f"{figure:,}")
            yield f"| {name} | " + " | ".join(cells) + " |"

    yield from rows("cycles", WORKS, "cycles")
    yield ""
    yield from rows("heap, bytes", HEAPS, "B")
    yield ""
    yield "| inner loops | cycles |"
    yield "|---|--:|"
    for (role, name, _), figure in ours.items():
        if role == "inner_loops":
            yield f"| {name} | {figure:,} |"


def write_tables(tables):
    """Put them into the README, in their place."""
    path = HERE / "README.md"
    before, _, rest = path.read_text().partition(MARKS[0])
    path.write_text(f"{before}{MARKS[0]}\n\n{tables}\n\n{rest[rest.index(MARKS[1]) :]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--lib",
        action="append",
        metavar="[NAME=]FOLDER",
        help="a folder microws to measure; more than one: side by side, in one run",
    )
    arguments = parser.parse_args()
    libraries = {}
    for given in arguments.lib or [f"microws={TOP / 'lib' / 'microws'}"]:
        name, _, folder = given.rpartition("=")
        if not (Path(folder) / "__init__.py").is_file():
            parser.error(f"{folder} is no folder of the library")
        libraries[name or folder] = Path(folder)
    steps = len(libraries) * (3 * len(ROLES) + 1) + 3 + (0 if arguments.lib else driver.STEPS)
    step = 0

    def progress(text):
        nonlocal step
        step += 1
        print(f"[{step}/{steps}] {column}: {text}", file=sys.stderr, flush=True)

    columns = {}
    for column, folder in [*libraries.items(), ("floor", None)]:
        columns[column] = measure(folder, progress)
    print(table(columns))
    if not arguments.lib:
        column = "lib/w5500"
        with tempfile.TemporaryDirectory() as folder:
            through_driver = driver.table(Path(folder), progress)
        print(through_driver)
        tables = "\n".join(markdown(columns["microws"], columns["floor"]))
        write_tables(f"{tables}\n\n{through_driver}")


if __name__ == "__main__":
    main()
