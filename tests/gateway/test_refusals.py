"""A caller who is refused again and again leaves a few entries, which say how many refusals they stand for."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.gateway.audit import REFUSALS_KEPT, Audit, Refusals
from functions.gateway.log_entry import LogEntry
from functions.gateway.settings import Settings
from functions.stores.sqlite import SqliteStore
from tests.gateway.calling import NOON, log_items
from tests.gateway.test_audit import CALL

REFUSED = replace(
    *(CALL,),
    tool="", method="", access="", outcome="refused", status=403, error="NotAdmitted", detail="no API token",
)  # fmt: skip
LIMITED = replace(CALL, outcome="error", status=429, error="CallLimited", detail="", upstream_status=None)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    yield store
    store.close()


def at(entry: LogEntry, seconds: float) -> LogEntry:
    return replace(entry, time=NOON + timedelta(seconds=seconds), request_id=f"req_{seconds}")


@pytest.mark.parametrize("refused", [REFUSED, LIMITED], ids=["not admitted", "beyond its limit"])
def test_a_thousand_refusals_a_minute_are_one_entry_a_minute(store: SqliteStore, refused: LogEntry) -> None:
    laptop, deployment = io.StringIO(), io.StringIO()
    for audit in (Audit(Settings(), store, laptop), Audit(Settings(), None, deployment)):
        for number in range(3_000):
            audit.write(at(refused, number * 0.06))
    lines = [[json.loads(line) for line in stream.getvalue().splitlines()] for stream in (laptop, deployment)]
    for written in lines:
        assert [line.get("repeated", 0) for line in written if "kind" in line] == [0, 999, 999]
    assert len(lines[0]) == 3
    assert [line["calls"] for line in lines[1]] == [1] * 3_000, "the metrics of a deployment count each refusal"
    assert max(len(line) for line in deployment.getvalue().splitlines() if '"kind"' not in line) < 600
    kept = log_items(store, "acc_1", "2026-11-21")
    assert [item.body.get("repeated", 0) for item in kept] == [0, 999, 999]


def test_refusals_of_another_server_or_for_another_reason_have_entries_of_their_own() -> None:
    refusals = Refusals()
    others: list[dict[str, Any]] = [
        {},
        {"server_id": "srv_2"},
        {"detail": "unknown API token"},
        {"error": "CallLimited"},
    ]
    for changed in others:
        assert refusals.before(replace(REFUSED, **changed)) == 0
        assert refusals.before(replace(REFUSED, **changed)) is None


def test_a_call_that_was_not_refused_always_has_its_entry() -> None:
    refusals = Refusals()
    failed = replace(CALL, outcome="error", error="UpstreamRefused")
    unknown = replace(CALL, outcome="refused", error="UnknownTool")
    assert [refusals.before(entry) for entry in (CALL, failed, unknown) * 3] == [0] * 9


def test_a_clock_that_goes_back_hides_no_refusal() -> None:
    refusals = Refusals()
    assert [refusals.before(at(REFUSED, second)) for second in (0, 1, -5, -4, 56)] == [0, None, 1, None, 1]


def test_no_more_reasons_are_remembered_than_said() -> None:
    refusals = Refusals()
    for number in range(REFUSALS_KEPT + 50):
        assert refusals.before(replace(REFUSED, server_id=f"srv_{number}")) == 0
    assert len(refusals._last) == REFUSALS_KEPT


def test_processes_that_know_nothing_of_each_other_keep_one_entry_a_minute_together(store: SqliteStore) -> None:
    for process in range(5):
        audit = Audit(Settings(), store, io.StringIO())
        for second in (0, 30, 61, 90):
            audit.write(at(REFUSED, second + process))
    kept = log_items(store, "acc_1", "2026-11-21")
    minutes = [datetime.fromisoformat(item.body["time"]).minute for item in kept]
    assert minutes == [0, 1]
