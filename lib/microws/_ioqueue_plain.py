"""Waiting for a socket in MicroPython's asyncio as its streams do it; see ``_ioqueue``.

For a MicroPython whose queue of sockets is not the one that ``_ioqueue`` knows. It takes more work
and more heap. Of that queue this asks what asyncio's own streams and tasks ask of it, no more.
"""

from asyncio import core  # type: ignore[attr-defined]

from ._ioqueue import SocketWaiter as _SocketWaiter
from .compat import new_poller


class SocketWaiter(_SocketWaiter):
    def _enter(self, i: int) -> object:  # type: ignore[return]
        queue = core._io_queue
        self._entry[i] = core.cur_task
        (queue.queue_write if i else queue.queue_read)(self._sock)

    def _woken(self, i: int) -> None:
        self._entry[i] = None
        # What poll() said the queue tells nobody.
        if self._sock is not None:
            poller = new_poller()
            poller.register(self._sock, 0)
            for _, events in poller.ipoll(0):
                self._hung_up = events > 7

    def _left(self, i: int) -> None:
        self._entry[i] = None
        # The queue has forgotten who waits in the other direction as well.
        self._wake()

    def _unregister(self) -> None:
        pass

    def _wake(self) -> None:
        queue = core._io_queue
        for task in self._entry[:2]:
            if task and task.data is queue:  # not woken by the queue, that is
                queue.remove(task)
                core._task_queue.push(task)
