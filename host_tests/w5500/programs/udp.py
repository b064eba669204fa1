"""UDP, DHCP and DNS."""

import errno
import socket

import dhcp_server
from chip import address
from rig import PORTS, Rig, error_of, run


def test_datagrams():
    rig = Rig()
    udp = rig.nic.socket(rig.nic.AF_INET, rig.nic.SOCK_DGRAM)
    udp.bind(("", 2))
    udp.setblocking(False)
    assert error_of(udp.recvfrom, 9) == errno.EAGAIN
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(address(PORTS[3]))
    assert udp.sendto(b"question", ("127.0.0.1", 3)) == 8
    assert peer.recv(100) == b"question"
    for text in b"answer one", b"two", b"":
        peer.sendto(text, address(PORTS[2]))
    udp.settimeout(5)
    assert udp.recvfrom(6) == (b"answer", ("127.0.0.1", 3))
    assert udp.recvfrom(6)[0] == b"two"
    assert udp.recvfrom(6)[0] == b""
    # To somebody who is not there: it is lost, and the next one goes out.
    rig.chip.answers_arp = False
    rig.chip.speed = 100
    udp.sendto(b"lost", ("10.9.8.7", 3))
    rig.until(lambda: udp.ioctl(3, 4) & 4)
    rig.chip.answers_arp = True
    udp.sendto(b"found", ("127.0.0.1", 3))
    assert peer.recv(100) == b"found"
    udp.close()
    peer.close()
    rig.fair()
    rig.off()


def test_the_time_as_ntptime_asks_for_it():
    """What micropython-lib's ntptime.time() calls, with the chip under the name `socket`."""
    rig = Rig()
    socket = rig.nic
    said = []

    def server(data, source):
        said.append(data)
        return [bytes(40) + b"\xea\0\0\1" + bytes(4)]

    for service, code in ((server, 0), (lambda data, source: [], errno.ETIMEDOUT)):
        rig.chip.services[123] = service
        addr = socket.getaddrinfo("10.0.0.2", 123)[0][-1]
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(0.05 if code else 5)
        s.sendto(bytearray(b"\x23" + bytes(47)), addr)
        if code:
            assert error_of(s.recv, 48) == code
        else:
            msg = s.recv(48)
            assert len(msg) == 48 and msg[40:44] == b"\xea\0\0\1"
        s.close()
    assert said == [b"\x23" + bytes(47)]
    assert not any(rig.nic._users)
    rig.fair()
    rig.off()


def test_multicast():
    rig = Rig()
    udp = rig.nic.socket(2, 2)
    udp.setsockopt(0, rig.nic.IP_ADD_MEMBERSHIP, b"\xe0\x00\x00\xfb" + bytes(4))
    udp.bind(("", 5353))
    regs = rig.chip.channels[udp._n].regs
    assert regs[0] == 0x82 and bytes(regs[6:12]) == b"\x01\x00\x5e\x00\x00\xfb"
    assert bytes(regs[12:18]) == b"\xe0\x00\x00\xfb\x14\xe9"
    udp.close()
    rig.off()


def with_server(**options):
    rig = Rig(static=None, start=False)
    rig.hurry = True
    rig.server = dhcp_server.Server(**options)
    rig.chip.services[67] = rig.server
    rig.nic.hostname("pupil")
    rig.nic.active(True)
    return rig


def later(rig, seconds):
    """Let so much time go by for DHCP."""
    rig.nic._dhcp._now += seconds
    rig.nic._slow = rig.nic._last


