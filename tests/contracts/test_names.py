"""A name has one holder in every store, also when several want it at once."""

from __future__ import annotations

import threading

from functions.admin_api import names
from functions.stores import layout
from functions.stores.store import Delete, Put, Store, StoreConflict, StoreUnavailable

NAME = layout.server_name("acc_1", "agent")


def held(store: Store) -> str:
    [named] = store.get([NAME])
    return names.holder(named)


def hold(store: Store, server_id: str) -> bool:
    """Take the name as a mint does: in one write with the holder. False when another has it."""
    [named] = store.get([NAME])
    if names.holder(named):
        return False
    try:
        store.write(
            [
                Put(layout.server("acc_1", server_id), {"id": server_id}, if_version=0),
                names.take(NAME, named, server_id),
            ]
        )
    except (StoreConflict, StoreUnavailable):  # DynamoDB may call a lost race a conflict of transactions
        return False
    return True


def test_of_several_that_want_a_name_at_once_one_gets_it_and_the_others_leave_nothing(store: Store) -> None:
    got: list[str] = []

    def want(server_id: str) -> None:
        if hold(store, server_id):
            got.append(server_id)

    threads = [threading.Thread(target=want, args=(f"srv_{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert held(store) == got[0]
    assert [item.key.sort for item in store.query(layout.servers("acc_1"))] == got


def test_a_name_that_was_released_can_be_taken_and_a_late_release_leaves_it(store: Store) -> None:
    for server_id in ("srv_a", "srv_b", "srv_c"):
        assert hold(store, server_id)
        [named] = store.get([NAME])
        assert names.release(named, "srv_other") == []
        store.write([Delete(layout.server("acc_1", server_id)), *names.release(named, server_id)])
        assert held(store) == ""


def test_a_name_of_an_expired_holder_goes_to_one_of_those_that_saw_it(store: Store) -> None:
    assert hold(store, "srv_old")
    [seen] = store.get([NAME])
    store.write([names.take(NAME, seen, "srv_new")])
    try:
        store.write([names.take(NAME, seen, "srv_late")])
    except StoreConflict:
        pass
    else:
        raise AssertionError("a second request took the name that the first one had taken")
    [named] = store.get([NAME])
    assert names.release(named, "srv_old") == []
    assert held(store) == "srv_new"


def test_the_longest_name_is_a_key(store: Store) -> None:
    key = layout.server_name("a" * 64, "鍵" * 200)
    store.write([names.take(key, None, "srv_1")])
    [named] = store.get([key])
    assert names.holder(named) == "srv_1"
