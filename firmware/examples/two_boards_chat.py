"""Two boards that talk: this on both of them, one a server and one its client."""

from firmware import board

JOKES = ["Why do boards never sleep?", "They have a watchdog."]


def on_connect(client):
    return "hello, " + client.name


def on_message(message, client):
    board.log(client.name, "says:", message)
    if message.startswith("hello"):
        return JOKES[0]
    if message == JOKES[0]:
        return JOKES[1]


def on_disconnect(client):
    board.log("goodbye,", client.name)