def test_dhcp():
    rig = with_server(lease=1000)
    assert rig.nic.status() < 2 and not rig.nic.isconnected()
    rig.until(rig.nic.isconnected)
    assert rig.nic.ifconfig() == ("10.0.0.7", "255.255.0.0", "10.0.0.1", "10.0.0.2")
    assert rig.nic.ipconfig("addr4") == ("10.0.0.7", "255.255.0.0")
    assert rig.nic.ipconfig("gw4") == "10.0.0.1" and rig.nic.ipconfig("has_dhcp4")
    assert rig.server.names == {"pupil"} and rig.server.said == ["DISCOVER", "REQUEST selecting"]
    assert rig.server.flags == [0x8000, 0x8000]
    assert rig.nic.config("mac") == b"\x02\x38\x83\x10\x2b\x2a"
    assert rig.server.macs == {rig.nic.config("mac")}
    assert not any(user for user in rig.nic._users)
    # Renewed at half of the lease, by the server that gave it; a connection stays open.
    sock, peer = rig.pair(rig.listener())
    later(rig, 501)
    rig.until(lambda: rig.server.said[2:] == ["REQUEST renewing"])
    assert rig.chip.sent[-1][0] == b"\x0a\x00\x00\x01"
    rig.until(lambda: rig.nic._dhcp._state == 3)
    # Where that server is gone: any server at seven eighths.
    rig.server.silent = True
    later(rig, 501)
    rig.until(lambda: len(rig.server.said) == 4)
    later(rig, 374)
    rig.until(lambda: rig.server.said[4:] == ["REQUEST rebinding"])
    assert rig.chip.sent[-1][0] == b"\xff\xff\xff\xff"
    assert rig.nic.isconnected()
    rig.server.silent = False
    later(rig, 60)
    rig.until(lambda: rig.nic._dhcp._state == 3)
    assert sock.write(b"x") == 1
    # It ends while a connection is open: the address is no longer this one's.
    rig.server.silent = True
    later(rig, 1001)
    rig.until(lambda: not rig.nic.isconnected())
    assert rig.nic.ifconfig()[0] == "0.0.0.0"
    assert error_of(sock.write, b"x") == errno.ECONNRESET
    assert "lease" in rig.said[-1]
    rig.server.silent = False
    rig.server.address = b"\x0a\x00\x00\x09"
    later(rig, 70)
    rig.until(rig.nic.isconnected)
    assert rig.nic.ifconfig()[0] == "10.0.0.9"
    rig.fair()
    rig.off()


def test_dhcp_is_refused_at_renewal():
    rig = with_server(lease=1000)
    rig.until(rig.nic.isconnected)
    rig.server.refuses = True
    rig.server.address = b"\x0a\x00\x00\x09"
    later(rig, 501)
    rig.until(lambda: "takes the address back" in "".join(rig.said))
    rig.until(rig.nic.isconnected)
    assert rig.nic.ifconfig()[0] == "10.0.0.9"
    rig.off()


def test_dhcp_with_a_server_that_comes_late():
    rig = with_server(silent=True)
    for n in 1, 2, 3:
        rig.until(lambda: len(rig.server.said) == n)
        later(rig, 70)
    rig.server.silent = False
    rig.until(rig.nic.isconnected)
    rig.off()


def test_dhcp_asks_again_after_the_cable_was_out():
    rig = with_server()
    rig.until(rig.nic.isconnected)
    rig.chip.link = False
    rig.until(lambda: rig.nic.status() == 0)
    rig.chip.link = True
    rig.until(rig.nic.isconnected)
    assert rig.server.said[2:] == ["REQUEST rebooting"]
    # Into another network, whose server does not know it.
    rig.chip.link = False
    rig.until(lambda: rig.nic.status() == 0)
    rig.server.refuses = True
    rig.server.address = b"\x0a\x01\x00\x09"
    rig.chip.link = True
    rig.until(rig.nic.isconnected)
    assert rig.nic.ifconfig()[0] == "10.1.0.9"
    rig.off()


def test_dhcp_takes_no_answer_that_is_another_s():
    for spoilt in dhcp_server.SPOILT:
        rig = with_server(spoil=spoilt)
        rig.until(lambda: len(rig.server.said) == 1)
        rig.rest(0.05)
        assert rig.nic.ifconfig()[0] == "0.0.0.0", spoilt
        rig.off()


