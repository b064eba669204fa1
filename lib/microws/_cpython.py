"""What CPython has for what the library asks of MicroPython; see ``compat``. Not for a board."""

import asyncio
import functools
import select
import socket
import ssl
import time
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import Any, TypeVar

    from ._types import Readable, Writable

    F = TypeVar("F")
    T = TypeVar("T")


_ASK_EVERY = 0.001  # seconds


def const(value: "T") -> "T":
    return value


def ticks_ms() -> int:
    return int(time.monotonic() * 1000)


def ticks_add(ticks: int, ms: int) -> int:
    return ticks + ms


def ticks_diff(end: int, start: int) -> int:
    return end - start


class _Adapter:
    def __init__(self, sock: "socket.socket") -> None:
        self.socket = sock
        self.fileno = sock.fileno
        self.close = sock.close
        # Bytes that TLS has read already do not show in a poll.
        self.pending = getattr(sock, "pending", int)

    def readinto(self, buffer: "Writable", n: int) -> "int | None":
        try:
            return self.socket.recv_into(buffer, n)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLEOFError:
            return 0

    def write(self, buffer: "Readable", offset: int, n: int) -> "int | None":
        try:
            return self.socket.send(memoryview(buffer)[offset : offset + n])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None


def adapt(sock: "socket.socket | _Adapter") -> "_Adapter":
    return sock if hasattr(sock, "readinto") else _Adapter(sock)


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def pinned_context(accepts: "Callable[[bytes | None], bool]") -> ssl.SSLContext:
    class Socket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            if not accepts(self.getpeercert(True)):
                raise ssl.SSLError("another certificate")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = Socket
    return context


def tls_steps(sock: ssl.SSLSocket) -> "Iterator[int]":
    """The TLS handshake, as directions to wait for."""
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            yield select.POLLIN
        except ssl.SSLWantWriteError:
            yield select.POLLOUT


def _asked(sock: "Any", events: int) -> int:
    """What of these there is, where a pool's socket is none of the system's and is asked so."""
    return sock.ioctl(3, events)  # MP_STREAM_POLL


class new_poller:
    """``select.poll()`` of MicroPython, for one socket."""

    def register(self, sock: "Any", events: int) -> None:
        self._sock, self._events = sock, events
        self._poll = None
        if hasattr(sock, "fileno"):
            self._poll = select.poll()
            self._poll.register(sock, events)

    def ipoll(self, ms: int) -> "Iterable[tuple[object, int]]":
        if pending(self._sock):
            return ((self._sock, select.POLLIN),)
        if self._poll:
            return self._poll.poll(ms)
        end = ticks_ms() + ms
        while not (found := _asked(self._sock, self._events)) and (ms < 0 or ticks_ms() < end):
            time.sleep(_ASK_EVERY)
        return ((self._sock, found),) if found else ()


def pending(sock: object) -> bool:
    """Whether bytes wait that a poll does not show."""
    return isinstance(sock, _Adapter) and bool(sock.pending())


def peer_name(address: object) -> str:
    return "%s:%d" % address[:2] if isinstance(address, tuple) else str(address)


def local_port(sock: "Any", port: "int | None") -> "int | None":
    if not hasattr(sock, "getsockname"):
        return port
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else port


def connected(sock: "Any") -> None:
    """Raise the ``OSError`` of a connect that failed in the background."""
    if not hasattr(sock, "getsockopt"):
        return  # its first read or write does
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, "connect failed")


# For asyncio: the face of ``_ioqueue``

generator = types.coroutine


def awaited(function: "F") -> "F":
    """For a function that gives an awaitable: makes a coroutine function of it."""

    @functools.wraps(function)  # type: ignore[arg-type]
    async def call(*args: object, **options: object) -> object:
        return await function(*args, **options)  # type: ignore[operator]

    return call  # type: ignore[return-value]


class _Done:
    def __await__(self) -> "Iterator[None]":
        return iter(())


DONE = _Done()


class asyncio_core:
    """What is asked of MicroPython's ``asyncio.core``."""

    class cur_task:
        state = True  # nobody waits for it


def hurry() -> None:
    """CPython's ``wait_for()`` loses nothing."""


class SocketWaiter:
    """Something with a socket, ``_sock``, that tasks wait for, through the event loop."""

    def __init__(self, sock: _Adapter) -> None:
        self._sock = sock
        self._futures: list = [None, None]

    def _enter(self, i: int) -> object:
        """What a coroutine has to yield for the loop to wait: a future, as its await gives it."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if i == 0 and pending(self._sock):
            loop.call_soon(self._set, future)
        else:
            self._futures[i] = future
            if hasattr(self._sock, "fileno"):
                (loop.add_writer if i else loop.add_reader)(self._sock.fileno(), self._left, i)
            else:
                loop.call_soon(self._ask, i, future)
        return next(future.__await__())

    def _ask(self, i: int, future: "asyncio.Future[None]") -> None:
        if future.done():
            return
        if _asked(self._sock, select.POLLOUT if i else select.POLLIN):
            self._left(i)
        else:
            future.get_loop().call_later(_ASK_EVERY, self._ask, i, future)

    @staticmethod
    def _set(future: "asyncio.Future[None]") -> None:
        if not future.done():
            future.set_result(None)

    def _woken(self, i: int) -> None:
        pass

    def _left(self, i: int) -> None:
        future = self._futures[i]
        if future is not None:
            self._futures[i] = None
            loop = future.get_loop()
            if hasattr(self._sock, "fileno"):
                (loop.remove_writer if i else loop.remove_reader)(self._sock.fileno())
            self._set(future)

    @types.coroutine
    def _wait(self, i: int) -> "Generator[object, None, None]":
        try:
            yield self._enter(i)
        except BaseException:
            self._left(i)
            raise

    _wait_once = _wait

    def _unregister(self) -> None:
        pass

    def _wake(self) -> None:
        self._left(0)
        self._left(1)
