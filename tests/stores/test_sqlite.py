"""What the SQLite store does beside the contract: its file, its lock, its sweep."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from functions.stores.sqlite import FORMAT, KEPT_CHARS, KeptReads, SqliteStore, _by_keys
from functions.stores.store import Delete, Item, Key, Put, StoreError, StoreUnavailable
from tests.patience import STUCK_SECONDS

A, B, C = Key("p", "a"), Key("p", "b"), Key("p", "c")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.sqlite3"


def test_items_survive_closing_and_opening(path: Path) -> None:
    first = SqliteStore(path)
    first.write([Put(A, {"n": 1}, expires_at=7)])
    first.close()
    second = SqliteStore(path)
    assert second.get([A]) == [Item(A, {"n": 1}, 7, 1)]
    second.close()


def test_the_file_and_its_new_folder_are_the_owners_alone(path: Path) -> None:
    SqliteStore(path).close()
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert oct(path.parent.stat().st_mode)[-3:] == "700"


def test_a_sweep_removes_what_expired_at_or_before_now_and_nothing_else(path: Path) -> None:
    store = SqliteStore(path)
    store.write([Put(A, {}, expires_at=99), Put(B, {}, expires_at=100), Put(C, {}, expires_at=101), Put(Key("q"), {})])
    assert store.sweep(100) == 2
    assert [item is not None for item in store.get([A, B, C, Key("q")])] == [False, False, True, True]
    assert store.sweep(100) == 0
    store.close()


def test_a_file_that_is_not_sqlite_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"my precious notes\n" * 100)
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    assert str(caught.value) == (
        f"SQLite store {path}: damaged, or not an SQLite file (file is not a database); it was left unchanged. "
        "Restore the file, or move it away to start with an empty one"
    )
    assert path.read_bytes() == b"my precious notes\n" * 100


def test_another_programs_sqlite_file_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="an SQLite file of another program; it was left unchanged"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    SqliteStore(path).close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {FORMAT + 1}")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"written by a newer version .format {FORMAT + 1}, this one knows {FORMAT}."):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_of_an_earlier_version_is_refused_and_left_as_it_is(path: Path) -> None:
    SqliteStore(path).close()
    earlier = sqlite3.connect(path)
    earlier.execute(f"PRAGMA user_version = {FORMAT - 1}")
    earlier.close()
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=f"written by an earlier version .format {FORMAT - 1}, this one needs {FORMAT}."
    ):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_damage_inside_the_file_is_a_clear_error_when_it_is_read(path: Path) -> None:
    store = SqliteStore(path)
    store.write([Put(Key("p", f"{n:04}"), {"text": "x" * 1000}) for n in range(100)])
    store.close()
    damaged = bytearray(path.read_bytes())
    for offset in range(4096, len(damaged), 4096):
        damaged[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(damaged)
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="damaged, or not an SQLite file"):
        store.query("p")
    store.close()
    assert path.read_bytes() == bytes(damaged)


def test_a_path_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Is a directory; give a file that this user may read and write"):
        SqliteStore(tmp_path)


def test_a_file_locked_by_another_writer_is_unavailable_and_works_again_after(path: Path) -> None:
    store = SqliteStore(path, lock_seconds=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process; stop it, or retry") as caught:
        store.write([Put(A, {})])
    assert caught.value.retry_after == 1
    assert store.get([A]) == [None]
    other.execute("ROLLBACK")
    other.close()
    store.write([Put(A, {})])
    assert store.get([A]) == [Item(A, {}, None, 1)]
    store.close()


def test_two_stores_on_one_file_see_each_others_writes(path: Path) -> None:
    first, second = SqliteStore(path), SqliteStore(path)
    first.write([Put(A, {"from": "first"})])
    assert second.get([A]) == [Item(A, {"from": "first"}, None, 1)]
    second.write([Put(A, {"from": "second"}, if_version=1)])
    assert first.get([A]) == [Item(A, {"from": "second"}, None, 2)]
    first.close()
    second.close()


def test_stores_opened_at_once_on_a_new_file_all_work(path: Path) -> None:
    problems: list[Exception] = []

    def use(name: str) -> None:
        try:
            store = SqliteStore(path, lock_seconds=30)
            store.write([Put(Key("p", name), {})])
            store.close()
        except Exception as problem:
            problems.append(problem)

    workers = [threading.Thread(target=use, args=(str(n),)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(STUCK_SECONDS)
    assert problems == []
    store = SqliteStore(path)
    assert len(store.query("p")) == 8
    store.close()


def test_a_read_does_not_wait_for_a_writer_of_this_or_another_process(path: Path) -> None:
    """A write that waits for another process's lock held every read up, on the event loop too."""
    store = SqliteStore(path, lock_seconds=60)
    store.write([Put(A, {"n": 1})])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    waiting = threading.Thread(target=store.write, args=([Put(A, {"n": 2})],))
    waiting.start()
    while not store._writing.locked():  # until the write is under way
        threading.Event().wait(0.001)
    assert store.get([A]) == [Item(A, {"n": 1}, None, 1)]
    assert store.query(A.partition) == [Item(A, {"n": 1}, None, 1)]
    assert waiting.is_alive()
    other.execute("ROLLBACK")
    other.close()
    waiting.join()
    assert store.get([A]) == [Item(A, {"n": 2}, None, 2)]
    store.close()


