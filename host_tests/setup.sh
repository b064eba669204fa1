#!/usr/bin/env bash
# Set up what the tests and the virtual boards need, in the project's own .venv/ and .cache/ and
# nowhere else. Needs no root; quick when all is there already.
set -euo pipefail

usage='Usage: setup.sh [PART...]     without a PART: all of them
  venv         the Python packages of requirements.txt, in .venv
  micropython  MicroPython: .cache/bin/micropython64 and .cache/bin/micropython32
               (micropython64, micropython32: only that one)
  websocketd   .cache/bin/websocketd
  chromium     .cache/bin/chromium, and Playwright, which drives it, in .cache/playwright
  ip           .cache/bin/ip, of iproute2
  stubs        the MicroPython stubs for mypy, in .cache/stubs
  rp2040       an emulated Raspberry Pi Pico and its firmware, in .cache/rp2040; not part of all
       setup.sh --renew-lock [SET...]     lock the Debian packages that the index has now'

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$top/.cache

# debian SET FOLDER [--arch ARCH]: a set of setup/debian.toml, unpacked into FOLDER
debian() {
    python3 "$top/host_tests/setup/debian.py" unpack "$@"
}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# install_packages REQUIREMENTS PIP-OPTION...
install_packages() {
    local requirements=$1
    shift
    # -qq: a machine's own settings may make pip warn at length; what stops it is shown all the
    # same. --no-deps: nothing comes in that is not pinned.
    "$top/.venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps "$@" \
        -r "$requirements" ||
        fail "Cannot install ${requirements#"$top/"}. Check the network, then run this again."
}

setup_venv() {
    local requirements=$top/host_tests/requirements.txt stamp=$top/.venv/.set-up wanted wheel
    # A virtual environment knows its own path and its Python: with another of either it is made
    # anew.
    wanted=$(printf '%s\n' "$top" && cat "$requirements" &&
        python3 -c 'import sys; print(sys.version, sys.base_prefix)')
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    echo 'Setting up the Python packages in .venv ...'
    rm -rf "$top/.venv"
    if python3 -c 'import ensurepip' 2>/dev/null; then
        python3 -m venv "$top/.venv" || fail 'Cannot make the virtual environment: see above.'
    else
        # Debian keeps pip for virtual environments in a package of its own, perhaps not installed.
        debian pip "$cache/pip" || exit 1
        wheel=("$cache"/pip/usr/share/python-wheels/pip-*.whl)
        { python3 -m venv --without-pip "$top/.venv" &&
            "$top/.venv/bin/python" "${wheel[0]}/pip" install -qq --no-index "${wheel[0]}"; } ||
            fail 'Cannot make a virtual environment. Install python3-venv, then run this again.'
    fi
    install_packages "$requirements"
    "$top/.venv/bin/python" -m pip check >/dev/null ||
        fail "${requirements#"$top/"} does not go together: see .venv/bin/python -m pip check."
    printf '%s\n' "$wanted" >"$stamp"
}

# launcher NAME TEXT: .cache/bin/NAME, a shell script of that text
launcher() {
    mkdir -p "$cache/bin"
    printf '#!/bin/sh\n%s\n' "$2" >"$cache/bin/$1.new"
    chmod +x "$cache/bin/$1.new"
    mv "$cache/bin/$1.new" "$cache/bin/$1"
}

# is_micropython COMMAND BITS: a MicroPython 1.24 or later of that word size that runs here
is_micropython() {
    local code='import sys; print(sys.implementation.name, sys.implementation.version >= (1, 24),
        64 if sys.maxsize > 1 << 31 else 32)'
    [ "$("$1" -c "$code" 2>/dev/null)" = "micropython True $2" ]
}

