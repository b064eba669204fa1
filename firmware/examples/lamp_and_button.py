"""A lamp, a button and the page: each of them switches the lamp.

config.json: { "inputs": { "button": { "pin": 14, "kind": "digital", "pull": "up" } },
               "outputs": { "lamp": 2 } }
"""

from firmware import board

before = 1


def setup():
    board.every(0.05, look)


def look():
    global before
    now = board.inputs["button"].value()  # 0 while it is pressed
    if before and not now:
        board.outputs["lamp"].toggle()
    before = now
