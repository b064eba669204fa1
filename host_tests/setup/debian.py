#!/usr/bin/env python3
"""Files of Debian's packages, as debian.lock names them: fetched by path, checked by hash, kept.

    debian.py unpack SET FOLDER [--arch ARCH]   unpack a set of debian.toml into FOLDER
    debian.py fetch SET FOLDER [--arch ARCH]    put its files into FOLDER, and nothing else
    debian.py renew [SET...]                    lock what Debian's index has now

No index is asked as long as the files of the lock are on the mirror. What was fetched stays in
.cache/debian. Needs no root, and of Python only its standard library.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from progress import Failure, Progress, megabytes, say, size_of

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
LOCK = HERE / "debian.lock"
SETS = HERE / "debian.toml"
CACHE = TOP / ".cache" / "debian"
HELPER = "/usr/lib/apt/apt-helper"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NEXT_SUITE = {"bullseye": "bookworm", "bookworm": "trixie", "trixie": "forky", "forky": "sid"}
HELPER_OPTIONS = [
    "-oAPT::Sandbox::User=root",
    "-oAcquire::Retries=3",
    "-oAcquire::http::Timeout=30",
    "-oAcquire::https::Timeout=30",
]
ROUNDS = 2  # how often a download that broke off is tried, beside what apt itself tries again

HEADER = """\
# The files of Debian's packages that the project takes, for the sets of debian.toml. Of several
# lines for one package the first that the mirror has is taken.
# Made by ./host_tests/setup.sh --renew-lock
#
# set suite architecture package version bytes SHA-256 path
"""


class File(NamedTuple):
    """One file of the pool; a line of the lock."""

    set: str
    suite: str
    arch: str
    package: str
    version: str
    size: int
    sha256: str
    path: str

    @property
    def name(self):
        return self.path.rpartition("/")[2]

    @property
    def source(self):
        """The folder of its source package. What was built from one source goes together."""
        return self.path.rpartition("/")[0]

    def __str__(self):
        return " ".join(str(column) for column in self)


def read_lock():
    """The files of the lock, in its order, each with the number of its line."""
    files = {}
    for number, line in enumerate(LOCK.read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            columns = line.split()
            if len(columns) != len(File._fields):
                raise Failure(f"{LOCK.relative_to(TOP)}, line {number}: it has not 8 columns.")
            columns[5] = int(columns[5])
            files[File(*columns)] = number
    return files


def read_sets():
    return tomllib.loads(SETS.read_text())


def system():
    """This system's name and release as Debian calls them: ("debian", "bookworm")."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "", ""
    return release.get("ID", ""), release.get("VERSION_CODENAME", "")


def output(*command):
    """What a program prints; nothing where it cannot be started."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return ""


def mirrors():
    """Base addresses of the mirrors to ask: DEBIAN_MIRROR alone where it is set.

    Else those that this system's apt has, which need not have been updated ever.
    """
    if mirror := os.environ.get("DEBIAN_MIRROR"):
        return [mirror.rstrip("/")]
    name, codename = system()
    found = {}
    for line in output(
        "apt-get",
        "indextargets",
        "--no-release-info",
        "--format",
        "$(COMPONENT)|$(RELEASE)|$(REPO_URI)",
        "Created-By: Packages",
    ).splitlines():
        component, release, address = line.split("|")
        if component == "main" and (
            (name == "debian" and release == codename)
            or release.endswith("stable")
            or release in ("testing", "sid")
        ):
            found[address.rstrip("/")] = None
    if not found:
        raise Failure(
            "This apt names no Debian mirror. Set DEBIAN_MIRROR=URL, then run this again."
        )
    return list(found)


def is_whole(path, file):
    """Whether the file at ``path`` is what the lock says."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def download(files, title):
    """Bring ``files`` into .cache/debian; a dict of those that no mirror has, and why.

    Raises Failure where a mirror cannot be reached or a download breaks off again and again.
    """
    missing = {file: "" for file in files if not is_whole(CACHE / file.name, file)}
    if not missing:
        return {}
    total = sum(file.size for file in missing)
    say(f"{title}: {len(missing)} files, {megabytes(total)}, to download")
    part = CACHE / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    gone = dict.fromkeys(missing, "")
    done = 0
    for mirror in mirrors():
        for _ in range(ROUNDS):
            errors = ask(mirror, missing, part, total, done)
            for file in list(missing):
                if is_whole(part / file.name, file):
                    (part / file.name).replace(CACHE / file.name)
                    done += file.size
                    del missing[file], gone[file]
                    continue
                (part / file.name).unlink(missing_ok=True)
                missing[file] = errors.get(file, "the download broke off")
            if not any(map(broken, missing.values())):
                break
        for file, reason in missing.items():
            if not gone[file] or broken(reason):
                gone[file] = f"{mirror}: {reason}"
        if not missing:
            break
    shutil.rmtree(part)
    for file, reason in gone.items():
        if broken(reason):
            raise Failure(
                f"Cannot download {file.name} from {reason}. "
                "Check the network, or set DEBIAN_MIRROR=URL to another, then run this again."
            )
    return gone


