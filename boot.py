"""Runs at power on: start the network interface and return at once."""

import os

if "microws-update" in os.listdir():
    from firmware import update_state

    update_state.at_start()  # which may reset the board

from firmware import config, net

try:
    net.start(config.load())
except config.ConfigError:
    pass  # main.py says what is wrong
