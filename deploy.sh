#!/bin/sh
# The POSIX front of `python -m firmware.deploy`: ./deploy.sh --help
top=$(cd "$(dirname "$0")" && pwd) || exit
command -v python3 >/dev/null || {
    echo 'There is no python3 here. Install Python 3.11 or later, then run this again.' >&2
    exit 1
}
exec python3 "$top/firmware/deploy" "$@"