def broken(reason):
    """Whether a file may well be on the mirror that could not give it."""
    return not re.search(r"\b40[34]\b|\b410\b|Hash Sum mismatch", reason)


def ask(mirror, files, folder, total, done):
    """Download ``files`` into ``folder`` with apt, which checks them; a dict of what failed.

    Shows how far it is: of ``total`` bytes ``done`` are here already.
    """
    addresses = {f"{mirror}/{file.path}": file for file in files}
    arguments = []
    for address, file in addresses.items():
        arguments += [address, folder / file.name, f"SHA256:{file.sha256}"]
    with tempfile.TemporaryFile("w+") as said, Progress(total) as progress:
        process = subprocess.Popen(
            [HELPER, *HELPER_OPTIONS, "download-file", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        while True:
            try:
                process.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                size = done + size_of(folder)
                progress.show(size, f"{megabytes(size)} of {megabytes(total)}")
        said.seek(0)
        told = re.findall(r"^E: Failed to fetch (\S+)  (.*?)(?: \[IP:.*)?$", said.read(), re.M)
    return {addresses[address]: reason for address, reason in told if address in addresses}


class Index:
    """A private apt with one index and nothing of this system but its proxy settings."""

    def __init__(self, mirror, suite, arch):
        """Raises Failure where the mirror has no index that fits its signed list."""
        self.suite = suite
        self.mirror = mirror
        self.is_source = arch == "source"
        if not KEYRING.exists():
            raise Failure(
                f"There is no {KEYRING}. Install debian-archive-keyring, then run this again."
            )
        self.folder = CACHE / "apt"
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("lists/partial", "archives/partial"):
            (self.folder / part).mkdir(parents=True)
        if arch in ("all", "source"):
            arch = output("dpkg", "--print-architecture").strip()
        kind, target = ("deb-src", "Sources") if self.is_source else ("deb", "Packages")
        # One index and nothing else (no translations): it is most of what is downloaded.
        (self.folder / "sources.list").write_text(
            f"{kind} [arch={arch} target={target} signed-by={KEYRING}] {mirror} {suite} main\n"
        )
        (self.folder / "apt.conf").write_text(
            f"""#clear APT::Architectures;
#clear APT::Update;
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{self.folder}";
Dir::State::status "/dev/null";
Dir::Cache "{self.folder}";
Dir::Etc::sourcelist "{self.folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""
        )
        self.run("update")

    def run(self, *arguments):
        """The output of this apt-get. Raises Failure with the first line of its errors."""
        result = subprocess.run(
            ["apt-get", "-q", "-c", str(self.folder / "apt.conf"), *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        if result.returncode:
            told = re.search(r"^E: (.*?)\.*$", result.stderr, re.M)
            reason = told[1] if told else f"exit status {result.returncode}"
            raise Failure(f"{self.suite} of {self.mirror}: {reason}")
        return result.stdout

    def plan(self, *packages):
        """The names of all that apt would install on a system with nothing on it."""
        said = self.run("-s", "--no-install-recommends", "install", *packages)
        return set(re.findall(r"^Inst (\S+)", said, re.M))

    def files(self, name, arch, packages, with_missing):
        """A File for each package; ``with_missing``: and for what a minimal system lacks."""
        if with_missing:
            minimal = ["?essential", "apt"]
            packages = sorted(self.plan(*minimal, *packages) - self.plan(*minimal))
        if self.is_source:
            said = self.run("source", "--download-only", "--print-uris", *packages)
        else:
            said = self.run("download", "--print-uris", *packages)
        found = []
        for address, size, sha256 in re.findall(r"^'(\S+)' \S+ (\d+) SHA256:(\w+)", said, re.M):
            path = unquote(address[len(self.mirror) + 1 :])
            package, version = self.describe(path, packages)
            if not self.is_source or ".orig.tar." in path:
                found.append(
                    File(name, self.suite, arch, package, version, int(size), sha256, path)
                )
        return sorted(found)

    def describe(self, path, packages):
        """The package and version that a file name says; an epoch is not in it."""
        package, version = path.rpartition("/")[2].split("_")[:2]
        return package, version.partition(".orig.tar.")[0]


def from_index(name, wanted, suite, arch, packages):
    """The files of a set by the index of the first mirror that gives one; raises Failure."""
    reasons = []
    for mirror in mirrors():
        try:
            return Index(mirror, suite, arch).files(
                name, arch, packages, wanted.get("with_missing", False)
            )
        except Failure as failure:
            reasons.append(str(failure))
        finally:
            shutil.rmtree(CACHE / "apt", ignore_errors=True)
    raise Failure("; ".join(reasons))


class Set:
    """A set of debian.toml for one architecture, and what the lock has of it."""

    def __init__(self, name, arch=None):
        """``arch`` is that of this system unless given. Raises Failure where the set has none."""
        sets = read_sets()
        if name not in sets:
            raise Failure(f"There is no set {name} in {SETS.relative_to(TOP)}.")
        self.name = name
        self.wanted = sets[name]
        self.packages = self.wanted["packages"]
        if self.wanted["architectures"] in (["all"], ["source"]):
            arch = self.wanted["architectures"][0]
        self.arch = arch or output("dpkg", "--print-architecture").strip()
        self.suite = self.wanted["suites"][0]
        if len(self.wanted["suites"]) > 1:
            of, self.suite = system()
            if of != "debian":
                raise Failure(f"Debian's {name} cannot run here: this system is not Debian.")
        self.lock = {
            file: number
            for file, number in read_lock().items()
            if (file.set, file.suite, file.arch) == (name, self.suite, self.arch)
        }

    @property
    def stamp(self):
        """What a folder that holds this set is known by."""
        return "".join(f"{line}\n" for line in (self.name, *self.packages, *self.lock))

    @property
    def title(self):
        return f"{self.name} ({self.suite}, {self.arch})"

    def bring(self):
        """Its files, all of them whole in .cache/debian."""
        if self.lock:
            files, stale = self.bring_locked()
            if not stale:
                return files
            for file, reason in stale.items():
                print(
                    f"{LOCK.relative_to(TOP)} is stale, line {self.lock[file]}: {file.name} "
                    f"is not to be had ({reason}). Asking Debian's index.",
                    file=sys.stderr,
                )
        suites = [self.suite]
        if self.wanted.get("own_libc") and self.suite in NEXT_SUITE:
            suites.append(NEXT_SUITE[self.suite])
        reasons = []
        # All of a set from one index: its packages were made to go together.
        for suite in suites:
            say(f"{self.title}: reading the index of {suite}")
            try:
                files = from_index(self.name, self.wanted, suite, self.arch, self.packages)
            except Failure as failure:
                reasons.append(str(failure))
                continue
            gone = download(files, self.title)
            if not gone:
                return files
            reasons += gone.values()
        raise Failure(
            f"Cannot download {self.name} ({self.arch}) of Debian {self.suite}: "
            f"{'; '.join(reasons)}. Set DEBIAN_MIRROR=URL to another mirror, then run this again."
        )

    def bring_locked(self):
        """The files that the lock names, and in a dict those that no mirror has, with reasons.

        Packages of one source stand in the lock with the same versions: where a line of one is
        stale, the next line of each is taken.
        """
        lines = {}
        for file in self.lock:
            lines.setdefault(file.source, {}).setdefault(file.package, []).append(file)
        chosen, stale, turn = [], {}, 0
        while lines:
            files = {
                source: [of[min(turn, len(of) - 1)] for of in packages.values()]
                for source, packages in lines.items()
            }
            gone = download([file for some in files.values() for file in some], self.title)
            turn += 1
            for source, some in files.items():
                if not gone.keys() & set(some):
                    chosen += some
                elif turn < max(map(len, lines[source].values())):
                    continue
                else:
                    stale.update({file: gone[file] for file in some if file in gone})
                del lines[source]
        return chosen, stale


def unpack(wanted, folder):
    """Make ``folder`` hold what is in the packages of a Set; in one step, and only once."""
    stamp = folder / ".unpacked"
    if stamp.exists() and stamp.read_text() == wanted.stamp:
        return
    with held():
        files = wanted.bring()
        say(f"{wanted.title}: unpacking")
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for file in files:
            if subprocess.run(["dpkg", "-x", str(CACHE / file.name), str(new)]).returncode:
                shutil.rmtree(new)
                raise Failure(
                    f"Cannot unpack {file.name}: make room on the disk, then run this again."
                )
        (new / ".unpacked").write_text(wanted.stamp)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)


def fetch(wanted, folder):
    """Make ``folder`` hold the files of a Set and nothing else, as links into .cache/debian."""
    with held():
        files = wanted.bring()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            try:
                os.link(CACHE / file.name, folder / file.name)
            except OSError:  # another file system
                shutil.copy(CACHE / file.name, folder)


def held():
    """An open file that is locked: one at a time writes to .cache/debian."""
    CACHE.mkdir(parents=True, exist_ok=True)
    file = (CACHE / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Waiting for another set-up to finish ...")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def renew(names):
    """Write the lock anew from the indices, and tell what changes.

    The line that a package had stays behind the new one: a mirror may be older than the index.
    """
    lock = list(read_lock()) if LOCK.exists() else []
    sets = read_sets()
    if unknown := set(names) - set(sets):
        raise Failure(f"There is no set {' '.join(unknown)} in {SETS.relative_to(TOP)}.")
    failed = []
    with held():
        for name in names or sets:
            for suite in sets[name]["suites"]:
                for arch in sets[name]["architectures"]:
                    key = (name, suite, arch)
                    print(f"{name} ({suite}, {arch})", flush=True)
                    old = [file for file in lock if file[:3] == key]
                    try:
                        new = from_index(name, sets[name], suite, arch, sets[name]["packages"])
                    except Failure as failure:
                        failed.append(f"{name} ({suite}, {arch}) stays as it was: {failure}")
                        continue
                    kept = [file for file in lock if file[:3] != key]
                    lock = kept + changed(old, new)
    lock = [file for file in lock if file.set in sets]
    lines = "".join(f"{file}\n" for file in sorted(lock, key=lambda file: file[:4]))
    new_lock = LOCK.with_suffix(".new")
    new_lock.write_text(HEADER + lines)
    new_lock.replace(LOCK)
    if failed:
        raise Failure("\n".join(failed))


def changed(old, new):
    """The lines that follow ``old`` with ``new`` from the index; tells what changes."""
    lines = []
    first = {}
    for file in old:
        first.setdefault(file.package, file)
    for file in new:
        lines.append(file)
        before = first.pop(file.package, None)
        if before is None:
            print(f"  + {file.package} {file.version}")
        elif before != file:
            print(f"  {file.package} {before.version} -> {file.version}")
            lines.append(before)
        else:
            lines += [other for other in old if other.package == file.package][1:]
    for package, before in first.items():
        print(f"  - {package} {before.version}")
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("unpack", "fetch"):
        command = commands.add_parser(name)
        command.add_argument("set")
        command.add_argument("folder", type=Path)
        command.add_argument("--arch")
    commands.add_parser("renew").add_argument("sets", nargs="*")
    arguments = parser.parse_args()
    for tool in ("apt-get", "dpkg", HELPER):
        if not shutil.which(tool):
            raise Failure(f"There is no {tool} here. Run this on Debian 12 or later.")
    if arguments.command == "renew":
        renew(arguments.sets)
        return
    wanted = Set(arguments.set, arguments.arch)
    folder = arguments.folder.absolute()
    if arguments.command == "unpack":
        unpack(wanted, folder)
    else:
        fetch(wanted, folder)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
    except OSError as error:  # no room on the disk, no permission
        sys.exit(f"{error}. Put that right, then run this again.")
    except KeyboardInterrupt:
        sys.exit(130)
