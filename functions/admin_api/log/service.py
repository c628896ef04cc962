"""The log of recent calls: newest first, filtered, a page at a time. gateway/audit.py says what a record holds."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from functions.gateway import json_text
from functions.gateway.errors import Invalid
from functions.gateway.grants import read_time
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown
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
"""Query parameter -> member of a record that must be equal to it."""

READS = 60
"""Reads of the store that one request may cost (or two for each account, if that is more); then the page ends early,
with a cursor that goes on."""

READ_ITEMS = 100
"""Records in one read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for. `since` and `until` are exclusive; `equal` holds record members and their texts."""

    account_ids: Sequence[str]
    since: datetime
    until: datetime
    equal: Mapping[str, str]


@dataclass(slots=True)
class Budget:
    """Reads left; `exhausted` once one was not made for want of them."""

    left: int
    exhausted: bool = False


class CallLog:
    """`clock` gives the present in UTC."""

    def __init__(self, store: Store, retention: timedelta, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock

    def page(self, wanted: Wanted, limit: int, cursor: str | None) -> tuple[list[Json], str | None]:
        """Records, newest first, and the cursor of the next page (None = no more; a page may be short, even empty, and
        still have one). Raises Invalid for a cursor we did not give."""
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
        """Items of one day over the accounts, newest first, as far as the budget goes."""
        streams = [
            self._partition(layout.log(account, day.isoformat()), before, budget) for account in wanted.account_ids
        ]
        for item in heapq.merge(*streams, key=lambda item: item.key.sort, reverse=True):
            if budget.exhausted:
                return  # another account's records of the same time may be unread: what follows is out of order
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


def read_filters(query: Mapping[str, str]) -> dict[str, str]:
    """Record members and the texts they must equal. Raises Invalid for an unknown parameter."""
    for name in query:
        if name not in FILTERS:
            valid = [*FILTERS, "integrated_account_id", "created_at[gt]", "created_at[lt]", "limit", "next_cursor"]
            raise Invalid(f"query: unknown parameter {shown(name)}{did_you_mean(name, valid)}")
    return {FILTERS[name]: value for name, value in query.items()}


def _matches(record: Mapping[str, Json], wanted: Wanted) -> bool:
    time = read_time(record["time"])
    return wanted.since < time < wanted.until and all(
        _equal(record.get(name), text) for name, text in wanted.equal.items()
    )


def _equal(value: Json, text: str) -> bool:
    if text == "null" or value is None:
        return value is None and text == "null"
    return str(value) == text


def _write_cursor(day: date, before: str) -> str:
    return base64.urlsafe_b64encode(json_text.encode([day.isoformat(), before])).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> tuple[date, str]:
    try:
        day, before = json_text.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        before.encode()
        return date.fromisoformat(day), before
    except (ValueError, TypeError, AttributeError):
        raise Invalid(
            "next_cursor is not one this listing gave; leave it out to start from the newest record"
        ) from None
