"""What an exchange with an upstream comes to: its answer, or an error that says whether it may have acted.

What the upstream says is what the caller hears: redirects are not followed, and nothing is retried that the upstream
may have seen. Only when a kept connection turns out to be dead is a request sent once more: a read, or a write of which
no byte was accepted (connections.py). Nothing of the caller's own headers is passed on, and no header or URL is logged.
"""

from __future__ import annotations

from collections.abc import Coroutine, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from functions.gateway.content_coding import ACCEPTED, BadCoding, OverLimit
from functions.gateway.errors import (
    TooLargeAnswer,
    UpstreamBusy,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamUnreadable,
    effect,
)
from functions.gateway.requests import UpstreamRequest
from functions.gateway.settings import Settings
from functions.gateway.value_classes import dataclass, field

if TYPE_CHECKING:
    from functions.gateway.connections import Pool
    from functions.gateway.http_connection import Progress
    from functions.gateway.waits import Waits

BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Verbs that send no Content-Length when they have no body."""

OWN_HEADERS = (
    ("Accept", "application/json"),
    ("Accept-Encoding", ACCEPTED),
    ("Connection", "keep-alive"),
    ("User-Agent", "postern"),
)


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """`headers` have lower-case names; `body` is decoded from any content encoding."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Sender:
    """Sends requests over kept connections. Make one per process.

    `waits`  how the process waits; without it, on whichever event loop runs.
    """

    def __init__(self, settings: Settings, waits: Waits | None = None) -> None:
        if waits is None:
            from functions.gateway.waits.event_loop import EventLoop  # a function has none

            waits = EventLoop()
        self.waits = waits
        self._settings = settings
        self._pool: Pool | None = None
        self._home: Hashable = None

    def send(self, request: UpstreamRequest, deadline: float) -> Coroutine[Any, Any, UpstreamResponse]:
        """The upstream's answer, whatever its status. `deadline` is in seconds on the clock of `waits`.

        Raises UpstreamBusy, UpstreamTimeout, UpstreamUnreachable, UpstreamUnreadable or TooLargeAnswer.
        """
        from functions.gateway.http_connection import Progress

        return self.watched(request, deadline, Progress())

    async def watched(self, request: UpstreamRequest, deadline: float, progress: Progress) -> UpstreamResponse:
        """What `send` does, for a caller that wants to know from `progress` how it went."""
        from functions.gateway import connections, http_connection, http_framing, places

        clock = self.waits.now
        started = clock()
        host = request.origin.split("://")[1]
        if started >= deadline:
            raise UpstreamTimeout(f"no time was left to ask {host}; nothing was done, try again", sent=False)
        origin, pool, limit = (
            connections.Origin.of(request.origin),
            self._pool_at_home(),
            self._settings.max_upstream_bytes,
        )
        lost = effect(changes_nothing=request.changes_nothing)
        outgoing = http_framing.Outgoing(request.verb, request.target, _headers(request, host), request.body or b"")
        try:
            async with self.waits.until(deadline):
                answer = await pool.exchange(
                    origin,
                    request.account_id,
                    outgoing,
                    progress,
                    repeatable=request.changes_nothing,
                    limit=limit,
                )
        except places.Full as error:
            raise UpstreamBusy(
                f"too many calls of this account wait for {host}; nothing was sent, try again later", sent=False
            ) from error
        except TimeoutError as error:
            waited = max(1, round(deadline - started))
            if progress.waiting:
                raise UpstreamBusy(
                    f"the earlier calls of this account occupied every connection to {host} for {waited} s; "
                    "nothing was sent, try again later",
                    sent=False,
                ) from error
            detail = f"timeout while {progress.step}"
            if not progress.sending:
                raise UpstreamTimeout(
                    f"no connection to {host} within {waited} s; nothing was sent, try again later",
                    sent=False,
                    detail=detail,
                ) from error
            raise UpstreamTimeout(f"{host} did not answer within {waited} s; {lost}", detail=detail) from error
        except connections.NotConnected as error:
            raise UpstreamUnreachable(
                f"no connection to {host} ({error}); nothing was done",
                sent=False,
                detail=type(error.__cause__ or error).__name__,
            ) from error
        except http_framing.Unsendable:
            raise UpstreamUnreachable(
                f"the request to {host} has no valid form in HTTP; nothing was sent", sent=False, detail="Unsendable"
            ) from None
        except http_connection.Broken as error:
            raise UpstreamUnreachable(
                f"the connection to {host} broke before the answer was complete; {lost}",
                upstream_status=progress.status,
                detail=f"{progress.step}: {error}",
            ) from error
        except BadCoding as error:
            raise UpstreamUnreadable(
                f"{host} answered {error}; {lost}", upstream_status=progress.status, detail="BadCoding"
            ) from error
        except OverLimit as error:
            raise TooLargeAnswer(
                f"the upstream's answer is over {limit} bytes; ask for less: a smaller limit, a narrower filter",
                upstream_status=progress.status,
            ) from error
        return UpstreamResponse(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        """Close kept connections."""
        pool, self._pool = self._pool, None
        if pool is not None and self._home is self.waits.home:
            pool.close()
            await self.waits.turn()  # an event loop closes a socket in its next round

    def _pool_at_home(self) -> Pool:
        home = self.waits.home
        if self._pool is None or self._home is not home:
            from functions.gateway.connections import Pool

            self._pool, self._home = Pool(self.waits, private=self._settings.private_upstreams), home
        return self._pool


def _headers(request: UpstreamRequest, host: str) -> list[tuple[str, str]]:
    """The request's own headers after ours, which it may replace."""
    given = {name.lower() for name, _ in request.headers}
    headers = [("Host", host), *(line for line in OWN_HEADERS if line[0].lower() not in given), *request.headers]
    if request.body or request.verb not in BODILESS:
        headers.append(("Content-Length", str(len(request.body or b""))))
    return headers
