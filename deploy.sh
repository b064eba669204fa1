#!/usr/bin/env bash
# Put the firmware on a board with mpremote, or start virtual boards on this computer.
set -euo pipefail

usage='Usage: ./deploy.sh [OPTION...]
           put the firmware on the attached board, restart it and show its serial log;
           its config.json stays as it is but for what the options say
       ./deploy.sh --virtual [--role ROLE] [--url URL] [--listen PORT]
           no board: deploy to virtual ones on this computer, until Ctrl-C

  --port DEVICE   the serial device of the board, where more than one is attached
  --role ROLE     what it is to be: server, client or mqtt (with --virtual: only this one)
  --board NAME    its wiring, a name from firmware/boards.py
  --url URL       where the client, or mqtt, connects to
  --config FILE   further settings for its config.json, in that form
  --mpy           compile for its chip: starts faster, takes less memory
  --wipe          remove everything else from it, but for config.json
  --backup DIR    first copy all its files to this new folder
  --dry-run       only tell what would be done
  --no-repl       do not show the serial log
  --list          only tell what is attached
  --virtual       a server and a client that talk to each other over loopback
  --listen PORT   the TCP port of the virtual server: 8080 unless given, 0 for any free one
  --help          this text'
options=(--port --role --board --url --config --mpy --wipe --backup --dry-run --no-repl --list
    --virtual --listen --help)

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
        if { reason=$("$top/host_tests/setup.sh" "$vm" venv 2>&1 >&3); } 3>&1; then
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
    cd "$top"
    exec python3 -m host_tests.deploy.virtual "${arguments[@]}"
}

# attached: the serial devices that may be boards, one a line, with what they say they are
attached() {
    # Serial ports of the computer itself have no USB identity.
    "$mpremote" connect list | awk '$3 != "0000:0000"'
}

nothing_attached='No board found. Plug one in with a USB cable that carries data, or try ./deploy.sh --virtual'

# only_device: the serial device of the one board that is attached
only_device() {
    local -a devices
    mapfile -t devices < <(attached | awk '{ print $1 }')
    case ${#devices[@]} in
        1) echo "${devices[0]}" ;;
        0) fail 1 "$nothing_attached" ;;
        *) fail 1 "${#devices[@]} boards found: ${devices[*]}. Choose one with --port DEVICE" ;;
    esac
}

# check_device: the port is there, and this person may use it
check_device() {
    [ -e "$port" ] || fail 1 "There is no $port. See ./deploy.sh --list for what is attached."
    [[ -r $port && -w $port ]] ||
        fail 1 "You may not use $port. Join its group: sudo usermod -aG $(stat -c %G "$port") $(id -un), then log in again."
}

# board ARGUMENT...: mpremote with the board; what it says goes to $work/said and stdout
board() {
    PYTHONUNBUFFERED=1 "$mpremote" connect "$port" "$@" 2>&1 | tee "$work/said"
}

# explain: why mpremote gave up, in one line, and what to do next
explain() {
    case $(cat "$work/said") in
        *'failed to access'*)
            fail 1 "$port is in use. Close the other program (a serial monitor?), then run this again." ;;
        *'could not enter raw repl'*)
            fail 1 "No MicroPython answers at $port. Still starting? Wait ten seconds and run this again, or press its reset button first. A new chip needs MicroPython: see \"The first flash\" in firmware/README.md." ;;
        *'No space left'* | *ENOSPC*)
            restart || true
            fail 1 "The board's file system is full. Remove files from it, or run this with --wipe, which keeps config.json only." ;;
        *'did not arrive whole'* | *'is damaged on the board'*)
            fail 1 "$(sed -n 's/^OSError: //p' "$work/said"). Run this again." ;;
        *MemoryError*)
            fail 1 'The board has too little memory free for this. Reset it, then run this again.' ;;
        *)
            if [ ! -e "$port" ] || grep -qE 'SerialException|Errno 5\]|OSError|termios' "$work/said"; then
                fail 1 "The connection to $port broke. Plug the board in again and run this again: it goes on where it stopped."
            fi
            fail 1 "mpremote gave up: $(tail -n 1 "$work/said"). Reset the board, then run this again." ;;
    esac
}

# progress TOTAL: mpremote's lines, the copied files counted
progress() {
    local total=$1 count=0 line
    while IFS= read -r line; do
        case $line in
            'cp '*)
                count=$((count + 1))
                line=${line#cp }
                printf '[%*d/%d] %s\n' ${#total} "$count" "$total" "${line%% *}"
                ;;
            'kept '*) printf '%s\n' "$line" ;;
        esac
    done
}

