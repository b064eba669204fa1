"""What the benchmark found, as tables, as a picture, and held against the goals."""

import math
import statistics
from dataclasses import dataclass

GOALS_ON = "micropython32"
PEERS = ("peer_microdot", "peer_chumicro", "peer_uhttp", "peer_async_client")
NAMES = {
    "raw": "bare TCP",
    "c_websocket": "C module websocket",
    "blocking_into": "microws, recv_into",
    "blocking": "microws, recv",
    "stream": "asyncio stream",
    "asynchronous_into": "microws aio, recv_into",
    "asynchronous": "microws aio, recv",
    "peer_microdot": "microdot",
    "peer_chumicro": "chumicro-websockets",
    "peer_uhttp": "uhttp-server",
    "peer_async_client": "async_websocket_client",
    "peer_websockets": "websockets",
}
COLOURS = {"ours": "#d9480f", "limit": "#868e96", "peer": "#74a7d6"}


def median(values: list) -> float:
    return statistics.median(values) if values else math.nan


def spread(values: list) -> float:
    """Half the distance from the lowest to the highest, in percent of the median."""
    middle = median(values)
    return 50 * (max(values) - min(values)) / middle if values and middle else math.nan


def table(results: list) -> str:
    """All that was measured: medians, and ± half the span of the rounds."""
    lines = []
    title = None
    for r in results:
        now = (r.interpreter, r.work, r.role, r.size, r.clients, r.active)
        if now != title:
            title = now
            what = [r.interpreter, r.work]
            what += [r.role] if r.role != "none" else []
            what += [f"{r.size} B"] if r.size else []
            what += [f"{r.active} of {r.clients} clients busy"] if r.clients > 1 else []
            lines.append("\n" + ", ".join(what))
            lines.append(
                f"  {'':23}{'CPU us':>10}{'±%':>4}{'wall us':>10}{'±%':>4}"
                f"{'per second':>12}{'MB/s':>8}{'heap B':>9}{'in use B':>10}"
            )
        line = f"  {NAMES.get(r.contender, r.contender):23}"
        wall = median(r.wall_us)
        if r.wall_us:
            line += f"{median(r.cpu_us):10.1f}{spread(r.cpu_us):4.0f}{wall:10.1f}"
            line += f"{spread(r.wall_us):4.0f}{1e6 / wall:12.0f}{r.size / wall:8.2f}"
            line += f"{r.heap:9.0f}" if r.heap is not None else ""
        else:
            line += " " * 57
        line += f"{r.live:10}" if r.live is not None else ""
        lines.append(line)
    return "\n".join(lines)


# Goals


@dataclass
class Goal:
    text: str
    wanted: str
    figure: str
    met: bool


def is_for_goals(case) -> bool:
    return case.work in ("echo", "send", "recv", "sha1", "object")


