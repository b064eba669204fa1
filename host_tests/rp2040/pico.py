"""An emulated Raspberry Pi Pico (rp2040py), mended where a test of timing or of mpremote meets it.

./host_tests/setup.sh rp2040 puts both into .cache/rp2040: the firmware, and the package into
packages/, where whoever imports this must look for it (PYTHONPATH).
"""

import asyncio
import time

from rp2040py.boards import BoardSpec
from rp2040py.device import MicroPythonDevice

from host_tests.support.paths import TOP

CACHE = TOP / ".cache" / "rp2040"
FLASH = 2 << 20  # bytes
FILES_AT = FLASH - 1408 * 1024  # where the stock firmware keeps its file system
# What MicroPython sets; rp2040py takes the chip's 125 MHz, and times SPI and UART by it.
_PERIPHERAL_CLOCK = 48_000_000
_SLICE = 1_000_000  # ns of emulated time between two looks at the clock on the wall


def make_device(*attached, firmware="oldest", flash=b"", files=b"", real_time=False):
    """A ``MicroPythonDevice`` with the stock firmware; ``await device.astart()`` turns it on.

    ``firmware`` is "oldest" or "newest", ``attached`` are devices on its pins. ``flash`` is what
    its flash holds from the start on, ``files`` what it holds where the file system is (see
    image.py). In ``real_time`` its clock never runs ahead of that on the wall; else an idle chip
    leaps to its next alarm.
    """
    board = BoardSpec(
        image=CACHE / f"{firmware}.uf2",
        extras=tuple(lambda device=device: device for device in attached),
    )
    device = MicroPythonDevice(board=board)
    device.mcu.clk_peri = _PERIPHERAL_CLOCK
    device.mcu.flash[: len(flash)] = flash
    device.mcu.flash[FILES_AT : FILES_AT + len(files)] = files
    _quiet_usb(device)
    if real_time:
        device.simulator.execute = lambda: _execute_in_real_time(device.simulator)
    return device


def _quiet_usb(device):
    """Let the USB host send only when it has something to send.

    rp2040py's answers each read of the firmware at once, with an empty packet where it has no
    data: an interrupt every 28 us, which takes most of the emulated CPU, and no sleep lasts.
    """
    cdc, usb = device.cdc, device.mcu.usb_ctrl
    answer, push, reset = usb.on_endpoint_read, cdc.send_serial_byte, usb.on_reset
    waiting, due = [], []  # a read without an answer; one that gets it now

    def on_endpoint_read(endpoint, size):
        if endpoint == cdc._out_endpoint and cdc.tx_fifo.empty:
            waiting[:] = [(endpoint, size)]
        else:
            answer(endpoint, size)

    def send_serial_byte(byte):
        push(byte)
        if waiting:
            due.append(waiting.pop())
            alarm.schedule(0)

    def on_alarm():
        if due:
            answer(*due.pop())

    def on_reset():
        waiting.clear()
        due.clear()
        reset()

    alarm = device.simulator.clock.create_alarm(on_alarm)
    usb.on_endpoint_read, cdc.send_serial_byte, usb.on_reset = (
        on_endpoint_read,
        send_serial_byte,
        on_reset,
    )


async def _execute_in_real_time(simulator):
    """``Simulator.execute()`` held back to the clock on the wall; it may lag behind it."""
    clock = simulator.clock
    start = time.monotonic() * 1e9 - clock.nanos
    paused = False

    def ahead():
        return clock.nanos - (time.monotonic() * 1e9 - start)

    def look():
        nonlocal start, paused
        if ahead() > 0:
            paused = simulator.stopped = True  # ends the batch
        else:
            start -= ahead()  # time that was lost is not caught up by racing
        alarm.schedule(_SLICE)

    alarm = clock.create_alarm(look)
    alarm.schedule(_SLICE)
    simulator.stopped = False
    while not simulator.stopped:
        simulator._execute_batch()
        if paused:
            paused = simulator.stopped = False
        await asyncio.sleep(max(0, ahead() / 1e9))
