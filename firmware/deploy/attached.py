"""The boards that are attached to this computer, and the serial port of the one that is meant."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import os
import stat

from firmware.deploy.refusal import PROGRAM, Refusal

NONE = (
    f"No board found. Plug one in with a USB cable that carries data, or try {PROGRAM} --virtual"
)


def ports():
    """The serial ports that may be boards, as pyserial describes them."""
    from serial.tools import list_ports

    # Those of the computer itself have no USB identity.
    return [port for port in sorted(list_ports.comports()) if port.vid]


def described(port):
    """What a port says of itself, in one line."""
    identity = f"{port.vid:04x}:{port.pid:04x}"
    parts = (port.device, port.serial_number, identity, port.manufacturer, port.product)
    return " ".join(str(part) for part in parts if part)


def some():
    """The ports of all that is attached, at least one."""
    found = ports()
    if not found:
        raise Refusal(NONE)
    return found


def only():
    """The device of the one board that is attached."""
    devices = [port.device for port in some()]
    if len(devices) > 1:
        raise Refusal(
            f"{len(devices)} boards found: {' '.join(devices)}. Choose one with --port DEVICE"
        )
    return devices[0]


def check(device):
    """Refuse a port that is not there or that this person may not use."""
    if os.name == "nt":
        return  # whether COM3 is there shows when it is opened
    try:
        mode = os.stat(device)
    except OSError:
        raise Refusal(
            f"There is no {device}. See {PROGRAM} --list for what is attached."
        ) from None
    if os.access(device, os.R_OK | os.W_OK):
        return
    import grp
    import pwd

    user = pwd.getpwuid(os.getuid()).pw_name
    try:
        group = grp.getgrgid(mode.st_gid).gr_name
    except KeyError:
        group = str(mode.st_gid)
    allowed = stat.S_IRGRP | stat.S_IWGRP
    if mode.st_mode & allowed == allowed and mode.st_gid != 0:
        advice = f"Join its group: sudo usermod -aG {group} {user}, then log in again."
    else:
        advice = f"Until it is plugged in anew, make it yours: sudo chown {user} {device}"
    raise Refusal(f"You may not use {device}. {advice}")


def why_not_opened(device):
    """One sentence for a port that was there and could not be opened."""
    if os.name != "nt":
        try:
            opened = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            pass
        else:
            is_serial = os.isatty(opened)
            os.close(opened)
            if not is_serial:
                return f"{device} is no serial port. See {PROGRAM} --list for what is attached."
    return f"{device} is in use. Close the other program (a serial monitor?), then run this again."
