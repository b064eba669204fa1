"""A connection over asyncio. It knows no rule of RFC 6455: those are in ``core``.

What ends a connection, one task or another, a time-out, a peer, leads to ``_shut()``, the one
place where its socket goes. It wakes every task that waits, and whoever is woken looks whether the
socket is still there before it goes on with anything that would use it.
"""

import asyncio

from .compat import MICROPYTHON, const, ticks_add, ticks_diff, ticks_ms
from .core import (
    ENDED,
    FAILURES,
    GONE,
    IDLE,
    MESSAGE,
    NOT_SENT,
    WRITE,
    Connection,
    close_payload,
    milliseconds,
)
from .errors import ProtocolError, Timeout, WebSocketError
from .loops import encode

TYPE_CHECKING = const(0)  # folded away on a board
if TYPE_CHECKING:
    from asyncio import core as asyncio_core  # type: ignore[attr-defined]
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Coroutine,
        Generator,
        Iterable,
    )
    from typing import Any, Literal, TypeVar

    from ._ioqueue import DONE, SocketWaiter, hurry
    from ._types import Data, Readable, Writable, generator
    from .streams import AsyncStream

    F = TypeVar("F")
    R = TypeVar("R")
    PLAIN = False

    def awaited(function: F) -> F: ...

elif MICROPYTHON:
    from asyncio import core as asyncio_core  # type: ignore[attr-defined]

    from ._ioqueue import DONE, SocketWaiter, hurry, is_known

    PLAIN = not is_known()
    if PLAIN:
        from ._ioqueue_plain import SocketWaiter

    def awaited(function: "F") -> "F":
        """For a function that gives an awaitable; here a generator is one."""
        return function

    generator = awaited

else:
    from ._cpython import DONE, SocketWaiter, asyncio_core, awaited, generator, hurry

    PLAIN = False

# What a call of _receive() gives.
_ONE = const(0)
_NEXT = const(1)  # or StopAsyncIteration at a clean close
PIECEWISE = const(2)


async def within(coroutine: "Awaitable[R]", timeout: "float | None") -> "R":
    """What ``coroutine`` gives, or ``Timeout`` where it takes over ``timeout`` seconds."""
    if timeout is None or coroutine is DONE:
        return await coroutine
    task: asyncio.Task[R] = asyncio.create_task(coroutine)  # type: ignore[arg-type]
    try:
        return await asyncio.wait_for(task, timeout)
    except asyncio.TimeoutError:
        raise Timeout("timed out") from None
    except MemoryError:
        task.cancel()  # wait_for() may have left it to itself
        raise


