"""The Lambda handler of the log subscriber, called again and again in one process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from functions.gateway.settings import SettingsError
from functions.stores import layout
from functions.stores.store import StoreUnavailable
from tests.gateway.test_audit import CALL
from tests.log_subscriber.test_subscriber import delivery, line
from tests.stores.scripted_dynamodb import error, scripted

HANDLER = "functions.log_subscriber.handler"
ENVIRONMENT = {
    "POSTERN_STORE": "dynamodb",
    "POSTERN_TABLE": "postern",
    "POSTERN_ENVIRONMENT": "prod",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    sys.modules.pop(HANDLER, None)
    yield
    sys.modules.pop(HANDLER, None)


def test_each_delivery_is_stored_and_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = error("ConditionalCheckFailedException")
    # The first call reads and writes the last use of its server, and lists the partition of its entry; entries within a
    # minute of it, in that partition, write themselves alone. Each delivery ends with the freshness of the log.
    with scripted(*[{}] * 7, there, {}) as table:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": table.endpoint}.items():
            monkeypatch.setenv(name, value)
        module: Any = import_module(HANDLER)
        ids = [id for id in map(str, range(100)) if layout.log_shard(id) == 0]
        calls = [replace(CALL, request_id=ids[n], time=CALL.time + timedelta(seconds=n)) for n in range(2)]
        found = [module.handler(delivery(*map(line, some)), None) for some in (calls[:1], calls[1:], calls[:1])]
        nothing = module.handler(delivery("x"), None)
        module._calls._store.close()
    assert found == [
        {"stored": 1, "known": 0, "unreadable": 0},
        {"stored": 1, "known": 0, "unreadable": 0},
        {"stored": 0, "known": 1, "unreadable": 0},
    ]
    assert nothing == {"stored": 0, "known": 0, "unreadable": 1}
    assert table.operations == ["GetItem", *["UpdateItem"] * 8]
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert [one["log_entries"] for one in lines] == [1, 1, 0, 0]
    assert {one["environment"] for one in lines} == {"prod"}


def test_a_store_that_fails_fails_the_delivery_so_that_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(*[error("ThrottlingException", "slow down")] * 3) as table:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": table.endpoint}.items():
            monkeypatch.setenv(name, value)
        module: Any = import_module(HANDLER)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                module.handler(delivery(line(CALL)), None)
        module._calls._store.close()


def test_it_works_with_dynamodb_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_STORE", "sqlite")
    with pytest.raises(SettingsError, match="works only with dynamodb"):
        import_module(HANDLER)
