"""What the contenders share: the task, and the clocks around it.

Arguments: ROLE WORK PORT SIZE CLIENTS WARM COUNT HEAP. A program does WARM rounds of its work,
calls ``begin()``, does COUNT more and calls ``end()``, which prints what they took.
"""

import gc
import sys
import time

ROLE, WORK = sys.argv[1:3]
PORT, SIZE, CLIENTS, WARM, COUNT, HEAP = [int(arg) for arg in sys.argv[3:9]]
CLIENT = ROLE == "client"
HOST = "127.0.0.1"
URL = f"ws://127.0.0.1:{PORT}/"
LIMIT = 65536  # bytes in the largest message

if sys.implementation.name == "micropython":
    allocated = gc.mem_alloc
    wall = time.ticks_us
    since = time.ticks_diff

    def cpu():
        """Microseconds; ``time.clock()`` has only milliseconds."""
        time.sleep_us(1)  # Linux brings the file up to date when a process gives up its turn
        with open("/proc/self/schedstat") as file:
            return int(file.read().split()[0]) // 1000

else:

    def allocated():
        return 0

    def wall():
        return time.perf_counter_ns() // 1000

    def cpu():
        return time.process_time_ns() // 1000

    def since(end, start):
        return end - start


_left = WARM
_measuring = False
_live = _heap = _wall = _cpu = 0


def begin():
    global _live, _heap, _wall, _cpu, _measuring
    _measuring = True
    gc.collect()
    _live = allocated()
    _wall = wall()
    _cpu = cpu()
    if HEAP:
        gc.disable()
        # Last, as a clock's reading may be an object; and not where time counts, as this walks
        # over the whole heap: 10 ms of a large one.
        _heap = allocated()


def end():
    heap = allocated() - _heap if HEAP else 0
    report(cpu() - _cpu, since(wall(), _wall), heap, _live)


def report(*figures):
    print(*figures)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


def tick():
    """One of WARM + COUNT messages is done, where several connections share the work."""
    global _left
    _left -= 1
    if _left == 0:
        if _measuring:
            end()
        else:
            _left = COUNT
            begin()


def run(work):
    work(WARM)
    begin()
    work(COUNT)
    end()


async def run_async(work, *args):
    await work(*args, WARM)
    begin()
    await work(*args, COUNT)
    end()


def idle(before, connections):
    """Report the heap that each of ``connections`` takes, where ``before`` was taken without."""
    gc.collect()
    report(0, 0, 0, (allocated() - before) // connections)


def collected():
    gc.collect()
    return allocated()
