"""The W5500 of host_tests/w5500 on an emulated RP2040's pins, wired as on WIZnet's boards."""

import asyncio

from rp2040py.gpio_pin import GPIOPinState

from host_tests.w5500.chip import Chip
from host_tests.w5500.dhcp_server import Server

CS, RESET, INT = 17, 20, 21
MDNS = 5353


class W5500:
    """The ports of its network are those of this computer, but as ``ports`` says: {80: 8080}."""

    def __init__(self, ports):
        back = {here: there for there, here in ports.items()}
        # Any free one in place of one that is not for everybody.
        self.chip = Chip(
            lambda port: ports.get(port, port if port >= 1024 and port != MDNS else 0),
            lambda port: back.get(port, port),
        )
        self.chip.services[67] = Server()
        self.chip.services[MDNS] = lambda data, source: []
        self._level = 1
        self._told = 0
        self._reply = 0

    def attach(self, rp2040):
        self._spi = rp2040.spi[0]
        self._spi.on_transmit = self._on_byte
        # Answered at once, a byte would overrun the DMA.
        self._alarm = rp2040.clock.create_alarm(lambda: self._spi.complete_transmit(self._reply))
        self._int = rp2040.gpio[INT]
        self._int.set_input_value(True)
        rp2040.gpio[CS].add_listener(self._on_select)
        rp2040.gpio[RESET].add_listener(self._on_reset)

    def _on_select(self, state, old):
        if state == GPIOPinState.LOW:
            self.chip.select()
        else:
            self.chip.deselect()
            self._set_int()

    def _on_reset(self, state, old):
        if state == GPIOPinState.LOW:
            self.chip.reset()

    def _on_byte(self, value):
        self._reply = self.chip.byte(value)
        self._alarm.schedule(8e9 / self._spi.clock_frequency)

    def _set_int(self):
        level = self.chip.int_level()
        if level != self._level:
            self._level = level
            self._int.set_input_value(bool(level))

    async def run(self):
        """Look at the world while nobody asks the chip, and print what no driver should do."""
        while True:
            await asyncio.sleep(0.001)
            if self.chip.position < 0:
                self.chip.pump()
                self._set_int()
            for offence in self.chip.offences[self._told :]:
                print("offence:", offence, flush=True)
            self._told = len(self.chip.offences)

    def pull_or_plug(self):
        """The cable, out or in."""
        self.chip.link = not self.chip.link
        print("cable in" if self.chip.link else "cable out", flush=True)
