"""Whatever the store does, each operation ends in time with an error of the contract, and each plane answers 503."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from functions.stores import connection, dynamodb
from functions.stores.dynamodb import DynamoStore
from functions.stores.dynamodb_light import LightDynamoStore
from functions.stores.store import Delete, Key, Put, Store, StoreConflict, StoreError, StoreUnavailable
from tests.hostile_store.hostile_dynamodb import FAILED, PASSING, SECRET, STALLING, Mode, hostile
from tests.mcp_endpoint.endpoint import Bench, exchange
from tests.patience import STUCK_SECONDS

A, B = Key("TOKEN#a"), Key("TOKEN#b")
ENVIRONMENT = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}

SECONDS = 0.2
"""The limit of one wait here, half of that of an operation: a stall is over in a fraction of a second. The waits are a
socket's own, which no clock of a test can end."""

Operation = Callable[[Store], object]

READS: dict[str, Operation] = {"get": lambda store: store.get([A]), "get of two": lambda store: store.get([A, B])}
LIGHT: dict[str, Operation] = {**READS, "put": lambda store: store.write([Put(A, {}, if_version=1)])}
WHOLE: dict[str, Operation] = {
    **LIGHT,
    "query": lambda store: store.query("TOKEN#a"),
    "delete": lambda store: store.write([Delete(A)]),
    "transaction": lambda store: store.write([Put(A, {}), Delete(B)]),
}

IGNORES_THE_BODY = ("put", "delete", "transaction")
"""A write has been carried out once the status is 200, whatever the body says."""


@pytest.fixture(autouse=True)
def _limits(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that end a stall soon. Where nothing stalls, they are out of the way: a busy machine is no outage."""
    seconds = SECONDS if mode in STALLING else STUCK_SECONDS
    monkeypatch.setattr(connection, "READ_SECONDS", seconds)
    monkeypatch.setattr(dynamodb, "READ_SECONDS", seconds)
    monkeypatch.setattr(dynamodb, "OPERATION_SECONDS", seconds * 2)


@contextmanager
def _light(mode: Mode) -> Iterator[LightDynamoStore]:
    with hostile(mode) as endpoint:
        store = LightDynamoStore("t", {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint})
        yield store
        store.close()


@contextmanager
def _whole(mode: Mode) -> Iterator[DynamoStore]:
    import boto3
    from botocore.config import Config

    with hostile(mode) as endpoint:
        client = boto3.client(
            "dynamodb",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="secret",
            config=Config(read_timeout=dynamodb.READ_SECONDS, retries={"total_max_attempts": 1}),
        )
        yield DynamoStore("t", client=client, sleep=lambda _: None)
        client.close()


def _failure(store: Any, operation: Operation, *, may_succeed: bool) -> StoreError | None:
    """How the operation ended: an error of the contract."""
    failure: StoreError | None = None
    try:
        operation(store)
    except StoreError as error:
        failure = error
    if failure is None:
        assert may_succeed
    else:
        assert SECRET not in str(failure)
        assert str(failure).startswith("DynamoDB store: ")
    return failure


@pytest.mark.parametrize("operation", LIGHT)
@pytest.mark.parametrize("mode", [*FAILED, *PASSING])
def test_the_store_of_the_data_plane_ends_in_time_with_a_typed_error(mode: str, operation: str) -> None:
    with _light({**FAILED, **PASSING}[mode]) as store:
        for _ in range(3):
            error = _failure(store, LIGHT[operation], may_succeed=operation in IGNORES_THE_BODY and mode in PASSING)
            if error is not None:
                assert isinstance(error, StoreUnavailable) == (mode in PASSING)
                assert not isinstance(error, StoreConflict)


@pytest.mark.parametrize("operation", WHOLE)
@pytest.mark.parametrize("mode", [*FAILED, *PASSING])
def test_the_store_of_the_control_plane_ends_in_time_with_a_typed_error(mode: str, operation: str) -> None:
    with _whole({**FAILED, **PASSING}[mode]) as store:
        error = _failure(store, WHOLE[operation], may_succeed=operation in IGNORES_THE_BODY and mode in PASSING)
        if error is not None:
            assert isinstance(error, StoreUnavailable) == (mode in PASSING)
            assert not isinstance(error, StoreConflict)


@pytest.mark.parametrize("mode", [*FAILED, *PASSING])
def test_the_data_plane_answers_503_with_a_time_and_logs_the_cause(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    headers = [("content-type", "application/json")]
    ping = b'{"jsonrpc": "2.0", "id": 7, "method": "ping"}'
    with _light({**FAILED, **PASSING}[mode]) as store:
        endpoint = Bench(store).endpoint()  # type: ignore[arg-type]
        for _ in range(3):
            caplog.clear()
            answer = exchange(endpoint, "POST", f"/mcp/{'t' * 43}", headers, ping)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert any("DynamoDB store: " in record.getMessage() for record in caplog.records)
            assert SECRET not in caplog.text + answer.body.decode()
