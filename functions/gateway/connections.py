"""Connections to upstreams: opened, kept, bounded, and one HTTP/1.1 exchange at a time on each.

h11 frames the messages without input or output; asyncio moves the bytes. A client library would bring redirects,
cookies, proxies and netrc, each to be switched off, one pool for everybody, and no word on whether a byte was accepted.
Here they do not exist. A whole warm call takes 4.7 million instructions; with httpx it took 6.6 million, and the first
call of a process also imported httpx, httpcore and an anyio backend (0.09 s of CPU).

A place is what one exchange occupies. Places are bounded per origin and account, so that an upstream that stalls stops
only the account that calls it.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from functions.gateway.addresses import resolve
from functions.gateway.content_coding import Body, OverLimit

if TYPE_CHECKING:
    pass

IDLE_SECONDS = 4.0
"""How long an idle connection is kept. Common servers close theirs after 5 s (uvicorn, Node.js, Apache), and a request
that crosses that closing is lost, so we close first."""

PLACES = 32
"""Exchanges at once per origin and account; beyond, callers wait for a place. Browsers use 6, SDKs 10 to 100."""

QUEUE = 128
"""Callers that may wait for a place of one origin and account; one more is refused at once."""

ADDRESS_SECONDS = 5.0
"""How long one address of a name may take to connect while there are others to try."""

MAX_HEAD_BYTES = 102_400
"""Bytes of one answer's status line and headers; servers refuse far less in a request, e.g. 8 kB."""

MAX_INTERIM = 20
"""Interim answers (1xx) before the final one; more are not HTTP as anybody uses it."""

MAX_PIECES = 100_000
"""Pieces in which a body may come. 5 MB in chunks of 50 bytes fit; in chunks of one byte each kilobyte takes 6 ms of
CPU."""

PIECES_PER_TURN = 1_000
"""Pieces after which the event loop turns once: about 6 ms, so that a flood of small chunks delays nobody."""

READ_AHEAD = 262_144
"""Bytes that are received before anybody reads them; beyond, the sender of them has to wait."""


class Full(Exception):
    """All places are taken and as many callers as may wait for one are waiting, so nothing was sent."""


class NotConnected(Exception):
    """No connection was made, so nothing was sent. The message is a short reason without any value of the request."""


class Unsendable(Exception):
    """The request has no valid form in HTTP, so nothing was sent."""


class Broken(Exception):
    """The connection ended, or stopped being HTTP, before the answer was complete.

    `answered`  a part of an answer had come. `accepted`: the upstream may have taken a byte of the request.
    """

    def __init__(self, detail: str, *, answered: bool, accepted: bool = True) -> None:
        super().__init__(detail)
        self.answered = answered
        self.accepted = accepted


WAITING = "waiting for a free connection"


