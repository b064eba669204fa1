"""Run an emulated Pico until SIGTERM or Ctrl-C, its USB serial port as a file for mpremote.

    PYTHONPATH=.cache/rp2040/packages .venv/bin/python -m host_tests.rp2040.start --link /tmp/pico

It prints the name of that file once it is there. What an idle Pico does takes no time of the
computer's, and what it computes six to twelve times that of a real one.
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from rp2040py.cli.pty_repl import PtyInteractiveRepl

from host_tests.rp2040 import pico, w5500


async def run(arguments):
    chip = arguments.w5500 is not None and w5500.W5500(dict(arguments.w5500))
    device = pico.make_device(
        *([chip] if chip else []),
        firmware=arguments.firmware,
        flash=arguments.flash.read_bytes() if arguments.flash else b"",
        files=arguments.files.read_bytes() if arguments.files else b"",
        real_time=True,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    # SIGTERM is dealt with by rp2040py.
    watching = None
    if chip:
        watching = asyncio.get_running_loop().create_task(chip.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, chip.pull_or_plug)
    port = PtyInteractiveRepl(device.cdc, device.simulator, on_quit=lambda code: stop.set())
    await device.astart(arguments.patience)
    await port.start()
    if arguments.link:
        os.symlink(port.slave_path, arguments.link)
    print(arguments.link or port.slave_path, flush=True)
    await stop.wait()
    if watching:
        watching.cancel()
    device.stop()
    await port.stop()
    if arguments.save:
        arguments.save.write_bytes(bytes(device.mcu.flash[: pico.FLASH]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firmware", choices=("oldest", "newest"), default="oldest")
    parser.add_argument("--link", type=Path, help="a link to the serial port, to be made here")
    parser.add_argument("--flash", type=Path, help="what the flash holds, from --save")
    parser.add_argument("--files", type=Path, help="its file system, from image.py")
    parser.add_argument("--save", type=Path, help="where to leave what the flash holds at the end")
    parser.add_argument(
        "--w5500",
        nargs="*",
        type=lambda text: tuple(map(int, text.split(":"))),
        metavar="PORT:HERE",
        help="a W5500 on SPI 0; its PORT is HERE on this computer. SIGUSR1: cable out, cable in",
    )
    parser.add_argument("--patience", type=float, default=120, help="seconds for its start")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
