"""What every store does, as store.py says it. No test here knows which store it runs on."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from functions.stores.store import (
    MAX_BODY_BYTES,
    MAX_CHANGES_PER_WRITE,
    MAX_KEYS_PER_GET,
    Change,
    Delete,
    Item,
    Key,
    Put,
    Store,
    StoreConflict,
    StoreError,
)
from tests.patience import STUCK_SECONDS

A, B, C = Key("contract", "a"), Key("contract", "b"), Key("contract", "c")


def only(store: Store, key: Key) -> Item | None:
    (item,) = store.get([key])
    return item


def sorts(items: list[Item]) -> list[str]:
    return [item.key.sort for item in items]


def fill(store: Store, names: list[str], partition: str = "list") -> None:
    for start in range(0, len(names), MAX_CHANGES_PER_WRITE):
        store.write(
            [Put(Key(partition, name), {"name": name}) for name in names[start : start + MAX_CHANGES_PER_WRITE]]
        )


def test_an_absent_item_is_none(store: Store) -> None:
    assert store.get([A]) == [None]


def test_no_keys_give_no_items_and_no_changes_change_nothing(store: Store) -> None:
    store.write([])
    assert store.get([]) == []


def test_a_put_item_comes_back_with_its_body_expiry_and_version_1(store: Store) -> None:
    store.write([Put(A, {"n": 1}, expires_at=1_790_000_000)])
    assert only(store, A) == Item(A, {"n": 1}, 1_790_000_000, 1)


def test_a_key_without_a_sort_has_the_default_one(store: Store) -> None:
    store.write([Put(Key("alone"), {"x": True})])
    assert only(store, Key("alone", "-")) == Item(Key("alone", "-"), {"x": True}, None, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"empty": "", "none": None, "list": [], "object": {}},
        {"integer": 1, "float": 1.5, "huge": 2**63, "tiny": 1e-300, "negative": -7},
        {"text": 'naïve 日本語 🗝 \u0000 \u2028 "quoted" \\ \n', "ключ": {"nested": [{"deep": [None, False]}]}},
    ],
    ids=["empty", "empties", "numbers", "text"],
)
def test_any_json_body_comes_back_as_it_was(store: Store, body: dict[str, Any]) -> None:
    store.write([Put(A, body)])
    item = only(store, A)
    assert item is not None
    assert item.body == body


def test_a_float_stays_a_float_and_a_whole_number_stays_whole(store: Store) -> None:
    store.write([Put(A, {"float": 1.0, "whole": 1})])
    item = only(store, A)
    assert item is not None
    assert {name: type(value) for name, value in item.body.items()} == {"float": float, "whole": int}


def test_changing_a_body_that_was_read_or_written_changes_nothing_in_the_store(store: Store) -> None:
    body = {"list": [1]}
    store.write([Put(A, body)])
    body["list"].append(2)
    first = only(store, A)
    assert first is not None
    first.body["list"].append(3)
    second = only(store, A)
    assert second is not None
    assert second.body == {"list": [1]}


def test_items_come_back_in_the_order_of_their_keys(store: Store) -> None:
    store.write([Put(A, {"is": "a"}), Put(C, {"is": "c"})])
    items = store.get([C, B, A])
    assert [item.body["is"] if item else None for item in items] == ["c", None, "a"]


def test_the_same_key_twice_in_one_get_gives_its_item_twice(store: Store) -> None:
    store.write([Put(A, {"is": "a"})])
    first, second = store.get([A, A])
    assert first == second == Item(A, {"is": "a"}, None, 1)


def test_as_many_keys_as_one_get_takes_come_back_complete(store: Store) -> None:
    names = [f"{n:03}" for n in range(MAX_KEYS_PER_GET)]
    fill(store, names)
    items = store.get([Key("list", name) for name in reversed(names)])
    assert [item.body["name"] if item else None for item in items] == list(reversed(names))


def test_one_key_too_many_in_a_get_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match=f"{MAX_KEYS_PER_GET + 1} keys in one get; at most {MAX_KEYS_PER_GET}"):
        store.get([Key("list", str(n)) for n in range(MAX_KEYS_PER_GET + 1)])


# Versions and conditions.


def test_every_write_of_an_item_counts_its_version_up_by_one(store: Store) -> None:
    for expected in (1, 2, 3):
        store.write([Put(A, {"write": expected})])
        item = only(store, A)
        assert item is not None
        assert (item.version, item.body) == (expected, {"write": expected})


def test_a_removed_item_starts_again_at_version_1(store: Store) -> None:
    store.write([Put(A, {})])
    store.write([Put(A, {})])
    store.write([Delete(A)])
    store.write([Put(A, {}, if_version=0)])
    item = only(store, A)
    assert item is not None
    assert item.version == 1


def test_a_put_replaces_body_and_expiry_as_a_whole(store: Store) -> None:
    store.write([Put(A, {"old": 1, "both": 1}, expires_at=1_790_000_000)])
    store.write([Put(A, {"both": 2})])
    assert only(store, A) == Item(A, {"both": 2}, None, 2)


def test_a_put_that_wants_no_item_is_refused_where_there_is_one(store: Store) -> None:
    store.write([Put(A, {"first": True}, if_version=0)])
    with pytest.raises(StoreConflict):
        store.write([Put(A, {"second": True}, if_version=0)])
    assert only(store, A) == Item(A, {"first": True}, None, 1)


def test_a_put_at_the_right_version_goes_through(store: Store) -> None:
    store.write([Put(A, {})])
    store.write([Put(A, {"n": 2}, if_version=1)])
    assert only(store, A) == Item(A, {"n": 2}, None, 2)


@pytest.mark.parametrize("wrong", [2, 4])
def test_a_put_at_a_wrong_version_is_refused(store: Store, wrong: int) -> None:
    for n in (1, 2, 3):
        store.write([Put(A, {"n": n})])
    with pytest.raises(StoreConflict):
        store.write([Put(A, {"n": 4}, if_version=wrong)])
    assert only(store, A) == Item(A, {"n": 3}, None, 3)


def test_a_put_at_a_version_of_an_absent_item_is_refused(store: Store) -> None:
    with pytest.raises(StoreConflict):
        store.write([Put(A, {}, if_version=1)])
    assert only(store, A) is None


def test_a_removed_item_is_gone(store: Store) -> None:
    store.write([Put(A, {}), Put(B, {})])
    store.write([Delete(A)])
    assert store.get([A, B]) == [None, Item(B, {}, None, 1)]


def test_removing_an_absent_item_is_no_error(store: Store) -> None:
    store.write([Delete(A)])
    assert only(store, A) is None


def test_a_removal_at_the_right_version_goes_through(store: Store) -> None:
    store.write([Put(A, {})])
    store.write([Delete(A, if_version=1)])
    assert only(store, A) is None


def test_a_removal_at_a_wrong_version_or_of_an_absent_item_is_refused(store: Store) -> None:
    store.write([Put(A, {})])
    with pytest.raises(StoreConflict):
        store.write([Delete(A, if_version=2)])
    with pytest.raises(StoreConflict):
        store.write([Delete(B, if_version=1)])
    assert only(store, A) == Item(A, {}, None, 1)


def test_the_conflict_error_names_no_key_and_no_body(store: Store) -> None:
    store.write([Put(Key("TOKEN#abcdef", "secret-sort"), {"secret": "hunter2"})])
    with pytest.raises(StoreConflict) as caught:
        store.write([Put(Key("TOKEN#abcdef", "secret-sort"), {"secret": "hunter3"}, if_version=0)])
    assert not any(word in str(caught.value) for word in ("abcdef", "secret", "hunter"))


# All or nothing.


@pytest.mark.parametrize("position", [0, 1, 2], ids=["first", "middle", "last"])
def test_one_refused_change_leaves_every_other_undone(store: Store, position: int) -> None:
    store.write([Put(C, {"kept": True})])
    changes: list[Change] = [Put(A, {"new": True}), Delete(C)]
    changes.insert(position, Put(B, {"never": True}, if_version=9))
    with pytest.raises(StoreConflict):
        store.write(changes)
    assert store.get([A, B, C]) == [None, None, Item(C, {"kept": True}, None, 1)]


def test_puts_and_removals_of_several_partitions_go_through_together(store: Store) -> None:
    store.write([Put(Key("one", "x"), {"n": 1}), Put(Key("two", "y"), {"n": 2})])
    store.write([Delete(Key("one", "x"), if_version=1), Put(Key("two", "y"), {"n": 3}, if_version=1), Put(C, {"n": 4})])
    assert store.get([Key("one", "x"), Key("two", "y"), C]) == [
        None,
        Item(Key("two", "y"), {"n": 3}, None, 2),
        Item(C, {"n": 4}, None, 1),
    ]


def test_as_many_changes_as_one_write_takes_are_applied(store: Store) -> None:
    store.write([Put(Key("list", f"{n:03}"), {}) for n in range(MAX_CHANGES_PER_WRITE)])
    assert len(store.query("list", limit=1000)) == MAX_CHANGES_PER_WRITE


def test_one_change_too_many_in_a_write_is_an_error_and_changes_nothing(store: Store) -> None:
    text = f"{MAX_CHANGES_PER_WRITE + 1} changes in one write; at most {MAX_CHANGES_PER_WRITE}"
    with pytest.raises(StoreError, match=text):
        store.write([Put(Key("list", str(n)), {}) for n in range(MAX_CHANGES_PER_WRITE + 1)])
    assert store.query("list") == []


def test_the_same_key_twice_in_one_write_is_an_error_and_changes_nothing(store: Store) -> None:
    with pytest.raises(StoreError, match="same key twice in one write"):
        store.write([Put(A, {"n": 1}), Put(B, {}), Delete(A)])
    assert store.get([A, B]) == [None, None]


def test_the_largest_body_goes_through_and_one_byte_more_is_an_error(store: Store) -> None:
    frame = len('{"text":""}')
    store.write([Put(A, {"text": "x" * (MAX_BODY_BYTES - frame)})])
    with pytest.raises(StoreError, match=f"a body of {MAX_BODY_BYTES + 1:,} bytes; at most {MAX_BODY_BYTES:,}"):
        store.write([Put(B, {}), Put(A, {"text": "x" * (MAX_BODY_BYTES - frame + 1)})])
    item = only(store, A)
    assert item is not None
    assert item.version == 1
    assert only(store, B) is None


def test_body_bytes_are_counted_in_utf_8(store: Store) -> None:
    with pytest.raises(StoreError, match="a body of"):
        store.write([Put(A, {"text": "鍵" * (MAX_BODY_BYTES // 3)})])


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, "\ud800"], ids=["nan", "inf", "set", "surrogate"]
)
def test_a_body_that_is_not_json_is_an_error_that_does_not_show_it(store: Store, value: object) -> None:
    with pytest.raises(StoreError, match="not JSON") as caught:
        store.write([Put(A, {"secret_name": value})])
    assert "secret_name" not in str(caught.value)
    assert only(store, A) is None


def test_writers_that_race_for_an_item_lose_no_update(store: Store) -> None:
    threads, rounds = 4, 10
    store.write([Put(A, {"count": 0})])
    refused = []

    def count_up() -> None:
        for _ in range(rounds):
            while True:
                (item,) = store.get([A])
                assert item is not None
                try:
                    store.write([Put(A, {"count": item.body["count"] + 1}, if_version=item.version)])
                    break
                except StoreConflict:
                    refused.append(1)

    workers = [threading.Thread(target=count_up) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(STUCK_SECONDS)
    assert only(store, A) == Item(A, {"count": threads * rounds}, None, threads * rounds + 1)


# Listing.


def test_an_empty_partition_lists_nothing(store: Store) -> None:
    assert store.query("nothing") == []


def test_a_listing_is_in_code_point_order_and_of_its_partition_only(store: Store) -> None:
    names = ["b", "a", "B", "10", "9", "é", "日", "🗝", "~", "-", "a#1", "a/"]
    fill(store, names)
    fill(store, ["a"], partition="lis")
    fill(store, ["b"], partition="list#")
    assert sorts(store.query("list")) == sorted(names)
    assert sorts(store.query("list", descending=True)) == sorted(names, reverse=True)


def test_a_listing_gives_whole_items(store: Store) -> None:
    store.write([Put(A, {"n": 1}, expires_at=5)])
    store.write([Put(A, {"n": 2}, expires_at=6), Put(B, {"n": 3})])
    assert store.query("contract") == [Item(A, {"n": 2}, 6, 2), Item(B, {"n": 3}, None, 1)]


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        ("b", None, ["c", "d", "e"]),
        (None, "d", ["a", "b", "c"]),
        ("b", "e", ["c", "d"]),
        ("b", "c", []),
        ("bb", "dd", ["c", "d"]),
        ("c", "c", []),
        ("d", "b", []),
        ("z", None, []),
        (None, "a", []),
        ("0", "z", ["a", "b", "c", "d", "e"]),
    ],
)
def test_after_and_before_leave_their_own_key_out(
    store: Store, after: str | None, before: str | None, expected: list[str]
) -> None:
    fill(store, ["a", "b", "c", "d", "e"])
    assert sorts(store.query("list", after=after, before=before)) == expected
    assert sorts(store.query("list", after=after, before=before, descending=True)) == expected[::-1]


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
def test_the_limit_counts_within_after_and_before_from_the_side_the_listing_starts(
    store: Store, descending: bool
) -> None:
    fill(store, ["a", "b", "c", "d", "e", "f"])
    found = sorts(store.query("list", after="a", before="f", limit=2, descending=descending))
    assert found == (["e", "d"] if descending else ["b", "c"])


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
def test_pages_that_follow_the_last_key_give_every_item_once(store: Store, descending: bool) -> None:
    names = [f"{n:03}" for n in range(25)]
    fill(store, names)
    seen: list[str] = []
    last: str | None = None
    while True:
        page = (
            store.query("list", before=last, limit=10, descending=True)
            if descending
            else store.query("list", after=last, limit=10)
        )
        seen += sorts(page)
        if len(page) < 10:
            break
        last = seen[-1]
    assert seen == (names[::-1] if descending else names)


def test_a_page_of_large_items_is_as_full_as_its_limit(store: Store) -> None:
    """A table answers at most 1 MB at once; a store asks again until the page is full."""
    for n in range(5):
        store.write([Put(Key("large", str(n)), {"text": "x" * 350_000})])
    assert sorts(store.query("large", limit=5)) == ["0", "1", "2", "3", "4"]


def test_a_get_of_many_large_items_is_complete(store: Store) -> None:
    """A table answers at most 16 MB at once; a store asks again for the keys that were left."""
    names = [f"{n:02}" for n in range(48)]
    for name in names:
        store.write([Put(Key("large", name), {"text": "x" * 370_000})])
    assert [item.key.sort if item else None for item in store.get([Key("large", name) for name in names])] == names


def test_a_listing_is_100_items_long_when_nothing_is_said(store: Store) -> None:
    fill(store, [f"{n:03}" for n in range(101)])
    assert len(store.query("list")) == 100


def test_a_limit_below_1_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="limit 0 in a query; at least 1"):
        store.query("list", limit=0)


def test_keys_of_any_characters_are_kept_apart(store: Store) -> None:
    keys = [Key("p", s) for s in ("é", "e\u0301", "E", "e", "日本", "🗝", " ", "%", "_", "'", '"', "a\u0000b", "a")]
    store.write([Put(key, {"n": n}) for n, key in enumerate(keys)])
    assert [item.body["n"] if item else None for item in store.get(keys)] == list(range(len(keys)))


# Expiry is the reader's business.


def test_an_expired_item_is_still_read_and_listed(store: Store) -> None:
    store.write([Put(A, {"n": 1}, expires_at=4_000_000_000), Put(B, {"n": 2}, expires_at=4_000_000_001)])
    assert store.query("contract") == [Item(A, {"n": 1}, 4_000_000_000, 1), Item(B, {"n": 2}, 4_000_000_001, 1)]


def test_an_item_whose_expiry_is_long_past_is_written_without_complaint(store: Store) -> None:
    """Whether it is still there is the store's business: removal may come at any time after."""
    store.write([Put(A, {"n": 1}, expires_at=1)])
    assert only(store, A) in (None, Item(A, {"n": 1}, 1, 1))
