"""firmware/log.py: dated lines, and text that does a terminal no harm."""

import re
import unicodedata

import pytest

from firmware import log
from host_tests.support.interpreters import BOARDS

# Takes the whole heap, then tells of it; no room that a line leaves free holds the error's text.
SHORT = """
from firmware.log import log
from firmware.describe import describe_error
error = ValueError("x" * 8192)
taken = None
size = 4096
while size >= 16:
    try:
        while True:
            taken = [taken, bytearray(size)]
    except MemoryError:
        size //= 2
log("still told")
log(describe_error(error))
"""


def test_a_line_is_dated_with_the_seconds_since_the_start(interpreter):
    result = interpreter.run("-c", "from firmware.log import log; log('starting')")
    assert re.fullmatch(r"\[    \d\.\d\] starting\n", result.stdout)


def test_the_clock_of_a_board_wraps_and_the_date_goes_on(monkeypatch, capsys):
    day = 24 * 3600 * 1000
    wrap = 1 << 30  # milliseconds, 12.4 days
    now = [0]
    monkeypatch.setattr(log, "_ticks_ms", lambda: now[0] % wrap)
    monkeypatch.setattr(log, "_ticks_diff", lambda end, start: (end - start) % wrap)
    for name in ("_last", "_seconds", "_millis"):
        monkeypatch.setattr(log, name, 0)
    for _ in range(31):
        now[0] += day + 10
        log.log("here")
    assert capsys.readouterr().out.splitlines()[-1] == f"[{31 * 24 * 3600}.3] here"


def test_a_heap_that_is_full_is_told():
    result = BOARDS["micropython32"].run("-c", SHORT)
    assert (result.stdout, result.stderr) == ("still told\nout of memory\n", "")


def test_a_flood_of_lines_is_counted(monkeypatch, capsys):
    second = [7]
    monkeypatch.setattr(log, "uptime", lambda: second[0])
    bound = log.Bound(3, "%d more")
    assert [bound.allows() for _ in range(5)] == [True, True, True, False, False]
    bound.tell()
    assert capsys.readouterr().out == ""
    second[0] += 1
    assert bound.allows()
    assert capsys.readouterr().out.endswith("] 2 more\n")
    bound.tell()
    second[0] += 1
    bound.tell()
    assert capsys.readouterr().out == ""


# Every character alone: those of these categories become escapes, and no other but one.
EVERY = """
from firmware.log import printable
for code in range(0x110000):
    if not 0xD800 <= code < 0xE000:  # no str holds those; a bytes that does is not UTF-8
        if printable("a" + chr(code)) != "a" + chr(code):
            print("%x" % code, printable("a" + chr(code)) == "a\\\\u{%x}" % code)
"""


def test_what_is_invisible_or_turns_text_round_is_escaped():
    result = BOARDS["cpython"].run("-c", EVERY)
    hidden = ("Cc", "Cf", "Zl", "Zp")
    wanted = [code for code in range(0x110000) if unicodedata.category(chr(code)) in hidden]
    shown = dict(line.split() for line in result.stdout.splitlines())
    assert set(shown.values()) == {"True"}
    escaped = {int(code, 16) for code in shown}
    assert set(wanted) <= escaped
    # The grapheme joiner, and what a newer Unicode has.
    assert escaped - set(wanted) <= {0x34F, *range(0x13439, 0x13440)}
    assert log._UNPRINTABLE[30:32] == (0xD800, 0xDFFF)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pin0:1234", "pin0:1234"),
        ("caf\u00e9 \u2014 \u4f60\u597d \U0001f600", "caf\u00e9 \u2014 \u4f60\u597d \U0001f600"),
        ("\x1b[2Jgone\a", "\\u{1b}[2Jgone\\u{7}"),
        ("one\r\ntwo\t", "one\\u{d}\\u{a}two\\u{9}"),
        ("\x7f\x9b31m", "\\u{7f}\\u{9b}31m"),
        ("\u202egnp.exe", "\\u{202e}gnp.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"),
        ("\u061c\u00ad\u034f\ufff9", "\\u{61c}\\u{ad}\\u{34f}\\u{fff9}"),
        ("tags \U000e0001\U000e007f!", "tags \\u{e0001}\\u{e007f}!"),
    ],
)
def test_printable_leaves_the_terminal_alone(text, shown):
    assert log.printable(text) == shown


def test_printable_is_the_same_on_a_board(interpreter):
    text = "caf\u00e9 \U0001f600 \u061c\u00ad\u034f\U000e0001\U000e007f\U00013430 \x1b"
    code = f"from firmware.log import printable\nprint(printable({text!a}))"
    assert interpreter.run("-c", code).stdout == log.printable(text) + "\n"
