#!/usr/bin/env bash
# The gate: set up, check, test. Arguments go to pytest, paths among them as seen from the top, and
# leave out the conformance suite and the coverage.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=
if ! ./host_tests/setup.sh; then
    # What needs the missing part is skipped, and says so; the gate has not passed then.
    if [ -n "${CI-}" ] || [ ! -e .venv/.set-up ]; then
        exit 1
    fi
    missing=yes
fi

echo 'ruff:'
.venv/bin/python -m ruff check .
.venv/bin/python -m ruff format --check .
if [ -e .cache/stubs/.set-up ]; then
    printf 'mypy: '
    .venv/bin/python -m mypy
fi
printf 'shellcheck: '
find . \( -name .cache -o -name .venv \) -prune -o \( -name '*.sh' -o -path ./.ci/run \) \
    -exec .venv/bin/shellcheck -x {} +
echo 'All checks passed!'

# --timeout is pytest-timeout's; without it, any test runs with nothing but pytest.
if [ $# -gt 0 ]; then
    .venv/bin/python -m pytest --timeout 120 "$@"
else
    [ ! -e .cache/conformance/site/.set-up ] || ./host_tests/conformance/run.sh --quick
    .venv/bin/python -m coverage erase
    .venv/bin/python -m coverage run -m pytest --timeout 300 -n 2 --dist worksteal
    .venv/bin/python -m coverage combine --quiet
    .venv/bin/python -m coverage report
fi

if [ -n "$missing" ]; then
    echo 'What is set up passed; the rest was not tested. See what is missing: ./host_tests/setup.sh' >&2
    exit 1
fi
