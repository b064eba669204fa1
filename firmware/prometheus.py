"""/metrics as Prometheus reads it, loaded when somebody asks for it so.

Its text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# What may fall as well as rise.
_GAUGES = ("uptime", "heap_free", "heap_free_lowest", "clients", "max_clients", "interval")


def answer(report: str, *more: "tuple[str, str]") -> tuple:
    """The HTTP response with the counters, which are given as JSON, and more headers."""
    kind = ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
    return 200, (kind,) + more, _lines(report)


def _lines(report) -> "Iterator[bytes]":
    found = json.loads(report)
    values = found.pop("values")
    closed = found.pop("closed")
    for name in sorted(found):
        value = found[name]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            kind = "gauge" if name in _GAUGES else "counter"
            full = "microws_" + name + ("" if kind == "gauge" else "_total")
            yield ("# TYPE %s %s\n%s %s\n" % (full, kind, full, value)).encode()
    yield b"# TYPE microws_closed_total counter\n"
    for code in sorted(closed):
        yield b'microws_closed_total{code="%s"} %d\n' % (code.encode(), closed[code])
    yield b"# TYPE microws_value gauge\n"
    for name in sorted(values):
        value = values[name]
        if isinstance(value, (int, float)):
            label = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            yield ('microws_value{name="%s"} %s\n' % (label, value + 0)).encode()
