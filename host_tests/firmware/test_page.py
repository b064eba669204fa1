"""firmware/page.html in a real browser, served by a virtual board on MicroPython with 32 bits."""

import os
import re

import pytest
from playwright.sync_api import expect, sync_playwright

from host_tests.deploy import virtual
from host_tests.support.interpreters import INTERPRETERS, PATIENCE
from host_tests.support.paths import TOP
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

# How many pixels of the plot have the colour of the line, and the columns of the first and last;
# and how many have any colour at all.
LINE = """canvas => {
  const colour = getComputedStyle(document.documentElement).getPropertyValue('--pin')
  const wanted = colour.match(/\\w\\w/g).map(part => parseInt(part, 16))
  const { width, height } = canvas
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height)
  let pixels = 0, first = width, last = -1, any = 0
  for (let i = 0; i < width * height; i++) {
    if (data[4 * i + 3]) any++
    if (data[4 * i + 3] > 200 && wanted.every((v, k) => Math.abs(v - data[4 * i + k]) < 12)) {
      pixels++
      first = Math.min(first, i % width)
      last = Math.max(last, i % width)
    }
  }
  return { pixels, first, last, any, width }
}"""


class Board:
    """A virtual board with a page; it can be switched off and on."""

    def __init__(self, folder, start, settings):
        self.url = f"http://127.0.0.1:{settings['port']}/"
        self._folder = virtual.Board("board", folder, settings).folder
        self._start = start
        self.switch_on()

    def switch_on(self):
        command = INTERPRETERS["micropython32"].command(virtual.START)
        self.process = self._start(command, cwd=self._folder)
        self.process.wait_for("listening on ws://127.0.0.1:")


@pytest.fixture
def board(start, tmp_path):
    """`board(setting=...)` starts one that sends twenty values a second."""

    def start_board(**settings):
        settings = {"sample_interval": 0.05, "port": virtual.choose_port(0), **settings}
        return Board(tmp_path / "board", start, settings)

    return start_board


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

    A mistake of the page's program, or a request to anybody but the board, fails the test.
    """
    contexts = []
    mistakes = []

    def open_page(board, query="", **options):
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((board.url, "data:")) or mistakes.append(request.url)
            ),
        )
        page.goto(board.url + query)
        return page

    expect.set_options(timeout=PATIENCE * 1000)
    yield open_page
    for context in contexts:
        context.close()
    assert mistakes == []


def line(page):
    return page.locator("#plot").evaluate(LINE)


def wait_for_line(page, fits):
    """The line in the plot, once it is as wanted."""
    while not fits(found := line(page)):
        page.evaluate("() => new Promise(requestAnimationFrame)")
    return found


def connected(page):
    expect(page.get_by_role("status")).to_have_text("Connected")
    return page


def test_values_arrive_and_are_drawn(board, visit):
    running = board(hostname="wall")
    page = connected(visit(running))
    expect(page).to_have_title("wall")
    expect(page.get_by_role("heading", name="wall")).to_be_visible()
    expect(page.locator("#value")).to_have_text(re.compile(r"\d+"))
    page.get_by_label("Show").select_option("15 seconds")
    first = wait_for_line(page, lambda found: found["pixels"] > 100)
    assert first["any"] > first["pixels"]  # the scale and the axis
    # It grows on the right and moves to the left.
    grown = wait_for_line(page, lambda found: found["first"] < first["first"] - 20)
    assert grown["last"] > grown["width"] * 0.97
    assert grown["pixels"] > first["pixels"]
    running.process.wait_for("sent pin0:")
    shown = int(page.locator("#value").text_content())
    running.process.wait_for(f"sent pin0:{shown} to")
    expect(page.locator("#clients")).to_have_text("1")
    expect(page.locator("#trip")).to_have_text(re.compile(r"\d+ ms"))
    expect(page.locator("#plot")).to_have_attribute(
        "aria-label", re.compile(r"last 15 seconds: now \d+, lowest \d+, highest \d+")
    )


def test_the_plot_can_be_paused(board, visit):
    page = connected(visit(board()))
    wait_for_line(page, lambda found: found["pixels"] > 100)
    button = page.get_by_role("button", name="Pause")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    before = page.locator("#plot").evaluate("canvas => canvas.toDataURL()")
    value = page.locator("#value").text_content()
    expect(page.locator("#value")).not_to_have_text(value)  # the values go on
    assert page.locator("#plot").evaluate("canvas => canvas.toDataURL()") == before
    button.click()
    wait_for_line(page, lambda found: found["last"] > found["width"] * 0.97)
    assert page.locator("#plot").evaluate("canvas => canvas.toDataURL()") != before


def test_the_plot_can_be_paused_before_the_first_value(board, visit):
    page = connected(visit(board(sample_interval=30)))
    page.get_by_role("button", name="Pause").click()
    page.evaluate("() => { hear('pin0:7'); return new Promise(requestAnimationFrame) }")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator("#value")).to_have_text("7")
    assert line(page)["pixels"] == 0
    page.get_by_role("button", name="Pause").click()
    wait_for_line(page, lambda found: found["pixels"] > 0)


def test_a_message_goes_both_ways(board, visit):
    running = board(chat=True)
    page = connected(visit(running))
    page.get_by_label("Say something").fill("<b>hello</b>")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("log")).to_contain_text("out<b>hello</b>")
    expect(page.get_by_label("Say something")).to_have_value("")
    running.process.wait_for("client 1: received <b>hello</b>")
    # What comes is text as well, and nothing else.
    page.evaluate("() => hear('<img src=x onerror=alert(1)>')")
    expect(page.get_by_role("log")).to_contain_text("in<img src=x")
    assert page.locator("img").count() == 0


def test_the_page_comes_back_with_the_board(board, visit):
    running = board()
    page = connected(visit(running))
    wait_for_line(page, lambda found: found["pixels"] > 100)
    running.process.stop()
    status = page.get_by_role("status")
    expect(status).to_have_text(re.compile("trying again"))
    expect(page.get_by_role("button", name="Connect now")).to_be_visible()
    page.get_by_label("Say something").fill("lost")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Not sent, for there is no connection.")
    running.switch_on()
    connected(page)
    expect(page.get_by_role("button", name="Connect now")).to_be_hidden()
    page.keyboard.press("Enter")  # the line is still there
    running.process.wait_for("client 1: received lost")
    last = page.locator("#value").text_content()
    expect(page.locator("#value")).not_to_have_text(last)


def test_two_pages_chat(board, visit):
    running = board(chat=True)
    first, second = connected(visit(running)), connected(visit(running))
    first.get_by_label("Your name").fill("Ann")
    first.keyboard.press("Enter")
    running.process.wait_for(" as Ann, handshake done")
    connected(first)
    first.get_by_label("Say something to everybody").fill("Anybody here?")
    first.keyboard.press("Enter")
    expect(second.get_by_role("log")).to_contain_text("inAnn: Anybody here?")
    second.get_by_label("Say something to everybody").fill("Me")
    second.keyboard.press("Enter")
    expect(first.get_by_role("log")).to_contain_text(re.compile(r"in127\.0\.0\.1:\d+: Me"))
    expect(first.locator("#clients")).to_have_text("2")
    first.reload()  # the name is kept
    running.process.wait_for(" as Ann, handshake done")


def test_a_full_board_says_so_and_is_tried_again(board, visit):
    running = board(max_clients=1)
    first = connected(visit(running))
    second = visit(running)
    expect(second.get_by_role("status")).to_contain_text("serves 1 clients and has no room")
    first.close()
    connected(second)


def test_everything_works_from_the_keyboard(board, visit):
    page = connected(visit(board(chat=True)))
    wait_for_line(page, lambda found: found["pixels"] > 100)
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached[:7] == ["pause", "span", "full", "plot", "me", "line", ""]
    assert reached[7:] == ["all", "log"]
    page.locator("#plot").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    reading = page.locator("#reading")
    expect(reading).to_have_text(re.compile(r"\d+:\d\d:\d\d: \d+"))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    expect(reading).to_have_text(re.compile(r"\d+:\d\d:\d\d: \d+"))
    page.get_by_label("List the values").check()
    expect(page.get_by_role("log")).to_contain_text(re.compile(r"inpin0:\d+"))
    expect(page.get_by_role("log")).to_have_attribute("aria-live", "off")
    unnamed = page.locator("button, input, select, canvas, ol").evaluate_all(
        """all => all.filter(one => !(one.labels?.length || one.textContent.trim()
             || one.ariaLabel || one.getAttribute('aria-labelledby'))).map(one => one.id)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(320, 568), (1280, 720), (1920, 1080)], ids=str)
