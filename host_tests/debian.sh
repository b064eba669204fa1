# shellcheck shell=bash
# Sourced by the set-up scripts: packages of any Debian suite, unpacked into a folder.
# Needs no root.

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Base addresses of the Debian mirrors that this system uses, one a line. The release's own index
# is not asked for, so this works where `apt-get update` never ran. DEBIAN_MIRROR=URL in the
# environment goes first.
debian_mirrors() {
    local codename address release component
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release 2>/dev/null && printf '%s' "${VERSION_CODENAME:-}") || codename=
    {
        if [ -n "${DEBIAN_MIRROR:-}" ]; then
            printf '%s\n' "$DEBIAN_MIRROR"
        fi
        # shellcheck disable=SC2016  # apt fills these in
        apt-get indextargets --no-release-info --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)' \
            'Created-By: Packages' 2>/dev/null |
            while IFS='|' read -r address release component; do
                case $component:$release in
                    "main:$codename" | main:*stable | main:testing | main:sid)
                        printf '%s\n' "$address" ;;
                esac
            done
    } | awk '!seen[$0]++'
}

# debian_fetch WORK MIRROR SUITE ARCH [--with-missing] PACKAGE...
# Download the packages into WORK/debs with a private apt: its own state and sources, of the
# system's only the proxy settings. What went wrong stands in WORK/log.
debian_fetch() {
    local work=$1 mirror=$2 suite=$3 arch=$4 packages
    shift 4
    rm -rf "$work/apt" "$work/debs"
    mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/debs" || return 1
    # One index and nothing else (no translations): it is most of what is downloaded.
    printf 'deb [arch=%s target=Packages signed-by=%s] %s %s main\n' \
        "$arch" "$debian_keyring" "$mirror" "$suite" >"$work/apt/sources.list"
    cat >"$work/apt/apt.conf" <<CONF
#clear APT::Architectures;
#clear APT::Update;
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "$work/apt";
Dir::State::status "/dev/null";
Dir::Cache "$work/apt";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "$work/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
CONF
    apt-get -q -c "$work/apt/apt.conf" update >"$work/log" 2>&1 || return 1
    packages=("$@")
    if [ "$1" = --with-missing ]; then
        # What apt would install on this very system; it only says so.
        apt-get -s -c "$work/apt/apt.conf" -o Dir::State::status=/var/lib/dpkg/status \
            --no-install-recommends install "${@:2}" >"$work/plan" 2>"$work/log" || return 1
        mapfile -t packages < <(awk '$1 == "Inst" { print $2 }' "$work/plan")
    fi
    (cd "$work/debs" &&
        apt-get -q -c "$work/apt/apt.conf" download "${packages[@]}" >"$work/log" 2>&1)
}

# debian_unpack SUITE ARCH FOLDER [--with-missing] PACKAGE...
# Unpack the named packages of that suite and architecture, and nothing they depend on, into
# FOLDER, whose content they are from then on. With --with-missing, which wants the suite and
# architecture of this system, what they depend on and this system lacks goes along. Done already:
# returns at once. Two at a time wait for each other, and a folder that stands under its name is
# whole. On failure one line on stderr says what failed and what to do; returns 1.
debian_unpack() {
    local suite=$1 arch=$2 folder=$3 tool
    shift 3
    local wanted="$suite $arch $*"
    if [ "$(cat "$folder/.unpacked" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    for tool in apt-get dpkg flock; do
        if ! command -v "$tool" >/dev/null; then
            printf "Cannot unpack Debian's %s: %s is missing. Run this on Debian 12 or later.\n" \
                "$1" "$tool" >&2
            return 1
        fi
    done
    if [ ! -r "$debian_keyring" ]; then
        printf 'There is no %s here. Install debian-archive-keyring, then run this again.\n' \
            "$debian_keyring" >&2
        return 1
    fi
    mkdir -p "$(dirname "$folder")" || return 1
    folder=$(cd "$(dirname "$folder")" && pwd)/$(basename "$folder")
    (
        work=$folder.new
        flock 9 || exit 1
        if [ "$(cat "$folder/.unpacked" 2>/dev/null)" = "$wanted" ]; then
            exit 0
        fi
        trap 'rm -rf "$work"' EXIT
        rm -rf "$work"
        mkdir -p "$work/root" || exit 1
        fetched=
        tried=
        while read -r mirror; do
            tried="$tried $mirror"
            if debian_fetch "$work" "$mirror" "$suite" "$arch" "$@"; then
                fetched=yes
                break
            fi
        done < <(debian_mirrors)
        if [ -z "$tried" ]; then
            echo 'This apt names no Debian mirror. Set DEBIAN_MIRROR=URL, then run this again.' >&2
            exit 1
        fi
        if [ -z "$fetched" ]; then
            printf 'Cannot download %s (%s) of Debian %s from%s: %s. %s\n' \
                "$*" "$arch" "$suite" "$tried" \
                "$(sed -n 's/^E: //p' "$work/log" | sed 's/\.*$//;q')" \
                'Check the network, or set DEBIAN_MIRROR=URL to another, then run this again.' >&2
            exit 1
        fi
        for deb in "$work"/debs/*.deb; do
            if ! dpkg -x "$deb" "$work/root"; then
                printf 'Cannot unpack %s: make room on the disk, then run this again.\n' \
                    "$(basename "$deb")" >&2
                exit 1
            fi
        done
        # The stamp comes last, and the folder takes its name in one step.
        printf '%s\n' "$wanted" >"$work/root/.unpacked" && rm -rf "$folder" &&
            mv "$work/root" "$folder"
    ) 9>"$folder.lock"
}