def goals(results: list) -> list:
    """Ratios of CPU time per message, as the computer is shared and a wait is no work."""
    found = {
        (r.work, r.role, r.size, r.contender): r for r in results if r.interpreter == GOALS_ON
    }

    def cpu(work, role, size, contender):
        result = found.get((work, role, size, contender))
        return median(result.cpu_us) if result else math.nan

    def against_best_peer(work, role, size, contender):
        best = [cpu(work, role, size, peer) for peer in PEERS]
        best = [time for time in best if not math.isnan(time)]
        return min(best, default=math.nan) / cpu(work, role, size, contender)

    def heap_of(work, role, size, contender):
        result = found.get((work, role, size, contender))
        return math.nan if result is None or result.heap is None else result.heap

    listed = []

    def at_most(text, limit, unit, *figures):
        worst = math.nan if any(map(math.isnan, figures)) else max(figures)
        add(text, f"at most {limit:,}{unit}", unit, worst, worst <= limit)

    def at_least(text, limit, unit, *figures):
        worst = math.nan if any(map(math.isnan, figures)) else min(figures)
        add(text, f"at least {limit:,}{unit}", unit, worst, worst >= limit)

    def add(text, wanted, unit, figure, met):
        shown = "not measured"
        if not math.isnan(figure):
            shown = f"{figure:,.0f}{unit}" if unit == " B" else f"{figure:.2f}{unit}"
        listed.append(Goal(text, wanted, shown, met))

    roles = ("server", "client")
    for role in roles:
        ours = cpu("echo", role, 125, "blocking_into")
        ratio = ours / cpu("echo", role, 125, "raw")
        at_most(f"echo of 125 B, blocking {role}, CPU against bare TCP", 2.5, "x", ratio)
    for role in roles:
        ours = cpu("echo", role, 125, "asynchronous_into")
        ratio = ours / cpu("echo", role, 125, "stream")
        at_most(f"echo of 125 B, asyncio {role}, CPU against a bare stream", 1.6, "x", ratio)
    for role in roles:
        ratio = against_best_peer("echo", role, 125, "blocking")
        at_least(f"echo of 125 B, {role}, CPU against the best peer", 1.5, "x", ratio)
    ratio = against_best_peer("send", "client", 4096, "blocking_into")
    at_least("sending masked 4 KiB (client), CPU against the best peer", 40, "x", ratio)
    for size in 4096, 65536:
        ratio = against_best_peer("recv", "server", size, "blocking_into")
        text = f"receiving masked {size >> 10} KiB (server), CPU against the best peer"
        at_least(text, 40, "x", ratio)
    ours = cpu("recv", "server", 4096, "blocking_into")
    ratio = cpu("recv", "server", 4096, "c_websocket") / ours
    at_least("receiving masked 4 KiB (server), CPU against the C module", 0.8, "x", ratio)
    for role in roles:
        figures = [heap_of("echo", role, size, "blocking_into") for size in (16, 125, 1024)]
        figures += [heap_of(work, role, 4096, "blocking_into") for work in ("send", "recv")]
        at_most(f"heap per message, recv_into and send, {role}", 0, " B", *figures)
    own = heap_of("object", "none", 125, "str")
    figures = [heap_of("recv", role, 125, "blocking") - own for role in roles]
    at_most("heap per recv of a text of 125 B, beside the message", 64, " B", *figures)
    ratio = cpu("sha1", "none", 0, "microws") / cpu("sha1", "none", 0, "hashlib")
    at_most("SHA-1 of a handshake key, CPU against C hashlib", 15, "x", ratio)
    return listed


def goals_table(found: list) -> str:
    lines = [f"\nGoals, on {GOALS_ON}"]
    for goal in found:
        met = "met   " if goal.met else "MISSED"
        lines.append(f"  {met} {goal.text:62}{goal.wanted:>19}{goal.figure:>14}")
    return "\n".join(lines)


def goals_markdown(found: list) -> str:
    lines = ["| | goal | measured | |", "|---|---|---|---|"]
    for goal in found:
        mark = "met" if goal.met else "**missed**"
        lines.append(f"| {goal.text} | {goal.wanted} | {goal.figure.strip()} | {mark} |")
    return "\n".join(lines)


# Columns: work, role, clients, busy ones.
CROWDS = {
    "1 client": ("crowd", "server", 1, 1),
    "1 of 8 busy": ("crowd", "server", 8, 1),
    "1 of 64 busy": ("crowd", "server", 64, 1),
    "all 8 busy": ("crowd", "server", 8, 8),
    "all 64 busy": ("crowd", "server", 64, 64),
}
OTHERS = {
    "handshake, server": ("handshake", "server", 1, 1),
    "handshake, client": ("handshake", "client", 1, 1),
    "broadcast to 8": ("broadcast", "server", 8, 8),
    "idle connection, heap B": ("idle", "server", 8, 0),
}
LOOPS = {
    "sha1": ("SHA-1 of a handshake key", "hashlib", "`hashlib`, in C"),
    "utf8": ("UTF-8 validation of 4 KiB", "str", "`str()`, in C, which checks less"),
    "mask": ("masking of 4 KiB", "loop", "a loop in Python"),
}


