"""The connections to upstreams: opened, kept, and given to one exchange at a time.

A client library would bring redirects, cookies, proxies and netrc, each to be switched off, one pool for everybody, and
no word on whether a byte was accepted. None of them exists here. http_connection.py speaks HTTP; places.py bounds use.
With httpx a warm call took 1.9 million instructions more, and the first call of a process also imported httpx, httpcore
and an anyio backend (0.09 s of CPU).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from functions.gateway import upstream_tls
from functions.gateway.addresses import resolve
from functions.gateway.http_connection import Answer, Broken, Connection, Progress
from functions.gateway.http_framing import Outgoing
from functions.gateway.places import PLACES, QUEUE, Places
from functions.gateway.value_classes import dataclass

if TYPE_CHECKING:
    from functions.gateway.waits import Timer, Waits

IDLE_SECONDS = 4.0
"""How long an idle connection is kept. Common servers close theirs after 5 s (uvicorn, Node.js, Apache), and a request
that crosses that closing is lost, so we close first."""

ADDRESS_SECONDS = 5.0
"""How long one address of a name may take to connect while there are others to try."""

ORIGINS_KEPT = 256
"""Origins that are kept once they were read: more than one process has upstreams."""


class NotConnected(Exception):
    """No connection was made, so nothing was sent. The message is a short reason without any value of the request."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect to."""

    scheme: str
    host: str
    port: int

    @staticmethod
    @lru_cache(maxsize=ORIGINS_KEPT)
    def of(url: str) -> Origin:
        """The origin of a URL such as https://api.example.com:8443."""
        parts = urlsplit(url)
        return Origin(parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


@dataclass(frozen=True, slots=True)
class _Idle:
    """A kept connection, and since when on the clock of its waits and on the wall clock."""

    connection: Connection
    since: tuple[float, float]


class Pool:
    """The connections of one event loop, or of the one thread of a function.

    `private`       connect to private addresses, too.
    `places`, `queue`  exchanges at once per origin and account, and callers that may wait for one of them.
    `idle_seconds`  how long an idle connection is kept, on the clock of `waits` and on `wall`, the clock that goes on
                    while a Lambda function is frozen: a function that thaws starts without connections.
    """

    def __init__(
        self,
        waits: Waits,
        *,
        private: bool,
        places: int = PLACES,
        queue: int = QUEUE,
        idle_seconds: float = IDLE_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._waits = waits
        self._private = private
        self._places = places
        self._queue = queue
        self._idle_seconds = idle_seconds
        self._wall = wall
        self._idle: dict[Origin, list[_Idle]] = {}
        self._taken: dict[tuple[Origin, str], Places] = {}
        self._sweep: Timer | None = None

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
            places = self._taken[key] = Places(self._places, self._queue)
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
                return await self._exchange(origin, kept, request, progress, limit)
            except Broken as broken:
                if broken.answered or (broken.accepted and not repeatable):
                    raise
            progress.resent += 1
        progress.step = "connecting"
        return await self._exchange(origin, await self._connect(origin), request, progress, limit)

    @property
    def kept(self) -> int:
        """How many idle connections are open."""
        return sum(map(len, self._idle.values()))

    def close(self) -> None:
        """Close the kept connections."""
        for kept in self._idle.values():
            for idle in kept:
                idle.connection.close()
        self._idle.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    async def _exchange(
        self, origin: Origin, connection: Connection, request: Outgoing, progress: Progress, limit: int
    ) -> Answer:
        try:
            answer = await connection.exchange(request, progress, limit)
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable():
            self._keep(origin, connection)
        else:
            connection.close()
        return answer

    def _keep(self, origin: Origin, connection: Connection) -> None:
        self._idle.setdefault(origin, []).append(_Idle(connection, (self._waits.now(), self._wall())))
        if self._sweep is None:
            self._sweep = self._waits.later(self._idle_seconds, self._close_old)

    def _close_old(self) -> None:
        """Close what was idle for long enough, and come again for the next one. One timer for all connections: one for
        each would be set and taken back by every exchange."""
        self._sweep = None
        end = self._waits.now() - self._idle_seconds
        for origin, kept in list(self._idle.items()):
            young = [idle for idle in kept if idle.since[0] > end]
            for idle in kept:
                if idle.since[0] <= end:
                    idle.connection.close()
            if young:
                self._idle[origin] = young
            else:
                del self._idle[origin]
        if self._idle:
            oldest = min(idle.since[0] for kept in self._idle.values() for idle in kept)
            self._sweep = self._waits.later(oldest - end, self._close_old)

    def _take(self, origin: Origin) -> Connection | None:
        """The connection to the origin that was used last, if there is one that is young and alive."""
        now, wall = self._waits.now(), self._wall()
        kept = self._idle.get(origin, [])
        while kept:
            idle = kept.pop()
            age = max(now - idle.since[0], wall - idle.since[1])
            if age < self._idle_seconds and idle.connection.is_quiet():
                return idle.connection
            idle.connection.close()
        self._idle.pop(origin, None)
        return None

    async def _connect(self, origin: Origin) -> Connection:
        """A fresh connection. Raises NotConnected."""
        try:
            addresses = await resolve(origin.host, origin.port, private=self._private, names=self._waits)
        except OSError as error:
            raise NotConnected(str(error)) from None
        *others, last = addresses
        for address in others:  # e.g. a name with both kinds of address, on a machine without IPv6
            try:
                async with self._waits.until(self._waits.now() + ADDRESS_SECONDS):
                    return await self._open(origin, address)
            except (NotConnected, TimeoutError):
                continue
        return await self._open(origin, last)

    async def _open(self, origin: Origin, address: str) -> Connection:
        tls = upstream_tls.context() if origin.scheme == "https" else None
        try:
            wire = await self._waits.open(address, origin.port, tls, origin.host)
        except ssl.SSLCertVerificationError as error:
            raise NotConnected(f"its certificate is not valid: {error.verify_message}") from error
        except OSError as error:
            raise NotConnected("refused or unreachable") from error
        return Connection(wire)
