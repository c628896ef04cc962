"""The purge of one server: what it removes, and what it must leave alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from functions.gateway.grants import digest, write_time
from functions.purge.purge import ATTEMPTS, TooEarly, purge
from functions.stores import layout
from functions.stores.store import Change, Item, Key, StoreConflict, StoreUnavailable
from tests.admin_api.conftest import Plane


def mint(plane: Plane, account: str, seconds: int) -> dict[str, Any]:
    """A server that lives for `seconds`, as the management API answers it."""
    expires_at = write_time(plane.clock.now + timedelta(seconds=seconds))
    body = {"expires_at": expires_at}
    minted: dict[str, Any] = plane.ok("POST", f"/integrated-account/{account}/mcp", body)
    return minted


def event(account: str, server: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"account_id": account, "server_id": server["id"], "expires_at": server["expires_at"], **changed}


def everything(plane: Plane, account: str, server: dict[str, Any]) -> list[Item | None]:
    keys = [layout.server(account, server["id"]), layout.token(digest(server["token"])), layout.use(server["id"])]
    return plane.store.get(keys)


def test_an_expired_server_goes_with_its_tokens_and_its_last_use(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)
    rotated = plane.ok("POST", f"/integrated-account/{account}/mcp/{server['id']}/rotate", {"grace_seconds": 3600})
    other = mint(plane, account, 60)
    plane.clock.advance(seconds=60)
    assert purge(event(account, server), plane.store, plane.clock.now) == "purged"
    assert everything(plane, account, server) == [None, None, None]
    assert everything(plane, account, rotated) == [None, None, None]
    assert None not in everything(plane, account, other)[:2]


def test_a_second_run_finds_nothing_and_says_so(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)
    plane.clock.advance(seconds=61)
    assert [purge(event(account, server), plane.store, plane.clock.now) for _ in range(2)] == ["purged", "gone"]


def test_a_server_that_was_extended_stays_whatever_old_schedules_say(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)
    later = write_time(plane.clock.now + timedelta(seconds=120))
    plane.ok("PATCH", f"/integrated-account/{account}/mcp/{server['id']}", {"expires_at": later})
    plane.clock.advance(seconds=90)
    assert purge(event(account, server), plane.store, plane.clock.now) == "kept"
    assert None not in everything(plane, account, server)[:2]
    plane.clock.advance(seconds=30)
    assert purge(event(account, server, expires_at=later), plane.store, plane.clock.now) == "purged"


def test_a_server_that_lives_for_ever_now_stays(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)
    plane.ok("PATCH", f"/integrated-account/{account}/mcp/{server['id']}", {"expires_at": None})
    plane.clock.advance(days=9)
    assert purge(event(account, server), plane.store, plane.clock.now) == "kept"
    assert None not in everything(plane, account, server)[:2]


def test_a_server_that_was_shortened_goes_with_its_old_schedule_too(plane: Plane, account: str) -> None:
    server = mint(plane, account, 600)
    sooner = write_time(plane.clock.now + timedelta(seconds=30))
    plane.ok("PATCH", f"/integrated-account/{account}/mcp/{server['id']}", {"expires_at": sooner})
    plane.clock.advance(seconds=600)
    assert purge(event(account, server), plane.store, plane.clock.now) == "purged"


def test_a_run_before_the_second_removes_nothing_and_asks_to_be_repeated(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)
    plane.clock.advance(seconds=59, milliseconds=999)
    with pytest.raises(TooEarly, match=f"server {server['id']} expires at"):
        purge(event(account, server), plane.store, plane.clock.now)
    assert None not in everything(plane, account, server)[:2]
    plane.clock.advance(milliseconds=1)
    assert purge(event(account, server), plane.store, plane.clock.now) == "purged"


class Meddled:
    """The plane's store, with something that happens right before each of the first writes."""

    def __init__(self, plane: Plane, *before: Any) -> None:
        self._plane = plane
        self._before = list(before)

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        return self._plane.store.get(keys)

    def write(self, changes: Sequence[Change]) -> None:
        if self._before:
            self._before.pop(0)()
        self._plane.store.write(changes)

    def query(self, partition: str, **_: Any) -> list[Item]:
        raise AssertionError(f"a purge lists nothing, and surely not {partition}")


def test_an_extension_in_the_very_moment_of_the_purge_wins(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)
    later = write_time(plane.clock.now + timedelta(seconds=120))
    at_expiry = plane.clock.now + timedelta(seconds=60)

    def extend() -> None:
        plane.ok("PATCH", f"/integrated-account/{account}/mcp/{server['id']}", {"expires_at": later})

    assert purge(event(account, server), Meddled(plane, extend), at_expiry) == "kept"
    assert None not in everything(plane, account, server)[:2]


def test_a_removal_in_the_very_moment_of_the_purge_is_fine(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)
    at_expiry = plane.clock.now + timedelta(seconds=60)

    def remove() -> None:
        plane.ok("DELETE", f"/integrated-account/{account}/mcp/{server['id']}")

    assert purge(event(account, server), Meddled(plane, remove), at_expiry) == "gone"


def test_a_purge_that_is_beaten_every_time_is_left_to_be_repeated(plane: Plane, account: str) -> None:
    server = mint(plane, account, 60)

    def beat() -> None:
        raise StoreConflict("somebody was faster")

    meddled = Meddled(plane, *[beat] * ATTEMPTS)
    with pytest.raises(StoreUnavailable):
        purge(event(account, server), meddled, plane.clock.now + timedelta(seconds=60))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        {"account_id": "acc_1", "server_id": "srv_1"},
        {"account_id": "acc_1", "server_id": "srv_1", "expires_at": "tomorrow"},
        {"account_id": "acc_1", "server_id": "srv_1", "expires_at": "2026-12-31T23:59:59"},
        {"account_id": "acc_1", "server_id": "srv_1", "expires_at": None},
    ],
    ids=["empty", "list", "no time", "no time at all", "no offset", "null"],
)
def test_another_event_is_refused_with_the_shape_of_a_right_one(plane: Plane, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r'not the event of a schedule .* valid: {"account_id": "acc_\.\.\.", '):
        purge(wrong, plane.store, plane.clock.now)
