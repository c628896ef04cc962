"""All items of a partition, read in parts of a bounded size."""

from __future__ import annotations

import pytest

from functions.stores.partition import READ_AT_ONCE, every_item
from functions.stores.store import Item, Key


class Counted:
    """Items of one partition, and the bounds of the queries for them."""

    def __init__(self, count: int) -> None:
        self.items = [Item(Key("p", f"{number:04}"), {}, None, 1) for number in range(count)]
        self.queries: list[tuple[str | None, int]] = []

    def query(self, partition: str, *, after: str | None = None, limit: int = 100) -> list[Item]:
        assert partition == "p"
        self.queries.append((after, limit))
        return [item for item in self.items if after is None or item.key.sort > after][:limit]


@pytest.mark.parametrize(
    ("count", "queries"),
    [(0, 1), (1, 1), (READ_AT_ONCE - 1, 1), (READ_AT_ONCE, 2), (READ_AT_ONCE + 1, 2), (3 * READ_AT_ONCE, 4)],
)
def test_every_item_comes_once_and_in_order_whatever_their_number(count: int, queries: int) -> None:
    store = Counted(count)
    assert list(every_item(store, "p")) == store.items
    assert len(store.queries) == queries
    assert {limit for _, limit in store.queries} == {READ_AT_ONCE}
    assert [after for after, _ in store.queries[1:]] == [
        store.items[end - 1].key.sort for end in range(READ_AT_ONCE, count + 1, READ_AT_ONCE)
    ]
