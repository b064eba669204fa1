#!/usr/bin/env bash
# Compile the emulator's core, in .cache/rp2040/packages, for this very Python. That of the package
# is made for any Python, which makes it three times slower; the patch saves another third.
# Needs gcc and Python's headers. A second run does nothing.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$top/.cache/rp2040/packages"
python=$top/.venv/bin/python

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

of_python() {
    "$python" -c "import sysconfig; print(sysconfig.$1)"
}

[ -e .compiled ] && exit
suffix=$(of_python 'get_config_var("EXT_SUFFIX")')
include=$(of_python 'get_path("include")')
command -v gcc >/dev/null || fail 'There is no gcc here. Install it, then run this again.'
[ -e "$include/Python.h" ] ||
    fail "There is no $include/Python.h. Install Python's headers (python3-dev), then run this again."

# The inner loop goes over the two PIO blocks with every instruction: typed, and written out.
loop=rp2040py/native/_simulator.pyx
if ! grep -q pio0 $loop; then
    sed -i -e 's/^from rp2040py.native._rp2040 cimport RP2040$/from rp2040py.native._pio cimport RPPIO\n&/' \
        -e 's/^    pios = rp2040.pio$/    cdef RPPIO pio0 = rp2040.pio[0]\n    cdef RPPIO pio1 = rp2040.pio[1]/' \
        -e '/^        for pio in pios:$/d' \
        -e 's/^            if not pio.stopped:$/        if not pio0.stopped:/' \
        -e 's/^                pio.advance(cycles)$/            pio0.advance(cycles)\n        if not pio1.stopped:\n            pio1.advance(cycles)/' \
        $loop
fi
grep -q 'pio1.advance' $loop || fail "The patch does not fit $loop: see emulator.sh."

compile() {
    echo "  $1"
    PYTHONPATH=$PWD "$python" -m cython -3 -X boundscheck=False -X wraparound=False "$1.pyx" -o "$1.c"
    gcc -O3 -shared -fPIC -w -I"$include" "$1.c" -o "$1$suffix"
}
export -f compile
export python suffix include
echo 'Compiling the emulator ...'
find rp2040py/native -name '*.pyx' | sed 's/\.pyx$//' | sort |
    xargs -P "$(nproc)" -I{} bash -euc 'compile {}' ||
    fail 'The emulator does not compile: see above.'
touch .compiled
