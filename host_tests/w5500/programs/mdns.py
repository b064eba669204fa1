"""mDNS: the chip's own name, and those of others."""

import random

from rig import Rig, error_of, run

IP = b"\xc0\xa8\x01\x14"  # of the rig
OTHER = b"\xc0\xa8\x01\x63"
GROUP = b"\xe0\0\0\xfb"
NAME = b"\5pupil\5local\0"
A = b"\0\1\0\1"
A_FLUSH = b"\0\1\x80\1"  # RFC 6762 §10.2
TTL = b"\0\0\0\x78"
PROBE = b"\0\0\0\0\0\1\0\0\0\1\0\0" + NAME + b"\0\xff\0\1\xc0\x0c" + A + TTL + b"\0\4" + IP
ANSWER = b"\0\0\x84\0\0\0\0\1\0\0\0\0" + NAME + A_FLUSH + TTL + b"\0\4" + IP
QUERY = b"\0\0\0\0\0\1\0\0\0\0\0\0"


def named():
    rig = Rig(mdns=True, start=False)
    rig.hurry = True
    rig.heard = []

    def hear(data, source):
        assert source == (GROUP, 5353), source
        rig.heard.append(data)
        return []

    rig.chip.services[5353] = hear
    rig.nic.hostname("pupil")
    rig.nic.active(True)
    return rig


def announced():
    rig = named()
    rig.until(lambda: len(rig.heard) == 5)
    assert rig.heard == [PROBE] * 3 + [ANSWER] * 2
    rig.heard.clear()
    return rig


def tell(rig, data, port=5353):
    """Have this come to the group; what is sent by the next looks."""
    responder = rig.nic._mdns
    rig.until(lambda: responder._sock)
    rig.chip.channels[responder._sock._n].put_datagram(data, OTHER, port)
    steps = []
    step = responder.step
    responder.step = lambda: steps.append(step())
    rig.until(lambda: len(steps) == 3)
    responder.step = step
    said = rig.heard[:]
    rig.heard.clear()
    return said


def test_the_name_is_answered_for():
    rig = announced()
    for name, kind, answers in (
        (NAME, A, [ANSWER]),
        (b"\5PUPIL\5Local\0", A, [ANSWER]),
        (NAME, b"\0\1\x80\1", [ANSWER]),  # "by unicast, please": by multicast is right as well
        (NAME, b"\0\xff\0\1", [ANSWER]),  # any
        (NAME, b"\0\x1c\0\1", []),  # AAAA
        (b"\5other\5local\0", A, []),
    ):
        assert tell(rig, QUERY + name + kind) == answers, (name, kind)
    # The second question, its name with a pointer to the first one's end.
    two = b"\0\0\0\0\0\2\0\0\0\0\0\0\5other\5local\0" + A + b"\5pupil\xc0\x12" + A
    assert tell(rig, two) == [ANSWER]
    # Who asks knows it: for another minute, or not so long.
    for ttl, answers in ((b"\0\0\0\x3c", []), (b"\0\0\0\x3b", [ANSWER])):
        known = QUERY[:7] + b"\1" + QUERY[8:] + NAME + A + b"\xc0\x0c" + A + ttl + b"\0\4" + IP
        assert tell(rig, known) == answers, ttl
    rig.fair()
    rig.off()


def test_an_ordinary_resolver_is_answered_alone():
    rig = announced()
    said = []
    rig.chip.services[4444] = lambda data, source: said.append((data, source)) or []
    assert tell(rig, b"\x12\x34" + QUERY[2:] + NAME + A, 4444) == []
    question = b"\x12\x34\x84\0\0\1\0\1\0\0\0\0" + NAME + A
    assert said == [(question + b"\xc0\x0c" + A + TTL + b"\0\4" + IP, (OTHER, 5353))]
    assert tell(rig, QUERY + NAME + A) == [ANSWER]
    assert sum(1 for user in rig.nic._users if user) == 1
    rig.fair()
    rig.off()


def conflict(ip, flags=b"\x84\0"):
    return b"\0\0" + flags + b"\0\0\0\1\0\0\0\0" + NAME + A_FLUSH + TTL + b"\0\4" + ip


