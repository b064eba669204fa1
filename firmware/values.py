"""What a board measures and switches, and who is told: the same for both roles.

A value goes out as the text message `NAME:VALUE`, or, in the format "json", what belongs together
as one object. What commands an output is told by outputs.py.
"""

import asyncio
import os

import machine
from microws.compat import ticks_add, ticks_diff, ticks_ms

from firmware import net
from firmware.log import log, tenths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MOST_NAMES = 48  # of which the newest value is kept
_LONGEST_PAUSE = 3600000  # milliseconds


class Input:
    """One input: `read()` gives its value, looked at every `interval` seconds.

    It is worth a message where it differs by `change` from what was told last; None: always.
    """

    kind = "analog"
    entry: dict = {}  # of the setting "inputs"

    def __init__(self, read: "Callable[[], Any]", interval: float, change: "Any" = None) -> None:
        self.read = read
        self.period = int(interval * 1000)  # milliseconds
        self.change = change
        self.due: Any = None  # in ticks; None is now
        self.newest: Any = None
        self.told: Any = None

    def value(self) -> "Any":
        """What it measures now."""
        return self.read()

    def look(self) -> bool:
        """Read it; whether what it reads is worth a message."""
        self.newest = value = self.read()
        return self.change is None or self.told is None or abs(value - self.told) >= self.change


class Values:
    """This board's inputs and outputs.

    `publish(items, now, source)` sends pairs of name and value, in tenths of a second since the
    start; `source` is who caused the change, or None.
    """

    def __init__(
        self,
        settings: dict,
        read: "Callable[[], int] | None",
        interval: float,
        publish: "Callable[[list, int, Any], None]",
    ) -> None:
        self._publish = publish
        self.is_json = settings["format"] == "json"
        self.read_only = settings["read_only"]
        #: The newest value of each name, and when it was: tenths of a second since the start.
        self.newest: dict = {}
        #: Where they are kept for a while: a History, or None.
        self.history: Any = None
        #: What the board's owner has written: a Sketch, or None.
        self.sketch: Any = None
        self.outputs: Any = None
        if settings["outputs"]:
            from firmware import outputs

            self.outputs = outputs.Outputs(settings["outputs"], self.tell)
            for name, one in self.outputs.items():
                self.newest[name] = (one.value(), tenths())
        if self.is_json:
            from firmware import samples

            self.samples = samples
        if settings["inputs"]:
            from firmware import inputs

            self.inputs = inputs.make_inputs(settings["inputs"], interval)
        else:
            self.inputs = {"pin0": Input(read, interval)} if read else {}

    async def start_sketch(self, say: "Callable[[str], None]") -> None:
        """The network is up: start sketch.py, where there is one; `say` sends a text of it."""
        if self.sketch is None and has_sketch():
            from firmware import sketch

            self.sketch = sketch.Sketch(self, say)
        if self.sketch:
            await self.sketch.look()

    async def watch_sketch(self, say: "Callable[[str], None]") -> None:
        """Start it where it comes later, and again where it has changed, without end."""
        while self.sketch is None:
            await asyncio.sleep(1)
            try:
                if has_sketch() and net.address():
                    await self.start_sketch(say)
            except MemoryError:
                log("no memory to start sketch.py beside all this: reset the board")
                await asyncio.sleep(60)
        await self.sketch.live()

    def tell_sketch(self, name: str, client: "Any") -> None:
        """Call a function of the sketch, which may take its time."""
        if self.sketch and self.sketch.has(name):
            asyncio.create_task(self.sketch.call(name, client))  # noqa: RUF006  (asyncio has it)

    def end(self) -> None:
        """The program ends: the sketch, too, and every output is as it was at the start."""
        if self.sketch:
            self.sketch.stop()
        if self.outputs:
            self.outputs.rest()

    async def watch(self) -> None:
        """Look at the inputs and tell what they read, without end."""
        for one in self.inputs.values():
            one.due = one.told = None
        while True:
            try:
                pause = self.look()
                await asyncio.sleep(pause / 1000)
            except MemoryError:
                log("no memory to send a value")
                await asyncio.sleep(1)  # whose whole number takes none

    def look(self) -> int:
        """Tell what the inputs read that are due; milliseconds until the next is."""
        now = ticks_ms()
        pause = _LONGEST_PAUSE
        items = []
        worth = False
        for name, one in self.inputs.items():
            left = 0 if one.due is None else ticks_diff(one.due, now)
            if left <= 0:
                left = one.period
                one.due = ticks_add(now, left)
                is_news = one.look()
                if is_news:
                    one.told = one.newest
                    worth = True
                if is_news or self.is_json:
                    items.append((name, one.newest))
            pause = min(pause, left)
        if worth:
            self.tell(items)
        return pause

    def tell(self, items: list, source: "Any" = None) -> None:
        """Tell what changed together, pairs of name and value; `source` is who changed it."""
        now = tenths()
        for name, value in items:
            if name in self.newest or len(self.newest) < _MOST_NAMES:
                self.newest[name] = (value, now)
            if self.history:
                self.history.add(now, name, value)
        self._publish(items, now, source)

    def texts(self, items: list, now: int) -> list:
        """The messages for these, as the setting `format` wants them."""
        if self.is_json:
            return [self.samples.sample(now, items)]
        return ["%s:%s" % (name, text_of(value)) for name, value in items]

    def command(self, message: "str | bytes", source: "Any", may: bool = True) -> "str | None":
        """Do what a message commands; None where it is no command.

        Else what is wrong with it, "" for nothing. `may` tells whether its sender may switch.
        """
        if self.outputs is None or not isinstance(message, str):
            return None
        items = self.outputs.commanded(message, self.is_json)
        return None if items is None else self.set(items, source, may)

    def set(self, given: dict, source: "Any", may: bool = True) -> str:
        """Set outputs, all of these or none; what is wrong with them, "" for nothing."""
        if self.outputs is None:
            return "error: this board has no outputs"
        items, wrong = self.outputs.set(given, may and not self.read_only)
        if items:
            self.tell(items, source)
        return wrong


def has_sketch() -> bool:
    """Whether there is a sketch.py."""
    try:
        os.stat("sketch.py")
    except OSError:
        return False
    return True


def text_of(value: "Any") -> str:
    """A value as it is written: of a number that is not whole, no more digits than are known."""
    return "%.7g" % value if isinstance(value, float) else str(value)


def sampler(number: int) -> "Callable[[], int]":
    """A function that reads the analog pin: 0 (0 V) to 65535 (full scale)."""
    adc = machine.ADC(machine.Pin(number))
    if hasattr(machine.ADC, "ATTN_11DB"):  # an ESP32, which reads only up to 1 V without it
        adc.atten(machine.ADC.ATTN_11DB)
    return adc.read_u16
