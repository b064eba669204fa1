#!/usr/bin/env bash
# The gate: set up, check, test. Arguments go to pytest, paths among them as seen from the top, and
# leave out the conformance suite.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./host_tests/setup.sh

printf 'ruff: '
.venv/bin/python -m ruff check .
printf 'mypy: '
.venv/bin/python -m mypy
printf 'shellcheck: '
find . \( -name .cache -o -name .venv \) -prune -o \( -name '*.sh' -o -path ./.ci/run \) \
    -exec .venv/bin/shellcheck -x {} +
echo 'All checks passed!'
[ $# -gt 0 ] || ./host_tests/conformance/run.sh --quick

exec .venv/bin/python -m pytest --timeout 120 "$@"
