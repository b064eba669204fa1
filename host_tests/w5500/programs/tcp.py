"""TCP through the driver."""

import errno
import os
import random
import select
import time

from chip import address, reset_connection
from rig import PORTS, Rig, error_of, get, run


def test_bytes_go_both_ways_and_pointers_wrap():
    rig = Rig()
    rig.chip.ack_delay = 0.002
    sock, peer = rig.pair(rig.listener())
    data = os.urandom(1000) * 70
    sent = put = 0
    back = bytearray()
    seen = bytearray()
    buffer = bytearray(3000)
    while len(back) < len(data):
        if sent < len(data):
            try:
                sent += peer.send(data[sent : sent + random.randint(1, 3000)])
            except OSError:
                pass
        n = sock.readinto(buffer, random.randint(1, 3000))
        if n:
            seen += buffer[:n]
        if put < len(seen):
            n = sock.write(seen, put, min(len(seen) - put, random.randint(1, 4000)))
            if n:
                put += n
        back += get(peer) or b""
    assert back == data
    rig.fair()
    rig.off()


def test_buffers_of_any_size():
    for wrong in (4, 3, (16, 1), (2,) * 9):
        try:
            Rig(buffers=wrong)
            raise AssertionError("no error")
        except ValueError:
            pass
    for size in (1, 2, (8, 4, 2, 2)):
        rig = Rig(buffers=size)
        sock, peer = rig.pair(rig.listener())
        first = (size[0] if isinstance(size, tuple) else size) << 10
        assert sock.write(bytes(20000)) == first
        rig.fair()
        rig.off()


def test_the_peer_ends_and_this_side_may_still_speak():
    rig = Rig()
    sock, peer = rig.pair(rig.listener())
    buffer = bytearray(100)
    peer.send(b"last words")
    if not hasattr(peer, "shutdown"):
        peer.close()
    else:
        peer.shutdown(1)
    n = rig.until(lambda: sock.readinto(buffer))
    assert buffer[:n] == b"last words"
    assert rig.until(lambda: sock.readinto(buffer) == 0)
    assert sock.ioctl(3, 5) & 1
    if hasattr(peer, "shutdown"):
        assert sock.write(b"answer") == 6
        assert rig.until(lambda: get(peer)) == b"answer"
    sock.close()
    rig.until(lambda: not rig.nic._closing)
    rig.fair()
    rig.off()


def test_poll_is_told_of_both_directions():
    rig = Rig()
    sock, peer = rig.pair(rig.listener())
    assert sock.ioctl(3, 5) == 4
    peer.send(b"x")
    rig.until(lambda: sock.ioctl(3, 5) == 5)
    assert sock.ioctl(10, 0) == -1
    assert sock.readinto(bytearray(10)) == 1
    assert sock.ioctl(3, 5) == 4
    assert sock.readinto(bytearray(10)) is None
    assert error_of(sock.recv, 10) == errno.EAGAIN
    if hasattr(select, "poll") and not hasattr(select, "epoll"):  # MicroPython
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        assert poller.poll(0) == []
        peer.send(b"y")
        assert poller.poll(5000)[0][1] == select.POLLIN
    rig.off()


def test_a_blocking_socket_waits():
    rig = Rig()
    sock, peer = rig.pair(rig.listener())
    sock.settimeout(0.05)
    assert error_of(sock.recv, 10) == errno.ETIMEDOUT
    sock.settimeout(None)
    peer.send(b"one\ntwo\nrest")
    assert sock.readline() == b"one\n"
    assert sock.read(4) == b"two\n"
    assert sock.recv(100) == b"rest"
    assert sock.write(bytes(5000)) == 5000
    got = 0
    while got < 5000:
        got += len(get(peer) or b"")
        rig.nic.check()
    sock.sendall(b"end")
    assert rig.until(lambda: get(peer)) == b"end"
    peer.send(b"all")
    peer.close()
    assert sock.read() == b"all"
    rig.fair()
    rig.off()


