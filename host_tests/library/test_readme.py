"""The program in the project's README runs as it stands there; links lead to files."""

import re
import textwrap

import pytest

from host_tests.support.paths import TOP

READMES = [
    TOP / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "firmware/README.md",
        "lib/README.md",
        "host_tests/README.md",
        "host_tests/conformance/README.md",
        "host_tests/faults/README.md",
    )
]


def test_the_program(interpreter, tmp_path):
    _, _, rest = READMES[0].read_text("utf-8").partition("<!-- a test runs this program -->\n")
    code = re.match(r"\n((?: {4}.*\n|\n)+)", rest)[1]
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(code))
    result = interpreter.run(script)
    assert (result.stdout, result.stderr) == ("you said hello\n", "")


def test_the_first_page_is_short():
    assert len(READMES[0].read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.relative_to(TOP).as_posix())
def test_links_lead_somewhere(readme):
    for link in re.findall(r"\]\(([^)\s]+)\)", readme.read_text("utf-8")):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (readme.parent / name).resolve() if name else readme
        assert target.exists(), link
        if heading:
            found = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found]
            assert heading in anchors, link
