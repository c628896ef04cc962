"""One contract, every store. A store joins with one line in STORES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from functions.stores.sqlite import SqliteStore
from functions.stores.store import Store
from tests.aws.standins import store_on_ministack, store_on_moto


@contextmanager
def sqlite(folder: Path) -> Iterator[Store]:
    store = SqliteStore(folder / "store.sqlite3")
    try:
        yield store
    finally:
        store.close()


STORES: list[object] = [
    pytest.param(sqlite, id="sqlite"),
    pytest.param(store_on_ministack, id="ministack", marks=pytest.mark.aws),
    pytest.param(store_on_moto, id="moto", marks=pytest.mark.aws),
]
"""Context managers that take a folder of the test's own and give an empty store."""


RACES = (
    "test_writers_that_race_for_an_item_lose_no_update[moto]",
    "test_of_several_that_want_a_name_at_once_one_gets_it_and_the_others_leave_nothing[moto]",
)
"""Tests whose writers race."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """moto rolls a refused transaction back by putting a copy of the whole table in its place, and so takes back what
    others wrote meanwhile: writers that race there would test moto."""
    items[:] = [item for item in items if item.name not in RACES]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    open_store: Callable[[Path], AbstractContextManager[Store]] = request.param
    with open_store(tmp_path) as opened:
        yield opened