def test_close_sends_what_was_written_and_then_fin():
    rig = Rig()
    rig.chip.latency = 0.02
    sock, peer = rig.pair(rig.listener())
    assert sock.write(b"last words") == 10
    sock.close()
    assert error_of(sock.write, b"x") == errno.ENOTCONN
    assert error_of(sock.readinto, bytearray(1)) == errno.ENOTCONN
    got = b""
    while not got.endswith(b"words"):
        rig.nic.check()
        got += get(peer) or b""
    assert rig.until(lambda: get(peer) == b"")
    peer.close()
    rig.nic.drain()
    assert not rig.nic._closing
    rig.fair()
    rig.off()


def test_a_peer_that_never_ends_is_given_up():
    rig = Rig()
    listener = rig.listener()
    for _ in range(12):  # sockets come back
        sock, peer = rig.pair(listener)
        sock.write(b"x")
        sock.close()
        if sock._deadline is not None:
            sock._deadline -= 1000  # its time is over
        rig.nic._slow = rig.nic._last
        rig.until(lambda: not rig.nic._closing)
        peer.close()
    rig.until(lambda: len(listener._waiting) == 7)
    rig.fair()
    rig.off()


def test_a_reset_comes_after_the_bytes_before_it():
    for says in (0, 2):
        rig = Rig()
        rig.chip.reset_says = says
        sock, peer = rig.pair(rig.listener())
        sock.write(b"not read")
        peer.send(b"last words")
        channel = rig.chip.channels[sock._n]
        rig.until(lambda: channel.get(0x26))  # the chip has them
        reset_connection(peer)
        rig.until(lambda: not channel.state)
        buffer = bytearray(100)
        n = rig.until(lambda: sock.readinto(buffer))
        assert buffer[:n] == b"last words"
        # The data sheet knows no event for a reset; it is noticed all the same.
        assert rig.until(lambda: sock.ioctl(3, 1) & 8)
        assert error_of(sock.readinto, buffer) == errno.ECONNRESET
        assert error_of(sock.write, b"x") == errno.ECONNRESET
        sock.close()
        assert sock._n < 0
        rig.fair()
        rig.off()


def test_a_window_that_is_closed_takes_nothing_and_is_asked_for_again():
    rig = Rig()
    sock, peer = rig.pair(rig.listener())
    rig.chip.ack_delay = 1000
    assert sock.write(bytes(2048)) == 2048
    rig.until(lambda: not sock._busy)  # SENDOK came, the ACK did not
    assert sock.write(b"x") is None
    assert sock.ioctl(3, 4) == 0
    rig.chip.channels[sock._n].acks = [(0, 2048)]
    rig.until(lambda: sock.ioctl(3, 4) == 4)
    assert sock.write(b"x") == 1
    rig.fair()
    rig.off()


def test_connect():
    rig = Rig()
    server = __import__("socket").socket()
    server.setsockopt(1, 2, 1)
    server.bind(address(PORTS[1]))
    server.listen(1)
    sock = rig.nic.socket()
    sock.connect(rig.nic.getaddrinfo("127.0.0.1", 1)[0][-1])
    peer, _ = server.accept()
    peer.send(b"hello")
    assert sock.recv(10) == b"hello"
    server.close()
    # Nobody listens: a RST. The data sheet tells of no event.
    other = rig.nic.socket()
    assert error_of(other.connect, ("127.0.0.1", 2)) == errno.ECONNREFUSED
    other.close()
    other = rig.nic.socket()
    other.setblocking(False)
    assert error_of(other.connect, ("127.0.0.1", 2)) == errno.EINPROGRESS
    assert other.ioctl(3, 4) in (0, 12)
    rig.until(lambda: other.ioctl(3, 4) == 12)
    assert error_of(other.write, b"x") == errno.ECONNREFUSED
    other.close()
    # No machine has that address.
    rig.chip.answers_arp = False
    rig.chip.speed = 100
    other = rig.nic.socket()
    assert error_of(other.connect, ("127.0.0.1", 2)) == errno.ETIMEDOUT
    rig.fair()
    rig.off()


