#!/usr/bin/env bash
# Set up what the tests and the virtual boards need, in the project's own .venv/ and .cache/ and
# nowhere else. Needs no root; quick when all is there already. What was downloaded is kept.
set -euo pipefail

usage='Usage: setup.sh [PART...]     without a PART: all of the first group
  venv         the Python packages of setup/requirements.txt, in .venv
  micropython  MicroPython: .cache/bin/micropython64 and .cache/bin/micropython32
               (micropython64, micropython32: only that one)
  websocketd   .cache/bin/websocketd
  brokers      .cache/bin/mosquitto, mosquitto_passwd and nats-server
  chromium     .cache/bin/chromium, and Playwright, which drives it, in .cache/playwright
               (playwright: only that one)
  ip           .cache/bin/ip, of iproute2
  stubs        the MicroPython stubs for mypy, in .cache/stubs
  autobahn     the Autobahn test suite and a Python 2.7 for it, in .cache/conformance

  peers        the libraries that the benchmark measures beside this one, in .cache/bench/peers
  atheris      what the fuzzer is made with, in .cache/fuzz/site
  homeassistant   the schemas of Home Assistant, in .cache/homeassistant
  rp2040       an emulated Raspberry Pi Pico and its firmware, in .cache/rp2040

       setup.sh --renew-lock [SET...]     lock the Debian packages that the index has now

A part that cannot be set up does not stop the others; the end says what is missing.
SETUP_MICROPYTHON=newest takes the newest MicroPython that Debian has, instead of the oldest that will do.
DEBIAN_MIRROR=URL takes Debian packages from there and from nowhere else.'
all=(venv micropython64 micropython32 websocketd brokers chromium playwright ip stubs autobahn)
on_demand=(peers atheris homeassistant rp2040)

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$top/.cache
here=$top/host_tests/setup

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# debian SET FOLDER [--arch ARCH]: a set of debian.toml, unpacked into FOLDER
debian() {
    python3 "$here/debian.py" unpack "$@"
}

# wheels TITLE REQUIREMENTS [OPTION...]: Python packages; see wheels.py
wheels() {
    "$top/.venv/bin/python" "$here/wheels.py" "$@"
}

