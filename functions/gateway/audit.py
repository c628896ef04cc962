"""What happened: a log entry for each tool call and each refused caller, as a line and, where the process has a store
for it, as an item.

Arguments appear as a keyed hash: it tells equal calls of one server from different ones, and nothing can be guessed
from it. The line holds the metrics of the call, too (metrics.py).
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal

from functions.gateway import metrics
from functions.gateway.errors import PosternError
from functions.gateway.grants import Grant, Target
from functions.gateway.json_text import Json, canonical, sendable
from functions.gateway.log_entry import REFUSALS_EVERY, Journal, KeptCalls, LogEntry
from functions.gateway.metrics import Stream
from functions.gateway.outcomes import Done, Failed, ToolCall, UnknownTool
from functions.gateway.settings import Settings
from functions.gateway.value_classes import dataclass, field, replace
from functions.stores.store import StoreError

BY_THE_UPSTREAM = (
    *("EventFailed", "TooLargeAnswer", "UpstreamBusy", "UpstreamTimeout", "UpstreamUnreachable", "UpstreamUnreadable"),
)
"""Errors of a call whose cause is the upstream or the way to it."""

BY_US = ("LostResult", "Unconfirmable")
"""Errors of a call whose cause is this deployment."""

REFUSALS_KEPT = 1_000
"""Servers and reasons that a process remembers; the oldest goes first."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called, and how.

    `principal`  who did it: the id of the API token that was accepted, else the id of the server.
    `server_id`  the MCP server, "" for the proxy. `labels`: the operator's labels of it.
    `trace_id`   the trace that the request belongs to, "" where nothing is traced.
    """

    plane: Literal["mcp", "proxy"]
    principal: str
    server_id: str
    request_id: str
    client_name: str
    client_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    trace_id: str = ""


def entry(
    caller: Caller,
    call: ToolCall,
    target: Target,
    outcome: Done | Failed | UnknownTool,
    *,
    seconds: float,
    result_bytes: int,
    key: bytes,
) -> LogEntry:
    """The log entry of a call. `seconds` is how long it took; `key` makes the hash of its arguments."""
    ended: Literal["ok", "error", "refused"]
    match outcome:
        case Done():
            ended, error, detail = "ok", "", ""
        case Failed():
            ended, error, detail = "error", type(outcome.failure).__name__, outcome.failure.detail
        case UnknownTool():
            ended, error, detail = "refused", "UnknownTool", ""
    tool = None if isinstance(outcome, UnknownTool) else outcome.tool
    return LogEntry(
        time=call.now,
        request_id=caller.request_id,
        plane=caller.plane,
        principal=caller.principal,
        server_id=caller.server_id,
        account_id=target.account_id,
        integration=target.integration,
        tool=call.name,
        method=tool.method if tool else "",
        access=tool.access if tool else "",
        outcome=ended,
        status=outcome.status,
        error=error,
        detail=detail,
        upstream_status=outcome.trace.status,
        upstream_requests=outcome.trace.requests,
        duration_ms=seconds * 1000,
        upstream_ms=outcome.trace.seconds * 1000,
        result_bytes=result_bytes,
        client_name=caller.client_name,
        client_version=caller.client_version,
        labels=caller.labels,
        argument_hash=argument_hash(call.arguments, key),
        trace_id=caller.trace_id,
    )


def refusal(caller: Caller, grant: Grant, now: datetime, error: PosternError) -> LogEntry:
    """The log entry of a caller who held the URL and was not admitted."""
    return LogEntry(
        time=now,
        request_id=caller.request_id,
        plane=caller.plane,
        principal=caller.principal,
        server_id=caller.server_id,
        account_id=grant.account.id,
        integration=grant.account.integration,
        outcome="refused",
        status=int(error.status),
        error=type(error).__name__,
        detail=error.detail,
        client_name=caller.client_name,
        client_version=caller.client_version,
        labels=caller.labels,
    )


def client(user_agent: str) -> tuple[str, str]:
    """Name and version of a client from its User-Agent, e.g. ("claude-code", "2.1"); "" for what it does not say."""
    name, _, version = user_agent.partition(" ")[0].partition("/")
    return name, version


class Refusals:
    """Which refusals of a process get an entry of their own: one for each server and reason in a while.

    A caller who holds a URL can cause refusals without end: without the API token that the server requires, or beyond
    its limit of calls. An entry says how many refusals before it have none.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], tuple[datetime, int]] = {}

    def before(self, entry: LogEntry) -> int | None:
        """How many refusals like this one had no entry since the last that had one; None = this one has none either.
        0 for an entry of a call that was not refused."""
        if not (entry.outcome == "refused" and not entry.tool) and entry.error != "CallLimited":
            return 0
        key = (entry.server_id, entry.error, entry.detail)
        since, skipped = self._last.get(key, (None, 0))
        if since is not None and timedelta(0) <= entry.time - since < REFUSALS_EVERY:
            self._last[key] = (since, skipped + 1)
            return None
        if key not in self._last and len(self._last) == REFUSALS_KEPT:
            del self._last[next(iter(self._last))]
        self._last[key] = (entry.time, 0)
        return skipped


