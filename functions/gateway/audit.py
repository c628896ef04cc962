"""What happened: a log entry for each tool call and each refused caller, and when a server was last used.

An entry holds ids, names, sizes, times and statuses; never a value, a token or a credential. Arguments appear as a
keyed hash: it tells equal calls of one server from different ones, and nothing can be guessed from it.
The line is CloudWatch's embedded metric format, so that the log group is the metric source and no call is made for it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from functions.gateway.call import Done, Failed, ToolCall, UnknownTool
from functions.gateway.errors import PosternError
from functions.gateway.grants import Grant, Target, write_time
from functions.gateway.json_text import Json, canonical
from functions.gateway.settings import Settings
from functions.gateway.value_classes import dataclass
from functions.stores import layout
from functions.stores.store import Change, Item, Key, Put, StoreConflict, StoreError

USE_EVERY = timedelta(minutes=1)
"""How often, at most, the time of last use of a server is written."""

TEXT_CHARS = 128
"""Characters kept of any one text: a caller chose some of them."""

NAMESPACE = "Postern"
"""CloudWatch namespace of the metrics in the line."""

logger = logging.getLogger(__name__)


class Journal(Protocol):
    """The part of the store contract that the log needs."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]: ...

    def write(self, changes: Sequence[Change]) -> None: ...


class Stream(Protocol):
    """Where the lines go."""

    def write(self, line: str, /) -> object: ...

    def flush(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called, and how.

    `principal`  who did it: the id of the API token that was accepted, else the id of the server.
    `server_id`  the MCP server, "" for the proxy. `labels`: the operator's labels of it.
    """

    plane: Literal["mcp", "proxy"]
    principal: str
    server_id: str
    request_id: str
    client_name: str
    client_version: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One call. Durations are in milliseconds, `result_bytes` is the size of the answer's text.

    `outcome`  ok; error = reported to the model (an isError result); refused = a JSON-RPC or HTTP error.
    `status`   HTTP status that stands for the outcome (200, 400, 403, 429, ...).
    `error`    name of the error class, "" where there was none. `detail`: its cause, for the operator alone.

    `labels`   the operator's labels of the server; an entry of a server without labels lacks the member.

    A member with a default belongs to a call; a refused caller has none of them.
    """

    time: datetime
    request_id: str
    plane: Literal["mcp", "proxy"]
    principal: str
    server_id: str
    account_id: str
    integration: str
    tool: str = ""
    method: str = ""
    access: str = ""
    outcome: Literal["ok", "error", "refused"]
    status: int
    error: str
    detail: str
    upstream_status: int | None = None
    upstream_requests: int = 0
    duration_ms: float = 0.0
    upstream_ms: float = 0.0
    result_bytes: int = 0
    client_name: str
    client_version: str
    argument_hash: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The entry as the log, the store and `GET /log` hold it; `own_ms` is what was not spent upstream."""
        values = {name: getattr(self, name) for name in self.__slots__}  # `asdict` would copy each value deeply
        body = {name: value[:TEXT_CHARS] if isinstance(value, str) else value for name, value in values.items()}
        body["kind"] = "call"
        body["time"] = log_time(self.time)
        if not self.labels:
            del body["labels"]
        body["duration_ms"] = round(self.duration_ms, 2)
        body["upstream_ms"] = round(self.upstream_ms, 2)
        body["own_ms"] = round(max(0.0, self.duration_ms - self.upstream_ms), 2)
        return body


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
    )


def refusal(caller: Caller, grant: Grant, now: datetime, error: PosternError) -> LogEntry:
    """The log entry of a caller who held the URL and was not admitted."""
    return LogEntry(
        time=now,
        request_id=caller.request_id,
        plane=caller.plane,
        principal=caller.principal,
        server_id=caller.server_id,
        account_id=grant.account_id,
        integration=grant.integration,
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


class Audit:
    """Writes log entries. One per process; `stream` takes the lines (standard output on Lambda)."""

    def __init__(self, settings: Settings, store: Journal, stream: Stream) -> None:
        self._settings = settings
        self._store = store
        self._stream = stream
        self._used: dict[str, datetime] = {}

    def write(self, entry: LogEntry) -> None:
        """Write one entry to the stream and to the store. It never raises: the call that it describes has been made,
        and what prevents one of the two prevents neither the other nor the answer."""
        body = entry.to_json()
        try:
            self._stream.write(canonical({**body, **self._metrics(entry)}).decode() + "\n")
            self._stream.flush()
        except Exception as error:
            logger.error("a log entry could not be written: %s", _reason(error))
        try:
            day = entry.time.astimezone(UTC).date().isoformat()
            kept_until = entry.time + timedelta(days=self._settings.log_retention_days)
            key = Key(layout.log(entry.account_id, day), f"{body['time']}#{body['request_id']}")
            # A version of 0: an entry that is there is never overwritten.
            self._store.write([Put(key, body, expires_at=int(kept_until.timestamp()), if_version=0)])
            if entry.server_id:
                self._note_use(entry.server_id, entry.time)
        except Exception as error:
            logger.warning("a log entry could not be kept in the store: %s", _reason(error))

    def needs_reauth(self, account_id: str, now: datetime) -> None:
        """Remember that the upstream refused the account's credential; the management API shows it. Never raises."""
        try:
            state = {"status": "needs_reauth", "at": write_time(now)}
            self._store.write([Put(layout.account_state(account_id), state)])
        except Exception as error:
            logger.warning("an account's state could not be kept: %s", _reason(error))

    def _note_use(self, server_id: str, now: datetime) -> None:
        last = self._used.get(server_id)
        if last is not None and now - last < USE_EVERY:
            return
        self._used[server_id] = now
        key = layout.use(server_id)
        [item] = self._store.get([key])
        if item is not None and now - datetime.fromisoformat(item.body["last_used_at"]) < USE_EVERY:
            return
        try:
            version = item.version if item is not None else 0
            self._store.write([Put(key, {"last_used_at": write_time(now)}, if_version=version)])
        except StoreConflict:
            return  # another process wrote it this very moment

    def _metrics(self, entry: LogEntry) -> dict[str, Json]:
        # A dimension value makes a metric that is paid for by the month: by tool it would be the largest fixed cost of
        # a deployment, and the same line answers that question for Logs Insights, as does `GET /log`.
        return {
            "environment": self._settings.environment,
            "calls": 1,
            "failures": int(entry.outcome != "ok"),
            "_aws": {
                "Timestamp": int(entry.time.timestamp() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["environment"]],
                        "Metrics": [
                            {"Name": "calls", "Unit": "Count"},
                            {"Name": "failures", "Unit": "Count"},
                            {"Name": "duration_ms", "Unit": "Milliseconds"},
                            {"Name": "upstream_ms", "Unit": "Milliseconds"},
                            {"Name": "result_bytes", "Unit": "Bytes"},
                        ],
                    }
                ],
            },
        }


def _reason(error: Exception) -> str:
    """The text of an error that was foreseen; of any other one its type, because its text may hold values."""
    return str(error) if isinstance(error, StoreError | OSError) else type(error).__name__


def log_time(moment: datetime) -> str:
    """UTC with milliseconds, always of the same length, so that it sorts as time does: 2026-12-31T23:59:59.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def argument_hash(arguments: Mapping[str, Json], key: bytes) -> str:
    """HMAC-SHA256 of the arguments' canonical JSON under `key`, its first 16 hex digits; "" for arguments that are
    nested too deep to be written."""
    try:
        written = canonical(arguments)
    except RecursionError:
        return ""
    return hmac.new(key, written, hashlib.sha256).hexdigest()[:16]
