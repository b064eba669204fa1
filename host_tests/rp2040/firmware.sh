#!/usr/bin/env bash
# Build the firmware that a Raspberry Pi Pico comes with, from the sources that Debian has:
#     firmware.sh [oldest|newest]     leaves .cache/rp2040/oldest.uf2 (or newest.uf2)
# Nothing is installed: compiler and sources are unpacked in .cache. Needs make and g++. A second
# run does nothing.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$top/.cache/rp2040
name=${1:-oldest}
mkdir -p "$cache"

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

case $name in
    oldest) sources=(rp2040-sources) ;;
    newest) sources=(rp2040-sources rp2040-sources-newest) ;;
    *) fail "firmware.sh: oldest or newest, not $name" ;;
esac

wanted=$(cat "${BASH_SOURCE[0]}" && grep '^rp2040-' "$top/host_tests/setup/debian.lock")
[ "$(cat "$cache/$name.built" 2>/dev/null)" != "$wanted" ] || exit 0
for tool in make gcc g++; do
    command -v $tool >/dev/null ||
        fail "There is no $tool here. Install build-essential, then run this again."
done
fetch() {
    python3 "$top/host_tests/setup/debian.py" fetch "$1" "$cache/files/$1" || exit 1
}

# The compiler. Debian's maintainer scripts would make the two links; its *.specs name
# /usr/include; the firmware links nothing of libstdc++, whose package is 313 MB.
fetch rp2040-compiler
tools=$cache/tools/usr
moved=$(printf '%s\n' "$tools" "$wanted") # its specs hold the path
if [ "$(cat "$cache/tools/.set-up" 2>/dev/null)" != "$moved" ]; then
    echo 'Unpacking the compiler ...'
    rm -rf "$cache/tools"
    mkdir -p "$cache/tools"
    for deb in "$cache"/files/rp2040-compiler/*.deb; do # of the libraries those of a Cortex-M0+
        dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$cache/tools" --exclude='*/arm/v*' --exclude='*/thumb/v[78]*'
    done
    ln -s newlib "$tools/lib/arm-none-eabi/lib"
    ln -s ../../include/newlib "$tools/lib/arm-none-eabi/include"
    find "$tools/lib/arm-none-eabi" -name '*.specs' -exec sed -i "s#/usr/include#$tools/include#" {} +
    for library in stdc++ stdc++_nano supc++ supc++_nano; do
        "$tools/bin/arm-none-eabi-ar" rcs "$tools/lib/arm-none-eabi/newlib/lib$library.a"
    done
    printf '%s\n' "$moved" >"$cache/tools/.set-up"
fi

# The sources. Debian's MicroPython has empty folders where upstream has submodules.
echo 'Unpacking the sources ...'
for set in rp2040-libraries "${sources[@]}"; do
    fetch "$set"
done
src=$cache/build-$name
rm -rf "$src"
mkdir -p "$src/mbedtls" "$src/micropython"
for deb in "$cache"/files/rp2040-libraries/*.deb; do
    dpkg-deb -x "$deb" "$src"
done
tar -xf "$cache"/files/rp2040-sources/mbedtls_*.tar.* -C "$src/mbedtls" --strip-components=1
tar -xf "$cache/files/${sources[-1]}"/micropython_*.tar.* -C "$src/micropython" --strip-components=1
rmdir "$src"/micropython/lib/{pico-sdk,tinyusb,mbedtls}
ln -s "$src/usr/src/pico-sdk" "$src/usr/src/tinyusb" "$src/mbedtls" "$src/micropython/lib/"
touch "$src/micropython/lib/micropython-lib/README.md"
cat >"$src/manifest.py" <<'MANIFEST'
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
MANIFEST

# The same bytes each time: neither date, nor order in Python's sets, nor the commit of whatever
# repository this lies in gets in.
export SOURCE_DATE_EPOCH=1750000000 PYTHONHASHSEED=0 GIT_CEILING_DIRECTORIES=$cache
export PICO_TOOLCHAIN_PATH=$tools PATH=$tools/bin:$PATH
log=$cache/build-$name.log
echo 'Building the firmware, which takes some minutes ...'
cmake() {
    PYTHONPATH=$cache/packages "$top/.venv/bin/python" -m cmake "$@"
}
{
    make -C "$src/micropython/mpy-cross" -j"$(nproc)"
    cmake -S "$src/micropython/ports/rp2" -B "$src/build" -DMICROPY_BOARD=RPI_PICO \
        -DPICO_NO_PICOTOOL=1 -DMICROPY_FROZEN_MANIFEST="$src/manifest.py"
    make -C "$src/build" -j"$(nproc)"
} >"$log" 2>&1 || {
    tail -20 "$log" >&2
    fail "The firmware does not build: the rest of it is in ${log#"$top/"}."
}

# As a file that a Pico takes (UF2): blocks of 256 bytes, from the start of the flash on.
python3 - "$src/build/firmware.bin" "$cache/$name.uf2" <<'PYTHON'
import struct
import sys
from pathlib import Path

data = Path(sys.argv[1]).read_bytes()
blocks = [data[i : i + 256].ljust(256, b"\0") for i in range(0, len(data), 256)]
with open(sys.argv[2], "wb") as file:
    for number, block in enumerate(blocks):
        head = 0x0A324655, 0x9E5D5157, 0x2000, 0x10000000 + 256 * number, 256, number, len(blocks)
        file.write(struct.pack("<8I", *head, 0xE48BFF56))  # the last is RP2040's family
        file.write(block.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30))
print(f"Firmware of {len(data)} bytes.")
PYTHON
rm -rf "$src"
printf '%s\n' "$wanted" >"$cache/$name.built"
