"""firmware/page.html in a real browser.

A virtual board on MicroPython with 32 bits serves it where it is about what both do together;
else a board of which the test says every word.
"""

import csv
import json
import math
import os
import re

import pytest
from playwright.sync_api import expect, sync_playwright

from host_tests.deploy import virtual
from host_tests.firmware.panel import Panel
from host_tests.support.interpreters import BOARDS, PATIENCE
from host_tests.support.paths import TOP
from host_tests.support.ports import free_port
from host_tests.support.tools import tool

# Nothing that would look for its maker's servers.
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Where the plot has a colour, in parts of its width and height; null where it has it nowhere.
INK = """(canvas, [name, start, end]) => {
  const colour = getComputedStyle(canvas).getPropertyValue(name)
  const wanted = colour.match(/\\w\\w/g).map(part => parseInt(part, 16))
  const { width, height } = canvas
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height)
  let found = null
  for (let x = Math.round(start * width); x < end * width; x++) {
    for (let y = 0; y < height; y++) {
      const i = 4 * (y * width + x)
      if (data[i + 3] < 200 || wanted.some((v, k) => Math.abs(v - data[i + k]) > 8)) continue
      found ||= { left: x / width, top: 1, bottom: 0 }
      found.right = x / width
      found.top = Math.min(found.top, y / height)
      found.bottom = Math.max(found.bottom, y / height)
    }
  }
  return found
}"""

# WCAG 2.1, 1.4.3: the least contrast of text and names, on card and page.
CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement)
  const light = name => {
    let hex = style.getPropertyValue(name).trim().slice(1)
    if (hex.length === 3) hex = [...hex].map(one => one + one).join('')
    const [r, g, b] = hex.match(/../g).map(part => {
      const v = parseInt(part, 16) / 255
      return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4
    })
    return .2126 * r + .7152 * g + .0722 * b + .05
  }
  const ratio = (one, other) => Math.max(light(one), light(other)) /
    Math.min(light(one), light(other))
  const names = ['--ink', '--soft', '--good', '--warn', '--bad']
  for (let i = 0; i < 8; i++) names.push('--c' + i)
  return Math.min(ratio('--bad', '--badback'), ratio('--ink', '--badback'), ...names.map(name =>
    Math.min(ratio(name, '--card'), ratio(name, '--page'))))
}"""

GREENHOUSE = {
    "name": "greenhouse",
    "format": "text",
    "read_only": False,
    "inputs": {
        "light": {"kind": "analog", "unit": "%", "range": [0, 100], "value": 80},
        "temp": {"kind": "analog", "unit": "°C", "value": 21.5},
        "door": {"kind": "digital", "range": [0, 1], "states": ["closed", "open"], "value": 0},
    },
    "outputs": {
        "lamp": {"range": [0, 1], "value": 0},
        "fan": {"pwm": 1000, "unit": "%", "range": [0, 100], "value": 20},
    },
}
LIGHT, TEMP, DOOR, LAMP, FAN, OTHER = (f"--c{i}" for i in range(6))  # their colours

# A minute ago the light went from 20 to 80 %, and the door was closed.
HISTORY = "130 door:1\n130 lamp:0\n130 fan:20\n60 door:0\n" + "".join(
    f"{ago} light:{20 if ago > 60 else 80}\n{ago} temp:{21.5 - ago / 100:.2f}\n"
    for ago in range(130, 0, -1)
)


class Board:
    """A virtual board with a page; it can be switched off and on."""

    def __init__(self, folder, start, settings):
        self.url = f"http://127.0.0.1:{settings['port']}/"
        self._folder = virtual.Board("board", folder, settings).folder
        self._start = start
        self.switch_on()

    def switch_on(self):
        command = BOARDS["micropython32"].command(virtual.START)
        self.process = self._start(command, cwd=self._folder)
        self.process.wait_for("listening on ws://127.0.0.1:")


@pytest.fixture
def board(start, tmp_path):
    """`board(setting=...)` starts one that sends twenty values a second."""

    def start_board(**settings):
        settings = {"sample_interval": 0.05, "port": free_port(), **settings}
        return Board(tmp_path / "board", start, settings)

    return start_board


@pytest.fixture
def panel():
    """`panel(first, history, ...)` is a Panel."""
    panels = []

    def start_panel(*args, **metrics):
        panels.append(Panel(*args, **metrics))
        return panels[-1]

    yield start_panel
    for one in panels:
        one.stop()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=tool("chromium"), args=QUIET, chromium_sandbox=False
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """`visit(board, query, option=...)` opens the board's page in a browser window of its own.

    A mistake of the page's program, one against its Content-Security-Policy, or a request to
    anybody but the board fails the test.
    """
    contexts = []
    mistakes = []

    def console(message):
        # The browser tells of each refusal and end, too.
        if message.type == "error" and "Security Policy" in message.text:
            mistakes.append(message.text)

    def request(request):
        if not request.url.startswith((board_url, "data:", "blob:" + board_url)):
            mistakes.append(request.url)

    def open_page(board, query="", **options):
        nonlocal board_url
        board_url = board.url
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", console)
        page.on("request", request)
        page.goto(board.url + query)
        return page

    board_url = ""
    expect.set_options(timeout=PATIENCE * 1000)
    yield open_page
    for context in contexts:
        context.close()
    assert mistakes == []


def live(page):
    expect(page.get_by_role("status")).to_have_text("Live")
    return page


def tile(page, name):
    """The list item with a name, its value and, of an output, its control."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("button", name=f"Plot {name}"))


