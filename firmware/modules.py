"""Which modules are in memory, and when: a small heap has no room for all of them at once."""

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Needed at the start only. They fill a tenth of a small heap.
_AT_START = (
    "boards",
    "check",
    "check_mqtt",
    "check_security",
    "config_file",
    "crash",
    "settings",
    "strict_json",
)


def unload() -> None:
    """Forget the modules that only the start needs; who needs one again loads it again."""
    package = sys.modules["firmware"]
    for name in _AT_START:
        if sys.modules.pop("firmware." + name, None):
            delattr(package, name)


def load_role(role: str) -> "Callable":
    """The role's `run()`. The other roles are not loaded, for they would take memory."""
    # One module after the other: what loading leaves behind would cut a small heap into pieces.
    # To compile one takes several times what stays of it, so the largest ones come first.
    gc.collect()
    front, side = ("aio_server", "server") if role == "server" else ("aio", "client")
    for name in ("core", "aio_connection", "handshake", side + "_handshake", front):
        __import__("microws." + name)
        gc.collect()
    if role == "server":
        from firmware.server import run
    elif role == "mqtt":
        for name in ("connecting", "mqtt_packets", "mqtt_session", "mqtt_queue"):
            __import__("firmware." + name)
            gc.collect()
        from firmware.mqtt import run
    else:
        from firmware.client import run
    gc.collect()
    if hasattr(gc, "threshold"):
        # Early, lest what lives long comes to lie amid garbage up to the heap's end.
        gc.threshold(gc.mem_free() // 4)
    return run
