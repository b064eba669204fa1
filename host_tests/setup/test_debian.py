"""Debian's packages by the lock: from a mirror on this computer, in a project of its own."""

import hashlib
import http.server
import importlib
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from host_tests.support.interpreters import environment
from host_tests.support.ports import free_port

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
SETS = tomllib.loads((HERE / "debian.toml").read_text())
LOCK = [
    line.split()
    for line in (HERE / "debian.lock").read_text().splitlines()
    if not line.startswith("#")
]

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb: not a Debian")


@pytest.mark.parametrize("name", SETS)
def test_the_lock_has_every_package_of(name):
    for suite in SETS[name]["suites"]:
        for arch in SETS[name]["architectures"]:
            locked = {line[3] for line in LOCK if line[:3] == [name, suite, arch]}
            assert locked >= set(SETS[name]["packages"])


def test_scripts_name_sets_that_exist():
    named = set()
    for script in TOP.rglob("host_tests/**/*.sh"):
        text = script.read_text()
        named |= set(re.findall(r"^\s*debian ([a-z0-9-]+) ", text, re.MULTILINE))
        named |= set(re.findall(r"debian\.py\S* (?:unpack|fetch) ([a-z0-9-]+) ", text))
        named |= set(re.findall(r"\brp2040-[a-z-]+(?=[ )])", text))
    assert named >= {"micropython", "chromium", "rp2040-sources"}
    assert named <= set(SETS)


def test_the_lock_is_sorted_and_its_lines_are_whole():
    assert [line[:4] for line in LOCK] == sorted(line[:4] for line in LOCK)
    for name, suite, arch, package, version, size, sha256, path in LOCK:
        assert suite in SETS[name]["suites"]
        assert arch in SETS[name]["architectures"]
        assert int(size) > 0
        assert re.fullmatch("[0-9a-f]{64}", sha256)
        assert re.fullmatch(
            rf"pool/main/\w+/[^/]+/{re.escape(f'{package}_{version}')}[._].+", path
        )