@pytest.mark.parametrize("keys", [1, 2, 100])
def test_the_items_of_one_get_are_of_one_moment_and_found_by_key(path: Path, keys: int) -> None:
    store = SqliteStore(path)
    asked = [Key("p", f"{n}") for n in range(keys)]
    plan = store._reader.execute(
        f"EXPLAIN QUERY PLAN {_by_keys(keys)}", [part for key in asked for part in (key.partition, key.sort)]
    ).fetchall()
    by_key = "SEARCH items USING INDEX sqlite_autoindex_items_1 (partition=? AND sort=?)"
    assert any(row[3].startswith(by_key) for row in plan), plan
    assert not any(row[3].startswith("SCAN items") for row in plan), plan
    assert store.get(asked) == [None] * keys
    store.close()


def test_a_read_only_file_is_a_clear_error(path: Path) -> None:
    store = SqliteStore(path)
    store._writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="read-only; give this user the right to write the file and its folder"):
        store.write([Put(A, {})])
    store.close()


def test_a_full_disk_is_unavailable_and_works_again_once_there_is_space(path: Path) -> None:
    store = SqliteStore(path)
    store.write([Put(A, {"n": 1})])
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(
        StoreUnavailable, match="database or disk is full; free some space, or check the disk"
    ) as caught:
        store.write([Put(Key("q", f"{n}"), {"text": "x" * 4_000}) for n in range(100)])
    assert caught.value.retry_after == 30
    store._writer.execute("PRAGMA max_page_count = 1000000")
    store.write([Put(A, {"n": 2})])
    assert store.get([A]) == [Item(A, {"n": 2}, None, 2)]
    assert store.query("q") == []
    store.close()


@pytest.mark.parametrize("body", ["{", "", '{"n": NaN}'])
def test_a_body_that_is_not_json_is_a_store_error_without_the_body(path: Path, body: str) -> None:
    store = SqliteStore(path)
    store.write([Put(A, {})])
    store._writer.execute("UPDATE items SET body = ?", (body,))
    for read in (lambda: store.get([A]), lambda: store.query(A.partition)):
        with pytest.raises(StoreError, match="the body of an item is not JSON; restore the file"):
            read()
    store.close()


def test_an_error_of_another_kind_is_a_store_error_that_waiting_does_not_cure(path: Path) -> None:
    store = SqliteStore(path)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE items")
    other.close()
    for _ in range(3):
        with pytest.raises(StoreError, match="no such table: items") as caught:
            store.get([A])
        assert not isinstance(caught.value, StoreUnavailable)
    store.close()


def test_the_oldest_log_items_go_first_when_the_file_is_over_its_size(path: Path) -> None:
    store = SqliteStore(path)
    body = {"text": "x" * 700}
    for day in ("2030-01-01", "2030-01-02", "2030-01-03"):
        for account in ("acc_b", "acc_a"):
            for start in range(0, 600, 100):
                store.write([Put(Key(f"LOG#{account}#{day}", f"{n:04}"), body) for n in range(start, start + 100)])
    store.write([Put(Key("ACCOUNTS", "acc_a"), body), Put(Key("TOKEN#x"), body)])
    size = store._used_bytes()
    assert store.trim("LOG#", size) == 0
    removed = store.trim("LOG#", size // 2)
    assert store._used_bytes() <= size // 2
    left = {
        (account, day): len(store.query(f"LOG#{account}#{day}", limit=1_000))
        for day in ("2030-01-01", "2030-01-02", "2030-01-03")
        for account in ("acc_a", "acc_b")
    }
    assert sum(left.values()) == 3_600 - removed
    assert left["acc_a", "2030-01-01"] == left["acc_b", "2030-01-01"] == 0
    assert left["acc_a", "2030-01-03"] == left["acc_b", "2030-01-03"] == 600
    assert store.get([Key("ACCOUNTS", "acc_a"), Key("TOKEN#x")]) != [None, None]
    assert store.trim("LOG#", 0) == sum(left.values())  # it ends, although the rest is over the limit
    assert store.get([Key("ACCOUNTS", "acc_a")])[0] is not None
    store.close()


def test_the_data_plane_gets_the_very_same_item_until_its_row_changes(path: Path) -> None:
    store = SqliteStore(path)
    kept = KeptReads(store)
    for number in range(3):
        store.write([Put(A, {"n": number}), Put(B, {"text": "x" * KEPT_CHARS})])
        [first, absent, large] = kept.get([A, C, B])
        [again, _, large_again] = kept.get([A, C, B])
        assert first == Item(A, {"n": number}, None, number + 1)
        assert first is again
        assert absent is None
        assert large == large_again == store.get([B])[0]
        assert large is not large_again
    store.write([Delete(A)])
    assert kept.get([A]) == [None]
    store.write([Put(A, {"n": 0}, expires_at=7)])
    assert kept.get([A]) == [Item(A, {"n": 0}, 7, 1)]
    store.close()


def test_a_row_that_is_not_json_is_an_error_each_time(path: Path) -> None:
    store = SqliteStore(path)
    store.write([Put(A, {})])
    with sqlite3.connect(path) as other:
        other.execute("UPDATE items SET body = '{'")
    other.close()
    for _ in range(3):
        with pytest.raises(StoreError, match="not JSON"):
            KeptReads(store).get([A])
    store.close()
