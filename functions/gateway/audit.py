"""What happened: one structured line per tool call, a copy of it in the store, and when a server was last used.

A record holds ids, names, sizes, times and statuses; never a value, a token or a credential. Arguments appear as a
keyed hash, by which equal calls of one server can be told apart from different ones and nothing can be guessed.
The line is CloudWatch's embedded metric format, so that the log group is the metric source and no call is made for it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, TextIO

from functions.gateway import json_text
from functions.gateway.grants import Grant, write_time
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.stores import layout
from functions.stores.store import Change, Item, Key, Put, StoreConflict, StoreError

USE_EVERY = timedelta(minutes=1)
"""How often, at most, the time of last use of a server is written."""

NAME_CHARS = 128
"""Characters kept of any one text: some of them a client chose."""

NAMESPACE = "Postern"
"""CloudWatch namespace of the metrics in the line."""

logger = logging.getLogger(__name__)


class Journal(Protocol):
    """The part of the store contract that the log needs."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]: ...

    def write(self, changes: Sequence[Change]) -> None: ...


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call. Durations are in milliseconds, `result_bytes` is the size of the answer's text.

    `outcome`     ok; error = told to the model (an isError result); refused = a JSON-RPC or HTTP error.
    `status`      HTTP status that stands for the outcome (200, 400, 403, 429, ...).
    `error`       name of the error class, "" when there was none.
    """

    time: datetime
    request_id: str
    plane: Literal["mcp", "proxy"]
    server_id: str
    account_id: str
    integration: str
    tool: str
    method: str
    access: str
    outcome: Literal["ok", "error", "refused"]
    status: int
    error: str
    upstream_status: int | None
    upstream_requests: int
    duration_ms: float
    upstream_ms: float
    result_bytes: int
    client_name: str
    client_version: str
    argument_hash: str

    def to_json(self) -> dict[str, Json]:
        """The record as the log, the store and `GET /log` hold it; `own_ms` is what was not spent upstream."""
        record = {name: value[:NAME_CHARS] if isinstance(value, str) else value for name, value in asdict(self).items()}
        record["time"] = log_time(self.time)
        record["duration_ms"] = round(self.duration_ms, 2)
        record["upstream_ms"] = round(self.upstream_ms, 2)
        record["own_ms"] = round(max(0.0, self.duration_ms - self.upstream_ms), 2)
        return record


class Audit:
    """Writes records. One per process; `stream` takes the lines (standard output on Lambda)."""

    def __init__(self, settings: Settings, store: Journal, stream: TextIO) -> None:
        self._settings = settings
        self._store = store
        self._stream = stream
        self._used: dict[str, datetime] = {}

    def record(self, call: CallRecord) -> None:
        """Write one record everywhere. A store that cannot take it is logged and never fails the call."""
        body = call.to_json()
        self._stream.write(json_text.text({**body, **self._metrics(call)}) + "\n")
        self._stream.flush()
        day = call.time.astimezone(UTC).date().isoformat()
        kept_until = call.time + timedelta(days=self._settings.log_retention_days)
        key = Key(layout.log(call.account_id, day), f"{body['time']}#{body['request_id']}")
        try:
            self._store.write([Put(key, body, expires_at=int(kept_until.timestamp()))])
            if call.server_id:
                self._note_use(call.server_id, call.time)
        except StoreError as error:
            logger.warning("a call could not be kept in the log store: %s", error)

    def needs_reauth(self, server: Grant, now: datetime) -> None:
        """Remember that the upstream refused the account's credential; the management API shows it."""
        try:
            state = {"status": "needs_reauth", "at": write_time(now)}
            self._store.write([Put(layout.account_state(server.account_id), state)])
        except StoreError as error:
            logger.warning("an account's state could not be kept: %s", error)

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

    def _metrics(self, call: CallRecord) -> dict[str, Json]:
        # A dimension value makes a metric that is paid for by the month: by tool it would be the largest fixed cost of
        # a deployment, and the same line answers that question for Logs Insights, as does `GET /log`.
        return {
            "environment": self._settings.environment,
            "calls": 1,
            "failures": int(call.outcome != "ok"),
            "_aws": {
                "Timestamp": int(call.time.timestamp() * 1000),
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


def log_time(moment: datetime) -> str:
    """UTC with milliseconds, always of the same length, so that it sorts as time does: 2026-12-31T23:59:59.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def argument_hash(arguments: Mapping[str, Json], key: bytes) -> str:
    """HMAC-SHA256 of the arguments' canonical JSON under `key`, its first 16 hex digits; "" for arguments that are
    nested too deep to be written."""
    try:
        canonical = json_text.canonical(arguments)
    except RecursionError:
        return ""
    return hmac.new(key, canonical, hashlib.sha256).hexdigest()[:16]
