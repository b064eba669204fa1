#!/usr/bin/env bash
# Run the Autobahn test suite: ./host_tests/conformance/run.sh --help tells the options.
# Needs no root; sets up what it needs, in .cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

./host_tests/setup.sh venv micropython autobahn

exec .venv/bin/python host_tests/conformance/run.py "$@"
