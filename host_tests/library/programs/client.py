"""``client.py FRONT URL SIZE SERVER SERVER_SIZE [CA]``: the checks of a client, each connecting.

``SERVER`` is the front of the server at ``URL``; the sizes in bytes are those of the largest
buffers for which there is room here and there. Prints a line for each check.
"""

import binascii
import gc
import sys

import reserved
from fronts import FRONTS, client_context, fill, print_exception
from microws import ConnectionClosed, HandshakeError

PATTERN = bytes(range(256)) * 8
CHARACTERS = "a\u00e9\u20ac\U0001f600"  # 1 to 4 bytes each

LENGTHS = (0, 1, 125, 126, 4096, 65535, 65536, 70000)

front, url, size, server, server_size, *files = sys.argv[1:]
buffer = reserved.buffer
opened = []  # the connections of one check
options = {"ssl": client_context(*files)} if files else {}


async def connect(path, **more):
    more.update(options)
    ws = await FRONTS[front].connect(url + path, **more)
    opened.append(ws)
    return ws


def expect(found, wanted):
    if found != wanted:
        raise AssertionError("%r where %r was expected" % (found, wanted))


async def ending(ws):
    """Receive to the end; how it ended."""
    try:
        while True:
            await ws.recv()
    except ConnectionClosed as closed:
        expect((ws.close_code, ws.close_reason), (closed.code, closed.reason))
        return closed.code, closed.reason


