"""A sketch: it answers who says hello, and every five seconds tells how many did."""

from firmware import board

count = 0


def setup():
    board.every(5, tell)


def tell():
    board.send("greetings", count)


def on_message(message, client):
    global count
    if message == "hello":
        count += 1
        return "hello " + client.name