class Audit:
    """Writes log entries. One per process.

    `store`   keeps them; None where a subscriber of the lines does (functions/log_subscriber).
    `stream`  takes the lines (standard output on Lambda).
    `counted` a line holds what CloudWatch counts, too; False on a laptop, where nobody does.
    """

    def __init__(self, settings: Settings, store: Journal | None, stream: Stream, *, counted: bool = True) -> None:
        self._settings = settings
        self._kept = KeptCalls(store, settings.log_retention_days) if store is not None else None
        self._stream = stream
        self._counted = counted
        self._refusals = Refusals()

    def write(self, entry: LogEntry) -> None:
        """Write one entry to the stream and to the store. Of one among many refusals (Refusals), a deployment writes
        the metrics to the stream, and nothing else. It never raises: the call that it describes has been made, and what
        prevents one of the two prevents neither the other nor the answer."""
        repeated = self._refusals.before(entry)
        if repeated is None and self._kept is not None:
            return  # a laptop has no metrics
        if repeated:
            entry = replace(entry, repeated=repeated)
        body = entry.to_json() if repeated is not None else {}
        try:
            line = self._line(entry, body) if self._counted else sendable(body)
            self._stream.write(line + "\n")
            self._stream.flush()
        except Exception as error:
            logger.error("a log entry could not be written: %s", _reason(error))
        if self._kept is None:
            return
        try:
            self._kept.keep(body)
        except Exception as error:
            logger.warning("a log entry could not be kept in the store: %s", _reason(error))

    def _line(self, entry: LogEntry, body: Mapping[str, Json]) -> str:
        values = {
            "calls": 1,
            "failures": int(entry.outcome != "ok"),
            "duration_ms": round(entry.duration_ms, 2),
            "upstream_ms": round(entry.upstream_ms, 2),
            "result_bytes": entry.result_bytes,
            **({fault: 1} if (fault := _fault(entry)) else {}),
        }
        return metrics.line(self._settings.environment, entry.time, values, body)


def _fault(entry: LogEntry) -> str:
    """The metric that counts this failure by whose fault it is; "" for a success, and for a fault of the call."""
    if entry.outcome == "refused" and not entry.tool:
        return "refused_admissions"
    if entry.error in BY_US:
        return "server_errors"
    failed_there = entry.error == "UpstreamRefused" and (entry.upstream_status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR
    return "upstream_errors" if failed_there or entry.error in BY_THE_UPSTREAM else ""


def _reason(error: Exception) -> str:
    """The text of an error that was foreseen; of any other one its type, because its text may hold values."""
    return str(error) if isinstance(error, StoreError | OSError) else type(error).__name__


def argument_hash(arguments: Mapping[str, Json], key: bytes) -> str:
    """HMAC-SHA256 of the arguments' canonical JSON under `key`, its first 16 hex digits; "" for arguments that are
    nested too deep to be written."""
    try:
        written = canonical(arguments)
    except RecursionError:
        return ""
    return hmac.digest(key, written, "sha256").hex()[:16]
