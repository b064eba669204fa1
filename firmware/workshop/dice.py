"""A sketch: one die for the whole class, thrown by whoever says "throw"."""

import random

from firmware import board


def on_message(message, client):
    if message == "throw":
        board.send("die", random.randint(1, 6))
        board.log(client.name, "has thrown")