# packages TITLE REQUIREMENTS FOLDER [OPTION...]: Python packages in a folder of their own
packages() {
    local requirements=$2 folder=$3 wanted
    setup_venv
    wanted=$("$top/.venv/bin/python" -V && cat "$requirements")
    if [ "$(cat "$folder/.set-up" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    rm -rf "$folder.new"
    wheels "$1" "$requirements" --target "$folder.new" "${@:4}"
    printf '%s\n' "$wanted" >"$folder.new/.set-up"
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

# launcher NAME TEXT: .cache/bin/NAME, a shell script of that text
launcher() {
    mkdir -p "$cache/bin"
    printf '#!/bin/sh\n%s\n' "$2" >"$cache/bin/$1.new"
    chmod +x "$cache/bin/$1.new"
    mv "$cache/bin/$1.new" "$cache/bin/$1"
}

setup_venv() {
    local requirements=$here/requirements.txt stamp=$top/.venv/.set-up wanted wheel
    # A virtual environment knows its own path and its Python: with another of either it is made
    # anew.
    wanted=$(printf '%s\n' "$top" && cat "$requirements" &&
        python3 -c 'import sys; print(sys.version, sys.base_prefix)')
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    rm -rf "$top/.venv"
    if python3 -c 'import ensurepip' 2>/dev/null; then
        python3 -m venv "$top/.venv" || fail 'Cannot make the virtual environment: see above.'
    else
        # Debian keeps pip for virtual environments in a package of its own, perhaps not installed.
        [ -e /etc/ssl/certs/ca-certificates.crt ] ||  # without it this pip does not even start
            fail 'There is no list of certificate authorities here. Install ca-certificates, then run this again.'
        debian pip "$cache/pip"
        wheel=("$cache"/pip/usr/share/python-wheels/pip-*.whl)
        { python3 -m venv --without-pip "$top/.venv" &&
            "$top/.venv/bin/python" "${wheel[0]}/pip" install -qq --no-index "${wheel[0]}"; } ||
            fail 'Cannot make a virtual environment. Install python3-venv, then run this again.'
    fi
    wheels 'the tools' "$requirements"
    "$top/.venv/bin/python" -m pip check >/dev/null ||
        fail "${requirements#"$top/"} does not go together: see .venv/bin/python -m pip check."
    printf '%s\n' "$wanted" >"$stamp"
}

# is_micropython COMMAND BITS: a MicroPython 1.24 or later of that word size that runs here
is_micropython() {
    local code='import sys; print(sys.implementation.name, sys.implementation.version >= (1, 24),
        64 if sys.maxsize > 1 << 31 else 32)'
    [ "$("$1" -c "$code" 2>/dev/null)" = "micropython True $2" ]
}

setup_micropython64() {
    setup_micropython 64
}

setup_micropython32() {
    setup_micropython 32
}

# setup_micropython BITS: the system's own where it has one; else Debian 13's package, started with
# the C library of Debian 13
setup_micropython() {
    local bits=$1 name=micropython$1 system arch program root=$cache/micropython$1 loader libraries
    system=$(command -v micropython) || system=
    if [ -z "${SETUP_MICROPYTHON-}" ] && [ -n "$system" ] && is_micropython "$system" "$bits"; then
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
    debian micropython "$root" --arch "$arch"
    program=$root
    if [ "${SETUP_MICROPYTHON-}" = newest ]; then
        program=$root-newest
        debian micropython-newest "$program" --arch "$arch"
    fi
    loader=("$root"/usr/lib*/ld-linux*.so.*)
    libraries=("$root"/usr/lib/*-linux-gnu*)
    # Relative to the launcher, so that it still starts where the project was moved.
    launcher "$name" "cache=\${0%/*}/..
exec \"\$cache${loader[0]#"$cache"}\" --argv0 \"\$0\" \\
    --library-path \"\$cache${libraries[0]#"$cache"}\" \\
    \"\$cache${program#"$cache"}/usr/bin/micropython\" \"\$@\""
    is_micropython "$cache/bin/$name" "$bits" ||
        fail "This system cannot start Debian's $arch programs: $cache/bin/$name does not run."
}

setup_websocketd() {
    debian websocketd "$cache/websocketd"
    launcher websocketd "exec \"\${0%/*}/../websocketd/usr/bin/websocketd\" \"\$@\""
}

setup_brokers() {
    local program
    debian mosquitto "$cache/mosquitto"
    for program in sbin/mosquitto bin/mosquitto_passwd; do
        launcher "${program#*/}" "root=\${0%/*}/../mosquitto
libraries=\$(printf '%s:' \"\$root\"/lib/*-linux-gnu* \"\$root\"/usr/lib/*-linux-gnu*)
LD_LIBRARY_PATH=\${libraries%:} exec \"\$root/usr/$program\" \"\$@\""
    done
    debian nats-server "$cache/nats-server"
    launcher nats-server "exec \"\${0%/*}/../nats-server/usr/sbin/nats-server\" \"\$@\""
}

# runs COMMAND: whether it starts, and with it all the libraries that it needs
runs() {
    "$1" --version >/dev/null 2>&1
}

# setup_chromium: the system's own where it has one; else Debian's package, with the libraries and
# fonts that a minimal system lacks
setup_chromium() {
    local system root=$cache/chromium
    for system in chromium chromium-browser google-chrome; do
        system=$(command -v "$system") || continue
        if runs "$system"; then
            launcher chromium "exec '$system' \"\$@\""
            return
        fi
    done
    debian chromium "$root"
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

setup_playwright() {
    packages Playwright "$here/requirements-browser.txt" "$cache/playwright"
}

# The system's own where it has one; else Debian 12's package, with its libraries beside it.
setup_ip() {
    local system
    if system=$(PATH=$PATH:/usr/sbin:/sbin command -v ip); then
        launcher ip "exec '$system' \"\$@\""
        return
    fi
    debian iproute2 "$cache/iproute2"
    launcher ip "root=\${0%/*}/../iproute2
libraries=\$(printf '%s:' \"\$root\"/lib/*-linux-gnu* \"\$root\"/usr/lib/*-linux-gnu*)
LD_LIBRARY_PATH=\${libraries%:} exec \"\$root/bin/ip\" \"\$@\""
}

setup_stubs() {
    packages 'the MicroPython stubs' "$here/requirements-stubs.txt" "$cache/stubs"
}

setup_autobahn() {
    local root=$cache/conformance suite=$top/host_tests/conformance wanted libraries certificates
    setup_venv
    debian pypy "$root/pypy"
    # It starts with this system's own C library.
    libraries=$(printf '%s:' "$root"/pypy/{,usr/}lib/*-linux-gnu*)
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' \
        "${libraries%:}" "$root/pypy/usr/bin/pypy" >"$root/python2.new"
    chmod +x "$root/python2.new"
    mv "$root/python2.new" "$root/python2"
    wanted=$(cat "$suite"/requirements-py27*.txt)
    if [ "$(cat "$root/site/.set-up" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    rm -rf "$root/build" "$root/site" "$root/site.new"
    wheels 'pip for Python 2.7' "$suite/requirements-py27-build.txt" --for-python2 --no-compile \
        --target "$root/build"
    # An old pip brings old certificates: those of the new one are used. Built without a C compiler:
    # PyPy uses none of the C accelerators, but their build cannot be left out.
    certificates=$("$top/.venv/bin/python" -c 'import pip._vendor.certifi as c; print(c.where())')
    CC=true LDSHARED=true PIP_CERT=${PIP_CERT:-$certificates} PIP_NO_CACHE_DIR=1 \
        PYTHONPATH=$root/build wheels 'the Autobahn test suite' "$suite/requirements-py27.txt" \
        --python2 "$root/python2" --no-compile --target "$root/site.new"
    printf '%s\n' "$wanted" >"$root/site.new/.set-up"
    mv "$root/site.new" "$root/site"
}

# They run on MicroPython.
setup_peers() {
    packages 'the peers' "$top/host_tests/bench/requirements.txt" "$cache/bench/peers" --no-compile
}

# It has packages for some versions of CPython only, and is not built here.
setup_atheris() {
    packages atheris "$top/host_tests/fuzz/requirements.txt" "$cache/fuzz/site" --no-build
}

setup_homeassistant() {
    packages 'Home Assistant' "$top/host_tests/fleet/requirements.txt" "$cache/homeassistant" --no-compile
}

setup_rp2040() {
    packages 'the emulator' "$top/host_tests/rp2040/requirements.txt" "$cache/rp2040/packages"
    "$top/host_tests/rp2040/emulator.sh"
    "$top/host_tests/rp2040/firmware.sh"
}

parts=()
for part; do
    case $part in
        --renew-lock) break ;;
        -h | --help) printf '%s\n' "$usage"; exit ;;
        micropython) parts+=(micropython64 micropython32) ;;
        chromium) parts+=(chromium playwright) ;;
        *)
            [[ " ${all[*]} ${on_demand[*]} " = *" $part "* ]] || fail "setup.sh: no such part: $part
$usage"
            parts+=("$part")
            ;;
    esac
done
[ $# -gt 0 ] || parts=("${all[@]}")
case ${SETUP_MICROPYTHON-} in
    '' | newest) ;;
    *) fail "SETUP_MICROPYTHON is $SETUP_MICROPYTHON; allowed: newest, or nothing" ;;
esac

command -v python3 >/dev/null ||
    fail 'There is no python3 here. Install Python 3.11 or later, then run this again.'
python3 -c 'import sys
if sys.version_info < (3, 11):
    sys.exit("python3 is %d.%d here, too old. Put Python 3.11 or later first on PATH, "
             "then run this again." % sys.version_info[:2])' || exit 1
if [ "${1-}" = --renew-lock ]; then
    exec python3 "$here/debian.py" renew "${@:2}"
fi

mkdir -p "$cache"
# Two at a time would write the same files: the later one waits.
if command -v flock >/dev/null; then
    exec 8>"$cache/setup.lock"
    flock -n 8 || { echo 'Waiting for another setup.sh to finish ...'; flock 8; }
fi
said=$cache/setup.said
missing=()
for i in "${!parts[@]}"; do
    part=${parts[i]}
    export SETUP_STEP="[$((i + 1))/${#parts[@]}] "
    set +e
    (set -e; "setup_$part") 2>"$said"
    status=$?
    set -e
    cat "$said" >&2
    case $status in
        0) ;;
        130) exit 130 ;;
        *) missing+=("$part: $(tail -n 1 "$said")") ;;
    esac
done
rm -f "$said"
if [ ${#missing[@]} -gt 0 ]; then
    # Once more, where it is seen: much may have been said since.
    printf 'Missing: %s\n' "${missing[@]}" >&2
    exit 1
fi
