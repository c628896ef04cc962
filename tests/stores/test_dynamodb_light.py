"""The data plane's half of the DynamoDB store: on emulators what the contract says, on a script what they never do."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.stores.connection import CONNECT_SECONDS, READ_SECONDS
from functions.stores.dynamodb import DynamoStore
from functions.stores.dynamodb_light import IDLE_SECONDS, LightDynamoStore
from functions.stores.store import (
    MAX_BODY_BYTES,
    MAX_KEYS_PER_GET,
    Change,
    Delete,
    Item,
    Key,
    Put,
    Store,
    StoreConflict,
    StoreError,
    StoreUnavailable,
)
from tests.aws import standins
from tests.patience import STUCK_SECONDS
from tests.stores.scripted_dynamodb import FAREWELL, HANG_UP, LAST_WORDS, SILENCE, Script, error, scripted

ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "session",
}
A, B = Key("TOKEN#a"), Key("TOKEN#b")
STORED = {
    "pk": {"S": "TOKEN#a"},
    "sk": {"S": "-"},
    "body": {"S": '{"n":1}'},
    "version": {"N": "3"},
    "expires_at": {"N": "1790000000"},
}


Reads = Callable[..., LightDynamoStore]


@pytest.fixture
def reads() -> Iterator[Reads]:
    """Makes the half under test on a script; its connections are closed after the test."""
    made: list[LightDynamoStore] = []

    def make(script: Script, **arguments: Any) -> LightDynamoStore:
        made.append(LightDynamoStore("postern", {**ENVIRONMENT, "AWS_ENDPOINT_URL": script.endpoint}, **arguments))
        return made[-1]

    yield make
    for half in made:
        half.close()


# On the emulators.


@pytest.fixture(params=["ministack", "moto"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[LightDynamoStore, Store]]:
    """Both halves on one table."""
    endpoint = {"ministack": standins.ministack, "moto": standins.moto}[request.param]()
    with standins.table(endpoint) as (client, table):
        half = LightDynamoStore(table, {**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": endpoint})
        yield half, DynamoStore(table, client=client)
        half.close()


@pytest.mark.aws
def test_what_one_half_writes_the_other_reads(both: tuple[LightDynamoStore, Store]) -> None:
    half, store = both
    store.write([Put(A, {"text": "naïve 🗝"}, expires_at=4_000_000_000), Put(B, {"n": 1})])
    half.write([Put(B, {"n": 2})])
    assert half.get([A]) == [Item(A, {"text": "naïve 🗝"}, 4_000_000_000, 1)]
    assert half.get([B, Key("TOKEN#c"), A, B]) == [
        Item(B, {"n": 2}, None, 2),
        None,
        Item(A, {"text": "naïve 🗝"}, 4_000_000_000, 1),
        Item(B, {"n": 2}, None, 2),
    ]
    assert half.get([B]) == store.get([B])
    assert half.get([Key("TOKEN#c")]) == [None]


@pytest.mark.aws
def test_a_conditional_put_is_refused_as_in_the_whole_store(both: tuple[LightDynamoStore, Store]) -> None:
    half, store = both
    half.write([Put(A, {"first": True}, if_version=0)])
    with pytest.raises(StoreConflict, match="does not have the expected version"):
        half.write([Put(A, {"second": True}, if_version=0)])
    with pytest.raises(StoreConflict):
        half.write([Put(A, {"second": True}, if_version=2)])
    half.write([Put(A, {"second": True}, if_version=1)])
    assert store.get([A]) == [Item(A, {"second": True}, None, 2)]


@pytest.mark.aws
def test_a_missing_table_is_told_as_such() -> None:
    half = LightDynamoStore("no-such-table", {**ENVIRONMENT, "AWS_ENDPOINT_URL": standins.ministack()})
    with pytest.raises(StoreError, match="the table does not exist; check POSTERN_TABLE"):
        half.get([A])
    half.close()


@pytest.mark.aws
def test_a_wrong_secret_is_refused_by_an_emulator_that_checks_signatures_and_the_right_one_is_not() -> None:
    endpoint = standins.start_ministack(AUTH="true")
    iam = standins.client("iam", endpoint)
    iam.create_user(UserName="reader")
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    with standins.table(endpoint) as (_, table):
        environment = {
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        right = LightDynamoStore(table, environment)
        assert right.get([A]) == [None]
        right.close()
        wrong = LightDynamoStore(table, {**environment, "AWS_SECRET_ACCESS_KEY": "0" * 40})
        with pytest.raises(StoreError, match="Signature") as caught:
            wrong.get([A])
        wrong.close()
    assert not isinstance(caught.value, StoreUnavailable)


# On a script.


def test_one_key_is_one_strongly_consistent_get_item(reads: Reads) -> None:
    with scripted({"Item": STORED}) as script:
        assert reads(script).get([A]) == [Item(A, {"n": 1}, 1_790_000_000, 3)]
    assert script.operations == ["GetItem"]
    assert script.requests[0]["ConsistentRead"] is True


def test_two_keys_are_one_strongly_consistent_batch(reads: Reads) -> None:
    with scripted({"Responses": {"postern": [STORED]}, "UnprocessedKeys": {}}) as script:
        assert reads(script).get([B, A]) == [None, Item(A, {"n": 1}, 1_790_000_000, 3)]
    assert script.operations == ["BatchGetItem"]
    assert script.requests[0]["RequestItems"]["postern"]["ConsistentRead"] is True


def test_calls_share_one_connection(reads: Reads) -> None:
    with scripted({}, {}, {}) as script:
        half = reads(script)
        for _ in range(3):
            assert half.get([A]) == [None]
    assert script.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        error("ProvisionedThroughputExceededException", "slow down"),
        error("ThrottlingException"),
        error("RequestLimitExceeded"),
        (500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError"}),
        (503, "<html>try later</html>"),
    ],
    ids=["throughput", "throttling", "limit", "500", "503 that is not JSON"],
)
def test_a_throttled_or_failing_table_is_unavailable_at_once_with_a_time_to_come_back(
    reads: Reads, answer: Any
) -> None:
    with scripted(answer) as script, pytest.raises(StoreUnavailable) as caught:
        reads(script).get([A])
    assert caught.value.retry_after == 1
    assert len(script.operations) == 1


def test_keys_left_unprocessed_are_unavailable_at_once(reads: Reads) -> None:
    left = {"postern": {"Keys": [{"pk": {"S": "TOKEN#b"}, "sk": {"S": "-"}}]}}
    with (
        scripted({"Responses": {"postern": [STORED]}, "UnprocessedKeys": left}) as script,
        pytest.raises(StoreUnavailable, match="unprocessed keys"),
    ):
        reads(script).get([A, B])
    assert len(script.operations) == 1


def test_a_read_on_a_connection_that_dies_under_it_goes_out_once_more(reads: Reads) -> None:
    with scripted({}, HANG_UP, {"Item": STORED}) as script:
        half = reads(script)
        half.get([B])
        assert half.get([A]) == [Item(A, {"n": 1}, 1_790_000_000, 3)]
    assert (script.operations, script.connections) == (["GetItem"] * 3, 2)


def test_a_read_on_a_new_connection_that_dies_is_unavailable(reads: Reads) -> None:
    with scripted(HANG_UP) as script, pytest.raises(StoreUnavailable, match=r"no answer from 127\.0\.0\.1"):
        reads(script).get([A])
    assert len(script.operations) == 1


def test_a_read_that_dies_twice_is_unavailable(reads: Reads) -> None:
    with scripted({}, HANG_UP, HANG_UP) as script:
        half = reads(script)
        half.get([A])
        with pytest.raises(StoreUnavailable):
            half.get([A])
    assert len(script.operations) == 3


def test_a_put_on_a_connection_that_dies_under_it_is_not_sent_twice(reads: Reads) -> None:
    with scripted({}, HANG_UP) as script:
        half = reads(script)
        half.get([A])
        with pytest.raises(StoreUnavailable):
            half.write([Put(Key("LOG#a", "1"), {"n": 1})])
    assert script.operations == ["GetItem", "UpdateItem"]


def test_a_connection_that_was_closed_while_idle_is_replaced_before_anything_is_sent_on_it(reads: Reads) -> None:
    with scripted(LAST_WORDS, {}) as script:
        half = reads(script)
        half.get([A])
        assert script.closed.acquire(timeout=STUCK_SECONDS)
        half.write([Put(Key("LOG#a", "1"), {"n": 1})])
        half.close()
    assert (script.operations, script.connections) == (["GetItem", "UpdateItem"], 2)


def test_an_answer_that_announces_the_end_of_its_connection_is_read_whole(reads: Reads) -> None:
    with scripted(FAREWELL, {"Item": STORED}) as script:
        half = reads(script)
        half.write([Put(Key("LOG#a", "1"), {"n": 1})])
        assert half.get([A]) == [Item(A, {"n": 1}, 1_790_000_000, 3)]
    assert (script.operations, script.connections) == (["UpdateItem", "GetItem"], 2)


def test_a_connection_that_was_idle_for_too_long_is_not_trusted(reads: Reads) -> None:
    now = 1000.0
    with scripted({}, {}, {}) as script:
        half = reads(script, monotonic=lambda: now)
        half.get([A])
        now += IDLE_SECONDS
        half.get([A])
        now += IDLE_SECONDS + 0.001
        half.get([A])
        half.close()
    assert script.connections == 2


def test_an_answer_that_does_not_come_is_unavailable_and_not_asked_for_again(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.stores.connection.READ_SECONDS", 0.2)
    with scripted({}, SILENCE) as script:
        half = reads(script)
        half.get([A])
        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            half.get([A])
    assert len(script.operations) == 2


def test_nobody_listening_is_unavailable() -> None:
    half = LightDynamoStore("postern", {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{standins.free_port()}"})
    with pytest.raises(StoreUnavailable, match="ConnectionRefusedError"):
        half.get([A])


def test_an_error_that_waiting_does_not_cure_is_not_called_unavailable(reads: Reads) -> None:
    with (
        scripted(error("AccessDeniedException", "not authorized to perform: dynamodb:GetItem")) as script,
        pytest.raises(StoreError, match="AccessDeniedException: not authorized") as caught,
    ):
        reads(script).get([A])
    assert not isinstance(caught.value, StoreUnavailable)


@pytest.mark.parametrize("changes", [[], [Delete(A)], [Put(A, {}), Put(B, {})]], ids=["none", "delete", "two"])
def test_anything_but_one_put_is_refused_unsent(changes: list[Change]) -> None:
    with pytest.raises(StoreError, match="can write one Put at a time and nothing else"):
        LightDynamoStore("postern", ENVIRONMENT).write(changes)


def test_a_put_counts_the_version_up_and_never_reads(reads: Reads) -> None:
    with scripted({}) as script:
        reads(script).write([Put(Key("USE#s"), {"at": "x"})])
    (request,) = script.requests
    assert script.operations == ["UpdateItem"]
    assert "ReturnValues" not in request
    assert request["UpdateExpression"].startswith("SET #body = :body, #version = if_not_exists(#version, :zero) + :one")


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_missing_variable_is_named(name: str) -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != name}
    with pytest.raises(StoreError, match=f"^DynamoDB store: {name} not set; Lambda sets them, on a laptop you must$"):
        LightDynamoStore("postern", environment)


def test_limits_are_kept_without_asking_the_table() -> None:
    half = LightDynamoStore("postern", ENVIRONMENT)
    assert half.get([]) == []
    with pytest.raises(StoreError, match=f"{MAX_KEYS_PER_GET + 1} keys in one get; at most {MAX_KEYS_PER_GET}"):
        half.get([Key(str(n)) for n in range(MAX_KEYS_PER_GET + 1)])
    with pytest.raises(StoreError, match=f"a body of {MAX_BODY_BYTES + 1:,} bytes; at most {MAX_BODY_BYTES:,}"):
        half.write([Put(A, {"text": "x" * (MAX_BODY_BYTES + 1 - len('{"text":""}'))})])
    with pytest.raises(StoreError, match="not JSON"):
        half.write([Put(A, {"n": float("nan")})])


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-3", "dynamodb.eu-west-3.amazonaws.com"),
        ("cn-north-1", "dynamodb.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_region_has_its_own_endpoint_over_https(region: str, host: str) -> None:
    half = LightDynamoStore("postern", {**ENVIRONMENT, "AWS_REGION": region})
    assert (half._endpoint.scheme, half._endpoint.netloc) == ("https", host)


def test_no_sdk_is_imported_by_it() -> None:
    program = "import sys, functions.stores.dynamodb_light; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=standins.ROOT)
    assert not {"boto3", "botocore", "httpx", "urllib3"} & set(done.stdout.decode().split())


def test_the_limits_of_a_read_fit_a_call() -> None:
    """A read comes before the call's own 25 s, so it must be over long before."""
    assert (CONNECT_SECONDS, READ_SECONDS, IDLE_SECONDS) == (1.0, 2.0, 50.0)


