#!/usr/bin/env bash
# Put the firmware on a board with mpremote, or start virtual boards on this computer.
set -euo pipefail

usage='Usage: ./deploy.sh [--port DEVICE]
           put the firmware on the attached board, restart it and show its serial log;
           config.json beside this script goes along if there is one
       ./deploy.sh --virtual [--role ROLE] [--url URL] [--listen PORT]
           no board: start virtual ones on this computer, until Ctrl-C

  --port DEVICE   the serial device of the board, where more than one is attached
  --virtual       a server and a client that talk to each other over loopback
  --role ROLE     only this one: server or client
  --url URL       where the client connects to (with --role client)
  --listen PORT   the TCP port of the virtual server: 8080 unless given, 0 for any free one
  --help          this text'
options=(--port --virtual --role --url --listen --help)

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# fail STATUS LINE...: 2 for wrong usage, 1 for the rest
fail() {
    printf '%s\n' "${@:2}" >&2
    exit "$1"
}

# distance ONE OTHER: how many letters to change, add or drop to get from one to the other
distance() {
    local one=$1 other=$2 i j diagonal above
    local -a row
    for ((j = 0; j <= ${#other}; j++)); do row[j]=$j; done
    for ((i = 0; i < ${#one}; i++)); do
        diagonal=${row[0]}
        ((row[0] += 1))
        for ((j = 0; j < ${#other}; j++)); do
            above=${row[j + 1]}
            [ "${one:i:1}" = "${other:j:1}" ] || ((diagonal += 1))
            ((diagonal <= above + 1)) || diagonal=$((above + 1))
            ((diagonal <= row[j] + 1)) || diagonal=$((row[j] + 1))
            row[j + 1]=$diagonal
            diagonal=$above
        done
    done
    echo "${row[-1]}"
}

unknown() {
    local option best='' least=$((2 + (${#1} - 2) / 3)) away
    for option in "${options[@]}"; do
        away=$(distance "$1" "$option")
        if ((away < least)); then
            best=$option least=$away
        fi
    done
    if [ -n "$best" ]; then
        fail 2 "There is no option $1. Did you mean $best?"
    fi
    fail 2 "There is no option $1. See ./deploy.sh --help"
}

# virtual: replaces this process
virtual() {
    local vm reason='' arguments=()
    command -v python3 >/dev/null ||
        fail 1 'There is no python3 here. Install Python 3.11 or later, then run this again.'
    for vm in micropython32 micropython64; do
        if { reason=$("$top/host_tests/setup.sh" "$vm" 2>&1 >&3); } 3>&1; then
            arguments=(--micropython "$top/.cache/bin/$vm")
            break
        fi
    done
    if [ ${#arguments[@]} -eq 0 ]; then
        arguments=(--reason "${reason##*$'\n'}")
    fi
    [ -z "$role" ] || arguments+=(--role "$role")
    [ -z "$url" ] || arguments+=(--url "$url")
    [ -z "$listen" ] || arguments+=(--listen "$listen")
    exec python3 "$top/host_tests/virtual.py" "${arguments[@]}"
}

# only_device: the serial device of the one board that is attached
only_device() {
    local -a devices
    # Serial ports of the computer itself have no USB identity.
    mapfile -t devices < <("$mpremote" connect list | awk '$3 != "0000:0000" { print $1 }')
    case ${#devices[@]} in
        1) echo "${devices[0]}" ;;
        0) fail 1 'No board found. Plug one in with a USB cable that carries data, or try ./deploy.sh --virtual' ;;
        *) fail 1 "${#devices[@]} boards found: ${devices[*]}. Choose one with --port DEVICE" ;;
    esac
}

deploy() {
    local stage
    "$top/host_tests/setup.sh" venv
    mpremote=$top/.venv/bin/mpremote
    if [ -z "$port" ]; then
        port=$(only_device)
    fi
    stage=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder's name as it is now
    trap "rm -rf '$stage'" EXIT
    cp -R "$top/boot.py" "$top/main.py" "$top/firmware" "$top/lib" "$stage"
    [ ! -e "$top/config.json" ] || cp "$top/config.json" "$stage"
    find "$stage" -name __pycache__ -prune -exec rm -rf {} +
    echo "Copying to the board at $port ..."
    "$mpremote" connect "$port" cp -r "$stage"/* : ||
        fail 1 "The board at $port did not take the files: see above. Is another program using the port?"
    # A soft reset would leave a W5500 on an ESP32 without its interrupt.
    "$mpremote" connect "$port" reset
    echo 'Done. The board starts now.'
    if [ -t 0 ] && [ -t 1 ]; then
        echo 'Its serial log follows; Ctrl-] ends the view.'
        "$mpremote" connect "$port" repl
    fi
}

want_virtual='' role='' url='' listen='' port=''
while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
        --*=*)
            set -- "${option#*=}" "$@"
            option=${option%%=*}
            ;;
    esac
    case $option in
        --virtual) want_virtual=1 ;;
        -h | --help)
            printf '%s\n' "$usage"
            exit
            ;;
        --port | --role | --url | --listen)
            [[ -n ${1-} && $1 != --* ]] || fail 2 "$option needs a value. See ./deploy.sh --help"
            printf -v "${option#--}" %s "$1"
            shift
            ;;
        *) unknown "$option" ;;
    esac
done

case $role in
    '' | server | client) ;;
    *) fail 2 "--role is $role; allowed: server, client" ;;
esac
if [ -n "$listen" ] && ! { [[ $listen =~ ^[0-9]{1,5}$ ]] && ((10#$listen <= 65535)); }; then
    fail 2 "--listen is $listen; allowed: a number from 0 to 65535"
fi
if [ -z "$want_virtual" ]; then
    [ -z "$role$url$listen" ] ||
        fail 2 '--role, --url and --listen go with --virtual. A board takes its settings from config.json.'
    deploy
    exit
fi
[ -z "$port" ] || fail 2 '--port is the serial device of a real board; a virtual server takes --listen'
[ -z "$url" ] || [ "$role" = client ] || fail 2 '--url goes with --role client'
[ -z "$listen" ] || [ "$role" != client ] || fail 2 '--listen is for a server, not for --role client'
virtual