class WebSocket(SocketWaiter, Connection):
    """An open connection; ``connect()`` and ``serve()`` make it.

    It is to be closed: one that is merely dropped stays with asyncio, socket and memory, until the
    program ends. ``serve()`` closes those of its handlers, ``async with`` its own.

    One task at a time may receive (another gets ``WebSocketError``); any number may send.
    Asynchronous iteration gives messages and ends at a clean close. The other errors are those of
    the blocking ``microws.WebSocket``.
    """

    _alarm: "asyncio.Task[None] | None" = None  # the task that wakes who receives at ...
    _alarm_at = 0
    _deadline: "int | None" = None  # ... of its call, in ticks
    _ended: "asyncio.Event | None" = None  # set, for those who wait, when nobody receives any more
    _freed: "asyncio.Event | None" = (
        None  # set, for those who wait, when a frame or a message has gone
    )
    _poster: "asyncio.Task[None] | None" = None  # the task that sends what nobody waits for
    _silent = 0  # beats of the keepalive since something came
    _was_heard = False

    def __init__(self, client: bool, *limits: "Any") -> None:
        Connection.__init__(self, client, *limits)
        SocketWaiter.__init__(self, None)
        self._fragmenting = False  # a message that goes in fragments is on its way out
        self._heard = True  # something came since the last beat
        self._active = ticks_ms()  # when a step of the handshake was taken
        # None: a task for the keepalive is to be made
        self._keeper: asyncio.Task[None] | Literal[False] | None = False
        self._receiving = False  # a task does, or closes
        self._writing = False  # a frame is on its way out

    # Sending. ``_writing`` is the turn to resume the sender, which one task has at a time.

    @awaited
    def send(
        self, message: "Data | Iterable[Data] | AsyncIterable[Data]", text: "bool | None" = None
    ) -> "Awaitable[None]":
        """Send a message: str as text, bytes-like as binary (§5.6); ``text`` chooses otherwise.

        An iterable, or asynchronous iterable, of these goes as one message in fragments, which
        may be larger than memory. Awaited, this returns when all of it is handed to the network.
        On MicroPython it is sent by the call, and what the network does not take at once by who
        awaits, or by whatever is sent or received next.
        """
        kind = type(message)
        if text is None and kind is str:
            data = encode(message)  # type: ignore[arg-type]
            byte0 = 0x81
        elif text is None and (kind is bytearray or kind is bytes):
            data = message  # type: ignore[assignment]
            byte0 = 0x82
        else:
            data = self._encode(message, text)  # type: ignore[assignment]
            if data is None:
                from .aio_pieces import send_pieces

                return send_pieces(self, message, text)
            byte0 = self._byte0
        if self._out is not None or self._writing or self._fragmenting:
            return self._send_later(byte0, data)
        self._byte0 = byte0
        self._out = data
        try:
            if next(self._sender):
                return self._send_rest()
        except BaseException as error:
            raise self._not_sent(error) from None
        return DONE

    def _not_sent(self, error: BaseException) -> BaseException:
        """What to raise where the sender raised ``error``."""
        if isinstance(error, NOT_SENT):
            self._mute()
            return self._closed()
        if isinstance(error, KeyboardInterrupt):
            self._interrupted()
        return error

    async def _send_rest(self) -> None:
        await self._turn(False)
        if self._busy:
            await self._flush()

    async def _send_later(self, byte0: int, data: "Readable") -> None:
        await self._turn(True)
        while self._out is not None:  # of one who did not await its end
            await self._flush()
            await self._turn(True)
        self._byte0 = byte0
        self._out = data
        await self._flush()

    async def _send_frame(self, byte0: int, data: "Readable") -> None:
        """Send a frame when none is half-way."""
        await self._turn(False)
        self._byte0 = byte0
        self._out = data
        await self._flush()

    async def _turn(self, for_message: bool) -> None:
        """Wait until a frame may begin, or a message."""
        while self._writing or (for_message and self._fragmenting):
            if not self._freed:
                self._freed = asyncio.Event()
            await self._freed.wait()

    def _free(self) -> None:
        if self._freed:
            self._freed.set()
            self._freed = None

    @generator
    def _flush(self) -> "Generator[object, None, None]":
        """Write all that waits; who calls this has the turn, and gives it back."""
        self._writing = True
        try:
            while next(self._sender):
                yield from self._wait(1)
        except BaseException as error:
            told = isinstance(error, NOT_SENT) or type(error) is KeyboardInterrupt
            if self._busy and not told:
                self._shut()  # half a frame is out, and nobody is left to send its rest
            raise self._not_sent(error) from None
        finally:
            self._writing = False
            self._free()

    def _flush_alone(self) -> None:
        """Have written what waits, in a task that nobody waits for."""
        self._writing = True
        try:
            self._poster = asyncio.create_task(self._post())
        except MemoryError:
            self._writing = False
            raise

    async def _post(self) -> None:
        try:
            await self._flush()
        except MemoryError:
            self._shut()  # what is half-way would wait for ever
        except FAILURES:
            pass  # whoever receives is told

    async def ping(self, data: "Readable" = b"") -> None:
        """Send a Ping with at most 125 bytes (§5.5.2); the Pong is dealt with while receiving."""
        if isinstance(data, str):
            raise TypeError("a ping carries bytes")
        if len(data) > 125:
            raise ValueError("ping over 125 bytes")
        await self._send_frame(0x89, data)

    def stream(self) -> "AsyncStream":
        """A stream of bytes in binary messages, for another protocol: see ``AsyncStream``."""
        from .streams import AsyncStream

        return AsyncStream(self)

    # Receiving. ``_receiving`` is the turn to resume the receiver.

    @awaited
    def recv(self, timeout: "float | None" = None) -> "Awaitable[str | bytes]":
        """Wait for a message; ``Timeout`` if it is not complete after ``timeout`` seconds.

        After a ``Timeout`` or a cancellation nothing is lost: a later call goes on.
        """
        return self._receive(None, timeout, _ONE)

    @awaited
    def recv_into(self, buffer: "Writable", timeout: "float | None" = None) -> "Awaitable[int]":
        """Wait for a message, put it into ``buffer`` and give its length in bytes.

        ``is_text`` tells its kind. One larger than ``buffer`` fails the connection with 1009.
        """
        return self._receive(() if buffer is None else buffer, timeout, _ONE)

    def recv_streaming(self, buffer: "Writable | None" = None) -> "AsyncIterator[Any]":
        """Receive one message of any size piece by piece: ``async for piece in ...``.

        Gives memoryviews of ``buffer`` (4 bytes at least), valid until the next one, or, without a
        buffer, str or bytes of at most 1 KiB. Text is cut between characters. A compressed message
        is collected first, as in the blocking front.
        """
        from .aio_pieces import Pieces

        return Pieces(self, buffer)

    def __aiter__(self) -> "WebSocket":
        return self

    @awaited
    def __anext__(self) -> "Awaitable[str | bytes]":
        return self._receive(None, None, _NEXT)

    @generator
    def _receive(
        self, target: "Writable | None", timeout: "float | None", kind: int
    ) -> "Generator[object, None, Any]":
        """The next message as an object, or its length where ``target`` is a buffer.

        Or, for PIECEWISE, what the receiver yields; ``target`` is a buffer where a message begins.

        All that a usual message needs is in this one generator: each more would take memory, and
        would have to be gone through whenever the task goes on. Between a message's end and the
        end of this generator nothing waits, so there is no message that nobody has.
        """
        if self._receiving:
            yield from self._refused()  # type: ignore[misc]
        step = 0
        if kind == PIECEWISE:
            if target is not None:
                step = self._receive_to(target, True)
        elif target is None:
            if self._piecewise:
                step = self._receive_to(None)
        elif type(target) is bytearray and not (self._begun or self._piecewise):
            self._target = target  # what _receive_to() does in the usual case
        else:
            step = self._receive_to(target)
        self._receiving = True
        try:
            if timeout is not None:
                self._expect(timeout)
            if self._keeper is None:
                self._keeper = asyncio.create_task(self._keep_alive())
            while step < MESSAGE:
                step = next(self._receiver)
                if step >= MESSAGE:
                    break
                if timeout is not None and self._deadline is None:
                    self._heard = self._was_heard  # it was the alarm that woke it
                    raise Timeout("timed out")
                if step or self._busy:
                    step = yield from self._await(step)
                else:
                    self._late = 0
                    yield self._enter(0)
                    if PLAIN:
                        self._woken(0)
                self._heard = True
            if step == ENDED and self._error:  # not after an interrupt: a Close may still go
                yield from self._finish()  # type: ignore[misc]
        except BaseException as error:
            self._give_up(error, target is not None and kind != PIECEWISE)
            raise
        self._receiving = False
        if timeout is not None:
            self._deadline = None
        if step == ENDED:
            self._raise_end(kind)
        if kind == PIECEWISE:
            return step
        if asyncio_core.cur_task.state is not True:
            hurry()
        # MicroPython looks for memory of several blocks (this generator) from where it last found
        # a single block on. So some are taken: else each call would go over much of the heap.
        block = (step,)
        if target is None:
            target = self._data
            self._data = None
            return target
        self._target = self._data = None
        block = (step,)  # in place of a message's head
        block = (step,)  # noqa: F841
        return self._stop

    async def _refused(self) -> None:
        """Another task receives; or it closes, and then this is told the end."""
        if not self._closing:
            raise WebSocketError("another task receives")
        while self._receiving:
            await self._next_end()

    @generator
    def _await(self, step: int) -> "Generator[object, None, int]":
        """A wait that is not the usual one: gives a step of the receiver's."""
        if self._busy and not self._writing:
            self._flush_alone()  # a peer that takes no answers may still speak
        if step == IDLE:
            self._late = 0
        elif 0 <= self._patience < self._late:
            return self._receiver.throw(ProtocolError(1008, "message takes too long"))
        start = ticks_ms()
        try:
            yield self._enter(0)
            self._woken(0)
        finally:
            if step:
                self._late += ticks_diff(ticks_ms(), start)
        return IDLE

    def _give_up(self, error: BaseException, has_target: bool) -> None:
        """Whoever received does so no more; what has come of a message stays."""
        self._left(0)
        self._deadline = None
        if isinstance(error, KeyboardInterrupt):
            self._interrupted()
        elif has_target:
            self._hung_up = False  # the receiver is to read nothing now; poll() will tell again
            self._receive_to(None)
        self._release()

    def _release(self) -> None:
        """Give back the turn to receive."""
        self._receiving = False
        if self._ended:
            self._ended.set()
            self._ended = None

    def _next_end(self) -> "Awaitable[object]":
        if not self._ended:
            self._ended = asyncio.Event()
        return self._ended.wait()

    def _raise_end(self, kind: int) -> None:
        self._release()
        error = self._closed()
        if kind == _NEXT and error.code in (1000, 1001, 1005):
            raise StopAsyncIteration
        raise error

    # Time-outs: one task for each connection that has them. It sleeps until the first is over and
    # sees then which one there is by now.

    def _expect(self, timeout: float) -> None:
        ms = max(milliseconds(timeout), 0)
        self._deadline = deadline = ticks_add(ticks_ms(), ms)
        alarm = self._alarm
        if alarm is not None:
            if ticks_diff(self._alarm_at, deadline) <= 0:
                return  # it is awake before, and sleeps on
            self._alarm = None
            alarm.cancel()
        self._alarm_at = deadline
        self._alarm = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        me = asyncio.current_task()
        while self._alarm is me:
            deadline = self._deadline
            if deadline is None:
                self._alarm = None
                return
            self._alarm_at = deadline
            try:
                left = ticks_diff(deadline, ticks_ms())
                if left > 0:
                    await asyncio.sleep(left / 1000)
                    continue
                self._was_heard = self._heard
                self._wake()
                self._deadline = self._alarm = None
            except MemoryError:
                await asyncio.sleep(1)  # whose whole number takes none

    # Keepalive. It needs no clock: at each beat it is seen whether something came since the last.

    def _keep_for(self, timeout: "float | None") -> None:
        """End this connection when nothing came for ``timeout`` seconds while a task receives."""
        if timeout:
            self._period = timeout / 4
            self._keeper = None

    async def _keep_alive(self) -> None:
        # Only while somebody receives: whom nobody holds any more, this would hold for ever.
        while self._receiving:
            try:
                await asyncio.sleep(self._period)
                self._beat()
            except MemoryError:
                await asyncio.sleep(1)  # whose whole number takes none
        self._keeper = None

    def _beat(self) -> None:
        """Ping a peer that is silent for a period, drop one that is for three."""
        if not self._receiving:
            return
        if self._heard:
            self._heard = False
            self._silent = 0
            return
        self._silent += 1
        if self._silent > 2:
            self._shut()
            return
        if not (self._closing or self._busy or self._writing):
            self._byte0 = 0x89
            self._out = b""
            self._push()
            if self._busy:
                self._flush_alone()

    # Closing

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (§7.1.2) and wait for the peer's Close at most ``close_timeout``.

        Messages that are still to come are dropped. Does nothing if it is closed already.
        """
        payload = close_payload(code, reason)
        try:
            if self._sock is not None:
                await self._guarded(self._close_as_told(payload))
        except GONE:
            pass  # the peer is gone, or no memory is left to wait for it: it ends as well
        finally:
            self._shut()

    async def __aenter__(self) -> "WebSocket":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _close_as_told(self, payload: bytes) -> None:
        await self._send_last(payload)
        # The task that receives sees the end; if it gives up before, this one goes on.
        while self._receiving:
            await self._next_end()
        if self._sock is None:
            return
        self._receiving = True
        try:
            if self._error is None:
                await self._go(self._drop())
            await self._finish()
        finally:
            self._release()

    async def _send_last(self, payload: bytes) -> None:
        """Send a Close when no frame is half-way, if none has gone yet."""
        await self._turn(False)
        if not self._closing:
            self._writing = True
            try:
                await self._go(self._send_close(payload))
            finally:
                self._writing = False
                self._free()

    async def _finish(self) -> None:
        """The last bytes out, and the end of TCP, once the protocol is at its end."""
        if self._sock is None:
            return
        try:
            await self._guarded(self._go_last(), None if self._awaits_end() else 0.25)
        except FAILURES:
            pass  # it took too long, or the peer has gone: either way it is over
        finally:
            self._shut()

    async def _go_last(self) -> None:
        await self._turn(False)
        self._writing = True
        try:
            await self._go(self._receiver)
        finally:
            self._writing = False

    async def _run(self, steps: "Iterable[int]", timeout: "float | None") -> None:
        """Go through the steps of an opening handshake."""
        milliseconds(timeout)  # a wrong one
        try:
            await within(self._go(steps, timeout), timeout)
        except Timeout as late:
            raise self._error or late from None

    async def _go(self, steps: "Iterable[int]", timeout: "float | None" = None) -> None:
        """Go through ``steps``; the socket may be closed between them, or be another one then.

        Of several addresses that are still to be tried each has its part of ``timeout``.
        """
        start = ticks_ms()
        for step in steps:
            if step > WRITE:
                return
            i = 1 if step == WRITE else 0
            if self._others and timeout is not None:
                left = timeout - ticks_diff(ticks_ms(), start) / 1000
                try:
                    await within(self._wait_awhile(i), left / (self._others + 1))
                except Timeout:
                    self._others = -1
            else:
                await self._wait_once(i)
            self._heard = True
            self._active = ticks_ms()
            if self._sock is None:
                raise self._closed()

    async def _wait_awhile(self, i: int) -> None:
        await self._wait_once(i)

    async def _guarded(
        self, coroutine: "Coroutine[object, None, None]", idle: "float | None" = None
    ) -> None:
        """Await it; after ``close_timeout``, or ``idle`` seconds of silence, all ends."""
        guard = asyncio.create_task(self._guard(idle))
        try:
            await coroutine
        finally:
            guard.cancel()

    async def _guard(self, idle: "float | None") -> None:
        left = self.close_timeout
        beat = left if idle is None else idle / 5
        silent = 0  # beats since something came
        while True:
            try:
                if left <= 0 or silent > 4:
                    self._shut()
                    return
                self._heard = False
                await asyncio.sleep(min(left, beat))
                silent = 0 if self._heard or self._busy else silent + 1
                left -= beat
            except MemoryError:
                await asyncio.sleep(1)

    def _shut(self) -> None:
        """The end: whoever waits for something of this connection goes on, and finds it closed."""
        if self._keeper and self._keeper is not asyncio.current_task():
            self._keeper.cancel()
        self._keeper = False
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if self._sock is not None:
            self._wake()
            self._unregister()
        self._close_socket()
        self._free()
        if self._ended:
            self._ended.set()
            self._ended = None
