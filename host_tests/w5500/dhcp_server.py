"""A DHCP server (RFC 2131) for the chip's ``services``, which a test can make misbehave."""

import struct

_COOKIE = b"\x63\x82\x53\x63"
SERVER = b"\x0a\x00\x00\x01"


def _other_xid(answer):
    return answer[:4] + b"\0\0\0\0" + answer[8:]


def _other_mac(answer):
    return answer[:28] + b"\x02\x99\x99\x99\x99\x99" + answer[34:]


def _no_cookie(answer):
    return answer[:236] + b"\0\0\0\0" + answer[240:]


def _short(answer):
    return answer[:200]


def _cut_option(answer):
    return answer[:240] + b"\x35"


def _a_request(answer):
    return b"\1" + answer[1:]


SPOILT = (_other_xid, _other_mac, _no_cookie, _short, _cut_option, _a_request)


class Server:
    def __init__(self, lease=3600, silent=False, spoil=None, address=b"\x0a\x00\x00\x07"):
        self.lease, self.silent, self.spoil = lease, silent, spoil
        self.refuses = False  # the next request for what it does not give
        self.address = address
        self.said = []
        self.names = set()
        self.macs = set()
        self.flags = []

    def __call__(self, data, source):
        assert source[1] == 68 and data[:4] == b"\1\1\6\0" and data[236:240] == _COOKIE
        assert len(data) >= 300  # RFC 1542 §2.1
        options = {}
        at = 240
        while data[at] != 255:
            options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
            at += 2 + data[at + 1]
        self.names.add(options[12].decode())
        self.macs.add(data[28:34])
        assert options[61] == b"\1" + data[28:34]
        self.flags.append(struct.unpack(">H", data[10:12])[0])
        ciaddr = data[12:16]
        kind = options[53][0]
        if kind == 1:
            self.said.append("DISCOVER")
            answer, wanted = 2, self.address
            assert ciaddr == bytes(4)
        else:
            assert kind == 3
            answer = 5
            # RFC 2131 §4.3.2: which of these a REQUEST is
            if 54 in options:
                self.said.append("REQUEST selecting")
                assert options[54] == SERVER and ciaddr == bytes(4)
                wanted = options[50]
            elif 50 in options:
                self.said.append("REQUEST rebooting")
                assert ciaddr == bytes(4)
                wanted = options[50]
            else:
                renewing = source[0] == SERVER
                self.said.append("REQUEST renewing" if renewing else "REQUEST rebinding")
                wanted = ciaddr
            if wanted != self.address:
                answer = 6
        if self.silent:
            return []
        given = bytes(4) if answer == 6 else wanted
        reply = b"\2\1\6\0" + data[4:8] + bytes(4) + ciaddr + given + bytes(8)
        reply += data[28:44] + bytes(192) + _COOKIE
        reply += bytes((53, 1, answer, 54, 4)) + SERVER
        if answer != 6:
            reply += b"\x33\x04" + struct.pack(">I", self.lease)
            reply += (
                b"\0\x01\x04\xff\xff\0\0" + b"\x03\x04\x0a\0\0\1" + b"\x06\x08\x0a\0\0\2\x0a\0\0\3"
            )
        reply += b"\xff"
        return [self.spoil(reply) if self.spoil else reply]
