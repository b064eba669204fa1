"""Waiting for a socket in MicroPython's asyncio, whose queue of sockets is changed for it.

``asyncio`` has one queue for all sockets (``core.IOQueue``). It registers a socket with poll() for
each wait, with an entry made anew, and forgets it at each event. Here a socket of ours stays: two
methods of the queue *object* are replaced by such that keep it, once, when the first socket of
ours comes. That takes a fifth less work and 80 bytes less of heap for each message; and a task
that is cancelled while it reads from a stream no longer takes the stream's writer with it.

The private names used are those of MicroPython 1.24 to 1.29: ``core._io_queue`` with ``map``,
``poller``, ``wait_io_event`` and ``remove``; ``core._task_queue``, ``core.cur_task``, and of a
task ``data``, ``state`` and ``ph_key``. ``is_known()`` looks whether the queue is what it is
there. If not, it stays as it is: see ``_ioqueue_plain``.
"""

from asyncio import core  # type: ignore[attr-defined]
from time import ticks_add, ticks_diff, ticks_ms

from .compat import const
from .core import READ, WRITE

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from ._types import Waiting, new_poller

    class Queue(Protocol):
        """``core.IOQueue``, once it is changed."""

        map: dict[int, list]
        poller: new_poller
        wait_io_event: Callable[[int], None]
        remove: Callable[[object], None]
        forget: Callable[[list], None]


_RESERVE = const(256)
_reserve: "bytearray | None" = bytearray(_RESERVE)


def is_known() -> bool:
    """Whether asyncio's queue is the one that this module knows how to change."""
    known = {"__module__", "__qualname__", "__init__", "queue_read", "queue_write", "remove"}
    known.update(("_enqueue", "_dequeue", "wait_io_event"))
    if set(core.IOQueue.__dict__) != known:
        return False
    queue = core._io_queue
    return type(queue) is core.IOQueue and set(queue.__dict__) == {"map", "poller"}


def _nothing() -> "Waiting[None]":  # type: ignore[misc]
    return
    yield


#: Awaited, it is over at once and takes no memory: a generator that has ended may be resumed.
DONE = _nothing()
for _ in DONE:
    pass


def hurry() -> None:
    """Let those run next who wait for the end of this task, which comes now.

    ``wait_for()`` has one task that receives, another that waits for it, and sleeps itself. Where
    its time was over between the two, it would throw away what was received. Who is woken for
    nothing, because this task goes on, waits again.
    """
    waiters = core.cur_task.state
    if type(waiters) is not core.TaskQueue:
        return  # none
    queue = core._task_queue
    while True:
        task = waiters.peek()
        if not task:
            return
        waiters.pop()
        first = queue.peek()
        now = ticks_ms()
        if first and ticks_diff(first.ph_key, now) <= 0:
            now = ticks_add(first.ph_key, -1)
        queue.push(task, now)


def _change(queue: "Queue") -> None:
    """Replace the methods of asyncio's queue.

    poll() itself, asked to tell of an event once, clears what it watches a socket for. So for the
    next wait that is set anew, and nothing is made. An entry is a list: the task that waits to
    read, the one that waits to write, the socket; one of ours has a fourth item, the
    ``SocketWaiter``. All others come and go as they did.
    """
    entries = queue.map
    poller = queue.poller
    push = core._task_queue.push

    def wait_io_event(dt: int) -> None:
        for sock, event in poller.ipoll(dt, 1):
            entry = entries[id(sock)]
            task = entry[0]
            if task and event & ~WRITE:
                entry[0] = None
                push(task)
            task = entry[1]
            if task and event & ~READ:
                entry[1] = None
                push(task)
            if event > 7:
                # An error or the end, of which poll() would tell whether anybody waits or not.
                if len(entry) > 3:
                    entry[3]._hung_up = True
                forget(entry)
            elif entry[0] or entry[1] or len(entry) == 3:
                arm(entry)

    def forget(entry: list) -> None:
        del entries[id(entry[2])]
        poller.unregister(entry[2])
        if len(entry) > 3:
            entry[3]._queue = None

    def arm(entry: list) -> None:
        mask = ((entry[0] and READ) or 0) | ((entry[1] and WRITE) or 0)
        if mask or len(entry) > 3:
            poller.modify(entry[2], mask)
        else:
            forget(entry)

    def remove(task: object) -> None:
        for key in entries:
            entry = entries[key]
            for i in 0, 1:
                if entry[i] is task:
                    entry[i] = None
                    arm(entry)
                    return

    queue.wait_io_event = wait_io_event
    queue.remove = remove
    queue.forget = forget


class SocketWaiter:
    """Something with a socket, ``_sock``, that tasks wait for.

    ``yield self._enter(i)`` waits, for something to read (0) or for room to write (1); one task
    for each. Who is woken looks whether there really is something: it may be for nothing.
    """

    _hung_up = False  # poll() told of an error or of the end
    _queue: "Queue" = None  # type: ignore[assignment]  # that the socket is in

    def __init__(self, sock: "Any") -> None:
        self._sock = sock
        self._entry: list = [None, None, None, self]

    def _enter(self, i: int) -> object:  # type: ignore[return]
        queue = core._io_queue
        if self._queue is not queue:
            self._register(queue)
        entry = self._entry
        entry[i] = task = core.cur_task
        mask = READ | WRITE if entry[1 - i] else WRITE if i else READ
        queue.poller.modify(entry[2], mask)
        task.data = queue  # where a task that is cancelled is taken out of

    def _register(self, queue: "Queue") -> None:
        global _reserve
        # poll() takes memory by itself, and more of it the more it watches.
        n = _RESERVE + 16 * len(queue.map)
        if _reserve is None or len(_reserve) < n:
            _reserve = bytearray(n)
        if not hasattr(queue, "forget"):
            _change(queue)
        entry = self._entry
        entry[0] = entry[1] = None
        entry[2] = sock = self._sock
        try:
            queue.poller.register(sock, 0)
            queue.map[id(sock)] = entry
        except MemoryError:
            # poll() may keep half an entry, at which the next poll would crash (a comment in
            # extmod/modselect.c says so). Out of the reserve it is made whole, then taken out.
            _reserve = None
            queue.poller.register(sock, 0)
            queue.poller.unregister(sock)
            raise
        self._queue = queue

    def _woken(self, i: int) -> None:
        """After each wait that came to its end; the queue has seen to it here."""

    def _left(self, i: int) -> None:
        """After an exception in a wait, or a cancellation; the queue took out who waited here."""
        self._entry[i] = None

    def _wait(self, i: int) -> "Waiting[None]":  # type: ignore[misc]
        """A wait as steps, for what is rare."""
        try:
            yield self._enter(i)
        except BaseException:
            self._left(i)
            raise
        self._woken(i)

    def _wait_once(self, i: int) -> "Waiting[None]":  # type: ignore[misc]
        """Wait for a socket that may be closed, or another one, when this goes on."""
        self._hung_up = False
        try:
            yield from self._wait(i)
        finally:
            entry = self._entry
            if not (entry[0] or entry[1]):
                self._unregister()

    def _unregister(self) -> None:
        """To be called before the socket is closed."""
        if self._queue is not None:
            self._queue.forget(self._entry)

    def _wake(self) -> None:
        """Let the tasks that wait go on."""
        entry = self._entry
        for i in 0, 1:
            task = entry[i]
            if task:
                entry[i] = None
                core._task_queue.push(task)
