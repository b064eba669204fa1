"""MicroPython itself onto a board: what --flash does with an image from micropython.org."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import subprocess
import sys
from pathlib import Path

from firmware.deploy import attached, packages
from firmware.deploy.refusal import Refusal

UF2 = b"UF2\n"
ESP = 0xE9  # the first byte of an image for any chip of Espressif's
CHIP_ID = 12  # where the image says for which
# By that number the chip, and the address where its images go: esptool's IMAGE_CHIP_ID and
# BOOTLOADER_FLASH_OFFSET.
CHIPS = {
    0: ("ESP32", 0x1000),
    2: ("ESP32-S2", 0x1000),
    5: ("ESP32-C3", 0),
    9: ("ESP32-S3", 0),
    13: ("ESP32-C6", 0),
    16: ("ESP32-H2", 0),
    18: ("ESP32-P4", 0x2000),
    23: ("ESP32-C5", 0x2000),
}


def flash(args):
    """Put the image `args.flash` on the board at `args.port`; the status to end with."""
    head = Path(args.flash).read_bytes()[:16]
    if head.startswith(UF2):
        print(
            "A .uf2 file needs no tool. Hold the board's BOOTSEL button down while you plug it "
            f"in: it shows itself as a drive. Copy {args.flash} there; the drive goes away by "
            "itself, and the board has MicroPython."
        )
        return 0
    if len(head) < 16 or head[0] != ESP:
        raise Refusal(
            f"{args.flash} is no image of MicroPython for an ESP32 (.bin) or RP2 (.uf2). Take the "
            "one for your board from https://micropython.org/download"
        )
    number = int.from_bytes(head[CHIP_ID : CHIP_ID + 2], "little")
    if number not in CHIPS:
        raise Refusal(f"{args.flash} is for a chip with the number {number}, not known here.")
    chip, offset = CHIPS[number]
    print(f"{args.flash} is for an {chip}. All that is on the board goes, config.json too.")
    if args.dry_run:
        print("A dry run: nothing was changed.")
        return 0
    packages.need("esptool")
    if not args.port:
        args.port = attached.only()
    attached.check(args.port)
    chip = chip.lower().replace("-", "")
    command = [sys.executable, "-P", "-m", "esptool", "--port", args.port, "--chip", chip]
    command += ["write-flash", "--erase-all", hex(offset), args.flash]
    if subprocess.run(command, env=packages.environment()).returncode:
        raise Refusal(
            "esptool gave up: see above. Hold the board's BOOT button down, press and let go "
            "RESET, let go BOOT, then run this again."
        )
    print("MicroPython is on the board. Wait ten seconds, then put the program on it.")
    return 0