def test_a_name_that_is_another_s():
    rig = named()
    tell(rig, conflict(OTHER))
    assert rig.said == ["pupil.local is another's; set another hostname"]
    rig.rest(0.05)
    assert ANSWER not in rig.heard
    rig.heard.clear()
    assert tell(rig, QUERY + NAME + A) == []
    rig.nic.hostname("other")
    rig.until(lambda: len(rig.heard) == 5)
    assert rig.heard[-1] == ANSWER.replace(b"pupil", b"other")
    rig.off()
    # Later it is found out anew whose it is.
    rig = announced()
    tell(rig, conflict(IP))
    assert rig.nic._mdns._turn == 8
    assert tell(rig, conflict(OTHER))[0] == PROBE
    rig.off()
    # Two that ask at once: the greater address has it.
    for ip, last in ((OTHER, -1), (b"\xc0\xa8\x01\x02", 3)):
        rig = named()
        rig.until(lambda: rig.heard)
        probe = PROBE[: -len(IP)] + ip
        rig.nic._mdns._turn = 1
        tell(rig, probe)
        assert (rig.nic._mdns._turn < 1) == (last < 0), (ip, rig.nic._mdns._turn)
        rig.off()


def test_it_gives_way():
    """All but one socket listen; what goes out has that, and the name comes back after it."""
    rig = announced()
    listener = rig.listener()
    rig.until(lambda: len(listener._waiting) == 7)
    assert all(rig.nic._users)
    out = rig.nic.socket(2, 2)
    out.bind(("", 2))
    rig.rest(0.02)
    assert rig.nic._mdns._sock is None and len(listener._waiting) == 7
    out.close()
    assert tell(rig, QUERY + NAME + A) == [ANSWER]
    assert len(listener._waiting) == 7
    rig.fair()
    rig.off()


def test_a_cable_that_was_out():
    rig = announced()
    rig.chip.link = False
    rig.until(lambda: rig.nic.status() == 0)
    rig.chip.link = True
    rig.until(lambda: len(rig.heard) == 5)
    assert rig.heard == [PROBE] * 3 + [ANSWER] * 2
    rig.off()


def test_the_name_of_another():
    import w5500.mdns

    w5500.mdns._WAITS = (60, 20000)
    for rig in Rig(), announced():
        asked = []

        def answer(data, source, asked=asked):
            if data[2:8] != b"\0\0\0\1\0\0":
                return []
            asked.append(data)
            if len(asked) == 1:
                return []  # the first is lost
            head = b"\0\0\x84\0\0\0\0\2\0\0\0\0"
            wrong = b"\4desk\5local\0" + A_FLUSH + TTL + b"\0\4" + OTHER
            return [head + wrong + b"\7printer\xc0\x11" + A_FLUSH + TTL + b"\0\4" + IP]

        rig.chip.services[5353] = answer
        assert rig.nic.getaddrinfo("Printer.local", 80)[0][-1] == ("192.168.1.20", 80)
        assert asked == [QUERY + b"\7printer\5local\0" + A] * 2
        rig.fair()
        rig.off()
    w5500.mdns._WAITS = (30, 30)
    rig = Rig()
    rig.chip.services[5353] = lambda data, source: []
    assert error_of(rig.nic.getaddrinfo, "nobody.local", 80) == -3
    assert not any(rig.nic._users)
    rig.off()


def test_anything_that_comes():
    rig = announced()
    whole = (QUERY + NAME + A, conflict(OTHER), PROBE, ANSWER)
    for i in range(300):
        data = bytearray(random.choice(whole))
        for _ in range(random.randrange(4)):
            data[random.randrange(len(data))] = random.getrandbits(8)
        rig.nic._mdns._receive()
        channel = rig.chip.channels[rig.nic._mdns._sock._n]
        channel.put_datagram(bytes(data[: random.randint(0, len(data))]), OTHER, 5353)
        if i % 5 == 0:
            rig.nic._mdns.step()
    rig.heard.clear()
    rig.nic._mdns.link()
    rig.until(lambda: ANSWER in rig.heard)
    rig.fair()
    rig.off()


run(globals())
