#!/usr/bin/env bash
# Play faults against both roles of the board's program: ./host_tests/faults/run.sh --help tells the options.
# Needs no root; what it does to the network it does in namespaces of its own, which end with it.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

"$top/host_tests/setup.sh" venv micropython32 ip

# Who is not root is it in a user namespace of its own.
spaces=(--net --mount)
[ "$(id -u)" = 0 ] || spaces+=(--user --map-root-user)
if ! unshare "${spaces[@]}" true; then
    echo 'This system gives no network namespaces. Run this as root, or allow user namespaces.' >&2
    exit 1
fi
exec unshare "${spaces[@]}" "$top/.venv/bin/python" "$top/host_tests/faults/run.py" "$@"
