"""Sends spans to a collector: bounded in time and size, repeated where OTLP says that it may be, and never more.

==========================  ===========================================================================================
the collector               what becomes of the spans
==========================  ===========================================================================================
takes them                  exported
takes a part (200)          the part that it rejects is lost: it must not be sent again
429, 502, 503, 504          sent again after its Retry-After, or after a growing wait; in the end they are left over.
                            From the second time on, the wait is at least the growing one
no connection, no answer    the same
any other status            lost: the same request would fail again
==========================  ===========================================================================================

A lost span is counted and its reason logged, without the address, the headers and the spans.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from functions.gateway import rate_limits
from functions.gateway.errors import ToolFailure
from functions.gateway.json_text import Json, NotJson, decode_lenient
from functions.gateway.requests import UpstreamRequest
from functions.gateway.trace_settings import TraceSettings
from functions.gateway.upstream import Sender, UpstreamResponse
from functions.trace_exporter import otlp

AGAIN = (429, 502, 503, 504)
"""Statuses after which OTLP lets a request be sent again, and no others."""

CREDENTIALS_REFUSED = (401, 403)
"""Statuses of a collector that does not know the headers; they may have been renewed since they were read."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
"""Seconds before a request is sent again: the first time, and at most. Each wait doubles the one before it."""

JITTER = 0.5
"""Part of a wait that is left to chance, so that processes that failed together do not return together."""

LONGEST_SECONDS = 100.0
"""Seconds for all batches of one export together. The function that exports has 120."""

Headers = Callable[[bool], Awaitable[Mapping[str, str]]]
"""The headers of each request; with True, read anew. Raises OSError while they cannot be read."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Exported:
    """What became of spans: taken by the collector, lost for good, or left over because it could not be reached."""

    taken: int = 0
    lost: int = 0
    left: int = 0
    unreadable: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Exporter:
    """Sends to the endpoint of the settings. One event loop uses it.

    `headers`  more of them than those of the settings, None for no more. `clock`: the present in UTC.
    `chance()` a number from 0 to 1. `pause(seconds)`: waits on the clock of the event loop.
    """

    settings: TraceSettings
    sender: Sender
    headers: Headers | None = None
    chance: Callable[[], float] = random.random
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def export(self, lines: Iterable[str]) -> Exported:
        """Send the spans of these lines. Never raises."""
        done = Exported()
        readable = []
        for line in lines:
            try:
                readable.append(otlp.read(line))
            except otlp.NotASpan:
                done.unreadable += 1
        end = asyncio.get_running_loop().time() + LONGEST_SECONDS
        for batch in otlp.batches(readable):
            if done.left:
                done.left += len(batch)  # a collector that is gone is not asked again for each batch
            else:
                await self._export(batch, end, done)
        if done.reason:
            logger.error("%s spans are lost, %s are left over: %s", done.lost, done.left, done.reason)
        return done

    async def _export(self, spans: Sequence[dict[str, Json]], end: float, done: Exported) -> None:
        body = otlp.request(spans, self.settings.resource)
        deadline = min(end, asyncio.get_running_loop().time() + self.settings.timeout_seconds)
        try:
            answer = await self._answer(body, deadline)
        except (ToolFailure, OSError) as failure:
            done.left += len(spans)
            done.reason = str(failure) if isinstance(failure, OSError) else type(failure).__name__
            return
        if answer.status in AGAIN:
            done.left += len(spans)
            done.reason = f"the collector returned {answer.status}"
        elif HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            rejected, words = otlp.rejected(answer.body)
            rejected = min(max(0, rejected), len(spans))
            done.taken += len(spans) - rejected
            done.lost += rejected
            if rejected:
                done.reason = f"the collector rejected them: {words}"
            elif words:
                logger.warning("the collector took the spans and says: %s", words)
        else:
            done.lost += len(spans)
            done.reason = f"the collector returned {answer.status}: {_words(answer)}".rstrip(": ")

    async def _answer(self, body: bytes, deadline: float) -> UpstreamResponse:
        """The answer of the collector to the last try. Raises ToolFailure where it gave none, and OSError."""
        clock = asyncio.get_running_loop().time
        wait, renewed, first = FIRST_WAIT, False, True
        while True:
            answer: UpstreamResponse | None = None
            failure: ToolFailure | None = None
            try:
                answer = await self.sender.send(await self._request(body, renewed=renewed), deadline)
            except ToolFailure as error:
                failure = error
            if answer is not None and answer.status in CREDENTIALS_REFUSED and self.headers is not None and not renewed:
                renewed = True
                continue
            if answer is not None and answer.status not in AGAIN:
                return answer
            grown = wait * (1 - JITTER * self.chance())
            asked = self._asked(answer)
            # A collector that says each time to come back at once is not asked without a pause.
            seconds = grown if asked is None else asked if first else max(asked, grown)
            if asked is None or not first:
                wait = min(2 * wait, LONGEST_WAIT)
            first = False
            if clock() + seconds < deadline:
                await self.pause(seconds)
                continue
            if answer is None:
                assert failure is not None
                raise failure
            return answer

    async def _request(self, body: bytes, *, renewed: bool) -> UpstreamRequest:
        own = {**self.settings.headers, **(await self.headers(renewed) if self.headers is not None else {})}
        kind = {"content-type": "application/json"}
        if self.settings.gzip:
            body, kind["content-encoding"] = gzip.compress(body, mtime=0), "gzip"
        url = urlsplit(self.settings.endpoint)
        return UpstreamRequest(
            "POST",
            f"{url.scheme}://{url.netloc}",
            url.path or "/",
            headers=tuple({**own, **kind}.items()),
            body=body,
            account_id="traces",
        )

    def _asked(self, answer: UpstreamResponse | None) -> float | None:
        """The seconds that the collector asks to wait, None where it asks for none."""
        if answer is None:
            return None
        limit = rate_limits.read(answer.headers, {}, answer.status, self.clock())
        return limit.retry_after_seconds if limit is not None else None


def _words(answer: UpstreamResponse) -> str:
    """What a collector says of a failure; "" for a body that is not its own kind of message."""
    try:
        return otlp.said(decode_lenient(answer.body)["message"])
    except (KeyError, TypeError, NotJson):
        return ""
