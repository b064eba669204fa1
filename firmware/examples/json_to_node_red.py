"""Several values in one object for Node-RED, and a command back.

config.json: { "role": "client", "url": "ws://192.168.1.20:1880/board", "outputs": { "lamp": 2 },
               "format": "json" }
In Node-RED: a "websocket in" node that listens on /board and sends the entire message as JSON;
a "websocket out" node that sends { "lamp": 1 }. The command needs nothing here.
"""

import gc
import json

from firmware import board


def setup():
    board.every(2, measure)


def measure():
    values = {"lamp_is": board.outputs["lamp"].value(), "heap": gc.mem_free()}
    board.send(json.dumps(values))