# setup_micropython BITS: the system's own where it has one; else Debian 13's package, started with
# the C library of Debian 13
setup_micropython() {
    local bits=$1 name=micropython$1 system arch root loader libraries
    system=$(command -v micropython) || system=
    if [ -n "$system" ] && is_micropython "$system" "$bits"; then
        launcher "$name" "exec '$system' \"\$@\""
        return
    fi
    command -v dpkg >/dev/null ||
        fail "PATH has no $bits-bit MicroPython 1.24 or later. Install one, then run this again."
    case $(dpkg --print-architecture):$bits in
        amd64:64) arch=amd64 ;;
        amd64:32 | i386:32) arch=i386 ;;
        arm64:64) arch=arm64 ;;
        arm64:32 | armhf:32) arch=armhf ;;
        *) fail "Debian has no $bits-bit MicroPython that runs on $(dpkg --print-architecture)." ;;
    esac
    debian micropython "$cache/$name" --arch "$arch" || exit 1
    root=$cache/$name
    loader=("$root"/usr/lib*/ld-linux*.so.*)
    libraries=("$root"/usr/lib/*-linux-gnu*)
    # Relative to the launcher, so that it still starts where the project was moved.
    launcher "$name" "root=\${0%/*}/../$name
exec \"\$root${loader[0]#"$root"}\" --argv0 \"\$0\" \\
    --library-path \"\$root${libraries[0]#"$root"}\" \"\$root/usr/bin/micropython\" \"\$@\""
    is_micropython "$cache/bin/$name" "$bits" ||
        fail "This system cannot start Debian's $arch programs: $cache/bin/$name does not run."
}

setup_websocketd() {
    debian websocketd "$cache/websocketd" || exit 1
    launcher websocketd "exec \"\${0%/*}/../websocketd/usr/bin/websocketd\" \"\$@\""
}

# runs COMMAND: whether it starts, and with it all the libraries that it needs
runs() {
    "$1" --version >/dev/null 2>&1
}

# setup_chromium: the system's own where it has one; else Debian's package, with the libraries and
# fonts that this system lacks
setup_chromium() {
    local system root=$cache/chromium
    for system in chromium chromium-browser google-chrome; do
        system=$(command -v "$system") || continue
        if runs "$system"; then
            launcher chromium "exec '$system' \"\$@\""
            return
        fi
    done
    debian chromium "$root" || exit 1
    # Without a system's own settings it finds no font at all.
    cat >"$root/fonts.conf" <<'CONF'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <match target="pattern">
    <edit name="family" mode="append_last"><string>DejaVu Sans</string></edit>
  </match>
</fontconfig>
CONF
    launcher chromium "root=\$(cd \"\${0%/*}/../chromium\" && pwd) || exit 1
libraries=
for folder in \"\$root\"/lib/*-linux-gnu* \"\$root\"/usr/lib/*-linux-gnu* \\
    \"\$root\"/usr/lib/*-linux-gnu*/pulseaudio; do
    libraries=\$libraries\$folder:
done
export LD_LIBRARY_PATH=\"\$libraries\" FONTCONFIG_FILE=\"\$root/fonts.conf\"
exec \"\$root/usr/lib/chromium/chromium\" \"\$@\""
    runs "$cache/bin/chromium" ||
        fail "Chromium does not start: see .cache/bin/chromium --version. Remove .cache/chromium and run this again."
}

# The system's own where it has one; else Debian 12's package, with its libraries beside it.
setup_ip() {
    local system
    if system=$(PATH=$PATH:/usr/sbin:/sbin command -v ip); then
        launcher ip "exec '$system' \"\$@\""
        return
    fi
    debian iproute2 "$cache/iproute2" || exit 1
    launcher ip "root=\${0%/*}/../iproute2
libraries=\$(printf '%s:' \"\$root\"/lib/*-linux-gnu* \"\$root\"/usr/lib/*-linux-gnu*)
LD_LIBRARY_PATH=\${libraries%:} exec \"\$root/bin/ip\" \"\$@\""
}

# setup_packages REQUIREMENTS FOLDER WHAT: packages beside those of .venv
setup_packages() {
    local requirements=$1 folder=$2 wanted
    setup_venv
    wanted=$("$top/.venv/bin/python" -V && cat "$requirements")
    if [ "$(cat "$folder/.set-up" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    echo "Setting up $3 ..."
    rm -rf "$folder.new"
    install_packages "$requirements" --target "$folder.new"
    printf '%s\n' "$wanted" >"$folder.new/.set-up"
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

if [ "${1-}" = --renew-lock ]; then
    exec python3 "$top/host_tests/setup/debian.py" renew "${@:2}"
fi
[ $# -gt 0 ] || set -- venv micropython websocketd chromium ip stubs
for part; do
    case $part in
        venv | micropython | micropython64 | micropython32 | websocketd | chromium | ip | stubs | rp2040) ;;
        -h | --help) printf '%s\n' "$usage"; exit ;;
        *) fail "setup.sh: no such part: $part
$usage" ;;
    esac
done

command -v python3 >/dev/null ||
    fail 'There is no python3 here. Install Python 3.11 or later, then run this again.'
python3 -c 'import sys
if sys.version_info < (3, 11):
    sys.exit("python3 is %d.%d here, too old. Put Python 3.11 or later first on PATH, "
             "then run this again." % sys.version_info[:2])' || exit 1
mkdir -p "$cache"
# Two at a time would write the same files: the later one waits.
if command -v flock >/dev/null; then
    exec 8>"$cache/setup.lock"
    flock -n 8 || { echo 'Waiting for another setup.sh to finish ...'; flock 8; }
fi
for part; do
    case $part in
        venv) setup_venv ;;
        micropython) setup_micropython 64; setup_micropython 32 ;;
        micropython64) setup_micropython 64 ;;
        micropython32) setup_micropython 32 ;;
        websocketd) setup_websocketd ;;
        ip) setup_ip ;;
        chromium)
            setup_chromium
            setup_packages "$top/host_tests/requirements-browser.txt" "$cache/playwright" Playwright
            ;;
        stubs)
            setup_packages "$top/host_tests/requirements-stubs.txt" "$cache/stubs" \
                'the MicroPython stubs'
            ;;
        rp2040)
            setup_packages "$top/host_tests/rp2040/requirements.txt" "$cache/rp2040/packages" \
                'the emulator'
            "$top/host_tests/rp2040/emulator.sh"
            "$top/host_tests/rp2040/firmware.sh"
            ;;
    esac
done
