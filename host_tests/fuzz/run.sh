#!/usr/bin/env bash
# Fuzz the library with atheris: ./host_tests/fuzz/run.sh --help tells the options.
# Needs no root; sets up what it needs, in .cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

./host_tests/setup.sh venv atheris

exec .venv/bin/python -m host_tests.fuzz.run "$@"