def shows(page, name, text):
    expect(tile(page, name).locator("p")).to_have_text(text)


def ink(page, colour, start=0.15, end=0.85):
    """Where the plot has a colour between these parts of its width: no axes, and no marks."""
    return page.locator("#plot").evaluate(INK, [colour, start, end])


def wait_for_ink(page, fits, *args):
    """The same, once it is as wanted."""
    while not fits(found := ink(page, *args)):
        page.evaluate("() => new Promise(requestAnimationFrame)")
    return found


def saved(page):
    """The rows of the CSV that the page gives."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV").click()
    assert download.value.suggested_filename == "greenhouse.csv"
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# Values


def test_a_board_of_yesterday(panel, visit):
    """It sends pin0 and words: nothing of what it has connected, and nothing of before."""
    running = panel(name="wall")
    page = live(visit(running))
    expect(page).to_have_title("wall")
    expect(page.get_by_role("heading", name="wall")).to_be_visible()
    expect(page.get_by_text("No values yet")).to_be_visible()
    running.say("pin0:12345", "pin0:23456", "good morning")
    shows(page, "pin0", "23456")
    wait_for_ink(page, bool, "--c0", 0, 1)
    expect(page.get_by_text("No values yet")).to_be_hidden()
    expect(page.get_by_role("log")).to_contain_text("good morning")
    expect(page.locator("#clients")).to_have_text("1")
    expect(page.locator("#trip")).to_have_text(re.compile(r"\d+ ms"))
    expect(page.get_by_role("img")).to_have_attribute("aria-label", "Plot: pin0 23456")
    assert running.asked == ["/", "/metrics?&ticket", "/history?&ticket", "/"]
    assert running.received.empty()


def test_a_real_board_without_inputs(board, visit):
    running = board(hostname="wall")
    page = live(visit(running))
    sent = int(re.search(r"pin0:(\d+)", running.process.wait_for("sent pin0:"))[1])
    page.wait_for_function("v => series.get('pin0')?.points.some(p => p[1] === v)", arg=sent)
    expect(tile(page, "pin0").locator("b")).to_have_text(re.compile(r"^\d+$"))
    wait_for_ink(page, bool, "--c0", 0, 1)


def test_values_of_two_units_and_on_off_share_a_plot(panel, visit):
    page = live(visit(panel(GREENHOUSE, HISTORY)))
    shows(page, "light", "80%")
    shows(page, "temp", "21.50°C")
    shows(page, "door", "closed")
    shows(page, "lamp", "Off")
    shows(page, "fan", "20%")
    expect(page.locator("#plot")).to_have_attribute(
        "aria-label", "Plot: light 80 %, temp 21.50 °C, door closed, lamp Off, fan 20 %"
    )
    # What was before the page was opened: low, then high.
    before = wait_for_ink(page, bool, LIGHT, 0.2, 0.4)
    after = ink(page, LIGHT, 0.6, 0.8)
    assert before["top"] > after["bottom"] + 0.2
    assert ink(page, TEMP, 0.95, 1)  # an axis on the right
    assert not ink(page, LIGHT, 0.95, 1)
    # Lanes below the lines, each in its row.
    rows = [ink(page, colour) for colour in (DOOR, LAMP, FAN)]
    tops = [before["bottom"], *(row["top"] for row in rows)]
    assert tops == sorted(tops)
    opened, closed = ink(page, DOOR, 0.2, 0.4), ink(page, DOOR, 0.6, 0.8)
    assert opened["top"] < closed["top"]


def test_a_name_is_hidden_and_shown(panel, visit):
    page = live(visit(panel(GREENHOUSE, HISTORY)))
    name = page.get_by_role("button", name="Plot light")
    wait_for_ink(page, bool, LIGHT)
    name.click()
    expect(name).to_have_attribute("aria-pressed", "false")
    wait_for_ink(page, lambda found: not found, LIGHT, 0, 1)
    expect(page.locator("#plot")).not_to_have_attribute("aria-label", re.compile("light"))
    assert saved(page)[0] == ["time", "temp, °C", "door", "lamp", "fan, %"]
    name.press("Enter")
    wait_for_ink(page, bool, LIGHT)
    tile(page, "light").hover()  # the others fade
    wait_for_ink(page, lambda found: not found, TEMP)
    assert ink(page, LIGHT)


def test_quantities_are_drawn_apart(panel, visit):
    page = live(visit(panel(GREENHOUSE, HISTORY)))
    apart = page.get_by_role("button", name="Apart")
    light, temp = wait_for_ink(page, bool, LIGHT), wait_for_ink(page, bool, TEMP)
    assert light["top"] < temp["bottom"]
    assert temp["top"] < light["bottom"]
    apart.click()
    expect(apart).to_have_attribute("aria-pressed", "true")
    temp = wait_for_ink(page, lambda found: found["top"] > 0.4, TEMP)
    assert ink(page, LIGHT)["bottom"] < temp["top"]


def test_the_full_range(panel, visit):
    page = live(visit(panel(GREENHOUSE, "100 light:71\n90 light:79\n")))
    before = wait_for_ink(page, bool, LIGHT)
    page.get_by_role("button", name="Full range").click()
    wait_for_ink(
        page,
        lambda found: found["bottom"] - found["top"] < (before["bottom"] - before["top"]) / 2,
        LIGHT,
    )


def test_what_tells_only_its_changes_holds_until_the_next(panel, visit):
    first = json.loads(json.dumps(GREENHOUSE))
    first["inputs"]["light"].update(change=5, value=None)
    page = live(visit(panel(first, "110 light:20\n50 light:80\n")))
    before = wait_for_ink(page, bool, LIGHT, 0.2, 0.4)
    after = ink(page, LIGHT, 0.7, 0.85)
    assert before["bottom"] - before["top"] < 0.02  # level, and no slope
    assert after["bottom"] - after["top"] < 0.02
    assert after["right"] > 0.84
    assert after["bottom"] < before["top"]


def test_the_time_span(panel, visit):
    page = live(visit(panel(GREENHOUSE, "60 light:20\n1 light:20\n")))
    found = wait_for_ink(page, bool, LIGHT)
    assert 0.4 < found["left"] < 0.6
    page.get_by_role("radio", name="30 s").check()
    wait_for_ink(page, lambda found: found["left"] < 0.2, LIGHT)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="10 min")).to_be_checked()
    wait_for_ink(page, lambda found: not found, LIGHT)


def test_the_plot_is_paused(panel, visit):
    running = panel(GREENHOUSE, HISTORY)
    page = live(visit(running))
    wait_for_ink(page, bool, LIGHT)
    button = page.get_by_role("button", name="Pause")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    before = page.locator("#plot").evaluate("canvas => canvas.toDataURL()")
    running.say("light:1")
    shows(page, "light", "1%")  # the values go on
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert page.locator("#plot").evaluate("canvas => canvas.toDataURL()") == before
    button.click()
    wait_for_ink(page, lambda found: found["bottom"] > 0.5, LIGHT, 0.85, 0.95)


def test_values_are_read_with_the_keyboard_and_the_pointer(panel, visit):
    page = live(visit(panel(GREENHOUSE, HISTORY)))
    wait_for_ink(page, bool, LIGHT)
    plot, reading = page.locator("#plot"), page.locator("#reading")
    plot.press("ArrowLeft")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    expect(reading).to_have_text(
        re.compile(r"^\d\d:\d\d:\d\d: light 80 %, temp 21\.\d\d °C, door")
    )
    plot.press("Home")
    expect(reading).to_have_text(re.compile(r": light 20 %, .*, door open, "))
    plot.press("Shift+ArrowRight")
    expect(reading).to_have_text(re.compile(r": light 20 %"))
    plot.press("End")
    expect(reading).to_have_text(re.compile(r": light 80 %, .*, door closed, "))
    plot.press("Escape")
    expect(page.locator("#tip")).to_be_hidden()
    plot.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "false")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    expect(page.locator("#tip")).to_contain_text("light20 %")
    page.mouse.move(0, 0)
    expect(page.locator("#tip")).to_be_hidden()


def test_the_table(panel, visit):
    page = live(visit(panel(GREENHOUSE, HISTORY)))
    button = page.get_by_role("button", name="Table")
    wait_for_ink(page, bool, LIGHT)
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    table = page.get_by_role("table")
    heads = ["Time", "light, %", "temp, °C", "door", "lamp", "fan, %"]
    expect(table.get_by_role("columnheader")).to_have_text(heads)
    rows = table.locator("tbody tr")
    assert rows.count() == 30
    newest = ["80", re.compile(r"21\.[45]\d"), "closed", "Off", "20"]
    expect(rows.first.get_by_role("cell")).to_have_text(newest)
    expect(rows.last.get_by_role("cell").first).to_have_text("20")
    button.click()
    expect(table).to_be_hidden()


def test_the_values_are_saved(panel, visit):
    first = json.loads(json.dumps(GREENHOUSE).replace("temp", "=1+1"))
    page = live(visit(panel(first, "100 light:20\n80 door:1\n80.01 light:30\n130 light:9\n")))
    head, *rows = saved(page)
    assert head == ["time", "light, %", "'1+1, °C", "door", "lamp", "fan, %"]
    # The values of a tenth of a second are one row; what is not shown is not saved.
    assert [row[1:] for row in rows] == [
        ["20", "", "", "", ""],
        ["30", "", "1", "", ""],
        ["80", "21.5", "0", "0", "20"],
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", row[0]) for row in rows)


def test_samples_have_the_time_of_the_board(panel, visit):
    """What comes together was not measured together."""
    running = panel({**GREENHOUSE, "format": "json"})
    page = live(visit(running))
    running.say(
        {"t": 12, "time": 1764000000, "lamp": 1, "temp": 20.25, "door": None},
        {"t": 9, "light": 40},
        {"t": 10.5, "light": 41},
    )
    shows(page, "lamp", "On")
    shows(page, "temp", "20.25°C")
    rows = [row for row in saved(page)[1:] if row[1] in ("40", "41")]
    seconds = [float(row[0][-7:-1]) for row in rows]
    assert (seconds[1] - seconds[0]) % 60 == pytest.approx(1.5, abs=0.11)


def test_one_value_for_the_last_row(panel, visit):
    running = panel(GREENHOUSE, HISTORY)
    page = live(visit(running))
    page.get_by_role("button", name="Show light large").click()
    dialog = page.get_by_role("dialog", name="light")
    expect(dialog.locator("p")).to_have_text("80%")
    assert page.url.endswith("/#light")
    size = page.viewport_size
    box = dialog.locator("b").bounding_box()
    assert box["height"] > size["height"] * 0.4
    assert box["x"] > 0
    assert box["x"] + box["width"] < size["width"]
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name="temp").locator("p")).to_have_text("21.50°C")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("dialog", name="door").locator("p")).to_have_text("closed")
    page.get_by_role("button", name="Previous").click()
    page.keyboard.press("ArrowLeft")
    running.say("light:7")
    expect(dialog.locator("p")).to_have_text("7%")
    page.reload()  # as a bookmark
    expect(dialog.locator("p")).to_have_text("80%")
    running.switch_off()
    expect(dialog).to_contain_text("Connection lost")
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    assert page.url.endswith("/#")


# Outputs


def test_a_switch(panel, visit):
    running = panel(GREENHOUSE)
    page = live(visit(running))
    switch = page.get_by_role("switch", name="lamp")
    expect(switch).not_to_be_checked()
    switch.click()
    assert running.next("lamp") == "lamp:1"
    expect(tile(page, "lamp")).to_have_class(re.compile("sent"))  # until the board says so
    shows(page, "lamp", "Off")
    running.say("lamp:1")
    shows(page, "lamp", "On")
    expect(tile(page, "lamp")).not_to_have_class(re.compile("sent"))
    expect(switch).to_be_checked()
    switch.press(" ")
    assert running.next("lamp") == "lamp:0"
    running.say("lamp:0")
    shows(page, "lamp", "Off")
    running.say("lamp:1")  # somebody else
    expect(switch).to_be_checked()


def test_a_command_without_an_effect_is_taken_back(panel, visit):
    running = panel(GREENHOUSE)
    page = live(visit(running))
    page.get_by_role("switch", name="lamp").click()
    running.next("lamp:1")
    running.say("error: lamp takes 0 or 1")
    expect(page.get_by_role("alert")).to_contain_text("The board says")
    expect(page.get_by_role("alert")).to_contain_text("lamp takes 0 or 1")
    expect(page.get_by_role("log")).to_contain_text("The board did not confirm lamp.")
    expect(page.get_by_role("switch", name="lamp")).not_to_be_checked()


def test_a_slider_and_who_may_only_watch(panel, visit):
    running = panel(GREENHOUSE)
    page = live(visit(running))
    slider = page.get_by_role("slider", name="fan")
    expect(slider).to_have_value("20")
    slider.press("ArrowRight")
    assert running.next("fan") == "fan:21"
    running.say("fan:21")
    shows(page, "fan", "21%")
    slider.fill("70")
    assert running.next("fan") == "fan:70"
    running.say("fan:64.5")  # what the board made of it
    shows(page, "fan", "64.5%")
    slider.press("End")
    assert running.next("fan") == "fan:100"
    running.say({**GREENHOUSE, "read_only": True})
    expect(page.get_by_text("Watching only")).to_be_visible()
    expect(slider).to_be_disabled()
    expect(page.get_by_role("switch", name="lamp")).to_be_disabled()


def test_names_that_the_board_has_no_more_go(panel, visit):
    running = panel(GREENHOUSE, chat=True)
    page = live(visit(running))
    expect(page.get_by_role("slider", name="fan")).to_be_visible()
    running.say("sketch:5", "Ann: light:7")
    shows(page, "Ann light", "7%")
    running.say({**GREENHOUSE, "outputs": {"lamp": {"range": [0, 1], "value": 1}}})
    expect(page.get_by_role("slider")).to_have_count(0)
    expect(page.get_by_role("switch", name="lamp")).to_be_checked()
    shows(page, "sketch", "5")
    shows(page, "Ann light", "7%")


def test_a_lamp_is_switched_from_a_phone(board, visit):
    """All of it is real but the pins."""
    running = board(
        inputs={
            "light": {"pin": 36, "unit": "%", "scale": [0, 100]},
            "door": {"pin": 14, "kind": "digital", "pull": "up", "states": ["closed", "open"]},
        },
        outputs={"lamp": 2, "fan": {"pin": 25, "pwm": 1000}},
        chat=True,
    )
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = live(visit(running, "?name=Ann", **phone))
    other = live(visit(running, "?name=Ben"))
    switch = page.get_by_role("switch", name="lamp")
    box = switch.bounding_box()
    assert box["y"] + box["height"] < 844  # on its first screen
    switch.tap()
    running.process.wait_for("pin 2: 1")
    for one in (page, other):
        shows(one, "lamp", "On")
        expect(one.get_by_role("switch", name="lamp")).to_be_checked()
        shows(one, "door", "open")
        shows(one, "light", re.compile(r"^\d+(\.\d+)?%$"))
        people = one.get_by_role("list", name="Who is connected").get_by_role("listitem")
        expect(people).to_have_text(["Ann", "Ben"])
    other.get_by_role("slider", name="fan").fill("70")
    shows(page, "fan", "70%")
    page.get_by_label("Say something").fill("lamp:7")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("lamp takes 0 or 1")
    page.reload()  # what was before comes from the board
    shows(live(page), "lamp", "On")
    lamp = page.evaluate("() => series.get('lamp').points.map(([t, v]) => v)")
    assert lamp == [1, 1]
    assert page.evaluate("() => series.get('light').points.length") > 5


def test_a_board_that_talks_json_and_who_may_only_watch_it(board, visit):
    running = board(
        inputs={"light": {"pin": 36, "unit": "%", "scale": [0, 100]}},
        outputs={"lamp": 2},
        format="json",
        token="all",
        watch_token="some",
    )
    page, watcher = live(visit(running, "?token=all")), live(visit(running, "?token=some"))
    expect(watcher.get_by_role("switch", name="lamp")).to_be_disabled()
    expect(watcher.get_by_text("Watching only")).to_be_visible()
    page.get_by_role("switch", name="lamp").click()
    running.process.wait_for("pin 2: 1")
    for one in (page, watcher):
        shows(one, "lamp", "On")
        shows(one, "light", re.compile(r"^\d+(\.\d+)?%$"))
    watcher.get_by_label("Say something").fill("lamp:0")
    watcher.keyboard.press("Enter")
    expect(watcher.get_by_role("alert")).to_contain_text("lamp cannot be switched from here")


# Messages, people, errors


def test_an_error_of_the_sketch(panel, visit):
    error = "sketch.py, line 12, in measure: OSError: 19"
    running = panel({**GREENHOUSE, "error": error})
    page = live(visit(running))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Error in the sketch")
    expect(alert).to_contain_text(error)
    running.say(f"error: {error}")
    expect(alert).to_contain_text("2 times")
    page.get_by_role("button", name="Dismiss").click()
    expect(alert).to_be_hidden()
    running.say("error: sketch.py, line 3, in <module>: <b>NameError</b>")
    expect(alert).to_contain_text("<b>NameError</b>")
    expect(alert).not_to_contain_text("times")
    running.say(GREENHOUSE)  # another sketch
    expect(alert).to_be_hidden()


def test_values_of_other_boards_in_a_chat(panel, visit):
    running = panel(GREENHOUSE, "50 pupil3: light:33\n40 pupil3: light:34\n", chat=True)
    page = live(visit(running))
    running.say(
        "pupil3: light:42",
        "127.0.0.1:50312: light:11",
        'pupil7: {"t": 900, "light": 9.9, "warm": 20}',
        'pupil7: {"t": 3, "light": 5.5}',  # started again
        "pupil3: look at 12:30, it was dark: 3",
        "temp:22.25",
    )
    shows(page, "pupil3 light", "42%")  # in the unit of this board's light
    shows(page, "127.0.0.1:50312 light", "11%")
    shows(page, "pupil7 light", "5.5%")
    shows(page, "pupil7 warm", "20")
    shows(page, "temp", "22.25°C")
    expect(page.get_by_role("log").locator("div")).to_have_count(1)
    expect(page.get_by_role("log")).to_contain_text("look at 12:30, it was dark: 3")
    wait_for_ink(page, bool, OTHER)
    page.get_by_role("button", name="Hide all").click()
    wait_for_ink(page, lambda found: not found, OTHER, 0, 1)
    page.get_by_role("button", name="Show all").click()
    wait_for_ink(page, bool, OTHER)
    page.get_by_role("button", name="Show values").click()
    expect(page.get_by_role("log")).to_have_attribute("aria-live", "off")
    running.say("pupil3: light:43", "light:81")
    expect(page.get_by_role("log")).to_contain_text("light:43")
    expect(page.get_by_role("log")).to_contain_text("light:81")


def test_who_is_connected(panel, visit):
    running = panel({**GREENHOUSE, "clients": ["Ann", "Bob"]}, chat=True, values={})
    page = live(visit(running))
    people = page.get_by_role("list", name="Who is connected").get_by_role("listitem")
    expect(people).to_have_text(["Ann", "Bob"])
    assert running.next() == "clients:"  # there is one, says the answer to its ping
    running.say({"clients": ["Ann"]})
    expect(people).to_have_text(["Ann"])


def test_a_message_goes_both_ways(panel, visit):
    running = panel(GREENHOUSE)
    page = live(visit(running))
    said = page.get_by_label("Say something to the board")
    said.fill("<b>hello</b>")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("log")).to_contain_text("<b>hello</b>")
    expect(said).to_have_value("")
    assert running.next() == "<b>hello</b>"
    # What comes is text as well, and nothing else.
    running.say("<img src=x onerror=alert(1)>", "note: 5", b"\x01\xff")
    expect(page.get_by_role("log")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.get_by_role("log")).to_contain_text("note: 5")
    expect(page.get_by_role("log")).to_contain_text("2 bytes: 1 255")
    assert page.locator("img").count() == 0


def test_what_nobody_should_send(panel, visit):
    running = panel(GREENHOUSE, "\nx light:1\n5\n5 \n-5 light:3\n", chat=True)
    page = live(visit(running))
    running.say(
        "Eve: x:1e308",
        "Eve: x:-1e308",
        "Eve: constructor:1",
        "Eve: __proto__:1",
        "Eve: <b>:1",
        'Eve: {"__proto__": 2, "toString": 3, "y": 1e999, "z": [1], "t": -1}',
        'Eve: {"t": 1e999, "y": 1}',
        'Eve: {"t": null, "y": 2}',
        'Eve: {"inputs": {"lamp": {}}}',
        "{",
        "{}",
        "[]",
        "null",
        "error:",
        "pong:x clients:y",
        *[f"Eve: v{i}:{i}" for i in range(120)],
        "",
    )
    running.say("light:12")
    shows(page, "light", "12%")
    shows(page, "Eve toString", "3")
    expect(page.get_by_role("log")).to_contain_text("x:1e308")
    expect(page.get_by_role("log")).to_contain_text("v119:119")
    expect(page.get_by_role("switch", name="lamp")).to_be_enabled()
    assert page.get_by_role("button", name="Plot ").count() == 100
    saved(page)


# The connection


def test_the_page_comes_back_with_the_board(panel, visit):
    running = panel({"outputs": GREENHOUSE["outputs"]}, "100 light:20\n")
    page = live(visit(running))
    running.say("light:81")
    shows(page, "light", "81")
    running.switch_off()
    status = page.get_by_role("status")
    expect(status).to_have_text("Connection lost")
    expect(page.get_by_text(re.compile(r"Next try in \d s"))).to_be_visible()
    expect(page.get_by_role("switch", name="lamp")).to_be_disabled()
    page.get_by_label("Say something").fill("lost")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Not sent, for there is no connection.")
    page.wait_for_timeout(300)
    running.history = "100 light:20\n0.2 light:5\n0.1 light:6\n"  # meanwhile
    running.switch_on()
    live(page)  # by itself
    expect(page.get_by_role("button", name="Try now")).to_be_hidden()
    page.get_by_label("Say something").press("Enter")  # the line is still there
    assert running.next() == "lost"
    running.say("light:7")
    shows(page, "light", "7")
    column = saved(page)[0].index("light")
    values = [row[column] for row in saved(page)[1:]]
    assert [value for value in values if value] == ["20", "81", "5", "6", "7"]


def test_a_board_that_is_silent_is_lost(panel, visit):
    page = live(visit(panel(GREENHOUSE)))
    page.evaluate("quiet = 9")  # pings without an answer
    expect(page.get_by_role("status")).to_have_text("Connection lost")
    page.get_by_role("button", name="Try now").click()
    live(page)


def test_a_full_board_says_so_and_is_tried_again(board, visit):
    running = board(max_clients=1)
    first = live(visit(running))
    second = visit(running)
    expect(second.get_by_role("status")).to_contain_text("serves 1 clients and has no room")
    first.close()
    running.process.wait_for("client 1: closed")
    second.get_by_role("button", name="Try now").click()
    live(second)


def test_a_real_board_comes_back(board, visit):
    running = board()
    page = live(visit(running))
    running.process.stop()
    expect(page.get_by_role("status")).to_have_text("Connection lost")
    running.switch_on()
    live(page)
    running.process.wait_for("sent pin0:")


def test_two_pages_chat(board, visit):
    running = board(chat=True)
    first, second = live(visit(running)), live(visit(running))
    first.get_by_label("Your name").fill("Ann")
    first.keyboard.press("Enter")
    running.process.wait_for(" as Ann, handshake done")
    live(first)
    first.get_by_label("Say something to everybody").fill("Anybody here?")
    first.keyboard.press("Enter")
    expect(second.get_by_role("log")).to_contain_text("Anybody here?")
    expect(second.get_by_role("log")).to_contain_text("Ann")
    second.get_by_label("Say something to everybody").fill("light:12")
    second.keyboard.press("Enter")
    expect(
        first.get_by_role("button", name=re.compile(r"^Plot 127.0.0.1:\d+ light$"))
    ).to_be_visible()
    expect(first.locator("#clients")).to_have_text("2")
    first.reload()  # the name is kept
    running.process.wait_for(" as Ann, handshake done")


# Everywhere, for everybody


def test_everything_works_from_the_keyboard(panel, visit):
    running = panel(GREENHOUSE, HISTORY, chat=True)
    page = live(visit(running))
    running.say("Ann: light:5")
    shows(page, "Ann light", "5%")
    page.evaluate("() => $('list').click()")  # without the focus
    reached = []
    while not reached or reached[-1] != "Send":
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                  const e = document.activeElement
                  return e.id === 'plot' ? 'plot' : e.labels?.[0]?.textContent || e.ariaLabel ||
                    e.title || e.id || e.textContent
                }"""
            )
        )
    assert reached == [
        "Light or dark",
        *["Plot light", "Show light large", "Plot temp", "Show temp large"],
        *["Plot door", "Show door large"],
        *["Plot lamp", "Show lamp large", "lamp", "Plot fan", "Show fan large", "fan"],
        *["mute", "Plot Ann light", "Show Ann light large"],
        *["2 min", "pause", "apart", "full", "list", "save", "plot", "Table of the values"],
        *["all", "log", "Your name", "Say something to everybody", "Send"],
    ]
    unnamed = page.locator("button, input, canvas, [tabindex]").evaluate_all(
        """all => all.filter(one => !(one.labels?.length || one.textContent.trim() || one.title
             || one.ariaLabel || one.getAttribute('aria-labelledby'))).map(one => one.id)"""
    )
    assert unnamed == ["lname"]  # the heading of the large view, empty until it is open