def columns_markdown(results: list, columns: dict) -> str:
    """CPU time (µs) of each contender, and heap where nothing is done."""
    found = {
        (r.work, r.role, r.clients, r.active, r.contender): r
        for r in results
        if r.interpreter == GOALS_ON
    }
    lines = ["| CPU, µs | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    for contender, name in NAMES.items():
        row = [found.get((*column, contender)) for column in columns.values()]
        if any(row):
            figures = [r and (median(r.cpu_us) if r.cpu_us else r.live) for r in row]
            cells = [f"{figure:,.0f}" if figure else "" for figure in figures]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def loops_markdown(results: list) -> str:
    cpu = {(r.work, r.contender): median(r.cpu_us) for r in results if r.interpreter == GOALS_ON}
    lines = ["| CPU, µs | microws | beside it | |", "|---|--:|--:|---|"]
    for work, (text, other, name) in LOOPS.items():
        ours = cpu[work, "microws"]
        lines.append(f"| {text} | {ours:,.1f} | {cpu[work, other]:,.1f} | {name} |")
    return "\n".join(lines)


def modules_markdown(sizes: dict, heap: dict) -> str:
    """What each module takes: its .mpy file, and heap once it is loaded from that."""
    lines = ["| module | `.mpy`, bytes | heap, bytes |", "|---|--:|--:|"]
    for modules, taken in heap.items():
        size = sum(sizes[name] for name in modules.split("+"))
        names = ", ".join(f"`{name}`" for name in modules.split("+"))
        lines.append(f"| {names} | {size:,} | {taken:,} |")
    return "\n".join(lines)


# The goals of the core


def core_table(found: list) -> str:
    lines = [f"\nGoals of the core{'before':>58}{'now':>20}{'goal':>10}"]
    for goal in found:
        old, new, limit = goal.shown()
        lines.append(f"  {goal.verdict():14}{goal.text:50}{old:>9}{new:>20}{limit:>10}")
    lines += [f"  not measured: {why}" for why in dict.fromkeys(g.why for g in found) if why]
    return "\n".join(lines)


def core_markdown(found: list) -> str:
    lines = ["| | before | now | goal | |", "|---|--:|--:|--:|---|"]
    for goal in found:
        cells = (goal.text + (f", {goal.unit}" if goal.unit == "cycles" else ""), *goal.shown())
        mark = goal.verdict()
        lines.append(f"| {' | '.join(cells)} | {mark if mark == 'met' else f'**{mark}**'} |")
    reasons = dict.fromkeys(goal.why for goal in found if goal.why)
    return "\n".join(lines + [f"\nNot measured: {why}." for why in reasons])


# The picture


def picture(results: list) -> str:
    """Bars (SVG) of the CPU time per message, on a logarithmic scale; "" without the figures."""
    panels = (
        ("Echo of 125 B, server: CPU time per round trip", "echo", "server", 125),
        ("Receiving masked 4 KiB, server: CPU time per message", "recv", "server", 4096),
        ("Sending masked 4 KiB, client: CPU time per message", "send", "client", 4096),
    )
    body: list[str] = []
    y = 0
    for title, work, role, size in panels:
        rows = [
            (NAMES[r.contender], median(r.cpu_us), r.contender)
            for r in results
            if (r.interpreter, r.work, r.role, r.size) == (GOALS_ON, work, role, size)
        ]
        if not rows:
            return ""
        rows.sort(key=lambda row: row[1])
        y += 30
        body.append(f'<text x="8" y="{y - 10}" font-weight="bold">{title}</text>')
        low, high = math.log10(rows[0][1] / 2), math.log10(rows[-1][1])
        for name, value, contender in rows:
            kind = "ours" if "microws" in name else "peer" if contender in PEERS else "limit"
            width = 400 * (math.log10(value) - low) / (high - low)
            body.append(f'<text x="172" y="{y + 13}" text-anchor="end">{name}</text>')
            body.append(
                f'<rect x="180" y="{y + 2}" width="{width:.0f}" height="14" '
                f'fill="{COLOURS[kind]}"/>'
            )
            label = f"{value:.1f}" if value < 100 else f"{value:.0f}"
            body.append(f'<text x="{186 + width:.0f}" y="{y + 13}">{label} µs</text>')
            y += 20
        y += 12
    y += 14
    body.append(
        f'<text x="8" y="{y}">MicroPython, 32-bit, on a computer; logarithmic, shorter is '
        "better.</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 {y + 12}" width="660" '
        'font-family="sans-serif" font-size="12">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )
