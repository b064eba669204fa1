"""The options of the deployment program: what they are, what goes together, and who does it."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import argparse
import difflib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from firmware.deploy import attached, packages
from firmware.deploy.refusal import PROGRAM, Refusal, WrongOption

USAGE = f"""{PROGRAM} [OPTION...]
           put the firmware on the attached board, restart it and show its serial log
       {PROGRAM} --virtual [OPTION...]
           no board: deploy to virtual ones on this computer, until Ctrl-C
       {PROGRAM} doctor [--port DEVICE] [--on-board]
           what is attached, and whether it will do
       {PROGRAM} mpremote [ARGUMENT...]
           MicroPython's own tool, for everything else
"""

ROLES = ("server", "client", "mqtt")
# By title the options: the name, that of its value if it takes one, help.
GROUPS = {
    "a board": (
        ("--port", "DEVICE", "its serial port, where more than one board is attached"),
        ("--all", None, "every attached board, one after the other; each gets a name of its own"),
        ("--mpy", None, "compile for its chip: starts faster, takes less memory"),
        ("--wipe", None, "remove everything else from it, but for config.json"),
        ("--backup", "DIR", "first copy all its files to this new folder"),
        ("--dry-run", None, "only tell what would be done"),
        ("--no-repl", None, "do not show the serial log"),
    ),
    "its settings; its config.json stays as it is but for these": (
        (
            "--role",
            "ROLE",
            "what it is to be: server, client or mqtt; with --virtual: only this one",
        ),
        ("--board", "NAME", "its wiring, a name from firmware/boards.py"),
        ("--url", "URL", "where the client, or mqtt, connects to"),
        ("--name", "NAME", "its name in the network"),
        ("--config", "FILE", "further settings, in the form of config.json"),
    ),
    "a board that takes updates over the network": (
        ("--over", "ADDRESS", "deploy to ws://ADDRESS, or to all addresses in that file"),
        ("--secrets", "FILE", 'with "update_token" and "update_key", in the form of config.json'),
    ),
    "your own program": (
        ("--sketch", "FILE", "put just this on the board, as its sketch.py, and start it"),
        ("--watch", None, "with --virtual: exchange it at each save"),
    ),
    "instead of a deployment": (
        ("--list", None, "tell what is attached"),
        ("--monitor", None, "show the log of the board; with --over: over the network"),
        ("--flash", "FILE", "put this image of MicroPython on the board, which loses all it has"),
        ("--prepare", "DIR", "make a folder, or a .zip, that deploys where there is no network"),
        ("--on-board", None, "with doctor: try the board itself, and print one line for a report"),
        ("--version", None, "tell the version of what would be deployed"),
        ("--help", None, "show this text"),
    ),
    "no board": (
        ("--virtual", None, "a server and a client that talk to each other over loopback"),
        ("--fleet", "N", "with --virtual: so many on a broker, and a page that shows them"),
        ("--serve", None, "the server for a class: this computer, with the page and a chat"),
        ("--listen", "PORT", "the TCP port of that server: 8080 unless given, 0: any"),
    ),
}
# The options that a way to run this takes beside its own.
TAKES = {
    "virtual": (
        "role",
        "url",
        "listen",
        "fleet",
        "config",
        "board",
        "name",
        "sketch",
        "watch",
    ),
    "serve": ("listen", "name"),
    "doctor": ("port", "on_board"),
    "list": (),
    "monitor": ("port", "over", "secrets"),
    "over": ("secrets", "mpy", "dry_run", "sketch", "monitor"),
    "flash": ("port", "dry_run"),
    "prepare": (),
    "version": (),
    "sketch": (
        "port",
        "over",
        "secrets",
        "no_repl",
        "virtual",
        "watch",
        "role",
        "url",
        "listen",
        "config",
        "board",
        "name",
    ),
}


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong and what to do."""

    def error(self, message):
        found = re.match(r"argument (?:-\w/)?(--[\w-]+): (ignored explicit)?", message)
        if found:
            takes = "takes no" if found[2] else "needs a"
            message = f"{found[1]} {takes} value"
        raise WrongOption(f"{message}. See {PROGRAM} --help")


def parser():
    made = Parser(
        usage=USAGE,
        allow_abbrev=False,
        add_help=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, 2, 20, 96),
    )
    for title, options in GROUPS.items():
        group = made.add_argument_group(title)
        for name, value, text in options:
            kind = {"metavar": value} if value else {"action": "store_true"}
            if name == "--help":
                kind = {"action": "help"}
            group.add_argument(name, help=text, **kind)
    made.add_argument("-h", action="help", help=argparse.SUPPRESS)
    return made


def known():
    """The names of all options."""
    return [option[0] for options in GROUPS.values() for option in options]


