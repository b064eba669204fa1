#!/usr/bin/env python3
"""Install the packages of a requirements file with pip, from wheels kept in .cache/wheels.

What is not there yet is downloaded, and built where it has no wheel. Nothing comes in that the
requirements do not name.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from progress import Failure, Progress, say

TOP = Path(__file__).resolve().parent.parent.parent
CACHE = TOP / ".cache" / "wheels"
ROUNDS = 3  # how often a download that broke off is tried, beside what pip itself tries again
# What pip for Python 3 must know to choose packages for Python 2.7.
FOR_PYTHON2 = [
    *("--python-version", "27", "--implementation", "py", "--abi", "none", "--platform", "any"),
    *("--only-binary", ":all:"),
]


def run(python, *arguments, told=lambda line: None, env=None):
    """Run pip; its exit status and what it says, of which each line goes to ``told`` at once."""
    process = subprocess.Popen(
        [python, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=env,
        text=True,
        errors="backslashreplace",
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        told(line)
    return process.wait(), lines


def explain(lines):
    """What pip says went wrong, in one line."""
    if any("CA certificate" in line or "CERTIFICATE_VERIFY" in line for line in lines):
        return "this system does not know who vouches for the server; install ca-certificates"
    errors = [line for line in lines if line.startswith("ERROR: ")] or lines or ["pip ended"]
    return errors[-1].removeprefix("ERROR: ").strip().rstrip(".")


def download(arguments, total):
    """Bring what the requirements name into .cache/wheels. Raises Failure."""
    print(f"  {total} to download", flush=True)
    new = CACHE.with_suffix(".new")
    # "wheel" builds what is a source only, so that this is done once; not for another Python.
    action = ["wheel", "-w", new]
    if arguments.for_python2:
        action = ["download", "-d", new, *FOR_PYTHON2]
    elif arguments.no_build:
        action += ["--only-binary", ":all:"]
    elif arguments.python2:
        action += ["--no-build-isolation"]
    for turn in range(1, ROUNDS + 1):
        shutil.rmtree(new, ignore_errors=True)
        with Shown(total) as shown:
            status, lines = run(
                arguments.python2 or sys.executable,
                *(*action, "--no-deps", "--progress-bar", "off", "-r", arguments.requirements),
                # Should one of those be what fails, not again.
                *(("--find-links", CACHE) if turn == 1 else ()),
                told=shown,
            )
        if not status:
            break
        if turn == ROUNDS or any("No matching distribution" in line for line in lines):
            shutil.rmtree(new, ignore_errors=True)
            raise Failure(
                f"Cannot download the packages of {arguments.requirements.relative_to(TOP)}: "
                f"{explain(lines)}. Check the network, then run this again."
            )
    for file in new.iterdir():
        file.replace(CACHE / file.name)
    new.rmdir()


class Shown(Progress):
    """Shows how far pip is, by what it says."""

    count = 0

    def __call__(self, line):
        if line.startswith("Collecting "):
            self.count += 1
        elif file := re.match(r"\s+Downloading .*?([^/\s]+ \([^)]+B\))", line):
            self.show(self.count, f"{self.count} of {self.total}: {file[1]}")


def install(arguments):
    """Install from .cache/wheels; download first where that does not do. Raises Failure."""
    options = ["--target", arguments.target] if arguments.target else []
    if arguments.no_compile:
        options += ["--no-compile"]
    if arguments.for_python2:
        options += FOR_PYTHON2
    CACHE.mkdir(parents=True, exist_ok=True)
    total = len(re.findall("^[^#].*==", arguments.requirements.read_text(), re.MULTILINE))
    say(f"{arguments.title}: {total} Python packages")
    # From there alone, whatever other places this system's pip knows.
    env = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    env["PIP_CONFIG_FILE"] = os.devnull
    for is_downloaded in (False, True):
        status, lines = run(
            arguments.python2 or sys.executable,
            *("install", "--no-deps", "--no-index", "--find-links", CACHE, *options),
            *("-r", arguments.requirements),
            env=env,
        )
        if not status:
            return
        if is_downloaded:
            raise Failure(
                f"Cannot install the packages of {arguments.requirements.relative_to(TOP)}: "
                f"{explain(lines)}. Put that right, then run this again."
            )
        if arguments.target:
            shutil.rmtree(arguments.target, ignore_errors=True)
        download(arguments, total)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("title", help="what they are, for people")
    parser.add_argument("requirements", type=lambda path: Path(path).resolve())
    parser.add_argument("--target", type=Path, help="a folder, instead of this Python's own")
    parser.add_argument("--no-compile", action="store_true", help="they are for another Python")
    parser.add_argument("--no-build", action="store_true", help="take wheels only")
    parser.add_argument("--for-python2", action="store_true", help="choose those for Python 2.7")
    parser.add_argument(
        "--python2", help="the Python 2.7 with a pip that installs and builds them"
    )
    install(parser.parse_args())


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
    except OSError as error:  # no room on the disk, no permission
        sys.exit(f"{error}. Put that right, then run this again.")
    except KeyboardInterrupt:
        sys.exit(130)
