"""The items of a call in a store: its partition is listed before its entry is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.gateway import log_entry
from functions.gateway.json_text import Json
from functions.gateway.log_entry import KeptCalls
from functions.stores import layout
from functions.stores.sqlite import SqliteStore


def entry(number: int, day: int) -> dict[str, Json]:
    return {
        "time": f"2026-11-{day:02}T12:00:00.000Z",
        "request_id": f"r{number}",
        "server_id": "",
        "account_id": "acc_1",
        "tool": "list_all_things",
        "outcome": "ok",
        "upstream_status": 200,
    }


def test_each_partition_is_listed_also_when_too_many_were_to_be_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that was forgotten is listed once more, which changes nothing."""
    monkeypatch.setattr(log_entry, "PARTITIONS_KEPT", 2)
    store = SqliteStore(tmp_path / "store.sqlite3")
    calls = KeptCalls(store, retention_days=30)
    for number in range(3):
        for day in range(1, 6):
            calls.keep(entry(number, day))
            assert len(calls._listed) <= 2
    for day in range(1, 6):
        for number in range(3):
            shard = layout.log_shard(f"r{number}")
            [listed] = store.get([layout.log_day("acc_1", shard, f"2026-11-{day:02}")])
            assert listed is not None
            assert listed.version == 1
            kept = store.query(layout.log("acc_1", shard, f"2026-11-{day:02}"))
            assert f"r{number}" in [item.body["request_id"] for item in kept]
    store.close()
