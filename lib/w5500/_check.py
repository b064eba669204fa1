"""Whether this is a W5500 whose wires are right: ``OSError`` says what is likely wrong."""

from errno import EIO

from ._compat import const

_SIPR = const(0x0F)
_VERSIONR = const(0x39)
_PATTERNS = (b"\x55\xaa\x00\xff", b"\xff\x00\xaa\x55", b"\x01\x02\x04\x08", b"\xfe\xdc\xba\x98")


def version(chip):
    """For any chip, or none: what its VERSIONR says."""
    seen = [chip._get(0, _VERSIONR)[0] for _ in range(3)]
    if seen == [4, 4, 4]:
        return
    if seen == [0, 0, 0]:
        why = "SPI reads zeros only: look at MISO, SCK, MOSI and RST, and at its power"
    elif seen == [0xFF] * 3:
        why = "SPI reads ones only: look at CS and MISO, and at its power"
    elif seen == [0x51] * 3:
        why = "this is a W5100S (as on WIZnet's Ethernet HAT), which needs another driver"
    elif seen[0] in (0x02, 0x08, 0x82, 0x84):
        why = "the bits of SPI are shifted: lower its clock, look at SCK, use mode 0"
    else:
        why = "SPI reads %s in place of 4: look at the wires, lower the clock" % seen
    raise OSError(EIO, "no W5500: " + why)


def wires(chip):
    """Write and read back, in registers that do nothing before there is a socket."""
    for pattern in _PATTERNS:
        chip._put(0, _SIPR, pattern)
        found = chip._get(0, _SIPR, 4)
        if found != pattern:
            why = "SPI wrote %s and read %s: look at MOSI, lower the clock"
            raise OSError(EIO, "W5500: " + why % (pattern.hex(), found.hex()))
