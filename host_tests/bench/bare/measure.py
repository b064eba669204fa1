"""Cycles and heap, counted on the chip itself: by its timer, which is exact when emulated."""

import gc
import time

import machine

_PER_US = machine.freq() // 1000000
_WARM = 3
_HEAP = 20  # rounds for which there is memory without a collection


def now():
    return time.ticks_us()


def since(start):
    """Cycles from ``start`` until now."""
    return time.ticks_diff(time.ticks_us(), start) * _PER_US


def report(name, figure, unit="cycles"):
    print("%s|%d|%s" % (name, figure, unit))


def used():
    """Bytes of heap in use."""
    gc.collect()
    return gc.mem_alloc()


def count(name, work, n=20, heap=True):
    """Report what one of the n rounds takes that ``work(n)`` does: cycles, and bytes of heap."""
    work(_WARM)
    gc.collect()
    start = now()
    work(n)
    report(name, since(start) / n)
    if heap:
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        work(n)
        report(name, (gc.mem_alloc() - before) / n, "B")
        gc.enable()


async def count_async(name, work, n=20, heap=True):
    """The same where ``work(n)`` is a coroutine."""
    await work(_WARM)
    gc.collect()
    start = now()
    await work(n)
    report(name, since(start) / n)
    if heap:
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        await work(_HEAP)
        report(name, (gc.mem_alloc() - before) / _HEAP, "B")
        gc.enable()
