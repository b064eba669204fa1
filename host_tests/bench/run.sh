#!/usr/bin/env bash
# Measure microws beside bare TCP, MicroPython's C module and other libraries; --help tells more.
# --bare-metal: count cycles and heap on an emulated RP2040 instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "${1-}" = --bare-metal ]; then
    ./host_tests/setup.sh venv micropython64 rp2040
    exec .venv/bin/python host_tests/bench/bare_metal.py "${@:2}"
fi

./host_tests/setup.sh venv micropython rp2040

requirements=host_tests/bench/requirements.txt
peers=.cache/bench/peers
if ! cmp -s "$requirements" "$peers/.set-up"; then
    echo 'Setting up the peers ...'
    rm -rf "$peers" "$peers.new"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile \
        --target "$peers.new" -r "$requirements" || {
        echo 'Cannot install the peers. Check the network, then run this again.' >&2
        exit 1
    }
    cp "$requirements" "$peers.new/.set-up"
    mv "$peers.new" "$peers"
fi

exec .venv/bin/python -m host_tests.bench.bench "$@"
