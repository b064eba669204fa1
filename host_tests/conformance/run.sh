#!/usr/bin/env bash
# Set up the Autobahn test suite in .cache/conformance and run it: ./host_tests/conformance/run.sh --help tells the options.
# Needs no root; quick when all is there already.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=$top/.cache/conformance
python2=$cache/python2

"$top/host_tests/setup.sh" venv micropython

mkdir -p "$cache"
# Two at a time would write the same files: the later one waits.
exec 9>"$cache/setup.lock"
flock 9

# It starts with this system's own C library.
python3 "$top/host_tests/setup/debian.py" unpack pypy "$cache/pypy"
libraries=$(printf '%s:' "$cache"/pypy/{,usr/}lib/*-linux-gnu*)
printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' \
    "${libraries%:}" "$cache/pypy/usr/bin/pypy" >"$python2.new"
chmod +x "$python2.new"
mv "$python2.new" "$python2"

wanted=$(cat "$here"/requirements-py27*.txt)
if [ "$(cat "$cache/site/.set-up" 2>/dev/null)" != "$wanted" ]; then
    echo 'Setting up the Autobahn test suite ...'
    rm -rf "$cache/build" "$cache/site" "$cache/site.new"
    "$top/.venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-compile \
        --target "$cache/build" --python-version 27 --implementation py --abi none --platform any \
        --only-binary :all: -r "$here/requirements-py27-build.txt"
    # An old pip brings old certificates: those of the new one are used.
    certificates=$("$top/.venv/bin/python" -c 'import pip._vendor.certifi as c; print(c.where())')
    # Built without a C compiler: PyPy uses none of the C accelerators, but their build cannot be left out.
    if ! CC=true LDSHARED=true PIP_CERT=${PIP_CERT:-$certificates} PYTHONPATH=$cache/build \
        "$python2" -m pip --disable-pip-version-check --no-python-version-warning install \
        --no-deps --no-build-isolation --no-cache-dir --no-compile \
        --target "$cache/site.new" -r "$here/requirements-py27.txt" >"$cache/setup.log" 2>&1; then
        tail -n 5 "$cache/setup.log" >&2
        echo "Cannot install the Autobahn test suite: see ${cache#"$top/"}/setup.log. Check the network," \
            'then run this again.' >&2
        exit 1
    fi
    printf '%s\n' "$wanted" >"$cache/site.new/.set-up"
    mv "$cache/site.new" "$cache/site"
fi
exec 9>&-

exec "$top/.venv/bin/python" "$here/run.py" "$@"