deploy() {
    local plan_options=() name total
    local -a arguments ask
    "$top/host_tests/setup.sh" venv
    mpremote=$top/.venv/bin/mpremote
    if [ -n "$want_list" ]; then
        attached | grep . || fail 1 "$nothing_attached"
        return
    fi
    if [ -z "$port" ]; then
        port=$(only_device)
    fi
    check_device
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'fail 130 "Stopped. Nothing is broken: run this again to finish."' INT TERM HUP

    echo "Asking the board at $port ..."
    ask=(run "$top/firmware/deploy/board.py" + exec 'report()')
    if ! board "${ask[@]}" >"$work/report"; then
        grep -q 'could not enter raw repl' "$work/said" || explain
        # Without a soft reset it answers also where its own boot.py never comes to an end; at
        # the second time where what it said when that was stopped got in between.
        board resume "${ask[@]}" >"$work/report" || {
            ! grep -q 'could not enter raw repl' "$work/said" || explain
            board resume "${ask[@]}" >"$work/report" || explain
        }
    fi
    if [ -n "$backup" ]; then
        mkdir -p "$backup"
        board resume fs cp -r :/ "$backup/" >/dev/null || explain
        echo "Copied its files to $backup."
    fi
    for name in port role board url config; do
        [ -z "${!name}" ] || plan_options+=("--$name" "${!name}")
    done
    for name in mpy wipe dry_run; do
        [ -z "${!name}" ] || plan_options+=("--${name/_/-}")
    done
    "$top/.venv/bin/python" "$top/firmware/deploy/host.py" "$work" "${plan_options[@]}" || {
        restart || true  # it goes on as it was
        exit 1
    }
    if [ -n "$dry_run" ]; then
        restart || explain
        echo 'A dry run: nothing was changed.'
        return
    fi
    mapfile -t arguments <"$work/arguments"
    if [ ${#arguments[@]} -gt 0 ]; then
        total=$(grep -cx cp "$work/arguments") || true
        (cd "$work/stage" && board "${arguments[@]}") | progress "$total" || explain
        echo 'Every file on the board has the right hash.'
    fi
    echo 'Done. The board starts now.'
    if [ -z "$no_repl" ] && [ -t 0 ] && [ -t 1 ]; then
        show_log
    else
        restart || explain
    fi
}

# restart: hard, for a soft reset would leave a W5500 on an ESP32 without its interrupt
restart() {
    board resume reset >/dev/null
}

# show_log: restart the board and show what it says until the person ends it
show_log() {
    local i
    echo 'Its serial log follows; Ctrl-] ends the view.'
    trap - INT  # Ctrl-C is for the board then
    # With the port open all the time, not a line of it is missed.
    if "$mpremote" connect "$port" resume reset + repl; then
        return
    fi
    # A chip with USB of its own takes its port away during a reset.
    for ((i = 0; i < 50; i++)); do
        sleep 0.2
        [ ! -e "$port" ] || break
    done
    "$mpremote" connect "$port" resume repl
}

want_list='' board='' config='' mpy='' wipe='' backup='' dry_run='' no_repl=''
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
        --list) want_list=1 ;;
        --mpy) mpy=1 ;;
        --wipe) wipe=1 ;;
        --dry-run) dry_run=1 ;;
        --no-repl) no_repl=1 ;;
        -h | --help)
            printf '%s\n' "$usage"
            exit
            ;;
        --port | --role | --url | --listen | --board | --config | --backup)
            [[ -n ${1-} && $1 != --* ]] || fail 2 "$option needs a value. See ./deploy.sh --help"
            printf -v "${option#--}" %s "$1"
            shift
            ;;
        *) unknown "$option" ;;
    esac
done

case $role in
    '' | server | client | mqtt) ;;
    *) fail 2 "--role is $role; allowed: server, client, mqtt" ;;
esac
if [ -n "$listen" ] && ! { [[ $listen =~ ^[0-9]{1,5}$ ]] && ((10#$listen <= 65535)); }; then
    fail 2 "--listen is $listen; allowed: a number from 0 to 65535"
fi
if [ -n "$want_virtual" ]; then
    [ -z "$port" ] || fail 2 '--port is the serial device of a real board; a virtual server takes --listen'
    [ -z "$board$config$mpy$wipe$backup$dry_run$no_repl$want_list" ] ||
        fail 2 'With --virtual go --role, --url and --listen only.'
    [ "$role" != mqtt ] || fail 2 '--role mqtt needs a board and a broker: see firmware/README.md'
    [ -z "$url" ] || [ "$role" = client ] || fail 2 '--url goes with --role client'
    [ -z "$listen" ] || [ "$role" != client ] || fail 2 '--listen is for a server, not for --role client'
    virtual
fi
[ -z "$listen" ] || fail 2 '--listen goes with --virtual; a board takes "port" from its config.json'
[ -z "$config" ] || [ -r "$config" ] || fail 2 "--config: there is no file $config to read"
[ -z "$backup" ] || [ ! -e "$backup" ] || [ -z "$(ls -A "$backup")" ] ||
    fail 2 "--backup: $backup is not empty; name a new folder"
deploy
