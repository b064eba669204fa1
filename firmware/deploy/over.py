"""A deployment over the network: ./deploy.sh --over ws://ADDRESS."""

# mypy: ignore-errors
# (It runs on CPython, whose library is not that of the type stubs.)

import contextlib
import functools
import json
import ssl
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import microws
from microws.pin import Pinned

from firmware import config_file
from firmware.config import ConfigError
from firmware.deploy import link, package
from firmware.deploy.plan import plan, read_report
from firmware.deploy.refusal import PROGRAM, Refusal
from firmware.deploy.sketch import NAME, files_of

PORT = 8266  # "update_port" in settings.py
PATIENCE = 60  # seconds for an answer
CONNECT = 10  # seconds for a connection
STARTS = 90  # seconds for the starts of an update beside what the new version has
PAUSE = 1  # seconds between two looks at the board
SIGN_OF_LIFE = 20  # seconds
KEPT = ("", "good", "taken")  # how an update may have ended
AT_A_TIME = 8  # boards
REFUSALS = {
    401: 'it does not know this "update_token"',
    429: "a wrong token was tried before; run this again in a minute",
}


def over(args):
    """Do to the board at `args.over`, or to those in that file, what the options say; the status.

    Refusal where one of them fails.
    """
    urls = addresses(args.over)
    secrets = secrets_of(args.secrets)
    if args.monitor:
        return monitor(urls, secrets)
    if len(urls) == 1:
        deploy(args, urls[0], secrets, print, link.progress)
        return 0
    failed = 0
    left = list(enumerate(urls, 1))
    one = functools.partial(deploy_one_of, args, secrets, len(urls))
    # A new version comes to one board alone, before it comes to many.
    while left:
        number, url = left.pop(0)
        refusal = one(number, url)
        if isinstance(refusal, TakenBack):
            raise Refusal("No other board gets this version.")
        failed += refusal is not None
        if refusal is None:
            break
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        failed += sum(refusal is not None for refusal in pool.map(lambda which: one(*which), left))
    if failed:
        raise Refusal(f"{failed} of {len(urls)} boards failed: see above.")
    return 0


def deploy_one_of(args, secrets, count, number, url):
    """As deploy(), with a line for it; its Refusal, or None."""
    lines = []
    failure = None
    try:
        deploy(args, url, secrets, lines.append)
        end = lines[-1]
    except Refusal as refusal:
        failure = refusal
        end = str(refusal).removeprefix(f"{url}: ")
    kept = [line for line in lines if "yours is kept" in line]
    print(f"[{number}/{count}] {url} {' '.join([*kept, end])}")
    return failure


def addresses(given):
    """The addresses, each with its port: one, or those in a file."""
    lines = [given]
    if "://" not in given:
        try:
            lines = Path(given).read_text("utf-8").splitlines()
        except (OSError, UnicodeError):
            raise Refusal(
                f"--over: {given} is no address like ws://192.168.1.20, and no file of such."
            ) from None
    found = []
    for line in lines:
        line = line.partition("#")[0].strip()
        if not line:
            continue
        try:
            parts = urlsplit(line)
            port = parts.port or PORT
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("ws", "wss") or not parts.hostname or "@" in parts.netloc:
            raise Refusal(f"--over: {line} is no address like ws://192.168.1.20")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        found.append(f"{parts.scheme}://{host}:{port}/")
    if not found:
        raise Refusal(f"--over: there is no address in {given}")
    return found


class Secrets:
    """What a file says of the boards: their token and key, and how wss:// knows them."""

    def __init__(self, given, folder):
        self.token = given.get("update_token")
        self.key = given.get("update_key")
        self.ssl = None
        if given.get("fingerprint"):
            self.ssl = Pinned(given["fingerprint"])
        elif given.get("ca_file"):
            self.ssl = ssl.create_default_context(cafile=folder / given["ca_file"])


def secrets_of(name):
    """The Secrets in that file, which has the form of config.json."""
    if not name:
        raise Refusal(
            '--over needs --secrets FILE, with "update_token" and "update_key" as in the '
            "config.json of the board; that file itself will do."
        )
    path = Path(name)
    try:
        given = config_file.parse(path.read_bytes(), name)
        found = Secrets(given, path.parent)
    except ConfigError as error:
        raise Refusal(error.problems[0]) from None
    except (OSError, ValueError) as error:
        raise Refusal(f"--secrets: {name}: {error}") from None
    if not isinstance(found.token, str):
        raise Refusal(f'--secrets: {name} has no "update_token"')
    return found


