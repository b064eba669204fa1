# Freezes the whole program, boot.py and main.py too, into an image of MicroPython:
#   make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=/path/to/firmware/manifest.py
# Files on the board go with it: config.json, and firmware/page.html as /page.html. The folder
# /firmware must not be there: what is in it would be taken instead.
# ruff: noqa: F821
# mypy: ignore-errors
# (The tool that reads this gives it these functions.)
import os

include("$(PORT_DIR)/boards/manifest.py")
metadata(version="0.2.0", license="MIT")
# Some are for computers only; and the program does not compress, so that need not take flash.
left_out = ("_cpython.py", "manifest.py", "compression.py")
for folder, package_name in (("../lib", "microws"), ("..", "firmware")):
    names = sorted(os.listdir(folder + "/" + package_name))
    files = [name for name in names if name.endswith(".py") and name not in left_out]
    package(package_name, files=files, base_path=folder)
for name in ("boot.py", "main.py"):
    module(name, base_path="..")
