"""Names to addresses: a DNS client (RFC 1035) for A records, which keeps them for their TTL."""

import os

from ._compat import const, error, ticks_add, ticks_diff, ticks_ms

_KEPT = const(4)  # names
_LONGEST = const(86400)  # seconds that one is kept
_WAITS = (1000, 2000, 3000)  # ms for each server's answer, in turn
_NO_NAME = const(-2)  # EAI_NONAME, as MicroPython's getaddrinfo() gives it
NO_ANSWER = const(-3)  # EAI_AGAIN

_cache: list = []  # (name, addresses, when it was got, for how many ms)


class _NoName(Exception):
    pass


def resolve(chip, name):
    """The addresses of ``name``; ``OSError`` -2 where there are none, -3 without an answer."""
    query = None
    for step in resolving(chip, name):
        query = step
        if query is None:
            chip.check()
            chip.idle()
    return query


def resolving(chip, name):
    """The same for who does other things meanwhile: gives None while it waits, then them."""
    key = name.lower()
    if key.endswith("."):
        key = key[:-1]
    if key.endswith(".local"):
        from .mdns import resolving  # RFC 6762 §3

        yield from resolving(chip, key)
        return
    now = ticks_ms()
    for entry in _cache[:]:
        if ticks_diff(now, entry[2]) >= entry[3]:
            _cache.remove(entry)
        elif entry[0] == key:
            yield entry[1]
            return
    question = question_of(key)
    if not chip.dns:
        raise error(NO_ANSWER)
    for wait in _WAITS:
        for server in chip.dns[:2]:
            # A new port and number each time, for nobody to guess them (RFC 5452).
            sock = chip.socket(2, 2)
            sock.setblocking(False)
            try:
                ident = os.urandom(4)
                sock.bind(("", 49152 + ((ident[2] << 8 | ident[3]) & 0x3FFF)))
                to = "%d.%d.%d.%d" % tuple(server)
                sock.sendto(ident[:2] + b"\x01\x00\x00\x01\0\0\0\0\0\0" + question, (to, 53))
                end = ticks_add(ticks_ms(), wait)
                while ticks_diff(end, ticks_ms()) > 0:
                    try:
                        data, source = sock.recvfrom(512)
                    except OSError:
                        yield None
                        continue
                    if source != (to, 53) or data[:2] != ident[:2]:
                        continue
                    try:
                        found = _answer(data, question)
                    except _NoName:
                        raise error(_NO_NAME)
                    except (IndexError, ValueError):
                        continue  # no answer to this question
                    if found is None:
                        break  # the server cannot tell
                    addresses, ttl = found
                    if ttl:
                        del _cache[: 1 - _KEPT]
                        _cache.append((key, addresses, ticks_ms(), ttl * 1000))
                    yield addresses
                    return
            finally:
                sock.close()
    raise error(NO_ANSWER)


def question_of(name):
    data = b""
    for label in name.encode().split(b"."):
        if not 0 < len(label) < 64:
            raise error(_NO_NAME)
        data += bytes((len(label),)) + label
    if len(data) > 253:
        raise error(_NO_NAME)
    return data + b"\0\0\1\0\1"  # A, IN


def _after_name(data, at):
    while True:
        size = data[at]
        if size >= 0xC0:
            return at + 2
        at += 1 + size
        if not size:
            return at


def _answer(data, question):
    """(addresses, seconds that they hold), or None; raises for no answer to that question."""
    end = 12 + len(question)
    if len(data) < end or not data[2] & 0x80 or data[12:end].lower() != question:
        raise ValueError
    code = data[3] & 15
    if code == 3:
        raise _NoName
    if code or data[2] & 2:  # a failure, or cut: more than 512 bytes
        return None
    at = end
    addresses = []
    least = _LONGEST
    for _ in range(data[6] << 8 | data[7]):
        at = _after_name(data, at)
        kind = data[at] << 8 | data[at + 1]
        ttl = 0
        if data[at + 4] < 0x80:  # RFC 2181 §8: else it counts as 0
            ttl = _LONGEST
            if not data[at + 4]:
                ttl = data[at + 5] << 16 | data[at + 6] << 8 | data[at + 7]
        size = data[at + 8] << 8 | data[at + 9]
        at += 10
        if at + size > len(data):
            raise ValueError
        if kind == 1 and size == 4:
            addresses.append("%d.%d.%d.%d" % tuple(data[at : at + 4]))
        if kind == 1 or kind == 5:  # A or CNAME
            least = min(least, ttl)
        at += size
    if not addresses:
        raise _NoName  # the name has none
    return addresses, least
