"""What DynamoDB does to the control plane's store and emulators never do: throttling, half answers, lost answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config

from functions.stores.dynamodb import ATTEMPTS, FIRST_WAIT, DynamoStore
from functions.stores.store import Delete, Item, Key, Put, StoreConflict, StoreError, StoreUnavailable
from tests.stores.scripted_dynamodb import HANG_UP, Script, error, scripted

A, B = Key("p", "a"), Key("p", "b")
THROTTLED = error("ProvisionedThroughputExceededException", "slow down")


def stored(key: Key, body: str = "{}") -> dict[str, Any]:
    return {"pk": {"S": key.partition}, "sk": {"S": key.sort}, "body": {"S": body}, "version": {"N": "1"}}


def cancelled(*reasons: str) -> tuple[int, dict[str, Any]]:
    return 400, {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled",
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }


@contextmanager
def store(*answers: Any) -> Iterator[tuple[DynamoStore, Script, list[float]]]:
    """A store on a scripted table, and the waits it asked for (with a jitter of 0.5)."""
    waits: list[float] = []
    with scripted(*answers) as script:
        client = boto3.client(
            "dynamodb",
            endpoint_url=script.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )
        yield DynamoStore("t", client=client, sleep=waits.append, jitter=lambda: 0.5), script, waits
        client.close()


def test_throttling_is_waited_out_with_jitter_and_growing_bounds() -> None:
    with store(THROTTLED, error("ThrottlingException"), (500, {}), {"Items": []}) as (dynamo, script, waits):
        assert dynamo.query("p") == []
    assert waits == [FIRST_WAIT * 0.5, FIRST_WAIT, FIRST_WAIT * 2]
    assert len(script.operations) == 4


def test_throttling_that_does_not_end_is_unavailable_after_the_last_attempt() -> None:
    with (
        store(*[THROTTLED] * ATTEMPTS) as (dynamo, _, waits),
        pytest.raises(StoreUnavailable, match="throttled") as caught,
    ):
        dynamo.write([Put(A, {})])
    assert len(waits) == ATTEMPTS - 1
    assert caught.value.retry_after == 1


def test_keys_left_over_by_a_full_answer_are_asked_for_at_once() -> None:
    left = {"t": {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "b"}}], "ConsistentRead": True}}
    first = {"Responses": {"t": [stored(A)]}, "UnprocessedKeys": left}
    second = {"Responses": {"t": [stored(B)]}, "UnprocessedKeys": {}}
    with store(first, second) as (dynamo, script, waits):
        assert dynamo.get([B, A]) == [Item(B, {}, None, 1), Item(A, {}, None, 1)]
    assert waits == []
    assert script.requests[1]["RequestItems"]["t"] == {"Keys": left["t"]["Keys"], "ConsistentRead": True}


def test_keys_left_over_by_throttling_are_asked_for_after_a_wait_and_given_up_in_the_end() -> None:
    left = {"t": {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "a"}}]}}
    nothing = {"Responses": {"t": []}, "UnprocessedKeys": left}
    with store(nothing, {"Responses": {"t": [stored(A)]}}) as (dynamo, _, waits):
        assert dynamo.get([A]) == [Item(A, {}, None, 1)]
    assert waits == [FIRST_WAIT * 0.5]
    with store(*[nothing] * ATTEMPTS) as (dynamo, _, waits), pytest.raises(StoreUnavailable, match="unprocessed keys"):
        dynamo.get([A])


def test_an_unanswered_read_is_repeated_and_an_unanswered_write_is_not() -> None:
    with store(HANG_UP, {"Items": [stored(A)]}) as (dynamo, _, waits):
        assert dynamo.query("p") == [Item(A, {}, None, 1)]
    assert len(waits) == 1
    with store(HANG_UP) as (dynamo, _, waits), pytest.raises(StoreUnavailable, match="no answer"):
        dynamo.write([Put(A, {}, if_version=1)])
    assert waits == []


def test_a_transaction_that_meets_another_is_repeated() -> None:
    with store(cancelled("None", "TransactionConflict"), {}) as (dynamo, script, waits):
        dynamo.write([Put(A, {}), Delete(B)])
    assert script.operations == ["TransactWriteItems"] * 2
    assert len(waits) == 1


@pytest.mark.parametrize(
    "reasons", [("ConditionalCheckFailed", "None"), ("TransactionConflict", "ConditionalCheckFailed")]
)
def test_a_condition_that_does_not_hold_is_a_conflict_and_not_repeated(reasons: tuple[str, ...]) -> None:
    with store(cancelled(*reasons)) as (dynamo, _, waits), pytest.raises(StoreConflict):
        dynamo.write([Put(A, {}, if_version=4), Delete(B)])
    assert waits == []


def test_a_transaction_that_is_wrong_in_itself_is_neither_a_conflict_nor_repeated() -> None:
    with (
        store(cancelled("ValidationError", "None")) as (dynamo, _, _waits),
        pytest.raises(StoreError, match="a transaction was cancelled: ValidationError") as caught,
    ):
        dynamo.write([Put(A, {}), Delete(B)])
    assert not isinstance(caught.value, StoreUnavailable | StoreConflict)


def test_one_change_is_not_a_transaction() -> None:
    with store({}, {}) as (dynamo, script, _):
        dynamo.write([Put(A, {})])
        dynamo.write([Delete(A)])
    assert script.operations == ["UpdateItem", "DeleteItem"]


def test_every_read_is_strongly_consistent_and_none_is_a_scan() -> None:
    with store({"Responses": {"t": []}}, {"Items": []}) as (dynamo, script, _):
        dynamo.get([A])
        dynamo.query("p")
    assert script.operations == ["BatchGetItem", "Query"]
    assert script.requests[0]["RequestItems"]["t"]["ConsistentRead"] is True
    assert script.requests[1]["ConsistentRead"] is True


def test_a_missing_table_is_told_as_such() -> None:
    with (
        store(error("ResourceNotFoundException", "Requested resource not found")) as (dynamo, _, _waits),
        pytest.raises(StoreError, match="the table does not exist; check POSTERN_TABLE and AWS_REGION"),
    ):
        dynamo.query("p")
