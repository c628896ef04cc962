"""What CloudWatch Logs delivers becomes items of the store: once each, whatever is delivered twice, late or in part."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.gateway.audit import Audit
from functions.gateway.log_entry import KeptCalls, LogEntry
from functions.gateway.settings import Settings
from functions.log_subscriber.deliveries import NotADelivery
from functions.log_subscriber.subscriber import Batch, kept
from functions.log_subscriber.subscriber import line as metrics_line
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Change, Item, Key, StoreUnavailable
from tests.gateway.calling import NOON, log_items
from tests.gateway.test_audit import CALL


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite")
    yield store
    store.close()


def line(entry: LogEntry) -> str:
    """What the data plane of a deployment writes for an entry."""
    stream = io.StringIO()
    Audit(Settings(environment="prod"), None, stream).write(entry)
    return stream.getvalue()


def delivery(*lines: str, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """An event of a subscription, as AWS documents it."""
    events = [{"id": str(number), "timestamp": 1_795_000_000_000, "message": one} for number, one in enumerate(lines)]
    message = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "postern-McpEndpointLog",
        "logStream": "2026/11/21/[$LATEST]abc",
        "subscriptionFilters": ["postern"],
        "logEvents": events,
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(message).encode())).decode()}}


CALLS = [replace(CALL, request_id=f"req_{n}", time=NOON + timedelta(seconds=n)) for n in range(5)]


def entries(store: SqliteStore) -> list[Item]:
    return log_items(store, "acc_1", "2026-11-21")


def test_each_line_becomes_the_entry_that_a_laptop_keeps(store: SqliteStore, tmp_path: Path) -> None:
    batch = kept(delivery(*map(line, CALLS)), KeptCalls(store, 30))
    assert batch == Batch(stored=5, known=0, unreadable=0, oldest=NOON, newest=NOON + timedelta(seconds=4))
    laptop = SqliteStore(tmp_path / "laptop.sqlite")
    audit = Audit(Settings(), laptop, io.StringIO())
    for call in CALLS:
        audit.write(call)
    assert entries(store) == entries(laptop)
    [use] = store.get([layout.use("srv_1")])
    assert use is not None
    assert use.body == {"last_used_at": "2026-11-21T12:00:00Z"}
    laptop.close()


def test_what_is_delivered_again_or_late_is_stored_once_and_moves_nothing_back(store: SqliteStore) -> None:
    refused = replace(CALLS[4], upstream_status=401, time=NOON + timedelta(minutes=5))
    event, late = delivery(line(refused), *map(line, CALLS[1:4])), delivery(line(CALLS[0]), line(CALLS[1]))
    found = [kept(one, KeptCalls(store, 30)) for one in (event, event, late)]
    assert [(batch.stored, batch.known) for batch in found] == [(4, 0), (0, 4), (1, 1)]
    assert [item.version for item in entries(store)] == [1] * 5
    use, state = store.get([layout.use("srv_1"), layout.account_state("acc_1")])
    assert use is not None
    assert state is not None
    assert use.body["last_used_at"] == "2026-11-21T12:05:00Z"
    at = "2026-11-21T12:05:00Z"
    assert (state.version, state.body) == (1, {"status": "needs_reauth", "at": at, "noticed_at": at})
    assert [item.version for item in store.query(layout.notices(refused.account_id))] == [1]


class Failing:
    """A store that is away after some writes."""

    def __init__(self, store: SqliteStore, writes: int) -> None:
        self.store = store
        self.left = writes

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        return self.store.get(keys)

    def write(self, changes: Sequence[Change]) -> None:
        if not self.left:
            raise StoreUnavailable("throttled")
        self.left -= 1
        self.store.write(changes)


@pytest.mark.parametrize("writes", range(7))
def test_a_delivery_that_a_failure_interrupts_is_completed_by_its_repetition(store: SqliteStore, writes: int) -> None:
    event = delivery(*map(line, CALLS))
    if writes < 6:
        with pytest.raises(StoreUnavailable):
            kept(event, KeptCalls(Failing(store, writes), 30))
    batch = kept(event, KeptCalls(store, 30))
    assert batch.stored + batch.known == 5
    assert [item.key.sort.partition("#")[2] for item in entries(store)] == [f"req_{n}" for n in range(5)]
    assert store.get([layout.use("srv_1")]) != [None]


FORGED = {"kind": "call", "account_id": 7, "time": "2026-11-21T12:00:00.000Z"}


@pytest.mark.parametrize(
    "strange",
    ["", "START RequestId: x", "[]", '"call"', "{}", json.dumps(FORGED), '{"kind":"call"}', "\ud800", "[" * 5_000],
)
def test_a_line_that_is_not_an_entry_is_counted_and_stops_no_other(store: SqliteStore, strange: str) -> None:
    event = delivery(line(CALLS[0]), strange, line(CALLS[1]))
    batch = kept(event, KeptCalls(store, 30))
    assert (batch.stored, batch.unreadable) == (2, 1)


@pytest.mark.parametrize("member", ["time", "account_id", "server_id", "request_id", "kind", "upstream_status"])
def test_an_entry_without_one_of_its_members_is_none(store: SqliteStore, member: str) -> None:
    found = json.loads(line(CALLS[0]))
    del found[member]
    assert kept(delivery(json.dumps(found)), KeptCalls(store, 30)).unreadable == 1


def test_a_test_of_the_subscription_stores_nothing(store: SqliteStore) -> None:
    assert kept(delivery("CWL CONTROL MESSAGE", kind="CONTROL_MESSAGE"), KeptCalls(store, 30)) == Batch(
        0, 0, 0, None, None
    )


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"awslogs": {}},
        {"awslogs": {"data": "?"}},
        {"awslogs": {"data": base64.b64encode(b"x").decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"[]")).decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"{}")[:-4]).decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b" " * 60_000_000)).decode()}},
    ],
    ids=["empty", "no data", "not base64", "not gzip", "not an object", "cut", "a bomb"],
)
def test_anything_else_is_no_delivery(store: SqliteStore, event: Any) -> None:
    with pytest.raises(NotADelivery):
        kept(event, KeptCalls(store, 30))


def test_a_batch_tells_how_old_its_oldest_entry_was() -> None:
    batch = Batch(stored=4, known=1, unreadable=2, oldest=NOON, newest=NOON)
    found = json.loads(metrics_line(batch, "prod", NOON + timedelta(seconds=3)))
    assert (found["log_entries"], found["log_unreadable"], found["log_lag_ms"]) == (4, 2, 3_000)
    names = {metric["Name"] for metric in found["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names <= found.keys()
    assert json.loads(metrics_line(Batch(0, 0, 0, None, None), "prod", NOON))["log_lag_ms"] == 0
