"""What a call is given, and what comes of it. MCP and the REST proxy use the same values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from functions.gateway import answers, errors
from functions.gateway.errors import EventFailed, LostResult, ToolFailure, UpstreamRefused
from functions.gateway.json_text import Json
from functions.gateway.rate_limits import RateLimit
from functions.gateway.value_classes import dataclass, field
from tool_catalog.catalog import Tool

if TYPE_CHECKING:
    from functions.gateway.tracing import Span


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a client asks for.

    `now`       the present in UTC.
    `deadline`  when the call must have ended, in seconds on the clock of its waits (waits/).
    `span`      takes the requests to the upstream; None where nothing is traced.
    """

    name: str
    arguments: Mapping[str, Json] = field(repr=False)
    now: datetime
    deadline: float
    span: Span | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Trace:
    """What one call did upstream.

    `requests`, `seconds`   how many requests were made, and how long they took together.
    `status`, `rate_limit`  those of the last answer, None where there was none.
    `sent`                  the call's own request may have reached the upstream; the reads before it do not count.
    """

    requests: int = 0
    seconds: float = 0.0
    status: int | None = None
    rate_limit: RateLimit | None = None
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The call succeeded.

    `body`      its result.
    `settled`   what was put right in its arguments, one sentence each.
    `event_id`  the id of an event that the call queued and that has not ended.
    """

    tool: Tool
    body: dict[str, Json] = field(repr=False)
    trace: Trace
    settled: tuple[str, ...] = ()
    event_id: str | None = None
    may_have_acted = True

    @property
    def status(self) -> int:
        """The HTTP status of the outcome: the upstream's own where it may have a body, otherwise 200."""
        return self.trace.status if self.trace.status in (200, 201, 202) else 200


@dataclass(frozen=True, slots=True)
class Failed:
    """The call did not succeed."""

    tool: Tool
    failure: ToolFailure
    trace: Trace

    @property
    def status(self) -> int:
        """The HTTP status of the outcome: the upstream's own where the upstream refused."""
        return self.failure.status_code

    @property
    def message(self) -> str:
        """What was wrong, and what became of a write, each line under the tool's name: a client may have several calls
        under way."""
        return "\n".join(f"{self.tool.name}: {line}" for line in (*self.failure.lines, *self._became()))

    def _became(self) -> tuple[str, ...]:
        """A line about a write that was carried out and whose answer cannot be passed on. No line where the failure
        itself speaks of that."""
        status = self.trace.status
        if self.tool.access == "read" or not self.trace.sent or status is None or status >= HTTPStatus.MULTIPLE_CHOICES:
            return ()
        spoken_of = (
            isinstance(self.failure, LostResult | EventFailed)
            or errors.effect(changes_nothing=False) in self.failure.message
        )
        return () if spoken_of else (carried_out(status),)

    @property
    def may_have_acted(self) -> bool:
        """False only when it is certain that the upstream changed nothing, so that the call may simply be repeated."""
        refused = isinstance(self.failure, UpstreamRefused) and not answers.refused_unsure(self.failure.status_code)
        return self.trace.sent and self.tool.access != "read" and not refused

    def envelope(self) -> dict[str, Json]:
        """The JSON object of the failure, for a result of MCP and for the body of the proxy."""
        limit = self.trace.rate_limit
        return {
            **errors.envelope(self.failure),
            "message": self.message,
            "rate_limit": limit.to_json() if limit else None,
        }


@dataclass(frozen=True, slots=True)
class UnknownTool:
    """This server has no tool of that name; nothing was sent."""

    message: str
    status = 404
    may_have_acted = False

    @property
    def trace(self) -> Trace:
        """Nothing was done."""
        return Trace()


def carried_out(status: int) -> str:
    """What the status of a success says about a write."""
    if status == HTTPStatus.ACCEPTED:
        return "the upstream answered 202, so it accepted the request; look whether it was carried out"
    return f"the upstream answered {status}, so it was carried out; do not repeat it"
