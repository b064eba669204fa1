"""wss:// on every interpreter and front, with certificates of a CA of our own."""

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from host_tests.library.endpoints import BUFFER_SIZE, OURS, PROGRAMS, THEIRS
from host_tests.support.interpreters import INTERPRETERS, Interpreter
from host_tests.support.ports import free_port

# TLS takes its buffers, 16 KiB each way, and a certificate's chain from the same heap here.
PLAYERS = {
    **INTERPRETERS,
    "micropython32": Interpreter("micropython32", "-X", "heapsize=256k"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two CAs, and a certificate of the first one for localhost and for another name."""
    folder = tmp_path_factory.mktemp("tls")
    for ca_name in ("known", "unknown"):
        ca = trustme.CA()
        pem = ca.cert_pem.bytes()
        der = load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        (folder / f"{ca_name}.der").write_bytes(der)
        if ca_name == "known":
            for host in ("localhost", "elsewhere.example"):
                certificate = ca.issue_cert(host)
                (folder / f"{host}.pem").write_bytes(
                    b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
                )
                certificate.private_key_pem.write_to_path(folder / f"{host}.key")
    return folder


def serve(start, party, files, host="localhost"):
    name, front = party
    port = free_port()
    process = start(
        PLAYERS[name].command(
            PROGRAMS / "server.py",
            front,
            port,
            BUFFER_SIZE[name],
            files / f"{host}.pem",
            files / f"{host}.key",
        )
    )
    process.wait_for("listening")
    return port


def run_client(party, port, server, *ca):
    name, front = party
    return PLAYERS[name].run(
        PROGRAMS / "client.py",
        front,
        f"wss://localhost:{port}",
        BUFFER_SIZE[name],
        server[1],
        BUFFER_SIZE[server[0]],
        *ca,
    )


@pytest.mark.parametrize(
    ("client", "server"),
    [*((party, THEIRS) for party in OURS), *((THEIRS, party) for party in OURS)]
    + [(party, OURS[i - 1]) for i, party in enumerate(OURS)],
    ids="-".join,
)
def test_all_checks_pass_over_tls(start, files, client, server):
    port = serve(start, server, files)
    result = run_client(client, port, server, files / "known.der")
    assert result.stdout.splitlines()[-1:] == ["0 failed"], result.stdout + result.stderr


@pytest.mark.parametrize("client", OURS, ids="-".join)
@pytest.mark.parametrize(
    ("host", "ca"),
    [("localhost", ["unknown.der"]), ("elsewhere.example", ["known.der"]), ("localhost", [])],
    ids=["unknown CA", "another host's certificate", "no CA"],
)
def test_server_that_cannot_be_trusted_is_refused(start, files, client, host, ca):
    port = serve(start, THEIRS, files, host)
    name, front = client
    result = PLAYERS[name].run(
        PROGRAMS / "refused.py",
        front,
        f"wss://localhost:{port}/echo",
        *(files / file for file in ca),
    )
    assert result.stdout.startswith("refused: "), result.stdout + result.stderr
