#!/usr/bin/env bash
# Set up atheris in .cache/fuzz and fuzz the library: ./host_tests/fuzz/run.sh --help tells the options.
# Needs no root; quick when all is there already.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=$top/.cache/fuzz

"$top/host_tests/setup.sh" venv

if ! cmp -s "$here/requirements.txt" "$cache/site/.set-up"; then
    echo 'Setting up atheris ...'
    rm -rf "$cache/site"
    if ! "$top/.venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --only-binary :all: \
        --target "$cache/site" -r "$here/requirements.txt"; then
        echo 'Cannot install atheris. It has packages for CPython 3.11 to 3.13 on Linux: check that, and the' \
            'network, then run this again.' >&2
        exit 1
    fi
    cp "$here/requirements.txt" "$cache/site/.set-up"
fi

cd "$top"
PYTHONPATH=lib exec .venv/bin/python -m host_tests.fuzz.run "$@"
