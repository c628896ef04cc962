"""Limits of the open endpoints: the memory they take, and registrations that are counted at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from functions.admin_api.oauth.errors import TooMany
from functions.admin_api.oauth.limits import ADDRESSES_KEPT, RATES, REGISTRATIONS, TRIES, Limits
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Change, Store, StoreConflict
from tests.admin_api.conftest import Plane

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def test_a_flood_of_addresses_takes_bounded_memory_and_stops_none_that_is_known(plane: Plane) -> None:
    limits = Limits(plane.store)
    for number in range(ADDRESSES_KEPT):
        limits.take("revoke", f"address {number}", NOON)
    with pytest.raises(TooMany) as refused:
        limits.take("revoke", "one more", NOON)
    assert refused.value.retry_after == 60
    limits.take("revoke", "address 0", NOON)
    assert len(limits._marks) == ADDRESSES_KEPT
    limits.take("revoke", "one more", NOON + timedelta(minutes=1))
    assert len(limits._marks) == 1, "marks that limit nothing any more are dropped"


def test_an_address_is_counted_for_each_endpoint_of_its_own(plane: Plane) -> None:
    limits = Limits(plane.store)
    for _ in range(RATES["register"].burst):
        limits.take("register", "one", NOON)
    with pytest.raises(TooMany) as refused:
        limits.take("register", "one", NOON)
    assert refused.value.retry_after == 3  # 20 a minute
    limits.take("register", "two", NOON)
    limits.take("token", "one", NOON)


class Raced(SqliteStore):
    """A store in which other processes write the mark first, so many times."""

    races = 0

    def write(self, changes: Sequence[Change]) -> None:
        if self.races:
            self.races -= 1
            raise StoreConflict("another registration was counted")
        super().write(changes)


@pytest.fixture
def raced(plane: Plane) -> Raced:
    store = Raced.__new__(Raced)
    store.__dict__.update(plane.store.__dict__)
    return store


def counted(store: Store) -> int:
    """How many registrations are still taken at noon."""
    limits, taken = Limits(store), 0
    while True:
        try:
            limits.take_registration(NOON)
        except TooMany:
            return taken
        taken += 1


def test_a_registration_that_lost_a_race_is_counted_once(raced: Raced) -> None:
    raced.races = TRIES - 1
    Limits(raced).take_registration(NOON)
    assert counted(raced) == REGISTRATIONS.burst - 1


def test_a_registration_that_loses_every_race_is_refused_and_not_counted(raced: Raced) -> None:
    raced.races = TRIES
    with pytest.raises(TooMany) as refused:
        Limits(raced).take_registration(NOON)
    assert (refused.value.retry_after, raced.races) == (1, 0)
    assert counted(raced) == REGISTRATIONS.burst
