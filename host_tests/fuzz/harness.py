"""One check and many inputs, each way of making them; started by ``run.py``.

``harness guided CHECK`` and options of libFuzzer: atheris, guided by the code that is reached.
``harness mutated CHECK RUNS SEED CORPUS``: changes to what is in a folder, unguided, which is
several times faster. ``harness again CHECK FILE``: one input once more.
"""

import hashlib
import random
import sys
from pathlib import Path

from host_tests.support.paths import TOP

INSTRUMENTED = ["client_handshake", "compression", "core", "handshake", "server_handshake", "url"]
FOUND = TOP / ".cache" / "fuzz" / "found"


def load():
    """The checks, with a quick stand-in for what has tests of its own and takes most time."""
    from microws import handshake

    from host_tests.fuzz import checks

    handshake.sha1 = lambda data: hashlib.sha1(data).digest()
    return checks.CHECKS


def mutate(data, others, chance):
    data = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(6)
        if kind < 2 and at < len(data):
            data[at] = chance.randrange(256) if kind else data[at] ^ 1 << chance.randrange(8)
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 5))
        elif kind == 3:
            del data[at : at + chance.randrange(1, 9)]
        elif kind == 4:
            data[at:at] = data[at : at + chance.randrange(1, 60)]
        else:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            data[at:at] = other[start : start + chance.randrange(1, 60)]
    return bytes(data[:1000])


def main(way, name, *options):
    if way == "guided":
        sys.path.insert(0, str(TOP / ".cache" / "fuzz" / "site"))
        import atheris

        with atheris.instrument_imports(include=["microws." + name for name in INSTRUMENTED]):
            checks = load()
        atheris.Setup([sys.argv[0], *options], checks[name])
        atheris.Fuzz()
    elif way == "mutated":
        check = load()[name]
        runs, seed, corpus = options
        begin = [path.read_bytes() for path in sorted(Path(corpus).iterdir())]
        chance = random.Random(int(seed))
        for _ in range(int(runs)):
            data = mutate(chance.choice(begin), begin, chance)
            try:
                check(data)
            except BaseException:
                (FOUND / f"{name}-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
                raise
    else:
        load()[name](Path(options[0]).read_bytes())
        print("All is well.")


main(*sys.argv[1:])
