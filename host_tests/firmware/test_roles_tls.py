"""Both roles over wss://, with the websockets package as the peer, and what they do not trust."""

import contextlib
import datetime
import hashlib
import os
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from websockets.sync.client import connect

from host_tests.deploy import virtual
from host_tests.firmware.test_roles import Server
from host_tests.library.test_tls import PLAYERS
from host_tests.support.interpreters import environment

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)
CERTIFICATES = {
    "good": {},
    "old": {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY},
    "early": {"not_before": NOW + DAY},
}
TOKEN = "not-for-everybody"


def der(pem):
    return load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A CA in both forms, one that nobody knows, and certificates, with a key beside each."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    for name, one in (("ca", ca), ("unknown", trustme.CA())):
        pem = one.cert_pem.bytes()
        (folder / f"{name}.pem").write_bytes(pem)
        (folder / f"{name}.der").write_bytes(der(pem))
    issued = {name: ca.issue_cert("127.0.0.1", **dates) for name, dates in CERTIFICATES.items()}
    issued["other"] = ca.issue_cert("elsewhere.example")
    for name, certificate in issued.items():
        chain = [blob.bytes() for blob in certificate.cert_chain_pems]
        (folder / f"{name}.pem").write_bytes(b"".join(chain))
        (folder / f"{name}.der").write_bytes(der(chain[0]))
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    return folder


def fingerprint(files, name):
    digest = hashlib.sha256((files / f"{name}.der").read_bytes()).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, 64, 2))


@pytest.fixture(params=["cpython", "micropython32"])
def board(request, start, tmp_path):
    """`board(setting=value...)` starts a board."""

    def start_board(**settings):
        made = virtual.Board("board", tmp_path / "board", settings)
        return start(PLAYERS[request.param].command(virtual.START), cwd=made.folder)

    return start_board


def secure_server(files, name, asked):
    def handler(connection):
        asked.append(connection.request.headers.get("Authorization"))
        connection.send("welcome")
        for _ in connection:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / f"{name}.pem", files / f"{name}.key")
    return Server(handler, ssl=context)


def open_sockets(process):
    found = 0
    for file in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(file).startswith("socket:")
    return found


@pytest.mark.parametrize(
    ("certificate", "settings"),
    [
        ("good", {"ca_file": "ca.pem"}),
        ("good", {"fingerprint": "good"}),
        # Only the certificate counts then, not who stands for it, for whom, and until when.
        ("old", {"fingerprint": "old"}),
        ("other", {"fingerprint": "other"}),
    ],
)
def test_the_client_role_knows_its_server(board, files, certificate, settings):
    asked = []
    settings = dict(settings)
    if "ca_file" in settings:
        settings["ca_file"] = str(files / settings["ca_file"])
    else:
        settings["fingerprint"] = fingerprint(files, settings["fingerprint"])
    with secure_server(files, certificate, asked) as server:
        url = f"wss://127.0.0.1:{server.port}/"
        process = board(role="client", url=url, token=TOKEN, **settings)
        process.wait_for("connecting to wss://")
        process.wait_for("received welcome")
    assert asked == ["Bearer " + TOKEN]


@pytest.mark.parametrize(
    ("certificate", "settings", "told"),
    [
        ("other", {"ca_file": "ca.pem"}, "name: its certificate is not for 127.0.0.1"),
        ("good", {"ca_file": "unknown.pem"}, 'issuer: "ca_file" does not vouch'),
        ("old", {"ca_file": "ca.pem"}, f"clock: its certificate does not hold at {NOW:%Y-%m-%d}"),
        ("early", {"ca_file": "ca.pem"}, "clock: its certificate does not hold"),
        ("good", {"fingerprint": "other"}, "fingerprint: its certificate has "),
    ],
)
def test_the_client_role_tells_what_is_wrong_with_a_certificate(
    board, files, certificate, settings, told
):
    asked = []
    settings = dict(settings)
    if "ca_file" in settings:
        settings["ca_file"] = str(files / settings["ca_file"])
    else:
        settings["fingerprint"] = fingerprint(files, settings["fingerprint"])
        told += hashlib.sha256((files / "good.der").read_bytes()).hexdigest()
    with secure_server(files, certificate, asked) as server:
        url = f"wss://127.0.0.1:{server.port}/"
        process = board(role="client", url=url, token=TOKEN, **settings)
        sockets = []
        for _ in range(2):
            process.wait_for("server not trusted: " + told)
            process.wait_for("trying again in ")
            sockets.append(open_sockets(process))
    assert sockets[0] == sockets[1]
    assert asked == []  # it was not told who asks


