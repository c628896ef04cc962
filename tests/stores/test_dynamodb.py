"""What DynamoDB does to the control plane's store and emulators never do: throttling, half answers, lost answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from functions.stores.dynamodb import ATTEMPTS, FIRST_WAIT, OPERATION_SECONDS, DynamoStore
from functions.stores.store import Delete, Item, Key, Put, StoreConflict, StoreError, StoreUnavailable
from tests.stores.scripted_dynamodb import HANG_UP, SILENCE, Script, error, scripted

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

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


def client(script: Script) -> DynamoDBClient:
    """boto3 on a scripted table, without retries of its own."""
    return boto3.client(
        "dynamodb",
        endpoint_url=script.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


@contextmanager
def store(*answers: Any) -> Iterator[tuple[DynamoStore, Script, list[float]]]:
    """A store on a scripted table, and the waits it asked for (with a jitter of 0.5)."""
    waits: list[float] = []
    with scripted(*answers) as script:
        own = client(script)
        yield DynamoStore("t", client=own, sleep=waits.append, jitter=lambda: 0.5), script, waits
        own.close()


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


def test_one_change_whose_condition_does_not_hold_is_a_conflict() -> None:
    with store(error("ConditionalCheckFailedException")) as (dynamo, _, waits), pytest.raises(StoreConflict):
        dynamo.write([Put(A, {}, if_version=4)])
    assert waits == []


@pytest.mark.parametrize("expires_at", [None, 1_790_000_000])
def test_a_put_sets_its_expiry_or_removes_the_one_before(expires_at: int | None) -> None:
    with store({}) as (dynamo, script, _):
        dynamo.write([Put(A, {}, expires_at=expires_at)])
    [request] = script.requests
    values = request["ExpressionAttributeValues"]
    if expires_at is None:
        assert ":expires_at" not in values
        assert "REMOVE #expires_at" in request["UpdateExpression"]
    else:
        assert values[":expires_at"] == {"N": "1790000000"}
        assert "#expires_at = :expires_at" in request["UpdateExpression"]


def test_no_changes_are_no_request() -> None:
    with store() as (dynamo, script, _):
        dynamo.write([])
    assert script.operations == []


@pytest.mark.parametrize(
    ("bounds", "start", "end"),
    [
        ({}, None, None),
        ({"after": "a"}, "a", None),
        ({"after": ""}, None, None),
        ({"before": "c"}, None, ("sk < :end", "c")),
        ({"after": "a", "before": "c"}, "a", ("sk < :end", "c")),
        ({"after": "a", "descending": True}, None, ("sk > :end", "a")),
        ({"before": "c", "descending": True}, "c", None),
        ({"after": "a", "before": "c", "descending": True}, "c", ("sk > :end", "a")),
    ],
)
def test_one_bound_of_a_query_is_its_start_and_the_other_its_condition(
    bounds: dict[str, Any], start: str | None, end: tuple[str, str] | None
) -> None:
    with store({"Items": []}) as (dynamo, script, _):
        assert dynamo.query("p", **bounds) == []
    [request] = script.requests
    place = None if start is None else {"pk": {"S": "p"}, "sk": {"S": start}}
    assert request.get("ExclusiveStartKey") == place
    condition, value = ("pk = :pk", None) if end is None else (f"pk = :pk AND {end[0]}", {"S": end[1]})
    assert request["KeyConditionExpression"] == condition
    assert request["ExpressionAttributeValues"].get(":end") == value
    assert request["ScanIndexForward"] is not bounds.get("descending", False)


@pytest.mark.parametrize("bounds", [{"before": ""}, {"after": "b", "before": "b"}, {"after": "c", "before": "b"}])
def test_bounds_with_nothing_between_them_ask_for_nothing(bounds: dict[str, Any]) -> None:
    with store() as (dynamo, script, _):
        assert dynamo.query("p", **bounds) == []
    assert script.operations == []


def test_a_query_for_no_item_is_refused_unsent() -> None:
    with store() as (dynamo, script, _), pytest.raises(StoreError, match="limit 0 in a query; at least 1"):
        dynamo.query("p", limit=0)
    assert script.operations == []


def test_pages_of_a_query_are_read_until_there_are_enough_items() -> None:
    """A page ends at 1 MB, before the limit."""
    after_a, after_b = ({"pk": {"S": "p"}, "sk": {"S": sort}} for sort in ("a", "b"))
    first = {"Items": [stored(A)], "LastEvaluatedKey": after_a}
    second = {"Items": [stored(B)], "LastEvaluatedKey": after_b}
    with store(first, second) as (dynamo, script, _):
        assert [item.key for item in dynamo.query("p", limit=2)] == [A, B]
    assert [request["Limit"] for request in script.requests] == [2, 1]
    assert script.requests[1]["ExclusiveStartKey"] == after_a


def test_a_missing_table_is_told_as_such() -> None:
    with (
        store(error("ResourceNotFoundException", "Requested resource not found")) as (dynamo, _, _waits),
        pytest.raises(StoreError, match="the table does not exist; check POSTERN_TABLE and AWS_REGION"),
    ):
        dynamo.query("p")


@pytest.mark.parametrize("alone", [True, False], ids=["one change", "a transaction"])
@pytest.mark.parametrize(
    ("change", "expected", "compared"),
    [
        (Put(A, {}, if_version=0), "attribute_not_exists(#version)", None),
        (Put(A, {}, if_version=4), "#version = :if_version", {"N": "4"}),
        (Put(A, {}), None, None),
        (Delete(A, if_version=4), "#version = :if_version", {"N": "4"}),
        (Delete(A, if_version=0), "attribute_not_exists(#version)", None),
        (Delete(A), None, None),
    ],
    ids=["put where nothing is", "put at a version", "put", "delete at a version", "delete where nothing is", "delete"],
)
def test_the_optimistic_lock_is_sent_as_the_condition_of_the_change(
    change: Put | Delete, expected: str | None, compared: dict[str, str] | None, alone: bool
) -> None:
    """A fault planted here, the condition the other way round, passed the whole suite."""
    with store({}) as (dynamo, script, _):
        dynamo.write([change] if alone else [change, Put(B, {})])
    [request] = script.requests
    if not alone:
        [request] = request["TransactItems"][0].values()
    assert request.get("ConditionExpression") == expected
    assert request.get("ExpressionAttributeValues", {}).get(":if_version") == compared
    if expected is not None:
        assert request["ExpressionAttributeNames"]["#version"] == "version"


def test_an_operation_has_one_deadline_over_all_its_requests_and_waits() -> None:
    """A stalled endpoint took 31 s, over the 30 s of the function: six attempts, each with its own limit."""
    now = [1000.0]

    def wait(seconds: float) -> None:
        now[0] += seconds + OPERATION_SECONDS / 3

    with scripted(*[THROTTLED] * 3) as script:
        dynamo = DynamoStore("t", client=client(script), sleep=wait, jitter=lambda: 0.5, monotonic=lambda: now[0])
        with pytest.raises(StoreUnavailable, match="no answer within 10 s"):
            dynamo.query("p")
    assert len(script.operations) == 3
    waits: list[float] = []
    with scripted(THROTTLED) as script:
        dynamo = DynamoStore(
            "t", client=client(script), sleep=waits.append, jitter=lambda: OPERATION_SECONDS / FIRST_WAIT
        )
        with pytest.raises(StoreUnavailable, match="throttled for 10 s"):
            dynamo.query("p")
    assert waits == []


def test_a_request_that_outlasts_the_deadline_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.stores.dynamodb.OPERATION_SECONDS", 0.2)
    with store(SILENCE) as (dynamo, _, _waits), pytest.raises(StoreUnavailable, match="no answer within"):
        dynamo.write([Put(A, {})])


def test_the_limits_of_one_wait_and_of_an_operation_fit_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template gives a function 30 s. An operation may take a third of it, and several waits fit an operation."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    own = DynamoStore("t")._client
    config: Any = own.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 3)
    assert config.retries["total_max_attempts"] == 1
    assert OPERATION_SECONDS == 10
    assert 2 * (config.connect_timeout + config.read_timeout) < OPERATION_SECONDS
    own.close()