def test_light_and_dark(panel, visit):
    page = live(visit(panel(), color_scheme="dark"))
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Light or dark").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Light or dark").click()
    expect(root).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")  # and follows again
    expect(root).to_have_attribute("data-theme", "dark")


def test_it_fits_and_can_be_read(panel, visit):
    running = panel({**GREENHOUSE, "error": "sketch.py: " + "x" * 99}, HISTORY, chat=True)
    page = live(visit(running, has_touch=True, is_mobile=True))
    running.say("a-board-with-quite-a-name: a-value-with-one-too:12345.678", "Ann: " + "y" * 300)
    for width, height in ((320, 568), (1280, 720), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        expect(page.get_by_role("log")).to_contain_text("yyy")
        for view in ("main", "#large"):
            if view == "#large":
                page.get_by_role("button", name=re.compile("Show a-board")).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            heights = page.locator(f"{view} button, {view} [type=text]").evaluate_all(
                "all => all.map(one => one.clientHeight).filter(height => height)"
            )
            assert min(heights) >= 40
        page.keyboard.press("Escape")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        assert page.evaluate(CONTRAST) >= 4.5


def a_lesson():
    """A history for a picture: the lamp warms, the fan cools, two pupils look on."""
    light, temp = 40.0, 23.5
    lines = []
    for ago in range(125, 0, -1):
        lamp, fan = 35 < ago < 85, 75 if ago > 60 else 20
        light += (28 + 42 * lamp + 8 * math.sin(ago / 9) - light) * 0.2
        temp += (27 - fan / 15 - temp) * 0.03
        lines += [
            f"{ago} lamp:{lamp:d}",
            f"{ago} fan:{fan}",
            f"{ago} light:{light:.1f}",
            f"{ago} temp:{temp:.1f}",
            f"{ago} Bob: light:{48 + 14 * math.sin(ago / 21) + math.sin(ago / 3):.1f}",
            f"{ago} Cem: light:{22 + 7 * math.sin(ago / 33) + math.sin(ago / 4):.1f}",
        ]
    door = "125 door:0\n110 door:1\n98 door:0\n30 door:1\n12 door:0\n"
    now = {"light": round(light, 1), "temp": round(temp, 1), "door": 0, "lamp": 0, "fan": 20}
    return door + "\n".join(lines), now


def test_the_picture_in_the_readme(panel, visit, tmp_path):
    """SCREENSHOT=host_tests/firmware/page.png makes it anew; then take 128 colours of it."""
    wanted = os.environ.get("SCREENSHOT")
    history, now = a_lesson()
    first = json.loads(json.dumps(GREENHOUSE))
    for kind in ("inputs", "outputs"):
        for name in first[kind]:
            first[kind][name]["value"] = now[name]
    first["clients"] = ["Ann", "Bob", "Cem"]
    running = panel(first, history, chat=True, clients=2)
    size = {"width": 1366, "height": 700}
    page = live(visit(running, "?name=Ann", viewport=size, color_scheme="light"))
    running.say(
        "Bob: Who covers the sensor?",
        "Cem: I do. Watch the light!",
        "Bob: And the lamp makes it warm.",
        *(f"{name}:{value}" for name, value in now.items()),
        "Bob: light:52.1",
        "Cem: light:22.8",
    )
    shows(page, "Cem light", "22.8%")
    expect(page.locator("#trip")).to_have_text(re.compile("ms"))
    wait_for_ink(page, bool, LIGHT)
    shot = page.screenshot(path=wanted or tmp_path / "page.png")
    shown = (TOP / "host_tests" / "firmware" / "page.png").read_bytes()
    assert len(shown) < 100_000
    assert shot[:24] == shown[:24]  # the same kind of file, as wide and as high
    assert "(host_tests/firmware/page.png)" in (TOP / "README.md").read_text()


# Who gets it


def test_a_token_in_the_address_goes_along(board, visit):
    running = board(token="a.b/c+d==")
    expect(visit(running).locator("body")).to_have_text("no credentials")
    live(visit(running, "?token=a.b%2Fc%2Bd%3D%3D"))
    running.process.wait_for("client 1: connected")
    assert "a.b" not in running.process.output


def test_a_user_and_password_are_enough_for_everything(board, visit):
    running = board(user="me", password="hunter é")
    login = {"username": "me", "password": "hunter é"}
    live(visit(running, http_credentials=login))
    running.process.wait_for("client 1: connected")
    assert "hunter" not in running.process.output


def test_a_browser_that_sends_no_credentials_with_a_websocket_has_a_ticket(board, visit):
    """Safari does so; Chromium sends both."""
    running = board(user="me", password="x y")
    credentials = {"username": "me", "password": "x y"}
    asked = []
    page = visit(running, http_credentials=credentials)
    page.on("websocket", lambda ws: asked.append(ws.url))
    page.reload()
    live(page)
    assert re.search(r"\?ticket=[0-9a-f]{32}$", asked[-1])


def test_it_cannot_be_held_in_a_frame(board, chromium):
    running = board()
    context = chromium.new_context()
    page = context.new_page()
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.set_content(f'<iframe src="{running.url}"></iframe>')
    assert "<canvas" not in page.frames[1].content()
    context.close()


def test_a_page_from_elsewhere_gets_no_connection(board, visit):
    running = board()
    page = live(visit(running))
    # The same board, but the browser goes by the name.
    found = page.evaluate(
        """url => new Promise(resolve => {
          const ws = new WebSocket(url)
          ws.onopen = () => resolve('open')
          ws.onclose = event => resolve(event.code)
        })""",
        running.url.replace("http://127.0.0.1", "ws://localhost"),
    )
    assert found == 1006
    running.process.wait_for(f'refused, "origins" has no {running.url[:-1]} (HTTP 403)')
