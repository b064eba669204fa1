#!/usr/bin/env bash
# Play faults against both roles of the board's program: ./host_tests/faults/run.sh --help tells the options.
# Needs no root; what it does to the network it does in namespaces of its own, which end with it.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

cd "$top"

"$top/host_tests/setup.sh" venv micropython32 ip

# Whatever is started ends with its namespace. Who is not root is it in one of users.
spaces=(--net --mount --pid --fork --kill-child --mount-proc)
[ "$(id -u)" = 0 ] || spaces+=(--user --map-root-user)
if ! unshare "${spaces[@]}" true; then
    echo 'This system gives no namespaces. Run this as root, or allow user namespaces.' >&2
    exit 1
fi
folder=$(mktemp -d -t microws-XXXXXX)
trap 'rm -rf "$folder"' EXIT
unshare "${spaces[@]}" "$top/.venv/bin/python" -m host_tests.faults.run "$folder" "$@" &
trap '{ kill -KILL $!; wait; } 2>/dev/null; echo Interrupted.; exit 130' INT TERM HUP
wait $!
