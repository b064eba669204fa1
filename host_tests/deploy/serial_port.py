"""A virtual board behind a serial port: a pty, real MicroPython behind it, and faults on request.

It needs nothing but CPython's standard library. board/serial_board.py is the part that runs on
MicroPython.
"""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import termios
import threading
import time
import tty
from pathlib import Path

from host_tests.support.interrupt import interrupt
from host_tests.support.paths import BIN, TOP

SCRIPT = TOP / "host_tests" / "board" / "serial_board.py"
VM = BIN / "micropython32"  # reads a flash with no board around
BLOCK = 4096  # bytes
BLOCKS = 320  # 1.25 MiB; boards have 1.4 MiB and more
# 128 KiB for the board's own program, and 36 for what a board has in C and flash: the stand-ins,
# the prompt, the flash's driver, the text of what the raw REPL is about to compile, and the names
# in all this, for which MicroPython's table of names doubles.
HEAP = {"32": "164k", "64": "328k"}  # a 64-bit object is twice as large
HEAP_WITH_W5500 = {"32": "244k", "64": "424k"}  # and the chip with its 32 KiB of buffers, twice

PWRON, HARD, WDT, SOFT = 1, 2, 3, 5  # machine.reset_cause()
_EXIT_OFF, _EXIT_HARD, _EXIT_SOFT, _RAW = 0, 10, 20, 1  # how board/serial_board.py ends
_BACKLOG = 1 << 16  # bytes that wait for a reader at most; a real port has less

# Reads and writes a board's flash while its power is off. Writing "" to a file removes it.
_FLASH = """
import sys
sys.path.insert(0, {folder!r})
from flash import mount
import binascii, json, os
with open({changes!r}) as file:
    changes = json.load(file)
mount({image!r}, {blocks})
for path in changes:
    parts = path.split("/")
    for i in range(1, len(parts)):
        try:
            os.mkdir("/".join(parts[:i]))
        except OSError:
            pass
    if changes[path]:
        with open(path, "wb") as file:
            file.write(binascii.unhexlify(changes[path]))
    else:
        try:
            os.remove(path)
        except OSError:
            pass
def walk(folder):
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] & 0x4000:
            walk(path)
        else:
            with open(path, "rb") as file:
                print(path[1:], str(binascii.hexlify(file.read()), "ascii"))
walk("")
"""