def parse(words):
    """The options by name; WrongOption for what they may not be."""
    is_doctor = words[:1] == ["doctor"]
    args, rest = parser().parse_known_args(words[is_doctor:])
    args.doctor = is_doctor
    if rest:
        name = rest[0].partition("=")[0]
        close = difflib.get_close_matches(f"--{name.lstrip('-').lower()}", known(), 1, 0.75)
        hint = f"Did you mean {close[0]}?" if close else f"See {PROGRAM} --help"
        raise WrongOption(f"There is no option {name}. {hint}")
    for name, value in vars(args).items():
        if value == "":
            raise WrongOption(f"--{name.replace('_', '-')} needs a value. See {PROGRAM} --help")
    if args.role not in (None, *ROLES):
        raise WrongOption(f"--role is {args.role}; allowed: {', '.join(ROLES)}")
    if args.listen is not None:
        if not re.fullmatch("[0-9]{1,5}", args.listen) or int(args.listen) > 65535:
            raise WrongOption(f"--listen is {args.listen}; allowed: a number from 0 to 65535")
        args.listen = int(args.listen)
    if args.fleet is not None:
        if not re.fullmatch("[0-9]{1,4}", args.fleet) or not 2 <= int(args.fleet) <= 1000:
            raise WrongOption(f"--fleet is {args.fleet}; allowed: a number from 2 to 1000")
        args.fleet = int(args.fleet)
    check(args)
    return args


def check(args):
    """What goes together."""
    given = {name for name, value in vars(args).items() if value not in (None, False)}
    if args.virtual and args.port:
        raise WrongOption(
            "--port is the serial device of a real board; a virtual server takes --listen"
        )
    for way in [way for way in TAKES if way in given]:
        if given - {way, *TAKES[way]}:
            name = way if way == "doctor" else f"--{way}"
            takes = " ".join(f"--{name.replace('_', '-')}" for name in TAKES[way])
            raise WrongOption(f"What goes together with {name}: {takes or 'nothing else'}")
    if args.fleet is not None:
        if not args.virtual:
            raise WrongOption("--fleet goes with --virtual")
        if given - {"virtual", "fleet", "listen"}:
            raise WrongOption("What goes together with --fleet: --virtual --listen")
    if args.virtual:
        if args.role == "mqtt":
            raise WrongOption("--role mqtt needs a board and a broker: see firmware/README.md")
        if args.url and args.role != "client":
            raise WrongOption("--url goes with --role client")
        if args.listen is not None and args.role == "client":
            raise WrongOption("--listen is for a server, not for --role client")
    elif args.listen is not None and not args.serve:
        raise WrongOption(
            '--listen goes with --virtual and --serve; a board takes "port" from its config.json'
        )
    if args.on_board and not args.doctor:
        raise WrongOption(f"--on-board goes with doctor: {PROGRAM} doctor --on-board")
    if args.all and (args.port or args.backup):
        raise WrongOption("--all is for every board: --port and --backup are for one")
    if (
        args.sketch
        and not args.virtual
        and given - {"sketch", "port", "no_repl", "watch", "over", "secrets"}
    ):
        raise WrongOption("--sketch puts just that file on a board; run this without it before")
    if args.watch and not (args.virtual and args.sketch):
        raise WrongOption("--watch goes with --virtual --sketch FILE")
    if args.secrets and not args.over:
        raise WrongOption("--secrets goes with --over")
    for option in ("config", "flash", "sketch", "secrets"):
        name = getattr(args, option)
        if name and not os.access(name, os.R_OK):
            raise WrongOption(f"--{option}: there is no file {name} to read")
    if args.backup and Path(args.backup).exists() and any(Path(args.backup).iterdir()):
        raise WrongOption(f"--backup: {args.backup} is not empty; name a new folder")


def run(args):
    """Do what the options say; the status to end with."""
    if args.version:
        import microws

        print(f"microws {microws.__version__}")
        return 0
    if args.fleet:
        from host_tests.fleet import virtual as fleet

        return fleet.start(args)
    if args.virtual:
        from host_tests.deploy import virtual

        return virtual.start(args)
    if args.serve:
        from host_tests.deploy import serve

        return serve.start(args)
    if args.prepare:
        from firmware.deploy.prepare import prepare

        prepare(args.prepare)
        return 0
    if args.flash:
        from firmware.deploy.flash import flash

        return flash(args)
    if args.over:
        from firmware.deploy.over import over

        return over(args)
    packages.need("mpremote")
    if args.list:
        for port in attached.some():
            print(attached.described(port))
        return 0
    if args.doctor:
        from firmware.deploy.doctor import doctor

        return doctor(args)
    from firmware.deploy import deployment

    if args.all:
        return deployment.deploy_all(args)
    if not args.port:
        args.port = attached.only()
    attached.check(args.port)
    if args.monitor:
        deployment.monitor(args.port)
    elif args.sketch:
        from firmware.deploy import sketch

        sketch.put(args)
    else:
        deployment.deploy(args)
    return 0


def mpremote(words):
    """mpremote itself; its status."""
    packages.need("mpremote")
    command = [sys.executable, "-P", "-m", "mpremote", *words]
    return subprocess.run(command, env=packages.environment()).returncode


def stopped(number, frame):
    raise KeyboardInterrupt


def main(words=None, run=run):
    """The program, which is to `run` what its options say; its status."""
    sys.stdout.reconfigure(line_buffering=True)
    for name in ("SIGTERM", "SIGHUP"):  # Windows has but one of them
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stopped)
    try:
        if words is None:
            words = sys.argv[1:]
        if words[:1] == ["mpremote"]:
            return mpremote(words[1:])
        return run(parse(words))
    except WrongOption as error:
        print(error, file=sys.stderr)
        return 2
    except Refusal as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Nothing is broken: run this again to finish.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Nobody reads any more; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
