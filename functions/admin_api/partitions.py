"""A page of what is live in a partition of the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from functions.gateway.grants import Expiring, is_live
from functions.stores.store import Item, Store

READ_AT_ONCE = 100
"""Items of one query: about what one round trip to DynamoDB returns of items of this size."""

READS = 60
"""Reads of the store that one page may cost. Then the page ends early, with a cursor that continues it."""

Live = TypeVar("Live", bound=Expiring)


def live_page(
    store: Store, partition: str, read: Callable[[Item], Live], *, now: datetime, limit: int, after: str | None
) -> tuple[list[Live], str | None]:
    """At most `limit` live entries behind `after`, and the sort key behind which the next page starts (None = no more).

    A page may be short, even empty, and still have a next one.
    """
    found: list[Live] = []
    for _ in range(READS):
        items = store.query(partition, after=after, limit=READ_AT_ONCE)
        for item in items:
            entry = read(item)
            if is_live(entry, now):
                if len(found) == limit:
                    return found, after
                found.append(entry)
            after = item.key.sort
        if len(items) < READ_AT_ONCE:
            return found, None
    return found, after
