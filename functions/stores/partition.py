"""All items of a partition, read in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from functions.stores.store import Item

READ_AT_ONCE = 100
"""Items of one query: about what one round trip to DynamoDB returns of items of this size."""


class Queried(Protocol):
    """The part of the store contract that this file needs."""

    def query(self, partition: str, *, after: str | None = None, limit: int = 100) -> list[Item]: ...


def every_item(store: Queried, partition: str) -> Iterator[Item]:
    """All items of the partition, in order."""
    after = None
    while True:
        items = store.query(partition, after=after, limit=READ_AT_ONCE)
        yield from items
        if len(items) < READ_AT_ONCE:
            return
        after = items[-1].key.sort
