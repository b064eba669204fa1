"""Which modules are in memory, and when: a small heap has no room for all of them at once."""

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Needed at the start only. They fill a tenth of a small heap.
_AT_START = (
    "boards",
    "check",
    "check_custom",
    "check_mqtt",
    "check_names",
    "check_network",
    "check_pins",
    "check_security",
    "config_file",
    "crash",
    "interfaces",
    "settings",
    "strict_json",
)


def unload() -> None:
    """Forget the modules that only the start needs; who needs one again loads it again."""
    package = sys.modules["firmware"]
    for name in _AT_START:
        module = sys.modules.pop("firmware." + name, None)
        if module:
            delattr(package, name)
            # What is left of a pointer on the stack must not keep it, and what it imported.
            for attribute in dir(module):
                if attribute[:2] != "__":
                    delattr(module, attribute)
    sys.modules.pop("firmware.modules", None)
    delattr(package, "modules")


def wanted_by(settings: dict, role: str) -> list:
    """The modules that only these settings need, or a sketch."""
    wanted = ["update"] if settings["update_token"] else []
    if role == "quiet":
        return wanted
    if "sketch.py" in os.listdir():
        wanted.append("sketch")
    pins = [name for name in ("outputs", "inputs") if settings[name]]
    wanted += pins
    if settings["format"] == "json":
        wanted.append("samples")
    if role == "mqtt":
        if settings["queue_file"]:
            wanted.append("mqtt_file")
        if settings["discovery"]:
            wanted.append("discovery")
    elif pins:
        wanted.append("reports")
    return wanted


def load_role(role: str, more: "Iterable[str]" = ()) -> "Callable":
    """The role's `run()`. The other roles are not loaded, for they would take memory.

    `more` are names of modules that it is going to need as well.
    """
    # One module after the other: what loading leaves behind would cut a small heap into pieces.
    # To compile one takes several times what stays of it, so the largest ones come first.
    gc.collect()
    if hasattr(gc, "threshold"):
        # What stays comes to lie close together. On a large heap a collection takes its time.
        gc.threshold(max(8192, gc.mem_free() // 16))
    # Their whole names: short texts stay in memory for ever.
    names = ["microws.core", "microws.aio_connection"]
    if role == "server":
        names += ["microws.aio_server", "microws.server_handshake", "microws.plain_http"]
    if "update" in more:
        names += ["microws.server_handshake", "microws.plain_http", "microws.aio_listener"]
    names += ["firmware." + name for name in more]
    if role == "server":
        names += ["firmware.clients", "firmware.values", "firmware.access", "firmware.service"]
    elif role != "quiet":
        names += ["firmware.connecting", "firmware.values", "microws.client_handshake"]
    if role == "mqtt":
        names += ["firmware.mqtt_session", "firmware.mqtt_packets", "firmware.mqtt_queue"]
    for name in names + ["firmware." + role]:
        __import__(name)
        gc.collect()
    run = sys.modules["firmware." + role].run
    if hasattr(gc, "threshold"):
        # Early, lest what lives long comes to lie amid garbage up to the heap's end.
        gc.threshold(gc.mem_free() // 4)
    return run