def test_a_connection_is_asked_for_what_it_has_to_say_before_each_request(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`select` tells a connection that the far side closed from one that is alive, without waiting."""
    asked: list[tuple[int, float]] = []
    real = select.select

    def watched(readable: list[Any], writable: list[Any], other: list[Any], seconds: float) -> Any:
        asked.append((len(readable), seconds))
        return real(readable, writable, other, seconds)

    monkeypatch.setattr(select, "select", watched)
    with scripted({}, {}, LAST_WORDS, {}) as script:
        half = reads(script)
        for _ in range(3):
            half.write([Put(A, {})])
        assert script.connections == 1
        assert script.closed.acquire(timeout=STUCK_SECONDS)
        half.write([Put(A, {})])
        half.close()
    assert script.connections == 2
    assert asked == [(1, 0)] * 3


def test_an_unchanged_response_is_the_item_that_was_read_and_a_changed_one_is_not(reads: Reads) -> None:
    changed = {**STORED, "body": {"S": '{"n":2}'}, "version": {"N": "4"}}
    with scripted({"Item": STORED}, {"Item": STORED}, {"Item": changed}, {}) as script:
        half = reads(script)
        [first], [second], [third], [gone] = (half.get([A]) for _ in range(4))
        assert first is second
        assert first == Item(A, {"n": 1}, 1790000000, 3)
        assert third == Item(A, {"n": 2}, 1790000000, 4)
        assert gone is None


def test_several_items_of_an_unchanged_response_are_those_that_were_read(reads: Reads) -> None:
    other = {**STORED, "pk": {"S": "TOKEN#b"}}
    answer = {"Responses": {"postern": [STORED, other]}, "UnprocessedKeys": {}}
    with scripted(answer, answer) as script:
        half = reads(script)
        first, second = half.get([A, B]), half.get([A, B])
        assert [one is other for one, other in zip(first, second, strict=True)] == [True, True]
