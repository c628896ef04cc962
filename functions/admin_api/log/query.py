"""The query of the log: which entries are asked for, and which questions no entry can answer."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from functions.admin_api.labels import Selector, read_selector
from functions.admin_api.parameters import LIMIT, Parameter, Query, choice, moment, named, number, text, words
from functions.gateway.errors import Invalid
from functions.gateway.grants import read_time, write_time
from functions.gateway.json_text import Json, decode, encode

KINDS = ("call", "decision", "all")
"""Values of `kind`."""

MEMBERS: Mapping[str, str] = {
    "mcp_server_id": "server_id",
    "api_token_id": "api_token_id",
    "principal": "principal",
    "action": "action",
    "tool_name": "tool",
    "method": "method",
    "access": "access",
    "plane": "plane",
    "outcome": "outcome",
    "status": "status",
    "error": "error",
    "upstream_status": "upstream_status",
    "client_name": "client_name",
    "client_version": "client_version",
    "request_id": "request_id",
    "trace_id": "trace_id",
}
"""Query parameter -> member of a log entry that must be equal to it."""


def parameters(action: Callable[[str], str], formats: Sequence[str]) -> tuple[Parameter, ...]:
    """The query of `GET /log`. `action` reads the name of an operation."""
    return (
        choice("kind", "`call` (the default), `decision`, or `all`.", KINDS, default="call"),
        named("integrated_account_id", "Only entries of this account, by id or name."),
        named("mcp_server_id", "Only entries of this server, by id or name."),
        named("api_token_id", "Only decisions about this API token, by id or name."),
        named("principal", "Only entries of this principal: an API token by id or name, or the id of a server."),
        words("label", "Only entries of servers that had this label then: `team=support`, or `team` for any value."),
        Parameter("action", "Only decisions of this operation, e.g. createServer.", {"type": "string"}, action),
        text("tool_name", "Only calls of this tool."),
        text("method", "Only calls of this method."),
        choice("access", "Only calls that read, or calls that write.", ("read", "write")),
        choice("plane", "Only calls over MCP, or over the proxy.", ("mcp", "proxy")),
        choice("outcome", "Only entries with this outcome.", ("ok", "error", "refused")),
        number("status", "Only entries with this status.", 100, 599),
        number("upstream_status", "Only calls with this status of the upstream; `null` = none.", 100, 599, null=True),
        text("error", "Only entries with this class of error."),
        text("client_name", "Only entries of this client."),
        text("client_version", "Only entries of this version of a client."),
        text("request_id", "Only the entries of this request."),
        text("trace_id", "Only calls of this trace."),
        moment("created_at[gt]", "Only entries after this time."),
        moment("created_at[lt]", "Only entries before this time."),
        choice("format", "`json` (the default), `jsonl` or `csv`.", formats, default="json"),
        LIMIT,
        text("next_cursor", "`next_cursor` of the previous page, unchanged."),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for.

    `account_ids`     entries of these accounts; None = of all, and of none.
    `since`, `until`  exclusive.
    `equal`           members of an entry and the values they must have.
    """

    kind: str
    account_ids: frozenset[str] | None
    since: datetime
    until: datetime
    equal: Mapping[str, Any]
    labels: Selector

    def matches(self, entry: Mapping[str, Json]) -> bool:
        """True for an entry that is asked for."""
        if self.account_ids is not None and entry.get("account_id") not in self.account_ids:
            return False
        return (
            self.since < read_time(entry["time"]) < self.until
            and all(entry.get(member) == value for member, value in self.equal.items())
            and self.labels.matches(entry.get("labels", {}))
        )


def wanted(query: Query, allowed: Sequence[str], retention: timedelta, now: datetime) -> Wanted:
    """What the query asks for; a non-empty `allowed` limits it to these accounts. Raises Invalid."""
    latest = now + timedelta(seconds=1)  # the clocks of other processes may be a little ahead
    since, until = query["created_at[gt]"], query["created_at[lt]"]
    if since is not None and until is not None and since >= until:
        raise Invalid(
            f"query: created_at[gt] is {write_time(since)} and created_at[lt] is {write_time(until)}; no time is after "
            "the first and before the second"
        )
    account_id = query["integrated_account_id"]
    equal = {member: query[name] for name, member in MEMBERS.items() if query[name] is not None}
    if equal.get("upstream_status") == "null":
        equal["upstream_status"] = None
    return Wanted(
        kind=query["kind"],
        account_ids=frozenset([account_id]) if account_id else frozenset(allowed) or None,
        since=max(since or now - retention, now - retention),
        until=min(until or latest, latest),
        equal=equal,
        labels=read_selector(query["label"], "query: label"),
    )


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page starts: on this day, before this sort key (None = at the end of the day), in the group of accounts
    behind `after` ("" = the first) and up to `last` (None = as many as are read together)."""

    day: date
    before: str | None = None
    after: str = ""
    last: str | None = None

    def cursor(self) -> str:
        """The position as a text for a client."""
        parts = [self.day.isoformat(), self.before, self.after, self.last]
        return base64.urlsafe_b64encode(encode(parts)).rstrip(b"=").decode()


def start(cursor: str | None, wanted: Wanted) -> Position:
    """The position of a cursor; without one, the end of the range. Raises Invalid for a text that is not a cursor."""
    last = wanted.until.astimezone(UTC).date()
    if cursor is None:
        return Position(last)
    try:
        day, before, after, until = decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        for part in (before, after, until):
            if part is not None:
                part.encode()
        return Position(min(date.fromisoformat(day), last), before, after or "", until)
    except (ValueError, TypeError, AttributeError):
        raise Invalid(
            "query: this listing did not return this next_cursor; leave it out to start from the newest entry"
        ) from None