def test_a_certificate_that_was_refused_is_of_no_matter_once_the_server_is_gone(board, files):
    with secure_server(files, "good", []) as server:
        url = f"wss://127.0.0.1:{server.port}/"
        process = board(role="client", url=url, fingerprint=fingerprint(files, "other"))
        process.wait_for("server not trusted: fingerprint")
    process.wait_for("connecting to")
    assert "connection refused" in process.wait_for("]")


def test_a_board_takes_der_as_well(start, tmp_path, files):
    asked = []
    with secure_server(files, "good", asked) as server:
        settings = {"role": "client", "url": f"wss://127.0.0.1:{server.port}/"}
        settings["ca_file"] = str(files / "ca.der")
        made = virtual.Board("board", tmp_path / "board", settings)
        process = start(PLAYERS["micropython32"].command(virtual.START), cwd=made.folder)
        process.wait_for("received welcome")


def test_the_server_role_over_tls(board, files):
    port = virtual.choose_port(0)
    process = board(
        port=port,
        cert_file=str(files / "good.pem"),
        key_file=str(files / "good.key"),
        sample_interval=0.05,
    )
    process.wait_for(f"listening on wss://127.0.0.1:{port}/")
    context = ssl.create_default_context(cafile=files / "ca.pem")
    with connect(f"wss://127.0.0.1:{port}/", ssl=context) as first:
        assert first.recv().startswith("pin0:")
        # One that stops half-way through its handshake, and one that does not speak TLS.
        with (
            socket.create_connection(("127.0.0.1", port)) as stopped,
            socket.create_connection(("127.0.0.1", port)) as plain,
        ):
            stopped.sendall(b"\x16\x03\x01\x01\x00\x01")
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            try:
                while plain.recv(100):
                    pass
            except ConnectionResetError:
                pass
            process.wait_for("refused, no TLS: ")
            with pytest.raises(ssl.SSLCertVerificationError):
                connect(f"wss://127.0.0.1:{port}/", ssl=ssl.create_default_context())
            process.wait_for("refused, no TLS: ")
            assert first.recv().startswith("pin0:")
            with connect(f"wss://127.0.0.1:{port}/", ssl=context) as second:
                assert second.recv().startswith("pin0:")
        first.send("still here")
        process.wait_for("client 1: received still here")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "wss://127.0.0.1/", "ca_file": "none.pem"}, '"ca_file" (none.pem): no such file'),
        ({"url": "wss://127.0.0.1/", "ca_file": "main.py"}, '"ca_file" (main.py): '),
        (
            {"role": "server", "cert_file": "none.pem", "key_file": "none.key"},
            '"cert_file" (none.pem) and "key_file" (none.key): no such file on the board',
        ),
        (
            {"role": "server", "cert_file": "main.py", "key_file": "main.py"},
            '"cert_file" (main.py) and "key_file" (main.py): ',
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told(board, settings, told):
    process = board(**{"role": "client", **settings})
    process.wait_for("config.json: " + told)
    process.wait_for("stopped; correct config.json")
    assert "Traceback" not in process.output


# A board that has just been switched on; its clock and ntptime are not to be had on a computer.
CLOCK = """
import sys
from firmware import certificates
from firmware.settings import defaults

class Time:
    now = (2000, 1, 1)
    def gmtime(self):
        return self.now

class Ntp:
    problem = {problem}
    def settime(self):
        if self.problem:
            raise self.problem
        certificates.time.now = (2026, 11, 22)

certificates.time = Time()
ntp = Ntp()
if {frozen}:
    sys.modules["ntptime"] = ntp
settings = defaults()
settings.update(url="wss://board/", ntp_host="time.example")
settings.update({settings})
verifier = certificates.Verifier(settings)
for _ in range(2):
    try:
        verifier.set_clock()
        print("done")
    except OSError as error:
        print(error)
print(getattr(ntp, "host", None))
"""


@pytest.mark.parametrize(
    ("problem", "frozen", "pinned", "told"),
    [
        ("None", True, False, ["clock set by time.example: 2026-11-22", "done", "done"]),
        ("OSError(110)", True, False, 2 * ["clock not set: no time from time.example: "]),
        ("OSError(110)", True, True, 2 * ["clock not set: no time from time.example: ", "done"]),
        ("None", False, False, 2 * ["clock not set: no time from time.example: "]),
    ],
    ids=["set", "no answer", "no answer, not needed", "no ntptime"],
)
def test_the_clock_is_set_first(interpreter, files, problem, frozen, pinned, told):
    settings = {"ca_file": str(files / "ca.pem")}
    if pinned:
        settings = {"fingerprint": fingerprint(files, "good")}
    script = CLOCK.format(problem=problem, frozen=frozen, settings=settings)
    result = interpreter.run("-c", script, env=environment())
    assert result.stderr == ""
    *lines, host = result.stdout.splitlines()
    assert len(lines) == len(told)
    for line, part in zip(lines, told, strict=True):
        assert part in line
    assert host == ("time.example" if frozen else "None")