def flash(board, changes=None):
    """{path: content} of the board's files after the `changes`, while it is off."""
    file = board.image.with_suffix(".changes")
    file.write_text(json.dumps({path: data.hex() for path, data in (changes or {}).items()}))
    code = _FLASH.format(
        folder=str(SCRIPT.parent),
        image=str(board.image),
        blocks=board.blocks,
        changes=str(file),
    )
    result = subprocess.run(
        [VM, "-X", "heapsize=2M", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 0, result.stderr
    files = {}
    for line in result.stdout.splitlines():
        path, _, data = line.partition(" ")
        files[path] = bytes.fromhex(data)
    return files


class SerialBoard:
    """A board with its own flash memory. `device` is the path of its serial port while plugged in.

    `micropython` is the interpreter, None for a chip with no MicroPython on it. `chip` is what it
    calls itself, `blocks` the size of its flash in blocks of 4 KiB, `heap` the
    interpreter's. `delay` (seconds) makes every
    answer late. The flash lies in `folder`, as `image`, and outlives the power.
    """

    def __init__(self, folder, micropython, chip="ESP32", blocks=BLOCKS, heap=HEAP["32"]):
        self._micropython = micropython
        self._chip = chip
        self.blocks = blocks
        self._heap = heap
        self.image = Path(folder) / "flash"
        self.device = None
        self.delay = 0
        self.resets = []  # the cause of each start
        self.received = 0  # bytes from the host since it was plugged in
        self.cut_at = None  # the power fails when so many were received
        self.writes = 0  # to the flash, from one reset to the next
        self.cut_at_write = 0  # the power fails in the middle of this one; 0: it does not
        self.tap = lambda data: None  # called with what the board says, whoever reads its port
        self.errors = b""  # what the interpreter itself had to say
        self.env = None  # for the interpreter; None: as it is here
        self._thread = None
        Path(folder).mkdir(parents=True, exist_ok=True)
        if not self.image.exists():
            self.image.write_bytes(b"\xff" * (blocks * BLOCK))

    def plug_in(self):
        """Power and port on; `device` is a new path."""
        self._master, self._slave = os.openpty()
        # Nobody has opened the port yet, and what the board says meanwhile must not be echoed.
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self._wake, self._stop = os.pipe()
        self.received = 0
        self._to_host = b""
        self._last = b""
        self._vm = None
        self._start(PWRON, raw=False)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def pull_out(self):
        """Power and port off, in the middle of whatever goes on. Harmless when it is off."""
        if self._thread is not None:
            with contextlib.suppress(OSError):
                os.write(self._stop, b"x")
            self._thread.join()
            self._thread = None
            os.close(self._stop)
            os.close(self._wake)

    def wait_until_off(self, timeout):
        """Wait until the power fails by itself; whether it did, within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _start(self, cause, raw):
        self.resets.append(cause)
        self._up = False
        self._told = b""  # by an interpreter that is up, and not passed on
        self._to_board = b""
        if self._micropython is None:
            return
        self._vm = subprocess.Popen(
            [
                *(self._micropython, "-X", "heapsize=" + self._heap, SCRIPT),
                *(self.image, str(self.blocks), self._chip),
                *(str(cause), "raw" if raw else "friendly", str(self.cut_at_write)),
            ],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # Ctrl-C is for whoever is at this terminal: the board's comes over its port.
            start_new_session=True,
        )
        os.set_blocking(self._vm.stdin.fileno(), False)

    def _serve(self):
        try:
            while True:
                reads, writes = self._interests()
                ready, room, _ = select.select(reads, writes, [])
                if self._wake in ready:
                    return
                if self._master in room:
                    self._write_host()
                if self._vm and self._vm.stdin in room:
                    self._write_board()
                if self._vm and self._vm.stdout in ready and not self._hear_board():
                    return
                if self._vm and self._vm.stderr in ready:  # which was written after that
                    self._hear_interpreter()
                if self._master in ready and not self._hear_host():
                    return
        finally:
            self._power_off()

    def _interests(self):
        reads, writes = [self._wake], []
        if self._vm is None or self._up:  # an interpreter that starts cannot take a signal yet
            reads.append(self._master)
        if self._vm:
            reads += [self._vm.stdout, self._vm.stderr]
            if self._to_board:
                writes.append(self._vm.stdin)
        if self._to_host:
            writes.append(self._master)
        return reads, writes

    def _hear_host(self):
        data = os.read(self._master, 4096)
        if self.cut_at is not None and self.received + len(data) >= self.cut_at:
            data = data[: self.cut_at - self.received]
            self.cut_at = None
            cut = True
        else:
            cut = False
        self.received += len(data)
        if self._vm:
            if b"\x03" in data:
                # It overtakes what waits, as on a board, where it is noticed on arrival.
                interrupt(self._vm.pid)
                data = data.replace(b"\x03", b"")
            self._to_board += data
        return not cut

    def _hear_board(self):
        data = self._vm.stdout.read(4096)
        if not data:
            return self._restart()
        self._say(data)
        return True

    def _say(self, data):
        if self.delay:
            time.sleep(self.delay)
        # A board ends its lines with both characters, however many pieces they come in.
        before, self._last = self._last, data[-1:]
        said = re.sub(rb"(?<!\r)\n", b"\r\n", b"\r" + data if before == b"\r" else data)
        said = said[before == b"\r" :]
        self.tap(said)
        self._to_host += said
        self._to_host = self._to_host[-_BACKLOG:]

    def _hear_interpreter(self):
        if self._up:
            # A board has one port for both: asyncio tells there what a task did not catch. The
            # number of writes, told last, is for us.
            told = self._told + self._vm.stderr.read(4096)
            last = told.rfind(b"\n", 0, -1) + 1
            if not b"writes ".startswith(told[last : last + 7]):
                last = len(told)
            if last:
                self._say(told[:last])
            self._told = told[last:]
            return
        data = self._vm.stderr.read(3)
        if data == b"up\n":
            self._up = True
        else:
            self.errors += data

    def _write_host(self):
        with contextlib.suppress(BlockingIOError):
            self._to_host = self._to_host[os.write(self._master, self._to_host) :]

    def _write_board(self):
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._to_board = self._to_board[os.write(self._vm.stdin.fileno(), self._to_board) :]

    def _restart(self):
        status = self._end_interpreter()
        if status == _EXIT_HARD:
            self._start(HARD, raw=False)
        elif status == -signal.SIGALRM:  # as board/machine.py has it
            self._start(WDT, raw=False)
        elif status in (_EXIT_SOFT, _EXIT_SOFT + _RAW):
            self._start(SOFT, raw=status != _EXIT_SOFT)
        else:
            if status != _EXIT_OFF:
                self.errors += b"the interpreter ended with status %d\n" % status
            self.cut_at_write = 0
            return False
        return True

    def _end_interpreter(self):
        vm, self._vm = self._vm, None
        status = vm.wait()
        said = self._told + vm.stderr.read().removeprefix(b"" if self._up else b"up\n")
        if writes := re.search(rb"(?m)^writes (\d+)\n\Z", said):
            self.writes = int(writes[1])
            said = said[: writes.start()]
        if said and self._up:
            self._say(said)
        else:
            self.errors += said
        for pipe in (vm.stdin, vm.stdout, vm.stderr):
            pipe.close()
        return status

    def _power_off(self):
        if self._vm:
            self._vm.kill()
            self._end_interpreter()
        self.device = None
        os.close(self._slave)
        os.close(self._master)
