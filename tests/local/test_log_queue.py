"""The laptop's log is written on a thread of its own: calls never wait for it, and nothing is lost silently."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from functions import local
from functions.gateway.settings import Settings
from functions.local.call_file import CallFile
from functions.local.log_queue import ATTEMPTS, LogQueue, SettledStore
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Change, Key, Put, StoreConflict, StoreError, StoreUnavailable
from tests.patience import STUCK_SECONDS

USE = Key("USE#srv_1")
ENTRY = Key(layout.log("acc_1", 0, "2030-01-01"), "2030-01-01T00:00:00.000Z#1")


class Written:
    """A store and lines that can be held up and made to fail."""

    def __init__(self) -> None:
        self.store = self
        self.lines: list[str] = []
        self.changes: list[Sequence[Change]] = []
        self.failures: list[Exception] = []
        self.writes = 0
        self.gate = threading.Event()
        self.gate.set()

    def write(self, what: Sequence[Change] | str, /) -> None:
        assert self.gate.wait(STUCK_SECONDS)
        if self.failures:
            raise self.failures.pop(0)
        self.writes += 1
        if isinstance(what, str):
            self.lines += what.splitlines(keepends=True)
        else:
            self.changes += [[change] for change in what]

    def get(self, keys: Sequence[Key]) -> list[None]:
        return [None for _ in keys]

    def query(self, *_: object, **__: object) -> list[None]:
        return []


@contextmanager
def _queue(written: Written, capacity: int = 100) -> Iterator[LogQueue]:
    queue = LogQueue(written, written, capacity=capacity)  # type: ignore[arg-type]
    try:
        yield queue
    finally:
        written.gate.set()
        queue.close()


def test_a_call_never_waits_for_the_disk_and_the_order_is_kept() -> None:
    written = Written()
    written.gate.clear()
    with _queue(written) as queue:
        for number in range(50):
            queue.stream.write(f"{number}\n")
            queue.write([Put(Key("LOG#a#d", f"{number}"), {})])
        assert (written.lines, written.changes) == ([], [])
        written.gate.set()
        queue.settle(STUCK_SECONDS)
        assert written.lines == [f"{number}\n" for number in range(50)]
        assert [changes[0].key.sort for changes in written.changes] == [f"{number}" for number in range(50)]


def test_what_is_left_is_written_when_the_endpoint_stops() -> None:
    written = Written()
    written.gate.clear()
    with _queue(written) as queue:
        for number in range(50):
            queue.stream.write(f"{number}\n")
    assert len(written.lines) == 50


def test_a_locked_store_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    written = Written()
    written.failures = [StoreUnavailable("locked") for _ in range(ATTEMPTS - 1)]
    with _queue(written) as queue:
        queue.write([Put(ENTRY, {})])
    assert len(written.changes) == 1
    assert caplog.records == []


@pytest.mark.parametrize(
    "failure", [StoreError("a reason"), StoreUnavailable("a reason"), OSError(28, "a reason"), ValueError("a value")]
)
def test_what_is_lost_is_counted_and_logged_with_the_reason(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    written = Written()
    written.failures = [failure] * 3 * (ATTEMPTS if isinstance(failure, StoreUnavailable) else 1)
    with _queue(written) as queue:
        for _ in range(4):
            queue.write([Put(ENTRY, {})])
    assert len(written.changes) == 1
    reason = "ValueError" if isinstance(failure, ValueError) else str(failure)
    assert [record.getMessage() for record in caplog.records] == [
        f"a log entry could not be written and is lost: {reason}",
        "2 log entries were lost since then",
    ]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_a_full_queue_loses_entries_with_a_word_and_not_with_a_wait(caplog: pytest.LogCaptureFixture) -> None:
    written = Written()
    written.gate.clear()
    with _queue(written, capacity=10) as queue:
        for number in range(30):
            queue.stream.write(f"{number}\n")
        assert [record.getMessage() for record in caplog.records] == [
            "a log entry could not be written and is lost: 10 entries wait already"
        ]
    lost = 30 - len(written.lines)
    assert lost in (19, 20)  # the thread may have taken one before it was held up
    assert caplog.records[-1].getMessage() == f"{lost - 1} log entries were lost since then"


def test_entries_that_wait_together_are_written_at_once() -> None:
    written = Written()
    written.gate.clear()
    with _queue(written, capacity=1_000) as queue:
        for number in range(250):
            queue.stream.write(f"{number}\n")
            queue.write([Put(Key("LOG#a#d", f"{number}"), {})])
        written.gate.set()
        queue.settle(STUCK_SECONDS)
        assert (len(written.lines), len(written.changes)) == (250, 250)
        first = written.writes  # the thread may have begun before all had come
        assert first <= 10
        for _ in range(3):
            queue.write([Put(USE, {})])  # of one key, each is written alone
        queue.settle(STUCK_SECONDS)
        assert written.writes == first + 3


def test_an_entry_that_cannot_be_written_takes_no_other_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(tmp_path / "postern.sqlite")
    keys = [Key("LOG#a#d", f"{number}") for number in range(40)]
    store.write([Put(keys[7], {"first": True})])
    held = Written()
    held.gate.clear()
    queue = LogQueue(store, held)
    queue.stream.write("a line that holds the thread up\n")
    for key in keys:
        queue.write([Put(key, {"x": {1}} if key is keys[9] else {}, if_version=0)])
    held.gate.set()
    queue.close()
    found = store.get(keys)
    store.close()
    assert [number for number, item in enumerate(found) if item is None] == [9]
    assert [item.body for item in found if item is not None and item.key == keys[7]] == [{"first": True}]
    assert [record.getMessage() for record in caplog.records] == [
        "a log entry could not be written and is lost: SQLite store: a body is not JSON that UTF-8 can hold"
    ]


def test_another_process_that_notes_the_same_use_is_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    written = Written()
    written.failures = [StoreConflict("an item is at version 2, not 1")]
    with _queue(written) as queue:
        queue.write([Put(USE, {}, if_version=1)])
    assert caplog.records == []


def test_the_management_api_reads_what_calls_have_queued(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "postern.sqlite")
    held = Written()
    queue = LogQueue(store, held)
    settled = SettledStore(store, queue)
    held.gate.clear()
    queue.stream.write("a line that holds the thread up\n")
    queue.write([Put(ENTRY, {"tool": "t"})])
    queue.write([Put(USE, {"last_used_at": "2030-01-01T00:00:00Z"})])
    assert store.query(ENTRY.partition) == []
    threading.Timer(0.05, held.gate.set).start()
    assert [item.body for item in settled.query(ENTRY.partition)] == [{"tool": "t"}]
    [use] = settled.get([USE])
    assert use is not None
    queue.close()
    store.close()


def test_calls_go_on_while_another_process_holds_the_table_and_all_are_in_the_log(tmp_path: Path) -> None:
    with local.start(Settings(state_dir=str(tmp_path)), {}) as ready:
        other = sqlite3.connect(tmp_path / "postern.sqlite", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "list_all_mem_0_memories", "arguments": {"filters": {"user_id": "u"}}},
        }
        for _ in range(4):
            assert not httpx.post(
                ready.mcp_url, json=call, timeout=STUCK_SECONDS, trust_env=False, verify=False
            ).json()["result"]["isError"]
        other.execute("ROLLBACK")
        other.close()
        log = httpx.get(
            f"{ready.base_url}/log",
            headers={"Authorization": f"Bearer {ready.api_token}"},
            timeout=STUCK_SECONDS,
            trust_env=False,
            verify=False,
        ).json()["result"]
        assert len([entry for entry in log if entry["tool"] == "list_all_mem_0_memories"]) == 4
    lines = (tmp_path / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if json.loads(line)["tool"] == "list_all_mem_0_memories"]) == 4


def test_the_call_file_is_parted_by_size_and_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    file = CallFile(path, max_bytes=100, kept_files=2)
    for number in range(40):
        file.write(f"{number:08}\n")
    file.close()
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["calls.jsonl", "calls.jsonl.1", "calls.jsonl.2"]
    lines = [line for name in reversed(names) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
    assert lines == [f"{number:08}" for number in range(11, 40)]
    assert all((tmp_path / name).stat().st_size <= 100 for name in names)
    assert all(stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 for name in names)


def test_a_file_of_an_earlier_run_is_continued_and_a_long_line_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    for line in ("first\n", "second\n", "x" * 200 + "\n", "last\n"):
        file = CallFile(path, max_bytes=100)
        file.write(line)
        file.close()
    assert path.read_text(encoding="utf-8") == "last\n"
    assert (tmp_path / "calls.jsonl.1").read_text(encoding="utf-8") == "x" * 200 + "\n"
    assert (tmp_path / "calls.jsonl.2").read_text(encoding="utf-8") == "first\nsecond\n"


def test_a_line_that_cannot_be_written_whole_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = CallFile(tmp_path / "calls.jsonl")
    file.write("whole\n")
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 4:
            return real(descriptor, data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        file.write("halfway\n")
    monkeypatch.setattr(os, "write", real)
    file.write("again\n")
    file.close()
    assert (tmp_path / "calls.jsonl").read_text(encoding="utf-8") == "whole\nagain\n"