def test_static_and_dhcp():
    rig = with_server()
    rig.until(rig.nic.isconnected)
    rig.nic.ipconfig(addr4="192.168.7.8/20", gw4="192.168.0.1")
    assert rig.nic.ifconfig() == ("192.168.7.8", "255.255.240.0", "192.168.0.1", "10.0.0.2")
    assert rig.nic.isconnected() and not rig.nic.ipconfig("dhcp4")
    rig.nic.ifconfig("dhcp")
    rig.until(rig.nic.isconnected)
    assert rig.nic.ifconfig()[0] == "10.0.0.7"
    rig.nic.active(False)
    assert not rig.nic.isconnected() and rig.nic.ifconfig()[0] == "0.0.0.0"
    rig.off()


class Names:
    """A DNS server. ``answers`` are given in turn, a function of the query each."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.ids = []
        self.ports = []

    def __call__(self, data, source):
        self.ids.append(data[:2])
        self.ports.append(source[1])
        assert data[12:] == b"\x03www\x07example\x03org\0\0\1\0\1"
        answer = self.answers.pop(0)
        return answer(data)


CNAME = b"\xc0\x0c\0\5\0\1\0\0\1\0\0\2\xc0\x10"
A1 = b"\xc0\x10\0\1\0\1\0\0\2\0\0\4\1\2\3\4"
A2 = b"\xc0\x10\0\1\0\1\0\0\2\0\0\4\1\2\3\5"


def reply(data, *records, flags=b"\x81\x80"):
    n = len(records)
    return data[:2] + flags + b"\0\1" + bytes((0, n)) + bytes(4) + data[12:] + b"".join(records)


def resolving(*answers, waits=(5000, 5000)):
    import w5500.dns

    w5500.dns._cache.clear()
    w5500.dns._WAITS = waits
    rig = Rig()
    rig.chip.services[53] = rig.names = Names(*answers)
    return rig


def hosts(rig):
    return [found[-1] for found in rig.nic.getaddrinfo("www.Example.org", 80)]


def test_dns():
    rig = resolving(lambda data: [reply(data, CNAME, A1, A2)], lambda data: [reply(data, A2)])
    assert hosts(rig) == [("1.2.3.4", 80), ("1.2.3.5", 80)]
    assert hosts(rig) == [("1.2.3.4", 80), ("1.2.3.5", 80)]
    assert len(rig.names.ids) == 1  # kept
    import w5500.dns

    entry = w5500.dns._cache[0]
    assert entry[3] == 256000  # the shorter one
    w5500.dns._cache[0] = entry[:2] + (entry[2] - 256000,) + entry[3:]
    assert hosts(rig) == [("1.2.3.5", 80)]
    assert rig.names.ids[0] != rig.names.ids[1] or rig.names.ports[0] != rig.names.ports[1]
    assert not any(rig.nic._users)
    rig.off()


def test_dns_where_it_fails():
    for answer, code in (
        (lambda data: [reply(data, flags=b"\x81\x83")], -2),  # no such name
        (lambda data: [reply(data)], -2),  # it has no address
        (lambda data: [], -3),
        (lambda data: [reply(data, flags=b"\x81\x82")], -3),
        (lambda data: [reply(b"\x12\x34" + data[2:], A1)], -3),  # another's number
        (lambda data: [reply(data[:12] + b"\1x" + data[12:], A1)], -3),
        (lambda data: [reply(data, A1)[:-2]], -3),  # cut
        (lambda data: [reply(data, b"\xc0")], -3),
        (lambda data: [b""], -3),
    ):
        rig = resolving(answer, answer, waits=(5000, 5000) if code == -2 else (60, 60))
        assert error_of(hosts, rig) == code
        assert not any(rig.nic._users)
        rig.off()
    rig = resolving()
    assert error_of(rig.nic.getaddrinfo, "a..b", 80) == -2
    assert error_of(rig.nic.getaddrinfo, "x" * 64, 80) == -2
    rig.off()


def test_dns_that_answers_late():
    rig = resolving(lambda data: [], lambda data: [reply(data, A1)], waits=(60, 5000))
    assert hosts(rig) == [("1.2.3.4", 80)]
    rig.off()


run(globals())
