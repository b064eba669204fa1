"""The way in for updates over the network, and out for the log, where "update_token" is set.

A board with little memory restarts for an update and does nothing else then. A sketch takes its
place at once. A program takes it at the next start, which follows, and is on trial until the role
has done for some seconds what it is there for: see swap.py.
"""

import asyncio
import binascii
import gc
import json
import os
import sys

import machine
import microws
from microws import ProtocolError
from microws.aio_connection import within
from microws.aio_listener import Listener
from microws.core import FAILURES

from firmware import net, update_state
from firmware.describe import describe_error
from firmware.log import log, uptime
from firmware.offenders import Offenders, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_gc: "Any" = gc  # CPython's has no mem_free()

_PIECE = 1024  # bytes of a message
_PATIENCE = 30  # seconds for a message
_MOST_OPEN = 3  # connections: one that updates, one that watches, one that is told to wait
_ROOM = 32768  # bytes of heap that an update takes, and what the role may want meanwhile
_QUIET = 60  # seconds of a start for an update alone, in which none comes
_HELD = 3  # seconds for which a new version has to do its work
_RETRY = 5  # seconds
# What of the settings tells which files the board needs; none of them is secret.
_TOLD = ("role", "role_pin", "board", "pins", "hostname", "queue_file", "discovery")


async def live(settings: dict) -> None:
    """Take updates for ever, and see whether a new version does its work."""
    word, seconds, version, before = update_state.read()
    if word == "taken":
        log("version %s was taken back, it did not do its work; this is %s" % (version, before))
    if update_state.quiet:
        log("a quiet start: for %d s the board does nothing but wait for an update" % _QUIET)
    way = _Way(settings)
    began = uptime()
    doing = 0
    while True:
        await asyncio.sleep(1)
        try:
            await way.look()
            if update_state.quiet and uptime() - began >= _QUIET and not way.is_busy:
                await _reset()
            if not update_state.on_trial:
                continue
            doing = doing + 1 if net.does_its_work and way.listener else 0
            if doing >= _HELD:
                # What is left of the old one goes at the next start.
                update_state.write("good", seconds, version, before)
                update_state.on_trial = False
                log("version %s does its work: it stays" % version)
                if update_state.watchdog and net.watchdog is None:
                    update_state.watchdog.let_sleep()
            elif uptime() > seconds:
                log("version %s does not do its work in %d s" % (version, seconds))
                await _reset()  # which takes it back
        except FAILURES as error:
            log("no updates now: %s" % describe_error(error))
            await asyncio.sleep(_RETRY)


async def _reset():
    await asyncio.sleep(1)  # for what was said to leave
    machine.reset()


class _Way:
    """Where updates come; `listener` is None while there is no network."""

    def __init__(self, settings):
        self._settings = settings
        self._offenders = Offenders()
        self._ssl: Any = None
        if settings["cert_file"]:
            from firmware.certificates import server_context

            self._ssl = server_context(settings)
        self.listener: Any = None
        self._address: Any = None
        self._accepting: Any = None
        self._open = 0
        self.is_busy = False  # an update is under way

    async def look(self):
        """Listen, as long as there is an address; to be called every second."""
        address = net.address()
        if self.listener and (address != self._address or self._accepting.done()):
            self._accepting.cancel()
            self.listener.close()
            self.listener = None
        if self.listener or not address:
            return
        port = self._settings["update_port"]
        self.listener = Listener(
            address,
            port,
            self._refuse,
            self._ssl,
            max_size=_PIECE,
            max_header=1024,
            write_size=256,
        )
        self._address = address
        self._accepting = asyncio.create_task(self._accept(self.listener))
        log("updates come at %s://%s:%d" % ("wss" if self._ssl else "ws", address, port))
        if not self._ssl:
            log(
                "who listens in this network learns the update_token, and can then watch the log, "
                'not update; "cert_file" and "key_file" keep it secret'
            )

    def _refuse(self, request):
        """None, or the HTTP response for who does not know the token.

        Only as a header, which no page in a browser can send with a WebSocket.
        """
        who = request.remote_address.rpartition(":")[0]
        pause = self._offenders.pause_of(who)
        if pause:
            return 429, (("Retry-After", str(pause)),), b"wrong before\n"
        given = request.headers.get("authorization", "").encode()
        if same(given, b"Bearer " + self._settings["update_token"].encode()):
            self._offenders.pardon(who)
            return None
        if given:
            self._offenders.punish(who)
        log("%s: refused: a wrong update_token, or none" % request.remote_address)
        return 401, (("WWW-Authenticate", 'Bearer realm="update"'),), b"wrong token\n"

    async def _accept(self, listener):
        while True:
            ws = await listener.accept()
            asyncio.create_task(self._serve(ws))  # noqa: RUF006  (asyncio has it)

    async def _serve(self, ws):
        self._open += 1
        try:
            if self._open > _MOST_OPEN:
                await ws.send("error: too many are here already")
                return
            about = {"microws": microws.__version__, "quiet": update_state.quiet}
            about["update"] = update_state.read()
            await ws.send(json.dumps(about))
            message = await ws.recv(_PATIENCE)
            if message == "log":
                from firmware import watching

                await watching.show(ws)
            elif message == "update":
                await self._update(ws)
            else:
                await ws.send("error: nobody here understands that")
        except FAILURES as error:
            if getattr(error, "code", 0) != 1000:
                log("%s: %s" % (ws.remote_address, describe_error(error)))
            if not isinstance(error, ProtocolError):
                await _told(ws, "error: " + describe_error(error))
        finally:
            self._open -= 1
            await ws.close()

    async def _update(self, ws):
        key = self._settings["update_key"]
        if not key or self.is_busy:
            reason = "another update is under way"
            if not key:
                reason = 'without an "update_key" in its config.json it takes no updates'
            await self._tell_refused(ws, reason)
            return
        self.is_busy = True
        try:
            if not (update_state.quiet or _has_room()):
                update_state.write("quiet", 0, "-", "-")
                log("%s brings an update: the board restarts to take it" % ws.remote_address)
                await ws.send("quiet")
                await ws.close()
                await _reset()
            await self._take(ws, key.encode())
        finally:
            self.is_busy = False
            if update_state.quiet:
                await ws.close()
                await _reset()

    async def _take(self, ws, key):
        from firmware import receiving

        nonce = str(binascii.hexlify(os.urandom(16)), "ascii")
        seconds = self._settings["update_trial"]
        about = receiving.about()
        about["nonce"] = nonce
        about["seconds"] = seconds
        about["settings"] = {name: self._settings[name] for name in _TOLD}
        await ws.send(json.dumps(about))
        message = await ws.recv(_PATIENCE)
        if message == "files":
            for line in receiving.files():
                await within(ws.send(line), _PATIENCE)
            await ws.send("end")
            message = await ws.recv(2 * _PATIENCE)
        try:
            version = await receiving.receive(ws, message, nonce, key, seconds)
        except receiving.Refused as refused:
            await self._tell_refused(ws, refused)
            return
        log("%s brought %s" % (ws.remote_address, version))
        await ws.send("done")
        if version != "sketch":
            await ws.close()
            await _reset()

    async def _tell_refused(self, ws, reason):
        log("%s: refused: %s" % (ws.remote_address, reason))
        await _told(ws, "error: %s" % reason)


def _has_room():
    if "firmware.receiving" in sys.modules or not hasattr(gc, "mem_free"):
        return True
    gc.collect()
    return _gc.mem_free() >= _ROOM


async def _told(ws, text):
    try:
        await within(ws.send(text), _RETRY)
    except FAILURES:
        pass
