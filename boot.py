"""Runs at power on: start the network interface and return at once."""

from firmware import config, net

try:
    net.start(config.load())
except config.ConfigError:
    pass  # main.py says what is wrong
