"""What the server counts, for whoever asks for /metrics."""

import gc
import json

from firmware.log import uptime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

mem_free: "Any" = getattr(gc, "mem_free", None)  # CPython has none


class Counters:
    """Since the start; bytes are those of messages, without what carries them."""

    def __init__(self) -> None:
        self.values: dict = {
            "clients_ever": 0,
            "messages_in": 0,
            "bytes_in": 0,
            "messages_out": 0,
            "bytes_out": 0,
            "dropped": 0,
            "refused": 0,
            "flooding": 0,
            "skipped": 0,
            "closed": {},
            "heap_free_lowest": None,
        }

    def add(self, name: str, count: int = 1) -> int:
        """Count; gives how many there are now."""
        self.values[name] += count
        return self.values[name]

    def received(self, message: "str | bytes") -> None:
        self.add("messages_in")
        self.add("bytes_in", _size(message))

    def sent(self, message: "str | bytes", count: int = 1) -> None:
        self.add("messages_out", count)
        self.add("bytes_out", count * _size(message))

    def closed(self, code: int) -> None:
        """One connection more that ended with this code."""
        closed = self.values["closed"]
        closed[str(code)] = closed.get(str(code), 0) + 1

    def measure(self) -> "int | None":
        """Bytes of free heap, None where nobody knows."""
        if mem_free is None:
            return None
        gc.collect()  # what waits to be collected is free as well
        free = mem_free()
        least = self.values["heap_free_lowest"]
        if least is None or free < least:
            self.values["heap_free_lowest"] = free
        return free

    def report(self, more: dict) -> str:
        """All of it, and more, as JSON."""
        report = {"uptime": uptime(), "heap_free": self.measure()}
        report.update(self.values)
        report.update(more)
        return json.dumps(report)


def _size(message):
    return len(message.encode() if isinstance(message, str) else message)
