"""Runs after boot.py: load the configuration, choose the role and run it."""

import asyncio
import gc
import os
import sys
import time

import machine

from firmware import config, net
from firmware.log import log, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 2  # seconds for a person to press Ctrl-C before the watchdog starts

_task: "Any" = None  # the role's, while it runs


def choose_role(settings: dict) -> str:
    """The configured role, or the jumper's at `role_pin`: to ground "server", open a client.

    That is "mqtt" where this is the configured role, else "client".
    """
    number = settings["role_pin"]
    if number is None:
        return settings["role"]
    pin = machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)
    if pin.value():
        role = "mqtt" if settings["role"] == "mqtt" else "client"
        log("pin %d is open: %s" % (number, role))
        return role
    log("pin %d is at ground: server" % number)
    return "server"


def main() -> None:
    try:
        if "microws-update" in os.listdir():
            from firmware import update_state

            update_state.at_start()  # where boot.py does not get so far
        start(config.load())
    except config.ConfigError as error:
        let_watchdog_sleep()
        for problem in error.problems:
            log(printable(problem))
        # Back to the prompt: to reset would only bring the same again, for ever.
        log("stopped; correct %s, then reset the board" % config.FILE)
    except KeyboardInterrupt:
        let_watchdog_sleep()
        try:
            if _task:
                asyncio.run(end_role())
            net.drain()
        except KeyboardInterrupt:
            pass  # at once, then
        log("stopped by Ctrl-C")
    except Exception as error:
        let_watchdog_sleep()
        asyncio.new_event_loop()  # what is left of the role takes memory
        gc.collect()
        try:
            if "firmware.sketch" in sys.modules:
                from firmware import sketch

                sketch.count_crash()
            from firmware import crash

            crash.end(error)
        except MemoryError:
            log("crashed, with no memory left to tell more; resetting the board in 60 s")
            time.sleep(60)
            machine.reset()
    finally:
        asyncio.new_event_loop()  # for whoever goes on at the prompt


def start(settings: dict) -> None:
    """Load the configured role, and run it until Ctrl-C or a crash."""
    role = choose_role(settings)
    version = ".".join([str(part) for part in sys.implementation.version[:3]])
    version = sys.implementation.name + " " + version
    log("starting as %s, board %s, %s" % (role, settings["board"], version))
    net.start(settings)  # as boot.py did: the roles are about to ask for sockets
    if not net.has_driver():
        return  # to the prompt: a reset would only bring the same again
    if "crash.txt" in os.listdir():
        from firmware import crash

        crash.tell()
    if settings["watchdog"]:
        if machine.reset_cause() == machine.WDT_RESET:
            log("the watchdog reset the board: the program had made no progress")
        log("the watchdog starts in %d s; Ctrl-C stops the board" % _PATIENCE)
        time.sleep(_PATIENCE)
        from firmware import watchdog

        net.watchdog = watchdog.start(settings["watchdog"])
    update_state = sys.modules.get("firmware.update_state")
    if update_state and update_state.quiet:
        role = "quiet"
    run = load(settings, role)
    import microws

    log("microws %s loaded" % microws.__version__)
    read = None
    if not settings["inputs"]:
        from firmware.values import sampler

        read = sampler(settings["sample_pin"])
    asyncio.run(live(run(settings, read), settings))
    net.drain()


def load(settings: dict, role: str) -> "Any":
    """The role's `run()`. What only the start needs leaves memory, and what loads it as well."""
    from firmware import modules

    modules.unload()
    return modules.load_role(role, modules.wanted_by(settings, role))


async def live(role: "Any", settings: dict) -> None:
    """Run the role, with its task where end_role() finds it."""
    global _task
    _task = asyncio.current_task()
    if settings["update_token"]:
        from firmware import update

        asyncio.create_task(update.live(settings))  # noqa: RUF006  (asyncio has it)
    try:
        await role
    finally:
        _task = None


async def end_role() -> None:
    """Have the role close everything: MicroPython's asyncio leaves it as Ctrl-C found it."""
    _task.cancel()
    for _ in range(50):
        if _task is None:
            break
        await asyncio.sleep(0.1)


def let_watchdog_sleep() -> None:
    """At the prompt a person may take their time."""
    if net.watchdog:
        net.watchdog.let_sleep()


if __name__ == "__main__":
    main()
