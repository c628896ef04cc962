"""The waits of a process that serves one request at a time: each of them blocks.

Nobody else has work to do meanwhile, so an event loop would only cost: 0.16 million instructions of a warm call, a
fifth of its CPU time, and 12 ms of CPU for importing asyncio at each start. TLS is OpenSSL's on the socket itself,
where asyncio passes every byte through two buffers in memory.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from functions.gateway.waits import Found
from functions.gateway.waits.names import NAMES_AT_ONCE, Busy, LookUp, listed, numeric

BUFFER_BYTES = 65_536
"""Bytes that are received at once. A record of TLS has 16,384 at most, so none of it is left inside OpenSSL."""

FOREVER = math.inf
"""The deadline of what has none."""

RECEIVE, SEND = select.POLLIN, select.POLLOUT

Value = TypeVar("Value")


def finished(work: Coroutine[Any, Any, Value]) -> Value:
    """The value of a coroutine all of whose waits block. Raises RuntimeError for one that waits for an event loop."""
    try:
        work.send(None)
    except StopIteration as ended:
        value: Value = ended.value
        return value
    work.close()
    raise RuntimeError("a wait of this process does not block")


class _Elapsed(BaseException):
    """A deadline has come. Only the context of that deadline catches it, as with asyncio's cancellation."""


class _Until:
    """A context that ends what is done in it at a deadline, or at that of the context around it."""

    def __init__(self, waits: Blocking, deadline: float) -> None:
        self._waits = waits
        self._own = deadline

    async def __aenter__(self) -> Self:
        self._around = self._waits.deadline
        self._waits.deadline = min(self._own, self._around)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._waits.deadline = self._around
        if kind is _Elapsed and self._own <= self._around:
            raise TimeoutError


class _Timer:
    """Something to be done when the next connection is opened, once its time has come."""

    def __init__(self, timers: dict[int, _Timer], due: float, act: Callable[[], None]) -> None:
        self._timers = timers
        self.due = due
        self.act = act
        timers[id(self)] = self

    def cancel(self) -> None:
        self._timers.pop(id(self), None)


class Blocking:
    """The waits of one thread. `clock` is in seconds, `pause` lets as many pass, and `look_up` has the signature of
    `socket.getaddrinfo`."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        look_up: LookUp = socket.getaddrinfo,
    ) -> None:
        self.now = clock
        self.deadline = FOREVER
        self._pause = pause
        self._look_up = look_up
        self._free = threading.Semaphore(NAMES_AT_ONCE)
        self._timers: dict[int, _Timer] = {}

    @property
    def home(self) -> Blocking:
        return self

    def until(self, deadline: float) -> _Until:
        return _Until(self, deadline)

    async def sleep(self, seconds: float) -> None:
        left = self.left()
        self._pause(seconds if left is None else min(seconds, left))
        self.left()

    async def turn(self) -> None:
        """Nobody else has a turn."""

    async def in_turn(self, size: int, work: Callable[..., Found], *about: Any) -> Found:  # noqa: ARG002 - any size
        return work(*about)

    def later(self, seconds: float, act: Callable[..., None], *about: Any) -> _Timer:
        """Act before the first connection that is opened after a time."""
        return _Timer(self._timers, self.now() + seconds, lambda: act(*about))

    async def addresses(self, host: str, port: int) -> list[str]:
        """On a thread, because the system's look-up knows no deadline."""
        if itself := numeric(host, port):
            return itself
        if not self._free.acquire(blocking=False):
            raise Busy
        found: list[list[str] | Exception] = []
        known = threading.Event()
        threading.Thread(target=self._ask, args=(found, known, host, port), name="postern-dns", daemon=True).start()
        while not known.wait(self.left()):
            continue  # `left` ends it at the deadline
        [result] = found
        if isinstance(result, Exception):
            raise result
        return result

    async def open(self, address: str, port: int, tls: ssl.SSLContext | None, host: str) -> BlockingWire:
        now = self.now()
        for timer in [timer for timer in self._timers.values() if timer.due <= now]:
            timer.cancel()
            timer.act()
        [(family, kind, protocol, _, place), *_] = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
        wire = BlockingWire(self, socket.socket(family, kind, protocol))
        try:
            wire.connect(place)
            if tls is not None:
                wire.secure(tls, host)
        except BaseException:
            wire.close()
            raise
        return wire

    def left(self) -> float | None:
        """Seconds until the deadline; None where there is none. What waits without an end calls it before each wait."""
        if self.deadline == FOREVER:
            return None
        left = self.deadline - self.now()
        if left <= 0:
            raise _Elapsed
        return left

    def poll(self, poll: select.poll) -> None:
        """Wait for an event that `poll` is registered for, or for the deadline."""
        left = self.left()
        if not poll.poll(None if left is None else math.ceil(left * 1000)):
            self.left()

    def _ask(self, found: list[list[str] | Exception], known: threading.Event, host: str, port: int) -> None:
        try:
            found.append(listed(self._look_up(host, port, type=socket.SOCK_STREAM)))
        except Exception as error:  # raised again to the one who waits
            found.append(error)
        finally:
            self._free.release()
            known.set()


