"""A board's MicroPython behind a serial port: its own littlefs, boot.py, main.py and the REPL.

    micropython serial_board.py IMAGE BLOCKS CHIP CAUSE MODE CUT_AT

serial_port.py starts it, anew at every reset: CAUSE is that of machine.reset_cause(), MODE is
"raw" after a soft reset from the raw REPL, which passes main.py by, else "friendly". In the write
of number CUT_AT to the flash the power fails (0: never). It ends with OFF, RESET_HARD or
RESET_SOFT (+ RAW) as its status. Ctrl-C comes as SIGINT, never as a byte. On stderr it tells that
it is up and, at a reset, how often it wrote to the flash.
"""

import gc
import hashlib
import sys

import ffi
import machine
import machine_pwm  # noqa: F401
import machine_rest  # noqa: F401  (the file system of this computer is about to go)
import network_rest  # noqa: F401
from flash import mount

OFF = 0
RESET_HARD = 10
RESET_SOFT = 20
RAW = 1

WINDOW = 128  # bytes of raw paste that may come without being asked for

_exit = ffi.open(None).func("v", "_exit", "i")
_stdin = sys.stdin.buffer
_write = sys.stdout.buffer.write


class Repl:
    def __init__(self):
        self._byte = bytearray(1)
        self._ahead = None
        self.scope = {"__name__": "__main__"}

    def read(self):
        """The next byte, or 3 for a Ctrl-C."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead
        byte = self._byte
        byte[0] = 3
        try:
            if not _stdin.readinto(byte):
                _exit(OFF)
        except KeyboardInterrupt:
            if byte[0] != 3:  # came in the same moment: it is the next one
                self._ahead = byte[0]
            return 3
        return byte[0]

    def execute(self, source):
        """Run it. The raw REPL's answer: output, 4, traceback, 4."""
        failure = None
        try:
            exec(compile(source, "<stdin>", "exec"), self.scope)
        except SystemExit:
            reset(RESET_SOFT + RAW)
        except BaseException as error:
            failure = error
        _write(b"\x04")
        if failure is not None:
            sys.print_exception(failure)
        _write(b"\x04")

    def paste(self):
        """Raw paste: the sender goes on only when there is room."""
        _write(b"R\x01" + bytes([WINDOW, 0]) + b"\x01")
        source = bytearray()
        room = WINDOW
        while True:
            byte = self.read()
            if byte in (3, 4):
                break
            source.append(byte)
            room -= 1
            if room == 0:
                _write(b"\x01")
                room = WINDOW
        _write(b"\x04")
        if byte == 4:
            self.execute(str(source, "utf-8"))
        else:
            _write(b"\x04Traceback:\r\nKeyboardInterrupt: \r\n\x04")

    def raw(self):
        """The raw REPL, until Ctrl-B."""
        _write(b"raw REPL; CTRL-B to exit\r\n>")
        line = bytearray()
        while True:
            byte = self.read()
            if byte == 1 and line == b"\x05A":
                self.paste()
                gc.collect()
                _write(b">")
            elif byte == 1:
                _write(b"raw REPL; CTRL-B to exit\r\n>")
            elif byte == 2:
                return
            elif byte == 4:
                _write(b"OK")
                if not line:
                    _write(b"\r\n")
                    reset(RESET_SOFT + RAW)
                self.execute(str(line, "utf-8"))
                gc.collect()
                _write(b">")
            elif byte != 3:
                line.append(byte)
                continue
            line = bytearray()

    def friendly(self):
        """The prompt for people, one line at a time, until Ctrl-A."""
        self.banner()
        line = bytearray()
        while True:
            byte = self.read()
            if byte == 1:
                _write(b"\r\n")
                return
            if byte == 2:
                self.banner()
            elif byte == 3:
                _write(b"\r\n>>> ")
            elif byte == 4:
                _write(b"\r\n")
                reset(RESET_SOFT)
            elif byte == 13:
                _write(b"\r\n")
                try:
                    exec(compile(str(line, "utf-8"), "<stdin>", "single"), self.scope)
                except SystemExit:
                    reset(RESET_SOFT)
                except BaseException as error:
                    sys.print_exception(error)
                _write(b">>> ")
            else:
                line.append(byte)
                _write(bytes([byte]))
                continue
            line = bytearray()

    def banner(self):
        version = ".".join([str(part) for part in sys.implementation.version[:3]])
        print("\r\nMicroPython v%s; %s" % (version, machine.Uname().machine))
        _write(b">>> ")


def reset(status):
    if status != RESET_HARD:
        _write(b"MPY: soft reboot\r\n")
    sys.stderr.write("writes %d\n" % flash.writes)
    _exit(status)


def run(name, scope):
    try:
        with open(name) as file:
            source = file.read()
    except OSError:
        return
    try:
        exec(compile(source, name, "exec"), scope)
    except SystemExit:
        reset(RESET_SOFT)
    except BaseException as error:
        sys.print_exception(error)


def main():
    global flash
    image, blocks, machine.chip, cause, mode, cut_at = sys.argv[1:]
    machine.cause = int(cause)
    # The same whenever it starts, and another for another board.
    machine.identity = b"\x24\x0a\xc4" + hashlib.sha256(image.encode()).digest()[:3]
    machine.reset = lambda: reset(RESET_HARD)
    machine.power_w5500()
    flash = mount(image, int(blocks), int(cut_at), lambda: _exit(OFF))
    # A sketch that lies ready is there at the start, when the heap has room for what it needs.
    machine.look_at_bench()
    sys.path[:] = ["", ".frozen", "/lib"]
    live(Repl(), mode == "raw")


def live(repl, raw):
    """What a board does from its start to its next reset. Ctrl-C ends a step of it, not more."""
    steps = ["boot.py"] if raw else ["main.py", "boot.py"]
    up = False
    gc.collect()
    while True:
        try:
            if not up:
                up = True
                sys.stderr.write("up\n")  # a signal before this finds nobody who could take it
            while steps:
                run(steps.pop(), repl.scope)
            while True:
                if raw:
                    repl.raw()
                else:
                    repl.friendly()
                raw = not raw
        except KeyboardInterrupt:
            pass


main()