class Mirror:
    """An HTTP server that has a pool and no index; ``asked`` are the paths, in their order."""

    def __init__(self):
        self.files = {}
        self.asked = []
        self.cut = {}  # how often yet the connection breaks in the middle of a path
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                mirror.asked.append(self.path)
                data = mirror.files.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if mirror.cut.get(self.path, 0) > 0:
                    mirror.cut[self.path] -= 1
                    self.wfile.write(data[: len(data) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Project:
    """A project with a lock of two packages of one source and one of another, and their mirror."""

    def __init__(self, folder, mirror):
        self.folder = folder
        self.mirror = mirror
        self.setup = folder / "host_tests" / "setup"
        self.setup.mkdir(parents=True)
        for file in ("debian.py", "progress.py"):
            shutil.copy(HERE / file, self.setup)
        (self.setup / "debian.toml").write_text(
            "[tools]\n"
            'suites = ["bookworm"]\n'
            'architectures = ["all"]\n'
            'packages = ["one", "one-data", "two"]\n'
            "own_libc = true\n"
        )
        self.cache = folder / ".cache" / "debian"
        self.lines = []
        for package, source in (("one", "one"), ("one-data", "one"), ("two", "two")):
            for version in ("2", "1"):
                self.lock(package, source, version)

    def lock(self, package, source, version):
        """Put a package on the mirror and into the lock."""
        tree = self.folder / "trees" / f"{package}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {package}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: nobody <nobody@example.org>\nDescription: nothing\n"
        )
        (tree / "usr").mkdir()
        (tree / "usr" / package).write_text(version)
        deb = self.folder / f"{package}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True)
        data = deb.read_bytes()
        path = f"pool/main/{source[0]}/{source}/{deb.name}"
        self.mirror.files[f"/{path}"] = data
        digest = hashlib.sha256(data).hexdigest()
        self.lines.append(f"tools bookworm all {package} {version} {len(data)} {digest} {path}\n")
        (self.setup / "debian.lock").write_text("# a lock\n" + "".join(self.lines))

    def run(self, *arguments, mirror=None):
        """debian.py with the arguments: its exit status and what it says on stderr."""
        result = subprocess.run(
            [sys.executable, self.setup / "debian.py", *arguments],
            cwd=self.folder,
            env={**environment(), "DEBIAN_MIRROR": mirror or self.mirror.address},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in result.stderr
        return result.returncode, result.stderr

    def unpacked(self):
        """What unpacking the set leaves: the version of each package."""
        status, said = self.run("unpack", "tools", "tools")
        assert status == 0, said
        return {path.name: path.read_text() for path in (self.folder / "tools/usr").iterdir()}


@pytest.fixture
def mirror():
    mirror = Mirror()
    yield mirror
    mirror.stop()


@pytest.fixture
def project(tmp_path, mirror):
    return Project(tmp_path, mirror)


def path_of(package, version="2"):
    source = package.partition("-")[0]
    return f"/pool/main/{source[0]}/{source}/{package}_{version}_all.deb"


NEWEST = {"one": "2", "one-data": "2", "two": "2"}


def test_the_first_lines_are_fetched_by_path_and_no_index_is_asked(project):
    assert project.unpacked() == NEWEST
    assert sorted(project.mirror.asked) == sorted(path_of(package) for package in NEWEST)


def test_a_second_time_nobody_is_asked(project):
    project.unpacked()
    project.mirror.asked.clear()
    assert project.unpacked() == NEWEST
    shutil.rmtree(project.folder / "tools")
    assert project.unpacked() == NEWEST
    assert project.mirror.asked == []


def test_another_lock_is_followed(project):
    project.unpacked()
    project.lines = [line for line in project.lines if " one 2 " not in line]
    (project.setup / "debian.lock").write_text("".join(project.lines))
    assert project.unpacked()["one"] == "1"


def test_packages_of_one_source_move_to_the_next_lines_together(project):
    del project.mirror.files[path_of("one-data")]
    assert project.unpacked() == {"one": "1", "one-data": "1", "two": "2"}


def test_only_where_all_lines_are_stale_the_indices_are_asked(project):
    for version in ("2", "1"):
        del project.mirror.files[path_of("two", version)]
    status, said = project.run("unpack", "tools", "tools")
    assert status == 1
    assert "debian.lock is stale, line 7: two_1_all.deb is not to be had" in said
    assert "404" in said
    asked = project.mirror.asked
    dists = [path for path in asked if path.startswith("/dists/")]
    assert asked[-len(dists) :] == dists
    first = {suite: dists.index(f"/dists/{suite}/InRelease") for suite in ("bookworm", "trixie")}
    assert first["bookworm"] < first["trixie"]
    assert said.splitlines()[-1].startswith("Cannot download tools (all) of Debian bookworm: ")
    assert not (project.folder / "tools").exists()


def test_a_download_that_breaks_off_is_tried_again(project):
    project.mirror.cut[path_of("one")] = 2
    assert project.unpacked() == NEWEST


def test_a_download_that_always_breaks_off_is_not_taken_for_whole(project):
    project.mirror.cut[path_of("one")] = 1000
    status, said = project.run("unpack", "tools", "tools")
    assert status == 1
    assert f"Cannot download one_2_all.deb from {project.mirror.address}: " in said
    assert "stale" not in said
    assert not (project.folder / "tools").exists()
    assert not (project.cache / "one_2_all.deb").exists()
    project.mirror.cut.clear()
    assert project.unpacked() == NEWEST


def test_what_has_another_hash_is_not_taken(project):
    project.mirror.files[path_of("one")] = b"something else"
    assert project.unpacked() == {"one": "1", "one-data": "1", "two": "2"}
    assert not (project.cache / "one_2_all.deb").exists()


def test_what_is_damaged_in_the_cache_is_fetched_again(project):
    project.unpacked()
    shutil.rmtree(project.folder / "tools")
    (project.cache / "two_2_all.deb").write_bytes(b"half")
    assert project.unpacked() == NEWEST


def test_a_mirror_that_does_not_answer_is_named_and_no_other_is_asked(project):
    address = f"http://127.0.0.1:{free_port()}"
    status, said = project.run("unpack", "tools", "tools", mirror=address)
    assert status == 1
    assert re.fullmatch(
        rf"Cannot download \w+_2_all\.deb from {address}: .* Check the network, "
        r"or set DEBIAN_MIRROR=URL to another, then run this again\.\n",
        said.replace("one-data", "one"),
    )


def test_fetch_leaves_the_files_of_the_set_and_nothing_else(project):
    folder = project.folder / "files"
    folder.mkdir()
    (folder / "one_1_all.deb").write_text("of another day")
    assert project.run("fetch", "tools", folder) == (0, "")
    assert {path.name for path in folder.iterdir()} == {
        f"{package}_2_all.deb" for package in NEWEST
    }


def test_a_set_that_does_not_exist_is_named(project):
    assert project.run("unpack", "tolls", "tools") == (
        1,
        "There is no set tolls in host_tests/setup/debian.toml.\n",
    )


def test_renewing_puts_the_new_line_first_and_keeps_the_one_before(monkeypatch, capsys):
    monkeypatch.syspath_prepend(HERE)
    debian = importlib.import_module("debian")

    def file(package, version):
        return debian.File("tools", "trixie", "all", package, version, 1, "0" * 64, version)

    old = [file("a", "2"), file("a", "1"), file("b", "1"), file("c", "3"), file("c", "2")]
    new = [file("a", "3"), file("c", "3"), file("d", "1")]
    assert debian.changed(old, new) == [
        *(file("a", "3"), file("a", "2"), file("c", "3"), file("c", "2"), file("d", "1"))
    ]
    assert capsys.readouterr().out.splitlines() == ["  a 2 -> 3", "  + d 1", "  - b 1"]
