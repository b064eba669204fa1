# Freezes the whole program, boot.py and main.py too, into an image of MicroPython:
#   make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=/path/to/firmware/manifest.py
# Files on the board go with it: config.json, and firmware/page.html as /page.html. The folder
# /firmware must not be there: what is in it would be taken instead.
# ruff: noqa: F821
# mypy: ignore-errors
# (The tool that reads this gives it these functions.)
import sys

include("$(PORT_DIR)/boards/manifest.py")
with open("../lib/microws/__init__.py") as file:
    version = file.read().split('__version__ = "')[1].split('"')[0]
metadata(version=version, license="MIT")
sys.path.insert(0, "deploy")
from board_files import program_modules  # noqa: E402

for folder, package_name in (("../lib", "microws"), ("../lib", "w5500"), ("..", "firmware")):
    paths = [path.split("/") for path in program_modules()]
    files = [path[-1] for path in paths if path[-2] == package_name]
    package(package_name, files=files, base_path=folder)
for name in ("boot.py", "main.py"):
    module(name, base_path="..")
