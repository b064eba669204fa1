"""Fuzz the library: each check for a share of the runs, then a report.

Started by ``run.sh``, which sets up what this needs. Exits with 0 when every input was as it has
to be; with 1 when not, and then tells the file with the input and how to play it again.
"""

import argparse
import random
import re
import subprocess
import sys
import time

from host_tests.fuzz import checks
from host_tests.support.paths import TOP
from host_tests.support.wire import BINARY, CLOSE, PING, TEXT, close_frame, frame

FOUND = TOP / ".cache" / "fuzz" / "found"
# The share of each check in the runs, in tenths; an input of the last is by far the cheapest.
SHARES = {"client_handshake": 1, "server_handshake": 1, "frame_bytes": 2, "open_connection": 6}
MAX_LEN = {"server_handshake": 600, "client_handshake": 600}

# What the fuzzer begins with, behind the two bytes that set up a script: words of the grammars.
FRAMES = [
    frame(op, payload, masked, fin, rsv)
    for masked in (False, True)
    for op, payload, fin, rsv in (
        (TEXT, b"hello", True, 0),
        (BINARY, bytes(130), False, 0),
        (0, "é€".encode(), True, 0),
        (PING, b"p", True, 0),
        (CLOSE, b"\x03\xe8bye", True, 0),
        (TEXT, checks.packed(b"hello" * 9), True, 4),
    )
]
EXTENSIONS = (
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9;"
    b" server_max_window_bits=10; server_no_context_takeover; client_no_context_takeover\r\n"
    b"Sec-WebSocket-Protocol: x, a\r\n"
)


def seeds(check):
    end = b"".join((FRAMES[0], close_frame(1000, "bye")))
    if check == "server_handshake":
        heads = [checks.TO_SERVER, checks.TO_SERVER[:-2] + EXTENSIONS + b"\r\n"]
        return [b"\0\x09" + head + FRAMES[6] for head in heads]
    if check == "client_handshake":
        heads = [
            checks.TO_CLIENT,
            checks.TO_CLIENT[:-2] + EXTENSIONS.replace(b"x, ", b"") + b"\r\n",
        ]
        heads.append(b"HTTP/1.1 404 Not Found\r\n\r\nnothing here")
        return [b"\x07\x09" + head + end for head in heads]
    if check == "open_connection":
        return [bytes((setup, 5)) + b"".join(FRAMES[at : at + 6]) for setup, at in
                ((1, 0), (7, 0), (15, 0), (0, 6), (6, 6), (14, 6), (46, 6))]  # fmt: skip
    chance = random.Random(6455)
    return [bytes((setup, 5)) + chance.randbytes(60) for setup in range(0, 256, 7)]


def fuzz(check, runs, seed):
    """One check: a tenth of the runs guided, from the seeds on, the others from what that found.

    Gives how many inputs were guided, how many places in the code they reached, and the files of
    those that failed.
    """
    corpus = FOUND.parent / "corpus" / check
    for folder in (corpus, FOUND):
        folder.mkdir(parents=True, exist_ok=True)
    for old in [*corpus.iterdir(), *FOUND.glob(check + "-*")]:
        old.unlink()
    for i, data in enumerate(seeds(check)):
        (corpus / f"seed{i}").write_bytes(data)
    log = FOUND.parent / f"{check}.log"
    guided = max(1, runs // 10)
    command = [sys.executable, "-m", "host_tests.fuzz.harness"]
    options = [f"-runs={guided}", f"-seed={seed}", f"-max_len={MAX_LEN.get(check, 128)}"]
    options += [f"-artifact_prefix={FOUND}/{check}-", "-timeout=20", "-print_final_stats=1"]
    parts = (
        ["guided", check, *options, str(corpus)],
        ["mutated", check, str(runs - guided), str(seed), str(corpus)],
    )
    with log.open("wb") as output:
        for part in parts:
            status = subprocess.run(
                [*command, *part], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            ).returncode
            failed = sorted(FOUND.glob(check + "-*"))
            if failed:
                break
            if status:
                sys.exit(f"{check} ended with status {status}: see {log.relative_to(TOP)}")
    text = log.read_text("utf-8", "replace")
    count, reached = (
        int(re.findall(pattern, text)[-1])
        for pattern in (r"stat::number_of_executed_units: +(\d+)", r"cov: (\d+)")
    )
    return count, reached, failed


def main():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000, metavar="N", help="inputs in all")
    parser.add_argument("--seed", type=int, metavar="S", help="1 or more; without it, a new one")
    parser.add_argument("--check", choices=SHARES, help="only this one, with all the runs")
    chosen = parser.parse_args()
    seed = chosen.seed or random.randrange(1, 1 << 31)
    shares = {chosen.check: 1} if chosen.check else SHARES
    total = 0
    bad = []
    started = time.monotonic()
    for check, share in shares.items():
        begun = time.monotonic()
        runs = max(1, chosen.runs * share // sum(shares.values()))
        guided, reached, failed = fuzz(check, runs, seed)
        bad += failed
        if failed:
            print(f"{check}: FAILED, after {guided:,} guided inputs", flush=True)
            continue
        total += runs
        print(
            f"{check}: {runs:,} inputs, {guided:,} of them guided, which reached {reached} places"
            f" in the code, {time.monotonic() - begun:.0f} s",
            flush=True,
        )
    minutes = (time.monotonic() - started) / 60
    print(f"{total:,} inputs, seed {seed}, {minutes:.1f} minutes, {len(bad)} failed")
    for path in bad:
        check, file = path.name.partition("-")[0], path.relative_to(TOP)
        harness = "PYTHONPATH=lib .venv/bin/python -m host_tests.fuzz.harness"
        print(f"    {harness} again {check} {file}")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
