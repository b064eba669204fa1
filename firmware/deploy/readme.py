"""The README's table of settings, from settings.py and the sentences for people here.

python firmware/deploy/readme.py          write it into firmware/README.md
python firmware/deploy/readme.py --check  status 1 where it differs
"""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import json
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "lib"), str(TOP)]

from firmware import check, settings  # noqa: E402

README = TOP / "firmware" / "README.md"
BEGIN = "<!-- settings.py and deploy/readme.py make this table -->\n"
END = "<!-- end of the table -->\n"

SENTENCES = {
    "role": "what the board is",
    "role_pin": "a jumper at this GPIO chooses the role: to ground server, open client",
    "board": "the wiring, a name from the table above",
    "pins": 'the wiring of `"board": "custom"`',
    "hostname": "the board's name in the network; with mDNS it is `NAME.local`",
    "address": "an address of its own instead of DHCP's",
    "netmask": "with `address`: which addresses are in the same network",
    "gateway": "with `address`: the router",
    "dns": "with `address`: the name server",
    "wifi_ssid": "the name of the Wi-Fi, for a board without cable",
    "wifi_password": "its password",
    "wifi_ap": "a Wi-Fi of the board's own, where `wifi_ssid` is not there or not set: see below",
    "watchdog": "seconds without progress, then the chip resets itself; on an RP2040 or RP2350 it "
    "needs MicroPython 1.26",
    "url": "where to connect to; `mqtt` takes a list, too: the next is tried when one is gone",
    "queue": "so many values are kept while there is no server; the oldest are dropped",
    "headers": "sent with the handshake",
    "ca_file": "the authority that vouches for a `wss://` server",
    "fingerprint": "or the certificate of that server itself",
    "ntp_host": "who sets the clock for `wss://`",
    "topic": "what its topics begin with: `TOPIC/HOSTNAME/NAME`",
    "discovery": 'where Home Assistant looks for devices; `""`: it is told nothing',
    "show_as": "what Home Assistant takes outputs for, where not a switch or a number",
    "queue_size": "bytes in memory for messages that the broker has not acknowledged; the oldest "
    "are dropped",
    "queue_file": "a file that keeps them over a reset",
    "queue_file_size": "bytes of it",
    "port": "the TCP port where it listens",
    "path": "the path of the WebSocket",
    "max_clients": "how many clients at a time, at most what the board has connections for; one "
    "more gets HTTP 503",
    "slow": 'who cannot keep up misses old values; `"close"`: is closed (1008)',
    "flood": 'what a client sends that is more than the board takes comes late; `"newest"`: of '
    "each name, `NAME:VALUE`, only the newest is taken",
    "chat": "what a client says goes to all the others",
    "origins": "pages from elsewhere that may connect",
    "cert_file": "its certificate, for `wss://`",
    "key_file": "the key of that certificate",
    "watch_token": "who knows this instead may watch, and do nothing else; goes with `token` or "
    "`user`",
    "history": "bytes for the last minutes of all values, which the page asks for, at most an "
    "eighth of what is free; 0: none",
    "inputs": "what is measured, instead of `pin0`: see below",
    "outputs": "what can be switched: see below",
    "format": 'how values are sent: as `NAME:VALUE`, or (`"json"`) as objects with the time',
    "read_only": "nobody can switch the outputs over the network",
    "sample_pin": "the analog GPIO",
    "sample_interval": "seconds between two values",
    "keepalive": "seconds of silence after which the other side counts as gone",
    "max_size": "bytes of a message; who sends a longer one is closed (1009)",
    "max_header": "bytes of a handshake's request, or of the answer to it",
    "token": "server: who knows it may come in; client: what it says to come in",
    "user": "the same, by name and `password`",
    "password": "goes with `user`",
    "update_token": "updates over the network, and the log, for who knows this: see below",
    "update_key": "signs the updates; without it there is the log only",
    "update_port": "the TCP port for updates",
    "update_trial": "seconds in which a new version has to serve, or reach its server; else the "
    "old one comes back",
    "subprotocols": "in the order of preference",
}

# Where the table's own values do not say it all.
DEFAULTS = {
    "sample_pin": "the board's",
    "max_clients": "the board's",
    "sample_interval": "`1` client, `0.5` server",
    "max_size": "`8192` client, `2048` server",
    "max_header": "`4096` client, `2048` server",
}
ALLOWED = {
    "role_pin": "a GPIO",
    "sample_pin": "a GPIO",
    "board": "a name",
}
WHOM = {"board": "all", "roles": "all roles", "clients": "client, mqtt"}


def table():
    """The table in Markdown."""
    lines = ["| setting | for | default | allowed | what it does |", "|---|---|---|---|---|"]
    for name, whom, default, kind, *limits in settings.TABLE:
        default = "none" if default is None else f"`{json.dumps(default)}`"
        allowed = ALLOWED.get(name) or check.words(check.kind_of(kind)[1], tuple(limits))
        columns = (
            f"`{name}`",
            WHOM.get(whom, whom),
            DEFAULTS.get(name, default),
            allowed,
            SENTENCES[name],
        )
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def updated(text):
    """The README with the table of today."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]


def main():
    text = README.read_text("utf-8")
    if text == updated(text):
        return 0
    if sys.argv[1:] == ["--check"]:
        print("The table in firmware/README.md is old. Run: python firmware/deploy/readme.py")
        return 1
    README.write_text(updated(text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
