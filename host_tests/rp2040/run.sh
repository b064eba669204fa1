#!/usr/bin/env bash
# Run the project on an emulated RP2040 with the firmware that a Raspberry Pi Pico comes with.
#     run.sh          what .ci/run calls: one deployment, one update, the library's tests
#     run.sh --full   all: from .py as well, every length, the newest MicroPython, the benchmark
# Other arguments go to pytest. The first run builds the firmware and compiles the emulator.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tests=(.venv/bin/python -m pytest -v --durations=0 --durations-min=1 --timeout=1800 host_tests/rp2040)

if [ "${1-}" != --full ]; then
    ./host_tests/setup.sh venv micropython64 rp2040
    exec "${tests[@]}" -m 'not full' "$@"
fi
./host_tests/setup.sh venv micropython64 rp2040 autobahn
./host_tests/rp2040/firmware.sh newest
"${tests[@]}" "${@:2}"
./host_tests/bench/run.sh --bare-metal