@dataclass(slots=True)
class Progress:
    """How far an exchange has come, for the error of one that runs out of time.

    `step`    what is under way, for the log. `sending`: bytes of the request may have left us.
    `status`  that of the answer, once it has come.
    """

    step: str = WAITING
    sending: bool = False
    status: int | None = None

    @property
    def waiting(self) -> bool:
        """True while the exchange has no place yet."""
        return self.step == WAITING


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect to."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of a URL such as https://api.example.com:8443."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request as it goes over the wire; `target` is path and query, percent-encoded."""

    verb: str
    target: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: names of headers in lower case, the body decoded."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Pool:
    """The connections of one event loop.

    `private`       connect to private addresses, too.
    `places`, `queue`  exchanges at once per origin and account, and callers that may wait for one of them.
    `idle_seconds`  how long an idle connection is kept, on the event loop's clock and on `wall`, the clock that goes on
                    while a Lambda function is frozen: a function that thaws starts without connections.
    """

    def __init__(
        self,
        *,
        private: bool,
        places: int = PLACES,
        queue: int = QUEUE,
        idle_seconds: float = IDLE_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._private = private
        self._places = places
        self._queue = queue
        self._idle_seconds = idle_seconds
        self._wall = wall
        self._idle: dict[Origin, list[_Connection]] = {}
        self._taken: dict[tuple[Origin, str], _Places] = {}

    async def exchange(
        self, origin: Origin, account: str, request: Outgoing, progress: Progress, *, repeatable: bool, limit: int
    ) -> Answer:
        """Wait for one of the account's places, send the request and read its answer, of at most `limit` decoded bytes.

        A kept connection may turn out to be dead. When it ends before any byte of an answer, the request is sent once
        more on a fresh connection if it is `repeatable`, or if no byte of it was accepted.
        Raises Full, NotConnected, Unsendable, Broken, BadCoding or OverLimit.
        """
        key = (origin, account)
        places = self._taken.get(key)
        if places is None:
            places = self._taken[key] = _Places(self._places, self._queue)
        try:
            async with places:
                return await self._answer(origin, request, progress, repeatable=repeatable, limit=limit)
        finally:
            if places.unused:
                self._taken.pop(key, None)

    async def _answer(
        self, origin: Origin, request: Outgoing, progress: Progress, *, repeatable: bool, limit: int
    ) -> Answer:
        progress.step = "connecting"
        if (kept := self._take(origin)) is not None:
            try:
                return await self._exchange(kept, request, progress, limit)
            except Broken as broken:
                if broken.answered or (broken.accepted and not repeatable):
                    raise
        progress.step = "connecting"
        return await self._exchange(await self._connect(origin), request, progress, limit)

    @property
    def kept(self) -> int:
        """How many idle connections are open."""
        return sum(map(len, self._idle.values()))

    def close(self) -> None:
        """Close the kept connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _exchange(self, connection: _Connection, request: Outgoing, progress: Progress, limit: int) -> Answer:
        try:
            answer = await connection.exchange(request, progress, limit)
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable():
            self._keep(connection)
        else:
            connection.close()
        return answer

    def _keep(self, connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.kept_at = (loop.time(), self._wall())
        self._idle.setdefault(connection.origin, []).append(connection)
        connection.expiry = loop.call_later(self._idle_seconds, self._expire, connection)

    def _expire(self, connection: _Connection) -> None:
        connections = self._idle.get(connection.origin, [])
        if connection in connections:
            connections.remove(connection)
            connection.close()
        if not connections:
            self._idle.pop(connection.origin, None)

    def _take(self, origin: Origin) -> _Connection | None:
        """The connection to the origin that was used last, if there is one that is young and alive."""
        now, wall = asyncio.get_running_loop().time(), self._wall()
        connections = self._idle.get(origin, [])
        while connections:
            connection = connections.pop()
            connection.expiry.cancel()
            idle = max(now - connection.kept_at[0], wall - connection.kept_at[1])
            if idle < self._idle_seconds and connection.is_quiet():
                return connection
            connection.close()
        self._idle.pop(origin, None)
        return None

    async def _connect(self, origin: Origin) -> _Connection:
        """A fresh connection. Raises NotConnected."""
        try:
            addresses = await resolve(origin.host, origin.port, private=self._private)
        except OSError as error:
            raise NotConnected(str(error)) from None
        *others, last = addresses
        for address in others:  # e.g. a name with both kinds of address, on a machine without IPv6
            try:
                async with asyncio.timeout(ADDRESS_SECONDS):
                    return await self._open(origin, address)
            except (NotConnected, TimeoutError):
                continue
        return await self._open(origin, last)

    async def _open(self, origin: Origin, address: str) -> _Connection:
        loop = asyncio.get_running_loop()
        secure = origin.scheme == "https"
        try:
            _, wire = await loop.create_connection(
                _Wire,
                address,
                origin.port,
                ssl=tls_context() if secure else None,
                server_hostname=origin.host if secure else None,
            )
        except ssl.SSLCertVerificationError as error:
            raise NotConnected(f"its certificate is not valid: {error.verify_message}") from error
        except OSError as error:
            raise NotConnected("refused or unreachable") from error
        return _Connection(origin, wire)


class _Places:
    """A semaphore with a bounded queue, which knows when nobody uses it and serves callers in the order they came."""

    def __init__(self, count: int, queue: int) -> None:
        self._free = count
        self._count = count
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def unused(self) -> bool:
        return self._free == self._count and not self._waiting

    async def __aenter__(self) -> None:
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise Full
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._give_back()  # the turn came in the moment the wait ended
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    async def __aexit__(self, *exception: object) -> None:
        self._give_back()

    def _give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Wire(asyncio.Protocol):
    """The bytes of one connection, received up to READ_AHEAD ahead of their reader."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = bytearray()
        self._arrival: asyncio.Future[None] | None = None
        self.ended = False
        self.error = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > READ_AHEAD:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self.error = type(error).__name__ if error else ""
        self._wake()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end."""
        if self._received:
            await asyncio.sleep(0)  # a flood must keep neither the event loop from others nor the deadline from us
        elif not self.ended:
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        data = bytes(self._received)
        self._received.clear()
        if not self.transport.is_closing():
            self.transport.resume_reading()
        return data

    def is_quiet(self) -> bool:
        """True when the connection is open and the upstream has sent nothing since: neither an end nor stray bytes,
        not even ones that the event loop has not seen yet because it was not running."""
        if self.ended or self._received or self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class _Connection:
    """One connection and the state of HTTP on it."""

    def __init__(self, origin: Origin, wire: _Wire) -> None:
        import h11

        self.origin = origin
        self.kept_at = (0.0, 0.0)
        self.expiry: asyncio.TimerHandle
        self._wire = wire
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._answered = False

    async def exchange(self, request: Outgoing, progress: Progress, limit: int) -> Answer:
        """One request and its answer. Raises Unsendable, Broken, BadCoding or OverLimit."""
        import h11

        self._answered = False
        wire_bytes = 2 * limit + MAX_HEAD_BYTES  # chunks of one byte each would be five times the body
        self._send(request, progress)
        progress.step = "waiting for the answer"
        status, headers, body = 0, {}, None
        interim = pieces = 0
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise Broken(f"not HTTP: {type(error).__name__}", answered=self._answered) from None
            match event:
                case h11.NEED_DATA:
                    data = await self._wire.receive()
                    self._answered = self._answered or bool(data)
                    wire_bytes -= len(data)
                    if wire_bytes < 0:
                        raise OverLimit
                    if not data and not self._answered:
                        raise Broken(self._wire.error or "closed", answered=False)
                    self._http.receive_data(data)
                case h11.InformationalResponse():
                    interim += 1
                    if interim > MAX_INTERIM:
                        raise Broken("too many interim answers", answered=True)
                case h11.Response():
                    progress.step, progress.status = "reading the answer", event.status_code
                    status, headers = event.status_code, _joined(event.headers)
                    body = Body(headers.get("content-encoding", ""), limit)
                case h11.Data():
                    assert body is not None
                    body.feed(bytes(event.data))
                    pieces += 1
                    if pieces > MAX_PIECES:
                        raise OverLimit
                    if pieces % PIECES_PER_TURN == 0:
                        await asyncio.sleep(0)
                case h11.EndOfMessage():
                    assert body is not None
                    return Answer(status, headers, body.end())
                case _:
                    raise Broken("closed", answered=self._answered)

    def is_reusable(self) -> bool:
        """True when another exchange can follow; prepares for it."""
        import h11

        if self._wire.transport.get_write_buffer_size() or self._http.trailing_data[0]:
            return False
        try:
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            return False
        return self._wire.is_quiet()

    def is_quiet(self) -> bool:
        """True when the connection is open and the upstream has sent nothing since the last exchange."""
        return self._wire.is_quiet()

    def close(self) -> None:
        """Close at once."""
        self._wire.transport.abort()

    def _send(self, request: Outgoing, progress: Progress) -> None:
        import h11

        progress.step = "sending the request"
        try:
            lines = [(name.encode("ascii"), value.encode()) for name, value in request.headers]
            head = self._http.send(h11.Request(method=request.verb, target=request.target, headers=lines))
            body = self._http.send(h11.Data(data=request.body)) if request.body else b""
            end = self._http.send(h11.EndOfMessage())
        except (h11.LocalProtocolError, UnicodeError):
            # Their texts quote what could not be sent, a credential maybe: not to be shown by a traceback either.
            raise Unsendable from None
        self._wire.send((head or b"") + (body or b"") + (end or b""))
        if self._wire.transport.is_closing():  # the kernel refused the first byte
            raise Broken("closed while idle", answered=False, accepted=False)
        progress.sending = True


def _joined(lines: Any) -> dict[str, str]:
    """Headers by their names; the values of repeated ones are one list."""
    headers: dict[str, str] = {}
    for name, value in lines:
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


@cache
def tls_context() -> ssl.SSLContext:
    """One context per process, with the roots that certifi ships: making it takes longer than a request."""
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