class Link:
    """A connection to a board; `about` is what it said of itself. Refusal where there is none."""

    def __init__(self, url, secrets):
        self.url = url
        headers = [("Authorization", f"Bearer {secrets.token}")]
        context = secrets.ssl if url.startswith("wss:") else None
        try:
            self.ws = microws.connect(url, timeout=CONNECT, headers=headers, ssl=context)
        except (OSError, ValueError, microws.WebSocketError) as error:
            status = getattr(error, "status", 0)
            if status in REFUSALS:
                raise Refusal(f"{url} refuses: {REFUSALS[status]}") from None
            raise Away(
                f"{url}: {error}. Is the board on, is it this address, and has its config.json "
                'an "update_token"?'
            ) from None
        self.about = json.loads(self.hear())

    def hear(self):
        """The next thing that it says; Refusal where that is an error, or nothing comes."""
        try:
            message = self.ws.recv(PATIENCE)
        except (OSError, microws.WebSocketError) as error:
            self.close()
            raise Away(f"{self.url}: {error}. Run this again to go on.") from None
        if message.startswith("error: "):
            self.close()
            raise Refusal(f"{self.url}: {message.removeprefix('error: ')}")
        return message

    def say(self, message):
        """Send it; Refusal, with its own words where it left any, if the board is gone."""
        try:
            self.ws.send(message)
        except (OSError, microws.WebSocketError):
            self.hear()
            raise Away(f"{self.url}: it is gone. Run this again to go on.") from None

    def send(self, made, key, shown=lambda line: None):
        """Send a Package, of which the board asks for each file; until it has it all."""
        for message in (made.head, *made.messages(), f"signature {made.signature(key)}"):
            self.say(message)
        while (answer := self.hear()) != "done":
            path = answer.removeprefix("send ")
            shown(f"cp {path}")
            content = made.files[path]
            for at in range(0, len(content), package.PIECE):
                self.say(content[at : at + package.PIECE])

    def close(self):
        with contextlib.suppress(OSError, microws.WebSocketError):
            self.ws.close()


class TakenBack(Refusal):
    """The board has gone back to the version of before."""


class Away(Refusal):
    """There is nobody at this address now."""


def ready(url, secrets, say):
    """A Link to a board that takes an update now, and has told about itself."""
    board = Link(url, secrets)
    board.say("update")
    answer = board.hear()
    if answer == "quiet":
        say("It has little memory, and restarts to take the update alone.")
        board.close()
        board = reached(url, secrets, STARTS, lambda about: about["quiet"])
        board.say("update")
        answer = board.hear()
    board.about.update(json.loads(answer))
    return board


def reached(url, secrets, seconds, is_so):
    """A Link to a board that restarts, once it says of itself that `is_so`; Refusal else."""
    deadline = time.monotonic() + seconds
    while True:
        time.sleep(PAUSE)
        try:
            board = Link(url, secrets)
        except Away:
            pass
        else:
            if is_so(board.about):
                return board
            board.close()
        if time.monotonic() > deadline:
            raise Refusal(
                f"{url}: it did not come back within {seconds} s. If it is on, it goes back to "
                f"the old version by itself; else run {PROGRAM} over its serial port."
            )


@contextlib.contextmanager
def in_silence(count):
    """In the place of link.progress(), where several boards are at it."""
    yield lambda line: None


def deploy(args, url, secrets, say, progress=in_silence):
    """Put the program, or the sketch alone, on a board."""
    if not secrets.key and not args.dry_run:
        raise Refusal(f'--secrets: {args.secrets} has no "update_key"')
    if args.sketch:
        put_sketch(args, url, secrets, say)
        return
    say(f"Asking the board at {url} ...")
    board = ready(url, secrets, say)
    try:
        board.say("files")
        report = [json.dumps(board.about)]
        while (line := board.hear()) != "end":
            report.append(line)
        about, present = read_report(report)
        with tempfile.TemporaryDirectory(prefix="microws-") as folder:
            made = plan(Path(folder), args, report, say)
            if args.dry_run or made.is_done:
                board.close()
                if about["quiet"]:  # until it is back at its work
                    reached(url, secrets, STARTS, lambda about: not about["quiet"]).close()
                end = f"{made.name}: version {about['microws']} stays."
                say("A dry run: nothing was changed." if args.dry_run else end)
                return
            version = microws.__version__
            bundle = package.of_program(version, about, present, made, Path(folder) / "stage")
        with progress(len(bundle.files)) as show:
            board.send(bundle, secrets.key, show)
    finally:
        board.close()
    say(f"Every file arrived whole. It starts with version {version}, on trial ...")
    wait_until_kept(url, secrets, about["seconds"] + STARTS)
    say(f"{made.name}: version {version} does its work and stays.")


def put_sketch(args, url, secrets, say):
    files = files_of(args.sketch)
    began = time.monotonic()
    board = ready(url, secrets, say)
    try:
        board.send(package.of_sketch(microws.__version__, board.about, files), secrets.key)
    finally:
        board.close()
    names = " and ".join([Path(args.sketch).name, *(path for path in files if path != NAME)])
    say(f"On the board after {time.monotonic() - began:.1f} s: {names}.")


def wait_until_kept(url, secrets, seconds):
    """Until the board has kept the new version; Refusal where it took it back, or is not there."""
    board = reached(url, secrets, seconds, lambda about: about["update"][0] in KEPT)
    board.close()
    word, _, version, before = board.about["update"]
    if word == "taken":
        raise TakenBack(
            f"{url}: version {version} did not do its work, and the board took it back: it "
            f"runs {before} as before. Its log tells why: --monitor"
        )


def monitor(urls, secrets):
    """Show what a board says, until Ctrl-C."""
    if len(urls) > 1:
        raise Refusal("--monitor shows one board: give its address after --over")
    board = Link(urls[0], secrets)
    print("Its log follows; Ctrl-C ends the view.", flush=True)
    try:
        board.say("log")
        while True:
            try:
                line = board.ws.recv(SIGN_OF_LIFE)
            except microws.Timeout:
                board.say("on")
            except (OSError, microws.WebSocketError) as error:
                raise Refusal(f"{board.url}: {error}") from None
            else:
                if line.startswith("error: "):
                    raise Refusal(f"{board.url}: {line.removeprefix('error: ')}")
                print(line, flush=True)
    except KeyboardInterrupt:
        board.close()
        print("Stopped.")
        return 0
