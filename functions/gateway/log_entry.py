"""A log entry of a call, and the items that a store keeps of it: the entry, when its server was last used, and that the
upstream refused the credential of its account.

An entry holds ids, names, sizes, times and statuses; never a value, a token or a credential.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from operator import attrgetter
from typing import Literal, Protocol

from functions.gateway.grants import read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.notice import Notice
from functions.gateway.value_classes import dataclass, field
from functions.stores import layout
from functions.stores.store import Change, Item, Key, Put, StoreConflict

USE_EVERY = timedelta(minutes=1)
"""How often, at most, the time of last use of a server is written."""

NOTICE_EVERY = timedelta(minutes=10)
"""How often, at most, a notice for the webhook is left that the upstream refuses the credential of an account. Whether
it has heard of this credential is known to the one who sends."""

TEXT_CHARS = 128
"""Characters kept of any one text: a caller chose some of them."""

REFUSALS_EVERY = timedelta(minutes=1)
"""At most one entry in this time for the refusals of one server for one reason: anybody who holds a URL can cause
them."""

PARTITIONS_KEPT = 10_000
"""Partitions of log entries that a process remembers to be listed, some 100 bytes each."""

OPTIONAL = ("labels", "repeated", "trace_id")
"""Members that an entry lacks where they say nothing."""


class Journal(Protocol):
    """The part of the store contract that the log needs."""

    def get(self, keys: Sequence[Key]) -> list[Item | None]: ...

    def write(self, changes: Sequence[Change]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One call. Durations are in milliseconds, `result_bytes` is the size of the answer's text.

    `outcome`  ok; error = reported to the model (an isError result); refused = a JSON-RPC or HTTP error.
    `status`   HTTP status that stands for the outcome (200, 400, 403, 429, ...).
    `error`    name of the error class, "" where there was none. `detail`: its cause, for the operator alone.

    `labels`   the operator's labels of the server; an entry of a server without labels lacks the member.
    `repeated` how many refusals before this one have no entry of their own; an entry lacks it where there were none.
    `trace_id` the W3C trace that the call belongs to; an entry lacks it where nothing is traced.

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
    repeated: int = 0
    trace_id: str = ""

    def to_json(self) -> dict[str, Json]:
        """The entry as the log, the store and `GET /log` hold it; `own_ms` is what was not spent upstream."""
        values = zip(self.__slots__, _values(self), strict=True)  # `asdict` would copy each value deeply
        body = {name: value[:TEXT_CHARS] if isinstance(value, str) else value for name, value in values}
        body["kind"] = "call"
        body["time"] = log_time(self.time)
        for name in OPTIONAL:
            if not body[name]:
                del body[name]
        body["duration_ms"] = round(self.duration_ms, 2)
        body["upstream_ms"] = round(self.upstream_ms, 2)
        body["own_ms"] = round(max(0.0, self.duration_ms - self.upstream_ms), 2)
        return body


_values = attrgetter(*LogEntry.__slots__)

MEMBERS = (*LogEntry.__slots__, "kind", "own_ms")
"""The members of an entry as it is kept, OPTIONAL ones included."""


class KeptCalls:
    """The items of calls in a store. One per process; the entries of the last minute save it writes."""

    def __init__(self, store: Journal, retention_days: int) -> None:
        self._store = store
        self._retention = timedelta(days=retention_days)
        self._used: dict[str, datetime] = {}
        self._listed: set[Key] = set()

    def keep(self, body: Mapping[str, Json]) -> None:
        """Write the items of one entry, as `LogEntry.to_json` returns it. An entry that is there is never overwritten:
        raises StoreConflict. After any other StoreError, it can be repeated."""
        moment = datetime.fromisoformat(body["time"])
        if body["upstream_status"] == HTTPStatus.UNAUTHORIZED:
            self._note_refusal(body["account_id"], moment)
        if body["server_id"]:
            self._note_use(body["server_id"], moment)
        account_id, day = body["account_id"], moment.date().isoformat()
        shard = layout.log_shard(body["request_id"])
        refused = body["outcome"] == "refused" and not body["tool"]
        if refused:
            shard = layout.log_shard(body["server_id"])
        self._list(layout.log_day(account_id, shard, day), moment)
        order = _refusal_order(body, moment) if refused else f"{body['time']}#{body['request_id']}"
        key = Key(layout.log(account_id, shard, day), order)
        self._store.write([Put(key, dict(body), self._expires_at(moment), if_version=0)])

    def _list(self, key: Key, moment: datetime) -> None:
        """List a partition before its first entry is written, so that no entry is overlooked."""
        if key in self._listed:
            return
        if len(self._listed) == PARTITIONS_KEPT:
            self._listed.clear()
        with contextlib.suppress(StoreConflict):  # it is listed
            self._store.write([Put(key, {}, self._expires_at(moment + timedelta(days=1)), if_version=0)])
        self._listed.add(key)

    def _note_refusal(self, account_id: str, moment: datetime) -> None:
        """Remember that the upstream refused the account's credential; the management API shows it, and the webhook
        hears of it."""
        key, at = layout.account_state(account_id), write_time(moment)
        [item] = self._store.get([key])
        state = item.body if item is not None else {}
        if state.get("at", "") >= at:
            return
        noticed_at = state.get("noticed_at")
        changes: list[Change] = []
        if noticed_at is None or moment - read_time(noticed_at) >= NOTICE_EVERY:
            noticed_at = at
            changes = [Notice("account.needs_new_credential", account_id, moment, {}, moment).put()]
        self._store.write([Put(key, {"status": "needs_reauth", "at": at, "noticed_at": noticed_at}), *changes])

    def _note_use(self, server_id: str, moment: datetime) -> None:
        last = self._used.get(server_id)
        if last is not None and moment - last < USE_EVERY:
            return
        key = layout.use(server_id)
        [item] = self._store.get([key])
        if item is None or moment - datetime.fromisoformat(item.body["last_used_at"]) >= USE_EVERY:
            used = {"last_used_at": write_time(moment)}
            try:
                version = item.version if item is not None else 0
                self._store.write([Put(key, used, self._expires_at(moment), if_version=version)])
            except StoreConflict:
                pass  # another process wrote it this very moment
        self._used[server_id] = moment

    def _expires_at(self, moment: datetime) -> int:
        return int((moment + self._retention).timestamp())


def _refusal_order(body: Mapping[str, Json], moment: datetime) -> str:
    """The sort key of a refused admission: one for each server, reason and REFUSALS_EVERY, so that processes that know
    nothing of each other store one entry together."""
    seconds = REFUSALS_EVERY.total_seconds()
    window = datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)
    reason = zlib.crc32(f"{body['error']}#{body['detail']}".encode("utf-8", "replace"))
    return f"{log_time(window)}#refused#{body['server_id']}#{reason:08x}"


def log_time(moment: datetime) -> str:
    """UTC with milliseconds, always of the same length, so that it sorts as time does: 2026-12-31T23:59:59.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