async def messages():
    ws = await connect("/echo")
    for n in (0, 1, 2, 125, 126, 127, 505, 1000):
        text = (CHARACTERS * (n // 4 + 1))[:n]
        data = bytes([n & 0xFF]) * n
        for message in (text, data):
            await ws.send(message)
            expect(await ws.recv(), message)
    # Several on the way at once
    for i in range(50):
        await ws.send("%d" % i)
    for i in range(50):
        expect(await ws.recv(), "%d" % i)
    await ws.close()


def lengths(*sizes):
    return [n for n in LENGTHS if n <= min([int(size) for size in sizes])]


async def messages_into_a_buffer():
    ws = await connect("/buffer", max_size=1 << 20)
    for n in lengths(size, server_size):
        for text in (True, False):
            fill(buffer)
            crc = binascii.crc32(memoryview(buffer)[:n])
            await ws.send(memoryview(buffer)[:n], text)
            for i in range(n):
                buffer[i] = 0
            expect(await ws.recv_into(buffer), n)
            expect(ws.is_text, text)
            expect(binascii.crc32(memoryview(buffer)[:n]), crc)
    await ws.close()


async def frames_received_piece_by_piece():
    for n in lengths(server_size):
        ws = await connect("/frame?%d" % n)
        at = 0
        async for piece in ws.recv_streaming(memoryview(buffer)[:1000]):
            for i in range(len(piece)):
                expect(piece[i], 32 + (at + i) % 89)
            at += len(piece)
        expect(at, n)
        await ws.close()


async def frames_sent_to_one_who_takes_pieces():
    fill(buffer)
    for n in lengths(size):
        ws = await connect("/sum")
        await ws.send(memoryview(buffer)[:n], True)
        expect(await ws.recv(), "%d %d" % (n, binascii.crc32(memoryview(buffer)[:n])))
        await ws.close()


async def fragments_sent():
    ws = await connect("/echo")
    for pieces in ([], [""], ["", "\u20ac"], list(CHARACTERS), ["x"] * 300):
        await ws.send(pieces, True)
        expect(await ws.recv(), "".join(pieces))
    for pieces in ([b""], [b"a", b"", b"b"], [PATTERN[:500], PATTERN[:126], PATTERN[:125]]):
        await ws.send(pieces)
        expect(await ws.recv(), b"".join(pieces))
    await ws.close()


async def fragments_received():
    ws = await connect("/pieces")
    expect(await ws.recv(), "\u20acplain \U0001f600")
    expect(await ws.recv(), b"\0" + PATTERN)
    expect(len(await ws.recv()), 0)
    expect(await ending(ws), (1000, ""))


async def upload_larger_than_memory():
    ws = await connect("/sum")
    await ws.send(PATTERN for _ in range(512))
    crc = 0
    for _ in range(512):
        crc = binascii.crc32(PATTERN, crc)
    expect(await ws.recv(), "%d %d" % (1 << 20, crc))
    await ws.close()


async def download_larger_than_memory():
    ws = await connect("/copies?512")
    n = 0
    async for piece in ws.recv_streaming(memoryview(buffer)[:1000]):
        for at in range(0, len(piece), 100):
            expect(piece[at], n + at & 0xFF)
        n += len(piece)
    expect(n, 1 << 20)
    await ws.close()


async def text_piece_by_piece():
    ws = await connect("/echo")
    text = CHARACTERS * 200
    await ws.send(text[i : i + 301] for i in range(0, len(text), 301))
    found = []
    async for piece in ws.recv_streaming():
        found.append(piece)
    expect("".join(found), text)
    await ws.close()


async def unsolicited_first_message():
    ws = await connect("/greet")
    expect(await ws.recv(), "welcome")
    await ws.send("thanks")
    expect(await ws.recv(), "thanks")
    await ws.close()


async def close_by_the_client():
    for code, reason in ((1000, ""), (1001, "off"), (4999, "\u20ac" * 41)):
        ws = await connect("/echo")
        await ws.close(code, reason)
        expect(ws.close_code, code)
        ws = await connect("/last")
        expect(await ws.recv(), "%d %s" % (code, reason))
        await ws.close()


async def close_by_the_server():
    for code in (1000, 1001, 3000):
        ws = await connect("/close?%d" % code)
        found = []
        try:
            async for message in ws:
                found.append(message)
        except ConnectionClosed as closed:
            found.append(closed.code)
        expect(found, ["one", "two"] + ([code] if code == 3000 else []))
        expect(await ending(ws), (code, "so long, \u20ac"))
        await ws.close()


async def close_drops_what_is_on_its_way():
    ws = await connect("/copies?64")
    await ws.close(4000)
    expect(ws.close_code in (1000, 4000), True)


async def pings():
    ws = await connect("/ping")
    # The Pongs leave while this side waits for a message.
    try:
        await ws.recv(0.2)
    except OSError:
        pass
    await ws.send("go on")
    expect(await ws.recv(), "2")
    await ws.close()
    ws = await connect("/echo")
    await ws.ping()
    await ws.ping(PATTERN[:125])
    await ws.send("x")
    expect(await ws.recv(), "x")
    await ws.close()


async def timeout_loses_nothing():
    ws = await connect("/halves")
    for _ in range(2):
        try:
            await ws.recv(0.02)
            raise AssertionError("half a message was given")
        except OSError:
            pass
    await ws.ping(b"between")
    await ws.send("go on")
    expect(await ws.recv(), "first, (go on) second \u20ac")
    expect(await ending(ws), (1000, ""))


async def subprotocols():
    for offered, chosen in (((), None), (("x",), None), (("a",), "a"), (("x", "a", "b"), "b")):
        # Some servers refuse a client whose offers they all lack.
        if offered == ("x",) and "websockets" in (front, server):
            continue
        ws = await connect("/subprotocol", subprotocols=offered)
        expect(ws.subprotocol, chosen)
        expect(await ws.recv(), str(chosen))
        await ws.close()


async def headers():
    ws = await connect("/header?X-Colour", headers=(("X-Colour", "blue; 1"), ("X-Other", "")))
    expect(await ws.recv(), "blue; 1")
    await ws.close()


async def refusal():
    for path, status in (("/forbidden", 403),):
        try:
            await connect(path)
        except HandshakeError as error:
            expect(error.status, status)
        else:
            raise AssertionError("connected")


async def run():
    checks = [
        messages_into_a_buffer,
        frames_received_piece_by_piece,
        frames_sent_to_one_who_takes_pieces,
        messages,
        fragments_sent,
        fragments_received,
        upload_larger_than_memory,
        download_larger_than_memory,
        text_piece_by_piece,
        unsolicited_first_message,
        close_by_the_client,
        close_by_the_server,
        pings,
        timeout_loses_nothing,
        subprotocols,
    ]
    if front != "websockets":  # it reads no further while its own queue is full
        checks.append(close_drops_what_is_on_its_way)
    if server == "websockets":
        checks += [headers, refusal]
    failed = 0
    for check in checks:
        try:
            await check()
            print("passed", check.__name__)
        except Exception as error:
            failed += 1
            print("FAILED", check.__name__)
            print_exception(error)
        # A blocking server serves nobody else before.
        while opened:
            await opened.pop().close()
        gc.collect()
    print("%d failed" % failed)


FRONTS[front].run(run())
