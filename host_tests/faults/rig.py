"""What a fault is played with: a board, the wire between it and here, and peers that misbehave.

Everything runs in a network namespace of this run's own; each board has one more, for itself.
"""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from firmware.deploy.board_files import program
from host_tests.deploy import serial_port, virtual
from host_tests.support.paths import BIN, TOP
from host_tests.support.wire import CLOSE, PING, PONG, TEXT, close_frame, frame, response, xor

HERE = TOP / "host_tests" / "faults"
MICROPYTHON = [str(BIN / "micropython32"), "-X", "heapsize=164k"]
IP = str(BIN / "ip")
PORT = 8080
PATIENCE = 30.0  # seconds; who meets it has failed
HARD_RESET = 10  # how start.py ends then
POWER_ON, HARD = 1, 2  # machine.reset_cause()


class Differs(Exception):
    """Something else happened than what must; the text says what."""


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise Differs(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


class News:
    """Something that grows, and that several threads wait for."""

    def __init__(self):
        self.changed = threading.Condition()

    def until(self, found, what, patience=PATIENCE):
        """Wait until `found()` gives something, and give that."""
        end = time.monotonic() + patience
        with self.changed:
            while not (result := found()):
                left = end - time.monotonic()
                if left <= 0 or self.is_over():
                    raise Differs(f"{what}: did not come")
                self.changed.wait(left)
            return result

    def is_over(self):
        return False


class Link:
    """A cable between here (`here`) and a namespace with one board in it (`there`)."""

    def __init__(self, number):
        self.here = f"10.77.{number}.1"
        self._net = f"10.77.{number}."
        self._last = 2
        self._near, self._far = f"here{number}", f"board{number}"
        self._macs = [f"02:00:00:00:{number:02x}:0{side}" for side in (1, 2)]
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo up; exec sleep infinity"],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._holder.stdout.readline()
        self.enter = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--"]
        command(
            *(IP, "link", "add", self._near, "address", self._macs[0], "type", "veth"),
            *("peer", "name", self._far, "address", self._macs[1], "netns", self._holder.pid),
        )
        command(IP, "address", "add", self.here + "/24", "dev", self._near)
        command(IP, "link", "set", self._near, "up")
        self._there("address", "add", self.there + "/24", "dev", self._far)
        self._there("link", "set", self._far, "up")
        self._there("link", "set", "lo", "up")

    @property
    def there(self):
        return self._net + str(self._last)

    def _there(self, *words):
        command(*self.enter, IP, *words)

    def _neighbours(self, macs):
        """Each side's idea of the other's MAC address."""
        words = "nud", "permanent", "dev"
        command(IP, "neighbour", "replace", self.there, "lladdr", macs[1], *words, self._near)
        self._there("neighbour", "replace", self.here, "lladdr", macs[0], *words, self._far)

    def drop(self):
        """From now on nothing arrives, in either direction, and nobody is told."""
        # The frames go to addresses that nobody has, as behind a switch that lost its way.
        self._neighbours(["02:00:00:00:ff:ff"] * 2)

    def restore(self):
        self._neighbours(self._macs)

    def move(self):
        """Take the board's address away and give it another."""
        self._there("address", "flush", "dev", self._far)
        self._last = 2 + (self._last - 1) % 200
        self._there("address", "add", self.there + "/24", "dev", self._far)

    def remove(self):
        # The namespace goes with its last process, and the cable with the namespace.
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()


class Log(News):
    """What a board says on its serial log: `lines`, all of them."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self._read_up_to = 0
        self._off = True

    def say(self, line):
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def is_over(self):
        return self._off

    def wait(self, pattern, patience=PATIENCE):
        """Read on up to a line in which the pattern is found; its match."""

        def found():
            while self._read_up_to < len(self.lines):
                line = self.lines[self._read_up_to]
                self._read_up_to += 1
                if match := re.search(pattern, line):
                    return match
            return None

        return self.until(found, f"the board's {pattern!r}", patience)

    def skip(self):
        """Read nothing of what it said up to now."""
        self._read_up_to = len(self.lines)

    def count(self, pattern):
        """In how many of all its lines the pattern is found."""
        with self.changed:
            return sum(bool(re.search(pattern, line)) for line in self.lines)


class Board(Log, virtual.Board):
    """The board's program on MicroPython with a board's heap, in a namespace of its own."""

    def __init__(self, folder, link, config, inside=(), **options):
        Log.__init__(self)
        virtual.Board.__init__(self, "board", folder, config)
        self._enter = [*link.enter, *inside]
        defaults = {"shift": 0, "probe": 0, "short": False, "hurry": False}
        self._options = {**defaults, **options}
        self.resets = 0
        self.lease(link.there)

    def lease(self, address):
        """What DHCP gives from now on."""
        new = self.folder / "lease.new"
        new.write_text(address)
        new.replace(self.folder / "lease")

    def power_on(self, cause=POWER_ON):
        self._off = False
        options = json.dumps({**self._options, "cause": cause})
        self.process = subprocess.Popen(
            [*self._enter, *MICROPYTHON, HERE / "start.py", options],
            cwd=self.folder,
            env=virtual.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process):
        for line in process.stdout:
            self.say(line.rstrip("\n"))
        status = process.wait()
        if status == HARD_RESET and not self._off:
            self.resets += 1
            self.say("(hard reset)")
            self.power_on(HARD)
        elif not self._off:
            self._off = True
            self.say(f"(the program has ended with status {status})")
        process.stdout.close()

    def power_off(self):
        self._off = True
        if self.process is not None:
            self.process.kill()
            self._reader.join()

    def sockets(self):
        """How many sockets its process has open."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        links = [os.readlink(link) for link in folder.iterdir()]
        return sum(link.startswith("socket:") for link in links)


class SerialBoard(Log):
    """A board with a flash memory, behind a serial port. Its network is this one's loopback."""

    def __init__(self, folder, config):
        super().__init__()
        self._reader = None
        self.board = serial_port.SerialBoard(folder, BIN / "micropython32")
        self.files({**program(), "config.json": json.dumps(config).encode()})

    def files(self, changes=None):
        """{path: content} of its flash after the `changes`, while it is off."""
        return serial_port.flash(self.board, changes)

    def power_on(self, deploy=False):
        """Power on, and with `deploy` have ./deploy.sh restart it."""
        self.skip()
        self._off = False
        self.board.plug_in()
        if deploy:
            command = [TOP / "deploy.sh", "--port", self.board.device, "--no-repl"]
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
            if self.board.device is None:
                return  # the power failed
        log = os.open(self.board.device, os.O_RDWR | os.O_NOCTTY)
        self._reader = threading.Thread(target=self._read, args=(log,), daemon=True)
        self._reader.start()

    def _read(self, log):
        rest = b""
        with contextlib.suppress(OSError):  # the power goes off
            while data := os.read(log, 4096):
                *whole, rest = (rest + data).split(b"\r\n")
                for line in whole:
                    self.say(line.decode(errors="backslashreplace"))
        os.close(log)

    def power_off(self):
        self._off = True
        self.board.pull_out()
        if self._reader:
            self._reader.join()
            self._reader = None


class Names(News):
    """A name server. `answer`: "right", "silent", or the number of an error (RFC 1035)."""

    def __init__(self, host):
        super().__init__()
        self._host = host
        self.answer = "right"
        self.asked = 0
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((host, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                query, address = self._sock.recvfrom(512)
                if not query:
                    return
                with self.changed:
                    self.asked += 1
                    self.changed.notify_all()
                if self.answer != "silent":
                    self._sock.sendto(self._respond(query), address)

    def _respond(self, query):
        question = query[12 : query.index(b"\0", 12) + 5]
        code, records = self.answer, b""
        if code == "right":
            code = 0
            if question[-4:-2] == b"\0\1":  # A; there are none of the other types
                records = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(self._host)
        counts = struct.pack(">HHHH", 1, bool(records), 0, 0)
        return query[:2] + bytes([0x81, 0x80 | code]) + counts + question + records

    def stop(self):
        # Closing alone would leave the thread in recvfrom().
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)
        self._thread.join()
        self._sock.close()


class Peer(News):
    """A real peer, peer.py, in a process of its own."""

    def __init__(self, side, host):
        super().__init__()
        self.lines = []
        self._process = subprocess.Popen(
            [sys.executable, HERE / "peer.py", side, host, str(PORT)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait("up")

    def _read(self):
        for line in self._process.stdout:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()

    def wait(self, text, patience=PATIENCE):
        found = lambda: any(text in line for line in self.lines)  # noqa: E731
        self.until(found, f"the peer's {text!r}", patience)

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()


class Wire(News):
    """A WebSocket made by hand, for what no library does. `samples`: the numbers that came.

    `end` is None while it is open, then "end", "reset", or the close code as int.
    """

    def __init__(self, sock, masked):
        super().__init__()
        self.sock = sock
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._masked = masked
        self._closing = False
        self._lock = threading.Lock()
        self._rest = b""
        self.samples = []
        self.texts = []
        self.pongs = []
        self.end = None
        self._reader = None

    # The handshake

    def head(self):
        """Read an HTTP head, and give it."""
        while b"\r\n\r\n" not in self._rest:
            data = self.sock.recv(4096)
            if not data:
                raise Differs(f"the stream ended in the handshake, after {self._rest!r}")
            self._rest += data
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        return head.decode()

    def accept(self):
        """A server's part of the handshake."""
        self.raw(response(self.head().encode()))
        self.read()
        return self

    @staticmethod
    def request(host, key="MDEyMzQ1Njc4OTAxMjM0NQ==", version="13"):
        return (
            f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n\r\n"
        ).encode()

    # Sending

    def raw(self, data):
        with self._lock:
            self.sock.sendall(data)

    def frame(self, opcode, payload, fin=True):
        """The frame that this side sends, as bytes."""
        return frame(opcode, payload, self._masked, fin)

    def send(self, text):
        self.raw(self.frame(TEXT, text.encode()))

    def ping(self, data):
        self.raw(self.frame(PING, data))

    def close(self, code=1000):
        self._closing = True
        self.raw(close_frame(code, masked=self._masked))

    def reset(self):
        """End it with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def hang_up(self):
        # Closing alone would leave the reader in recv(), and the connection open with it.
        if self._reader:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RD)
            self._reader.join()
        self.sock.close()

    # Receiving

    def read(self):
        """Take what comes from now on, and answer as the standard says."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        end = "end"
        try:
            while True:
                first, length = self._bytes(2)
                masked, length = length & 0x80, length & 0x7F
                if length == 126:
                    length = struct.unpack(">H", self._bytes(2))[0]
                elif length == 127:
                    length = struct.unpack(">Q", self._bytes(8))[0]
                key = self._bytes(4) if masked else bytes(4)
                payload = xor(self._bytes(length), key)
                opcode = first & 0x0F
                if opcode == CLOSE:
                    end = struct.unpack(">H", payload[:2])[0] if payload else 1005
                    self._over(end)
                    if not self._closing:
                        with contextlib.suppress(OSError):
                            self.raw(self.frame(CLOSE, payload[:2]))
                    if not self._masked:
                        self.sock.shutdown(socket.SHUT_WR)  # a server closes TCP first
                    self._bytes(1 << 30)  # up to the end of the stream
                if opcode == PING:
                    self.raw(self.frame(PONG, payload))
                self._take(opcode, payload)
        except EOFError:
            pass
        except OSError:
            end = end if isinstance(end, int) else "reset"
        self._over(end)

    def _bytes(self, count):
        while len(self._rest) < count:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self._rest += data
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def _take(self, opcode, payload):
        with self.changed:
            if opcode == PONG:
                self.pongs.append(payload)
            elif opcode == TEXT:
                text = payload.decode()
                self.texts.append(text)
                if text.startswith("pin0:"):
                    self.samples.append(int(text[5:]))
            self.changed.notify_all()

    def _over(self, end):
        with self.changed:
            if self.end is None:
                self.end = end
            self.changed.notify_all()

    def is_over(self):
        return self.end is not None

    def wait_sample(self, patience=PATIENCE):
        """Wait for one more sample."""
        have = len(self.samples)
        self.until(lambda: len(self.samples) > have, "a sample at the peer", patience)

    def wait_end(self, patience=PATIENCE):
        return self.until(lambda: self.end, "the end of the connection", patience)

    def gaps(self):
        """How many numbers are missing, or came out of order."""
        pairs = zip(self.samples, self.samples[1:], strict=False)
        return sum(after != before + 1 for before, after in pairs)


class Scene:
    """One fault against one role: its board, its wire, its peers, all ended at the end."""

    def __init__(self, role, number, folder, quick):
        self.role = role
        self.quick = quick
        self.keepalive = 4 if quick else 40  # seconds
        self.patience = PATIENCE if quick else 150.0
        self.board = None
        self._folder = folder
        self._ends = contextlib.ExitStack()
        self._count = 0
        self._tokens = 0
        self.link = Link(number)
        self._ends.callback(self.link.remove)
        self._address = None
        self._wires = set()

    @property
    def address(self):
        """Where the server is, host and port: the board, or who its client looks for."""
        return self._address or (
            self.link.here if self.role == "client" else self.link.there,
            PORT,
        )

    def end(self):
        for wire in self._wires:
            wire.hang_up()
        self._ends.close()

    def _config(self, settings):
        config = {"role": self.role, "keepalive": self.keepalive, "sample_interval": 0.1}
        if self.role == "client":
            config["url"] = f"ws://{self.address[0]}:{self.address[1]}/"
        config.update(settings)
        self._count += 1
        return config

    def serial_board(self):
        """A board with a flash memory, off; from now on the peers are on this one's loopback."""
        self._address = ("127.0.0.1", virtual.choose_port(0))
        config = self._config({"port": self.address[1]})
        self.board = SerialBoard(self._folder / f"board{self._count}", config)
        self._ends.callback(self.board.power_off)
        return self.board

    def power_on(self, wait=True, settings=None, **options):
        """The board of this scene, or a fresh one; up to where it is ready unless told not to."""
        config = self._config(settings or {})
        self.board = Board(self._folder / f"board{self._count}", self.link, config, **options)
        self._ends.callback(self.board.power_off)
        self.board.power_on()
        if wait:
            self.board.wait("listening on" if self.role == "server" else "connecting to")

    def peer(self, side):
        peer = Peer(side, self.link.here if side == "server" else self.link.there)
        self._ends.callback(peer.kill)
        return peer

    def names(self):
        """A name server, and how to start a board that asks it: `inside` for power_on()."""
        names = Names(self.link.here)
        self._ends.callback(names.stop)
        file = self._folder / "resolv.conf"
        file.write_text(f"nameserver {self.link.here}\noptions timeout:1 attempts:1\n")
        bind = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return names, ["unshare", "--mount", "sh", "-c", bind, str(file)]

    def listen(self, **options):
        """A listening socket where the board's client connects to; not one byte is read yet."""
        sock = socket.create_server(self.address)
        for name, value in options.items():
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        sock.settimeout(self.patience)
        self._ends.callback(sock.close)
        return sock

    def accept(self, listener):
        """The next connection of the board's client, before the handshake."""
        try:
            return self._keep(Wire(listener.accept()[0], False))
        except TimeoutError:
            raise Differs("the board did not connect") from None

    def dial(self, **options):
        """A connection to the board's server, before the handshake."""
        sock = socket.socket()
        for name, value in options.items():
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(self.address)
        except OSError as error:
            sock.close()
            raise Differs(f"no connection to the board: {error}") from None
        return self._keep(Wire(sock, True))

    def _keep(self, wire):
        self._wires.add(wire)
        return wire

    def forget(self, wire):
        """Hang up, for one of which many come."""
        wire.hang_up()
        self._wires.discard(wire)

    def call(self):
        """An open connection to the board's server."""
        wire = self.dial()
        wire.raw(wire.request(self.address[0]))
        head = wire.head()
        if " 101 " not in head:
            raise Differs("no WebSocket for a client: " + head.splitlines()[0])
        wire.read()
        return wire

    def lives(self, wire, patience=PATIENCE):
        """Make sure that messages pass both ways on this connection now."""
        self._tokens += 1
        token = f"token {self._tokens}."
        wire.send(token)
        self.board.wait("received " + token, patience)
        wire.wait_sample(patience)

    def undisturbed(self, witness):
        """Make sure that this client of the server has noticed nothing."""
        self.lives(witness)
        if witness.gaps():
            raise Differs("the other client lost a value")
        self.lives(self.call())

    def comes_back(self, listener):
        """Make sure that the client role connects anew and works."""
        wire = self.accept(listener).accept()
        self.lives(wire)
        return wire
