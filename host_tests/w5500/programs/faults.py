"""A chip that is absent, wired wrong, dies, is reset, goes mad; a link that is lost."""

import errno
import random

from rig import Rig, error_of, get, run


def start_of(rig):
    try:
        rig.nic.active(True)
    except OSError as error:
        assert error.args[0] == errno.EIO
        assert not rig.nic.active()
        return error.args[1]
    return "it started"


def test_what_is_wrong_with_the_wires():
    shifted = [0]

    def late(value):
        """One bit late: what a clock that is too fast does."""
        value = shifted[0] << 8 | value
        shifted[0] = value & 1
        return value >> 1 & 0xFF

    for wire, fault, words in (
        ("miso", lambda value: 0, "zeros"),
        ("miso", lambda value: 0xFF, "ones"),
        ("mosi", lambda value: 0, "zeros"),
        ("miso", late, "shifted"),
        ("miso", lambda value: value ^ 0x51, "in place of 4"),
    ):
        rig = Rig(start=False)
        setattr(rig.chip, wire, fault)
        said = start_of(rig)
        assert words in said, said
    rig = Rig(start=False)
    rig.chip.version = 0x51
    assert "W5100S" in start_of(rig)
    # It reads well, and a bit is lost on the way in.
    rig = Rig(start=False)
    lost = [0]

    def bad(value):
        lost[0] += 1
        return value & 0xBF if lost[0] > 40 else value

    rig.chip.mosi = bad
    said = start_of(rig)
    assert "MOSI" in said, said


def open_rig(**options):
    rig = Rig(**options)
    listener = rig.listener()
    sock, peer = rig.pair(listener)
    return rig, listener, sock, peer


def ended(rig, sock):
    rig.until(lambda: sock.ioctl(3, 1) & 8)
    assert error_of(sock.readinto, bytearray(9)) == errno.ECONNRESET
    assert error_of(sock.write, b"x") == errno.ECONNRESET
    sock.close()


def test_a_chip_that_was_reset_is_started_again_and_listens():
    for with_int in False, True:
        rig, listener, sock, peer = open_rig(with_int=with_int)
        rig.chip.reset()
        ended(rig, sock)
        assert len(rig.said) == 1 and "was reset" in rig.said[0]
        assert rig.nic.active() and rig.nic.ifconfig()[0] == "192.168.1.20"
        rig.until(lambda: len(listener._waiting) == 7)
        sock, peer = rig.pair(listener)
        peer.send(b"x")
        rig.until(lambda: sock.readinto(bytearray(2)))
        rig.off()


def test_a_chip_that_dies_is_given_up():
    for value in 0, 0xFF:
        rig, listener, sock, peer = open_rig()
        rig.chip.miso = lambda _, value=value: value
        ended(rig, sock)
        assert len(rig.said) == 1 and "given up" in rig.said[0]
        assert not rig.nic.active() and not rig.nic.isconnected()
        assert rig.nic.ifconfig()[0] == "0.0.0.0"
        other = rig.nic.socket()
        assert error_of(other.connect, ("1.2.3.4", 5)) == errno.ENOTCONN
        # It comes back: somebody starts it again.
        rig.chip.miso = None
        rig.nic.active(True)
        rig.until(lambda: len(listener._waiting) == 7)
        rig.pair(listener)
        rig.off()


def test_a_chip_that_takes_no_command():
    rig, listener, sock, peer = open_rig()
    rig.chip.frozen = True
    sock.close()
    for _ in range(5):
        rig.nic.check()
        rig.nic._freed = True
    assert rig.said and "given up" in rig.said[-1]
    assert not rig.nic.active()


def test_a_bit_that_flips_once_ends_nothing():
    rig, listener, sock, peer = open_rig()
    flips = [3]

    def once(value):
        if value == 0xFF and flips[0]:
            flips[0] -= 1
            return 0xFB if flips[0] == 0 else value
        return value

    rig.chip.miso = once
    rig.until(lambda: not flips[0])
    rig.rest(0.02)
    assert not rig.said
    peer.send(b"x")
    rig.until(lambda: sock.readinto(bytearray(2)))
    rig.off()


def test_a_link_that_is_lost_and_comes_back():
    rig, listener, sock, peer = open_rig()
    assert rig.nic.isconnected() and rig.nic.status() == 2
    rig.chip.link = False
    rig.until(lambda: rig.nic.status() == 0)
    peer.send(b"sent meanwhile")
    assert sock.write(b"also") == 4
    rig.rest(0.02)
    assert sock.readinto(bytearray(9)) is None
    rig.chip.link = True
    rig.until(lambda: rig.nic.isconnected())
    assert rig.until(lambda: sock.readinto(bytearray(50))) == 14
    assert rig.until(lambda: get(peer)) == b"also"
    rig.off()


def test_a_send_that_nobody_acknowledges():
    rig, listener, sock, peer = open_rig()
    rig.chip.speed = 300
    rig.chip.link = False
    assert sock.write(b"lost") == 4
    rig.until(lambda: sock.ioctl(3, 4) & 8)
    assert error_of(sock.write, b"x") == errno.ETIMEDOUT
    assert error_of(sock.readinto, bytearray(1)) == errno.ETIMEDOUT
    sock.close()
    rig.off()


def test_a_chip_that_answers_anything():
    """No call hangs, none raises anything but OSError, and it ends with a sentence."""
    codes = set()
    for _ in range(60):
        rig = Rig(mdns=True)
        listener = rig.listener()
        sock, peer = rig.pair(listener)
        udp = rig.nic.socket(2, 2)
        udp.setblocking(False)
        udp.bind(("", 53))
        after = random.getrandbits(6)

        def mad(value):
            nonlocal after
            after -= 1
            return value if after > 0 else random.getrandbits(8)

        rig.chip.miso = mad
        buffer = bytearray(3000)
        for _ in range(12):
            for call in (
                lambda: rig.nic.check(),
                lambda: sock.readinto(buffer),
                lambda: sock.write(buffer, 0, 3000),
                lambda: sock.ioctl(3, 5),
                lambda: udp.recvfrom(100),
                lambda: udp.sendto(b"x", ("1.2.3.4", 5)),
                lambda: listener.accept(),
                lambda: rig.nic.isconnected(),
            ):
                try:
                    call()
                except OSError as error:
                    codes.add(error.args[0])
            rig.nic._last = -1
        sock.close()
        listener.close()
        assert "given up" in rig.said[-1], rig.said
        assert not rig.nic.active()
        peer.close()
        for each in rig.chip.listeners.values():
            each.close()
        rig.chip.reset()
    assert errno.ECONNRESET in codes


run(globals())
