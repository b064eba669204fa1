#!/usr/bin/env bash
# Measure microws beside bare TCP, MicroPython's C module and other libraries; --help tells more.
# --bare-metal: count cycles and heap on an emulated RP2040 instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

export PYTHONPATH=.cache/rp2040/packages # the emulator

if [ "${1-}" = --bare-metal ]; then
    ./host_tests/setup.sh venv micropython64 rp2040
    exec .venv/bin/python -m host_tests.bench.bare_metal "${@:2}"
fi

./host_tests/setup.sh venv micropython peers rp2040

exec .venv/bin/python -m host_tests.bench.bench "$@"