class BlockingWire:
    """The bytes of one connection on a socket that never blocks: its waits do, until the deadline."""

    def __init__(self, waits: Blocking, plain: socket.socket) -> None:
        plain.setblocking(False)
        self._waits = waits
        self._socket = plain
        self._tls: ssl.SSLSocket | None = None
        self._poll = select.poll()
        self._poll.register(plain, RECEIVE)
        self._awaited = RECEIVE
        self._unsent = bytearray()
        self._sending = SEND
        self._accepted = False
        self._ended = False
        self.error = ""

    def connect(self, place: Any) -> None:
        """Connect to an address. Raises OSError."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failed = self._socket.connect_ex(place)
        if failed in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._wait(SEND)
            failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))

    def secure(self, tls: ssl.SSLContext, host: str) -> None:
        """Begin TLS with the server of this name. Raises OSError."""
        self._socket = self._tls = secured = tls.wrap_socket(
            self._socket, server_hostname=host, do_handshake_on_connect=False
        )
        while True:
            try:
                return secured.do_handshake()
            except ssl.SSLWantReadError:
                self._wait(RECEIVE)
            except ssl.SSLWantWriteError:
                self._wait(SEND)

    @property
    def is_closed(self) -> bool:
        return self._ended

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def send(self, data: bytes) -> None:
        self._unsent += data
        self._push()
        if self.error and not self._accepted:
            self._ended = True

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end."""
        self._waits.left()
        while not self._ended:
            self._wait(RECEIVE | self._sending if self._unsent and not self.error else RECEIVE)
            self._push()
            try:
                data = self._socket.recv(BUFFER_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError as error:
                self._ended, self.error = True, type(error).__name__
                break
            self._ended = not data
            return data
        return b""

    async def turn(self) -> None:
        self._waits.left()

    def is_quiet(self) -> bool:
        """A record of TLS that carries no bytes of HTTP, e.g. a session ticket, is read here."""
        if self._ended or self.error:
            return False
        self._await(RECEIVE)
        if not self._poll.poll(0):
            return True
        if self._tls is None:
            return False
        try:
            self._tls.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        self._ended = True
        self._socket.close()

    def _push(self) -> None:
        """Send what is accepted. After an error the answer may still be there to be read."""
        while self._unsent and not self.error:
            try:
                sent = self._socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._sending = SEND
                return
            except ssl.SSLWantReadError:  # TLS 1.2 may negotiate anew
                self._sending = RECEIVE
                return
            except OSError as error:
                self.error = type(error).__name__
                return
            self._accepted = True
            del self._unsent[:sent]

    def _await(self, events: int) -> None:
        if events != self._awaited:
            self._poll.modify(self._socket, events)
            self._awaited = events

    def _wait(self, events: int) -> None:
        self._await(events)
        self._waits.poll(self._poll)
