"""What came before a reset is given, on every interpreter and front, in both roles."""

import contextlib
import socket
import ssl
import struct

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from host_tests.library.endpoints import OURS, PROGRAMS
from host_tests.support.interpreters import INTERPRETERS, PATIENCE, Interpreter
from host_tests.support.ports import free_port
from host_tests.support.wire import TEXT, frame, request, response

# TLS takes its buffers, 16 KiB each way, and a certificate's chain from the same heap here.
PLAYERS = {
    **INTERPRETERS,
    "micropython32": Interpreter("micropython32", "-X", "heapsize=256k"),
}
COUNT = 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA, its certificate and that of localhost, in files."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    pem = ca.cert_pem.bytes()
    (folder / "ca.der").write_bytes(load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
    certificate = ca.issue_cert("localhost")
    (folder / "localhost.pem").write_bytes(
        b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    )
    certificate.private_key_pem.write_to_path(folder / "localhost.key")
    return ca, certificate, folder


def head(sock):
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += sock.recv(1)
    return data


def as_client(start, player, front, first, authority):
    """A connection to the program, which is the server, that is open."""
    port = free_port()
    files = []
    if authority:
        ca, _, folder = authority
        files = [folder / "localhost.pem", folder / "localhost.key"]
    program = PROGRAMS / "resets.py"
    process = start(player.command(program, front, "server", port, first, *files))
    process.wait_for("listening")
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    if authority:
        context = ssl.create_default_context()
        ca.configure_trust(context)
        sock = context.wrap_socket(sock, server_hostname="localhost")
    sock.sendall(request())
    assert head(sock).startswith(b"HTTP/1.1 101 ")
    return sock, process


def as_server(start, player, front, first, authority):
    """The same where the program is the client."""
    files = []
    if authority:
        _, certificate, folder = authority
        files = [folder / "ca.der"]
    program = PROGRAMS / "resets.py"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        process = start(player.command(program, front, "client", port, first, *files))
        listening.settimeout(PATIENCE)
        sock, _ = listening.accept()
        sock.settimeout(PATIENCE)
    if authority:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        sock = context.wrap_socket(sock, server_side=True)
    sock.sendall(response(head(sock)))
    return sock, process


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("party", OURS, ids=" ".join)
@pytest.mark.parametrize("first", [0, 1], ids=["unread", "begun"])
def test_what_came_before_a_reset_is_given(start, party, role, secure, first, authority):
    name, front = party
    begin = as_client if role == "server" else as_server
    sock, process = begin(start, PLAYERS[name], front, first, authority if secure else None)
    with contextlib.closing(sock):
        # In few segments, which all go before the reset; under TLS each is a record.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        commands = [
            frame(TEXT, b"command %d" % i + 100 * b".", role == "server") for i in range(COUNT)
        ]
        sock.sendall(b"".join(commands[:15]))
        sock.sendall(b"".join(commands[15:]))
        process.wait_for("waits")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    process.write("go on\n")
    assert process.wait_for("e") == f"received {COUNT} 1006"
