"""A client of a public feed that says nothing until it is asked: prices of a currency.

config.json: { "role": "client", "url": "wss://ws.example.org/feed", "fingerprint": "..." }
"""

import json

from firmware import board


def on_connect(client):
    return json.dumps({"type": "subscribe", "product_ids": ["BTC-EUR"], "channels": ["ticker"]})


def on_message(message, client):
    news = json.loads(message)
    if news.get("type") == "ticker":
        board.log(news["product_id"], news["price"])
