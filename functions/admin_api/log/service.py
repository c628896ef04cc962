"""The log of recent calls: newest first, filtered, one page at a time. gateway/audit.py describes a log entry."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.parameters import LIMIT, LOG_CURSOR, Query, identifier, moment, text
from functions.gateway.errors import Invalid
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json, decode, encode
from functions.stores import layout
from functions.stores.store import Item, Store

FILTERS = {
    "mcp_server_id": "server_id",
    "tool_name": "tool",
    "method": "method",
    "access": "access",
    "status": "status",
    "outcome": "outcome",
    "error": "error",
    "upstream_status": "upstream_status",
    "client_name": "client_name",
    "client_version": "client_version",
    "request_id": "request_id",
    "plane": "plane",
}
"""Query parameter -> member of a log entry that must be equal to it."""

LOG_PARAMETERS = (
    identifier("integrated_account_id", "Only entries of this account. Without it, of all accounts."),
    *(text(name, "Only entries with this value.") for name in FILTERS),
    moment("created_at[gt]", "Only entries after this time."),
    moment("created_at[lt]", "Only entries before this time."),
    LIMIT,
    LOG_CURSOR,
)
"""The query of `GET /log`."""

READS = 60
"""Reads of the store that one request may cost, or two for each account if that is more. Then the page ends early,
with a cursor that continues it."""

READ_ITEMS = 100
"""Entries in one read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for. `since` and `until` are exclusive; `equal` holds members of an entry and their texts."""

    account_ids: Sequence[str]
    since: datetime
    until: datetime
    equal: Mapping[str, str]


@dataclass(slots=True)
class Budget:
    """Reads left; `exhausted` is set once a read was not made because none was left."""

    left: int
    exhausted: bool = False


class CallLog:
    """`clock` gives the present in UTC."""

    def __init__(
        self, store: Store, accounts: AccountLookup, retention: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._retention = retention
        self._clock = clock

    def page(self, query: Query, allowed: Sequence[str]) -> dict[str, Json]:
        """The entries that the query asks for, of the `allowed` accounts (empty = all). Raises Invalid."""
        now = self._clock()
        latest = now + timedelta(seconds=1)  # the clocks of other processes may be a little ahead
        account_id = query["integrated_account_id"]
        wanted = Wanted(
            account_ids=[account_id] if account_id else allowed or self._accounts.ids(),
            since=query["created_at[gt]"] or now - self._retention,
            until=min(query["created_at[lt]"] or latest, latest),
            equal={member: query[name] for name, member in FILTERS.items() if query[name] is not None},
        )
        entries, next_cursor = self._find(wanted, query["limit"], query["next_cursor"])
        return {"result": entries, "next_cursor": next_cursor}

    def _find(self, wanted: Wanted, limit: int, cursor: str | None) -> tuple[list[Json], str | None]:
        """Entries, newest first, and the cursor of the next page (None = no more). A page may be short, even empty, and
        still have one. Raises Invalid for a cursor of another listing."""
        day, before = _read_cursor(cursor) if cursor else (wanted.until.astimezone(UTC).date(), None)
        first_day = max(wanted.since, self._clock() - self._retention).astimezone(UTC).date()
        budget = Budget(max(READS, 2 * len(wanted.account_ids)))
        found: list[Json] = []
        last: tuple[date, str] | None = None
        while day >= first_day:
            for item in self._day(wanted, day, before, budget):
                last = (day, item.key.sort)
                if _matches(item.body, wanted):
                    found.append(item.body)
                    if len(found) == limit:
                        return found, _write_cursor(*last)
            if budget.exhausted:
                return found, _write_cursor(*(last if last is not None and last[0] == day else (day, before or "~")))
            day, before = day - timedelta(days=1), None
        return found, None

    def _day(self, wanted: Wanted, day: date, before: str | None, budget: Budget) -> Iterator[Item]:
        """Items of one day over the accounts, newest first, until the budget is spent."""
        streams = [
            self._partition(layout.log(account, day.isoformat()), before, budget) for account in wanted.account_ids
        ]
        for item in heapq.merge(*streams, key=lambda item: item.key.sort, reverse=True):
            if budget.exhausted:
                return  # an unread entry of another account may be newer than what follows
            yield item

    def _partition(self, partition: str, before: str | None, budget: Budget) -> Iterator[Item]:
        while True:
            if budget.left == 0:
                budget.exhausted = True
                return
            budget.left -= 1
            items = self._store.query(partition, before=before, limit=READ_ITEMS, descending=True)
            yield from items
            if len(items) < READ_ITEMS:
                return
            before = items[-1].key.sort


def _matches(entry: Mapping[str, Json], wanted: Wanted) -> bool:
    time = read_time(entry["time"])
    return wanted.since < time < wanted.until and all(
        _equal(entry.get(name), text) for name, text in wanted.equal.items()
    )


def _equal(value: Json, text: str) -> bool:
    if text == "null" or value is None:
        return value is None and text == "null"
    return str(value) == text


def _write_cursor(day: date, before: str) -> str:
    return base64.urlsafe_b64encode(encode([day.isoformat(), before])).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> tuple[date, str]:
    try:
        day, before = decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        before.encode()
        return date.fromisoformat(day), before
    except (ValueError, TypeError, AttributeError):
        raise Invalid(
            "this listing did not return this next_cursor; leave it out to start from the newest entry"
        ) from None
