"""The traffic light of the classroom: red from a loudness on, and on "quiet!" from the teacher.

config.json: { "inputs": { "loudness": { "pin": 36, "scale": [0, 100] } },
               "outputs": { "red": 2, "yellow": 25, "green": 26 } }
"""

from firmware import board

COLOURS = ("green", "yellow", "red")


def setup():
    board.every(0.5, look)


def show(colour):
    for one in COLOURS:
        board.outputs[one].value(one == colour)


def look():
    loudness = board.inputs["loudness"].value()
    show("red" if loudness > 70 else "yellow" if loudness > 40 else "green")


def on_message(message, client):
    if message == "quiet!":
        show("red")
