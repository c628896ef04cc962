"""Reading a partition of the store: all of it, or a page of what is live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from functions.gateway.grants import Expiring, is_live
from functions.stores.store import Item, Store

READ_AT_ONCE = 100
"""Items of one query: about what one round trip to DynamoDB returns of items of this size."""

Live = TypeVar("Live", bound=Expiring)


def every_item(store: Store, partition: str) -> Iterator[Item]:
    """All items of the partition, in order."""
    after = None
    while True:
        items = store.query(partition, after=after, limit=READ_AT_ONCE)
        yield from items
        if len(items) < READ_AT_ONCE:
            return
        after = items[-1].key.sort


def live_page(
    store: Store, partition: str, read: Callable[[Item], Live], *, now: datetime, limit: int, after: str | None
) -> tuple[list[Live], bool]:
    """At most `limit` live entries behind `after`, and whether more of them follow."""
    found: list[Live] = []
    while True:
        items = store.query(partition, after=after, limit=limit + 1)
        found += [entry for entry in map(read, items) if is_live(entry, now)]
        if len(found) > limit or len(items) <= limit:
            return found[:limit], len(found) > limit
        after = items[-1].key.sort
