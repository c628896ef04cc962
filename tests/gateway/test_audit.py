"""One line, one item and at most one note of use a minute for each call; and never a value."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.gateway import errors
from functions.gateway.audit import BY_THE_UPSTREAM, BY_US, Audit, argument_hash
from functions.gateway.json_text import Json
from functions.gateway.log_entry import LogEntry
from functions.gateway.settings import Settings
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Change, Item, Key, Put, StoreConflict, StoreUnavailable
from tests.gateway.calling import NOON, log_items

CALL = LogEntry(
    time=NOON,
    request_id="req_1",
    plane="mcp",
    principal="tok_1",
    server_id="srv_1",
    account_id="acc_1",
    integration="mem0",
    tool="mem_0_memories_search",
    method="search",
    access="read",
    outcome="ok",
    status=200,
    error="",
    detail="",
    upstream_status=200,
    upstream_requests=1,
    duration_ms=12.3456,
    upstream_ms=10.0,
    result_bytes=512,
    client_name="claude-code",
    client_version="2.1",
    argument_hash="0123456789abcdef",
)


class Kept:
    """A store that counts, in place of one that keeps."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        self.writes: list[Change] = []
        self.reads = 0
        self.fail: Exception | None = None

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        self.reads += 1
        return [self.items.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        if self.fail:
            raise self.fail
        self.writes += changes


def logged(*calls: LogEntry, store: Any = None, **settings: Any) -> tuple[list[dict[str, Json]], Any]:
    stream, kept = io.StringIO(), store or Kept()
    audit = Audit(Settings(**settings), kept, stream)
    for call in calls:
        audit.write(call)
    return [json.loads(line) for line in stream.getvalue().splitlines()], kept


def uses(kept: Kept) -> int:
    return sum(change.key == layout.use("srv_1") for change in kept.writes)


def test_each_call_is_one_line_with_its_times_split_into_ours_and_theirs() -> None:
    [line], _ = logged(CALL)
    assert {name: line[name] for name in line if name not in ("_aws", "environment", "calls", "failures")} == {
        "time": "2026-11-21T12:00:00.000Z",
        "request_id": "req_1",
        "plane": "mcp",
        "principal": "tok_1",
        "server_id": "srv_1",
        "account_id": "acc_1",
        "integration": "mem0",
        "tool": "mem_0_memories_search",
        "method": "search",
        "access": "read",
        "outcome": "ok",
        "status": 200,
        "error": "",
        "detail": "",
        "upstream_status": 200,
        "upstream_requests": 1,
        "duration_ms": 12.35,
        "upstream_ms": 10.0,
        "own_ms": 2.35,
        "kind": "call",
        "result_bytes": 512,
        "client_name": "claude-code",
        "client_version": "2.1",
        "argument_hash": "0123456789abcdef",
    }
    assert len(logged(CALL, CALL, CALL)[0]) == 3


def test_the_line_is_cloudwatchs_embedded_metric_format() -> None:
    [line], _ = logged(replace(CALL, outcome="error"), environment="prod")
    directive = line["_aws"]
    assert directive["Timestamp"] == int(NOON.timestamp() * 1000)
    [metrics] = directive["CloudWatchMetrics"]
    assert metrics["Namespace"] == "Postern"
    assert metrics["Dimensions"] == [["environment"]]
    for dimension in {name for names in metrics["Dimensions"] for name in names}:
        assert isinstance(line[dimension], str)
    for metric in metrics["Metrics"]:
        assert isinstance(line[metric["Name"]], int | float)
        assert metric["Unit"] in ("Count", "Milliseconds", "Bytes")
    assert (line["calls"], line["failures"], line["environment"]) == (1, 1, "prod")


def test_names_a_client_chose_are_kept_in_part() -> None:
    [line], _ = logged(
        replace(CALL, tool="t" * 500, client_name="n" * 500, client_version="v" * 500, request_id="r" * 500)
    )
    assert [len(line[name]) for name in ("tool", "client_name", "client_version", "request_id")] == [128] * 4


def test_a_call_is_kept_under_its_account_and_day_until_its_retention_ends() -> None:
    _, kept = logged(replace(CALL, server_id=""), log_retention_days=7)
    listed, put = kept.writes
    assert isinstance(put, Put)
    shard = layout.log_shard("req_1")
    assert listed.key == Key("LOG_DAYS#2026-11-21", f"acc_1#{shard}")
    assert put.key == Key(f"LOG#acc_1#{shard}#2026-11-21", "2026-11-21T12:00:00.000Z#req_1")
    assert put.expires_at == int((NOON + timedelta(days=7)).timestamp())
    assert put.body["tool"] == "mem_0_memories_search"
    assert "_aws" not in put.body


def test_kept_calls_sort_by_time_also_within_a_second() -> None:
    times = [NOON + timedelta(milliseconds=ms) for ms in (0, 1, 10, 500, 999, 1_000)]
    _, kept = logged(*(replace(CALL, time=time, server_id="") for time in times))
    sorts = [put.key.sort for put in kept.writes if put.key.partition.startswith(layout.LOG)]
    assert len(sorts) == len(times)
    assert sorts == sorted(sorts)


def test_the_day_is_that_of_utc() -> None:
    _, kept = logged(replace(CALL, time=datetime.fromisoformat("2026-11-22T00:30:00+01:00")))
    assert kept.writes[-1].key.partition == layout.log("acc_1", layout.log_shard("req_1"), "2026-11-21")


def test_a_server_is_noted_as_used_once_a_minute_at_most() -> None:
    seconds = (0, 1, 30, 59, 60, 61, 119.9, 120)
    _, kept = logged(*(replace(CALL, time=NOON + timedelta(seconds=second)) for second in seconds))
    assert uses(kept) == 3
    assert kept.reads == 3


def test_a_use_that_another_process_noted_this_minute_is_not_noted_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    logged(CALL, store=store)
    logged(replace(CALL, time=NOON + timedelta(seconds=30), request_id="req_2"), store=store)
    [item] = store.get([layout.use("srv_1")])
    assert item is not None
    assert (item.version, item.body) == (1, {"last_used_at": "2026-11-21T12:00:00Z"})
    logged(replace(CALL, time=NOON + timedelta(seconds=61), request_id="req_3"), store=store)
    [item] = store.get([layout.use("srv_1")])
    assert item is not None
    assert (item.version, item.body) == (2, {"last_used_at": "2026-11-21T12:01:01Z"})
    assert len(log_items(store, "acc_1", "2026-11-21")) == 3
    store.close()


def test_a_call_through_no_server_notes_no_use() -> None:
    _, kept = logged(replace(CALL, plane="proxy", server_id=""))
    assert uses(kept) == 0


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, line: str, /) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_fails_no_call_and_keeps_the_entry_in_the_store(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    for _ in range(3):
        Audit(Settings(), kept, Full()).write(CALL)
    assert sum(change.key.partition.startswith("LOG#") for change in kept.writes) == 3
    assert "a log entry could not be written: [Errno 28] No space left on device" in caplog.messages


@pytest.mark.parametrize("error", [ValueError("a secret"), KeyError("Responses"), AttributeError("x"), OSError("y")])
def test_a_store_that_fails_in_any_way_fails_no_call_and_shows_no_value(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept()
    kept.fail = error
    lines, _ = logged(CALL, store=kept)
    assert len(lines) == 1
    logged(replace(CALL, upstream_status=401), store=kept)
    assert len(caplog.messages) == 2
    assert "a secret" not in caplog.text


def test_an_entry_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    logged(CALL, replace(CALL, tool="another"), replace(CALL, tool="a third"), store=store)
    [item] = log_items(store, "acc_1", "2026-11-21")
    assert (item.version, item.body["tool"]) == (1, CALL.tool)
    store.close()


@pytest.mark.parametrize("error", [StoreUnavailable("throttled"), StoreConflict("there already")])
def test_a_store_that_cannot_take_it_fails_no_call_and_loses_no_line(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept()
    kept.fail = error
    with caplog.at_level(logging.WARNING):
        lines, _ = logged(CALL, store=kept)
    assert len(lines) == 1
    assert caplog.messages == [f"a log entry could not be kept in the store: {error}"]
    assert len(logged(replace(CALL, upstream_status=401), store=kept)[0]) == 1


def test_a_refused_credential_is_remembered_for_the_account_with_the_time_of_the_last_refusal(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    for number, minutes in enumerate((0, 5, 3)):
        refused = replace(CALL, upstream_status=401, time=NOON + timedelta(minutes=minutes), request_id=f"req_{number}")
        logged(refused, replace(CALL, request_id=f"good_{number}"), store=store)
    [item] = store.get([layout.account_state("acc_1")])
    assert item is not None
    noticed = {"noticed_at": "2026-11-21T12:00:00Z"}
    assert item.body == {"status": "needs_reauth", "at": "2026-11-21T12:05:00Z", **noticed}
    [notice] = store.query(layout.notices("acc_1"))
    assert notice.body["type"] == "account.needs_new_credential"
    assert notice.body["due"] == noticed["noticed_at"], "one notice, of the first refusal"
    store.close()


def test_without_a_store_there_is_the_line_alone() -> None:
    stream = io.StringIO()
    Audit(Settings(), None, stream).write(replace(CALL, upstream_status=401))
    assert json.loads(stream.getvalue())["upstream_status"] == 401


def test_the_time_of_last_use_goes_with_the_log() -> None:
    _, kept = logged(CALL, log_retention_days=7)
    [use] = [put for put in kept.writes if put.key == layout.use("srv_1")]
    assert use.expires_at == int((NOON + timedelta(days=7)).timestamp())


def test_equal_arguments_hash_alike_and_others_or_another_key_do_not() -> None:
    one = argument_hash({"a": 1, "b": [2]}, b"k")
    assert one == argument_hash({"b": [2], "a": 1}, b"k")
    assert len(one) == 16
    assert len({one, argument_hash({"a": 1, "b": [3]}, b"k"), argument_hash({"a": 1, "b": [2]}, b"l")}) == 3


@pytest.mark.slow
def test_any_arguments_have_a_hash() -> None:
    deep: Json = 1
    for _ in range(100_000):
        deep = [deep]
    for arguments in ({"a": "\ud800"}, {"a": float("nan")}, {"a": deep}):
        assert isinstance(argument_hash(arguments, b"k"), str)


def test_a_line_that_nobody_counts_is_the_entry_alone() -> None:
    stream = io.StringIO()
    audit = Audit(Settings(), Kept(), stream, counted=False)
    for _ in range(3):
        audit.write(CALL)
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [CALL.to_json()] * 3


def test_times_are_told_in_utc() -> None:
    [line], _ = logged(replace(CALL, time=datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)))
    assert line["time"] == "2026-11-21T12:00:00.123Z"


@pytest.mark.parametrize(
    ("changed", "counted"),
    [
        ({}, {}),
        ({"outcome": "error", "error": "WrongArguments", "upstream_status": None}, {}),
        ({"outcome": "error", "error": "UpstreamRefused", "upstream_status": 404}, {}),
        ({"outcome": "error", "error": "UpstreamRefused", "upstream_status": 503}, {"upstream_errors": 1}),
        ({"outcome": "error", "error": "UpstreamTimeout", "upstream_status": None}, {"upstream_errors": 1}),
        ({"outcome": "error", "error": "LostResult"}, {"server_errors": 1}),
        ({"outcome": "refused", "error": "UnknownTool"}, {}),
        ({"outcome": "refused", "error": "NotAdmitted", "tool": ""}, {"refused_admissions": 1}),
    ],
    ids=["ok", "arguments", "404 there", "503 there", "timeout", "lost", "unknown tool", "not admitted"],
)
def test_a_failure_is_counted_by_whose_fault_it_is(changed: dict[str, Any], counted: dict[str, int]) -> None:
    [line], _ = logged(replace(CALL, **changed))
    names = ("upstream_errors", "server_errors", "refused_admissions")
    assert {name: line[name] for name in names if name in line} == counted
    metrics = {metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert metrics & set(names) == set(counted)


def test_every_error_of_a_call_is_known_to_be_ours_theirs_or_the_calls() -> None:
    """A new class of failure must be put on one side, or no alarm and no dashboard shows it."""

    def below(kind: type[errors.ToolFailure]) -> set[str]:
        return {kind.__name__ for kind in kind.__subclasses__()}.union(*map(below, kind.__subclasses__()))

    of_the_call = {"WrongArguments", "CallLimited", "OutsidePins", "ConfirmationNeeded", "Declined"}
    assert below(errors.ToolFailure) == of_the_call | {"UpstreamRefused", *BY_THE_UPSTREAM, *BY_US}
