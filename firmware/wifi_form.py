"""The page in the board's own Wi-Fi: which network to join. It is served only there."""

import asyncio
import json
import os

import machine

from firmware import page
from firmware.clients import send_in_time
from firmware.config import FILE
from firmware.log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 10  # seconds
_KEPT = "Saved. The board restarts and joins it. Where it cannot, its own Wi-Fi comes back."

_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Wi-Fi</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>body{font:1.1em system-ui;max-width:22em;margin:2em auto;padding:0 1em}
input,button{font:inherit;display:block;width:100%;box-sizing:border-box;margin:.3em 0 1em;
padding:.4em}</style><h1>Wi-Fi</h1><p>Which network is this board to join?</p><form>
<label>Name<input name="name" required maxlength="32" autocapitalize="off"></label>
<label>Password<input name="password" type="password" maxlength="63"></label>
<button>Save</button></form><p role="status"></p>
<p><a id="panel">To the board's page</a></p><script>
const form=document.forms[0],told=document.querySelector("[role=status]");
panel.href="/"+location.search;
form.onsubmit=event=>{event.preventDefault();told.textContent="...";
const ws=new WebSocket(location.href.replace(/^http/,"ws"));let said=false;
ws.onopen=()=>ws.send(JSON.stringify([form.name.value,form.password.value]));
ws.onmessage=event=>{said=true;told.textContent=event.data};
ws.onclose=()=>{if(!said)told.textContent="The board did not answer. Try again."}};
</script></html>
"""


def response() -> tuple:
    """Status, headers and body."""
    return 200, page.HEADERS, _PAGE


async def ask(ws: "Any", may: bool) -> None:
    """Keep what comes over this WebSocket of that page, unless its sender may only watch."""
    problem = keep(await ws.recv(_PATIENCE)) if may else "You may only watch."
    await send_in_time(ws, problem or _KEPT)
    await ws.close()
    if not problem:
        log("another Wi-Fi was entered: resetting the board, which joins it")
        await asyncio.sleep(1)  # for that line to leave, and what the page is told
        machine.reset()


def keep(message: "str | bytes", file: str = FILE) -> str:
    """Put the network of a message of that page into the configuration.

    "" where it is kept, else what is wrong with it.
    """
    try:
        name, password = _given(message)
    except (TypeError, ValueError):
        return "That is no name and password."
    if not 1 <= len(name.encode()) <= 32:
        return "The name has 1 to 32 bytes."
    if password and not 8 <= len(password.encode()) <= 63:
        return "The password has 8 to 63 bytes, or none where the network has none."
    settings = {}
    try:
        with open(file) as stream:
            settings = json.load(stream)
    except OSError:
        pass  # there is none yet
    settings["wifi_ssid"] = name
    settings["wifi_password"] = password or None
    new = file + ".new"
    try:
        with open(new, "w") as stream:
            json.dump(settings, stream)
        os.rename(new, file)  # whole, the old one or the new one
    except OSError as error:
        return "%s cannot be written: %s" % (file, error)
    return ""


def _given(message: "Any"):
    name, password = json.loads(message)
    if not (isinstance(name, str) and isinstance(password, str)):
        raise TypeError
    return name, password