def test_it_fits_and_can_be_read(board, visit, size, scheme):
    width, height = size
    viewport = {"width": width, "height": height}
    page = connected(visit(board(chat=True), viewport=viewport, color_scheme=scheme))
    wait_for_line(page, lambda found: found["pixels"] > 50)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in page.locator("button:visible, input:not([type]), select").all():
        assert box.bounding_box()["height"] >= 40
    # WCAG 2.1, 1.4.3 and 1.4.11.
    contrast = page.evaluate(
        """() => {
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
          return ['--text', '--soft', '--pin', '--good', '--bad'].map(name =>
            Math.min(ratio(name, '--back'), ratio(name, '--panel')))
        }"""
    )
    assert min(contrast) >= 4.5, contrast


def test_the_picture_in_the_readme(board, visit, tmp_path):
    """SCREENSHOT=host_tests/firmware/page.png makes it anew: a while, for the plot fills."""
    wanted = os.environ.get("SCREENSHOT")
    running = board(chat=True, hostname="wall")
    options = {"viewport": {"width": 960, "height": 560}, "color_scheme": "light"}
    page = connected(visit(running, "?name=Ann", **options))
    page.get_by_label("Show").select_option("15 seconds")
    other = connected(visit(running, "?name=Bob"))
    for one, text in ((page, "Who turns the knob?"), (other, "I do. Watch this!")):
        one.get_by_label("Say something to everybody").fill(text)
        one.keyboard.press("Enter")
        running.process.wait_for(f"received {text}")
    expect(page.get_by_role("log")).to_contain_text("inBob: I do. Watch this!")
    expect(page.locator("#clients")).to_have_text("2")
    length = 0.9 if wanted else 0.1
    wait_for_line(page, lambda found: found["last"] - found["first"] > length * found["width"])
    shot = page.screenshot(path=wanted or tmp_path / "page.png")
    shown = (TOP / "host_tests" / "firmware" / "page.png").read_bytes()
    assert len(shown) < 100_000
    assert shot[:24] == shown[:24]  # the same kind of file, as wide and as high
    assert "(host_tests/firmware/page.png)" in (TOP / "README.md").read_text()


def test_a_token_in_the_address_goes_along(board, visit):
    running = board(token="a.b/c+d==")
    expect(visit(running).locator("body")).to_have_text("no credentials")
    connected(visit(running, "?token=a.b%2Fc%2Bd%3D%3D"))
    running.process.wait_for("client 1: connected")
    assert "a.b" not in running.process.output


def test_a_user_and_password_are_enough_for_everything(board, visit):
    running = board(user="me", password="hunter é")
    login = {"username": "me", "password": "hunter é"}
    connected(visit(running, http_credentials=login))
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
    connected(page)
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
    page = connected(visit(running))
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