def test_nine_come_together():
    rig = Rig()
    listener = rig.listener()
    assert len(listener._waiting) == 7
    peers = [rig.peer() for _ in range(9)]
    rig.until(lambda: rig.chip.refused == 2)
    socks = []
    for _ in range(7):
        rig.until(lambda: listener.ioctl(3, 1))
        socks.append(listener.accept()[0])
    assert error_of(lambda: (listener.setblocking(False), listener.accept())) == errno.EAGAIN
    # One of the chip's is kept for what goes out.
    server = __import__("socket").socket()
    server.setsockopt(1, 2, 1)
    server.bind(address(PORTS[1]))
    server.listen(1)
    out = rig.nic.socket()
    out.connect(("127.0.0.1", 1))
    more = rig.nic.socket()
    assert error_of(more.connect, ("127.0.0.1", 1)) == 23
    server.close()
    refused = 0
    for peer in peers:
        try:
            if get(peer) == b"":
                refused += 1
        except OSError:
            refused += 1
    assert refused == 2
    # Who leaves makes room.
    socks[0].close()
    rig.nic.drain()
    rig.until(lambda: listener._waiting)
    again = rig.peer()
    rig.until(lambda: listener.ioctl(3, 1))
    for peer in peers + [again]:
        peer.close()
    rig.fair()
    rig.off()


def test_a_syn_that_comes_to_nothing_leaves_a_listening_socket():
    rig = Rig()
    listener = rig.listener()
    waiting = listener._waiting[0]
    rig.chip.channels[waiting._n].become(0, 8)  # CLOSED and TIMEOUT: no ACK came to its SYN/ACK
    rig.until(lambda: waiting not in listener._waiting and len(listener._waiting) == 7)
    rig.pair(listener)
    rig.off()


def test_with_int_an_idle_chip_costs_no_frame():
    rig = Rig(with_int=True)
    sock, peer = rig.pair(rig.listener())
    rig.rest(0.3)
    frames = rig.chip.frames
    slow = rig.nic._slow
    n = 0
    while rig.nic._slow == slow and n < 1000:
        sock.ioctl(3, 1)
        n += 1
    if rig.nic._slow == slow:
        assert rig.chip.frames == frames
    peer.send(b"x")
    rig.until(lambda: sock.ioctl(3, 1))
    rig.off()


def test_a_message_costs_few_frames():
    rig = Rig()
    sock, peer = rig.pair(rig.listener())
    buffer = bytearray(2000)
    assert sock.write(b"x") == 1
    rig.until(lambda: sock.ioctl(3, 4) & 4)  # from now on SENDOK makes an event
    assert rig.until(lambda: get(peer)) == b"x"
    for n in (6, 131, 1032):
        for _ in range(20):
            peer.send(bytes(n))
            time.sleep(0.002)
            rig.chip.trace = trace = []
            rig.nic._slow = rig.nic._last + 100000
            got = 0
            while got < n:
                rig.nic.check()
                got += sock.readinto(buffer, 8 if not got else 2000) or 0
            idle = (0, 0x17, 3, False)
            received = len([frame for frame in trace if frame != idle]) + 1
            assert received <= 12, trace
            rig.chip.trace = trace = []
            rig.nic._slow = rig.nic._last + 100000
            assert rig.until(lambda: sock.write(buffer, 0, n)) == n
            rig.until(lambda: sock.ioctl(3, 4) & 4)
            sent = len([frame for frame in trace if frame != idle]) + 1
            # One more where it has to ask how much room there is.
            assert sent <= 7, trace
            rig.chip.trace = None
            rig.until(lambda: get(peer))
    rig.off()


def test_keep_alive():
    rig = Rig()
    listener = rig.nic.socket()
    listener.setsockopt(1, 8, 1)
    listener.bind(("", 80))
    listener.listen()
    sock, peer = rig.pair(listener)
    assert rig.chip.channels[sock._n].regs[0x2F] == 6
    sock.setsockopt(1, 8, 0)
    assert rig.chip.channels[sock._n].regs[0x2F] == 0
    rig.off()


run(globals())
