"""The driver of the W5500 over the chip in Python, on each interpreter."""

import ssl
import threading

import pytest
import trustme
from websockets.sync.server import serve

from host_tests.support.interpreters import INTERPRETERS, Interpreter, environment
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port

HERE = TOP / "host_tests" / "w5500"
# The chip's two buffers of 16 KiB are on that heap as well, several times.
ON = {**INTERPRETERS, "micropython32": Interpreter("micropython32", "-X", "heapsize=2m")}


def ports():
    """Where the chip's own are, see programs/rig.py."""
    return [free_port() for _ in range(7)]


@pytest.mark.parametrize("name", ON)
@pytest.mark.parametrize("program", ["tcp", "udp", "mdns", "faults", "library"])
def test_driver(name, program):
    path = HERE / "programs" / f"{program}.py"
    tests = [line[4:-3] for line in path.read_text().splitlines() if line.startswith("def test_")]
    result = ON[name].run(path, *ports(), env=environment(HERE / "programs", HERE), timeout=90)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.split() == sorted(tests)


@pytest.mark.parametrize("name", ["micropython64", "micropython32"])
def test_wss(name, tmp_path):
    """MicroPython's `tls` wraps a socket of the chip; CPython's takes the system's own only."""
    ca = trustme.CA()
    pem = ca.cert_pem.bytes().decode()
    (tmp_path / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)

    def echo(ws):
        for message in ws:
            ws.send(message)

    with serve(echo, "127.0.0.1", 0, ssl=context, compression=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        env = environment(HERE / "programs", HERE)
        path = HERE / "programs" / "library.py"
        result = ON[name].run(path, *ports(), port, tmp_path / "ca.der", env=env, timeout=60)
        server.shutdown()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == ["3000", "asyncio"]
