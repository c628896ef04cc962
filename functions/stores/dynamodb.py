"""The store in AWS: one DynamoDB table, through boto3, for the control plane and the purge function.

The data plane uses `dynamodb_light.py` instead. This store retries when it is throttled, with full jitter, because the
request of an operator may take a second. The retries of boto3 are off, so this file holds the only retry policy.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from functions.stores.dynamodb_items import (
    THROTTLED,
    UNREADABLE,
    condition,
    failure,
    key_attributes,
    to_item,
    update,
    well_shaped,
)
from functions.stores.store import (
    Change,
    Delete,
    Item,
    Key,
    StoreConflict,
    StoreError,
    StoreUnavailable,
    check_changes,
    check_keys,
    check_limit,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 6
"""Attempts of one operation before StoreUnavailable. The waits between them are 1.6 s at most, 0.8 s on average."""

FIRST_WAIT = 0.05
"""Upper bound of the first wait, in seconds. Each further bound is twice the previous one."""

CONNECT_SECONDS, READ_SECONDS = 1, 3
"""Longest waits for a connection and for the next bytes of a response."""

OPERATION_SECONDS = 10.0
"""Longest time of one operation of the contract, with all its requests and waits: a third of what a function has."""

THREADS = 32
"""Operations at once. An abandoned one keeps its thread until its own waits end."""


class DynamoStore:
    """The Store contract (store.py) on the table `table`. Several threads may use it.

    `client`  a boto3 DynamoDB client whose retries are off; None makes one from the environment.
    `sleep`   waits that many seconds. `jitter` returns a number in [0, 1). `monotonic` returns seconds.
    """

    def __init__(
        self,
        table: str,
        *,
        client: DynamoDBClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._client = client or _client()
        self._sleep = sleep
        self._jitter = jitter
        self._monotonic = monotonic
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dynamodb")

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store."""
        check_keys("DynamoDB", keys)
        found: dict[Key, Item] = {}
        pending = [key_attributes(key) for key in dict.fromkeys(keys)]
        fruitless = 0
        deadline = self._monotonic() + OPERATION_SECONDS
        while pending:
            request = {self._table: {"Keys": pending, "ConsistentRead": True}}
            answer = self._call("batch_get_item", deadline, again=True, RequestItems=request)
            with well_shaped():
                items = [to_item(attributes) for attributes in answer["Responses"].get(self._table, ())]
                pending = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            found |= {item.key: item for item in items}
            # Keys are left when the response is full (16 MB): ask for them at once. When throttled, no item came: wait.
            if pending and not items:
                fruitless += 1
                if fruitless == ATTEMPTS:
                    raise StoreUnavailable("DynamoDB store: throttled (unprocessed keys)")
                self._wait(fruitless, deadline)
        return [found.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        """See Store. Several changes are a TransactWriteItems (4 MB at most). One is an UpdateItem or DeleteItem,
        at half the price. After a StoreUnavailable, the changes may or may not have been written."""
        check_changes("DynamoDB", changes)
        deadline = self._monotonic() + OPERATION_SECONDS
        requests = [(isinstance(change, Delete), {"TableName": self._table, **_request(change)}) for change in changes]
        if len(requests) == 1:
            (is_delete, request) = requests[0]
            self._call("delete_item" if is_delete else "update_item", deadline, again=False, **request)
        elif requests:
            operations = [{"Delete" if is_delete else "Update": request} for is_delete, request in requests]
            self._call("transact_write_items", deadline, again=False, TransactItems=operations)

    def query(
        self,
        partition: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> list[Item]:
        """See Store. A key condition allows one bound on `sk`, so the other bound becomes the exclusive start key."""
        check_limit("DynamoDB", limit)
        if before == "" or (after is not None and before is not None and after >= before):
            return []
        start, end = (before, after or None) if descending else (after or None, before)
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "ScanIndexForward": not descending,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": partition}},
        }
        if end is not None:
            request["KeyConditionExpression"] += f" AND sk {'>' if descending else '<'} :end"
            request["ExpressionAttributeValues"][":end"] = {"S": end}
        last = key_attributes(Key(partition, start)) if start is not None else None
        items: list[Item] = []
        deadline = self._monotonic() + OPERATION_SECONDS
        while True:
            page = {**request, "Limit": limit - len(items)}
            if last:
                page["ExclusiveStartKey"] = last
            answer = self._call("query", deadline, again=True, **page)
            with well_shaped():
                items += [to_item(attributes) for attributes in answer["Items"]]
                last = answer.get("LastEvaluatedKey")
            if not last or len(items) >= limit:
                return items

    def _call(self, operation: str, deadline: float, *, again: bool, **request: Any) -> dict[str, Any]:
        """One request, retried while DynamoDB throttles it and, with `again`, when there is no response.

        boto3 bounds each wait for bytes, but not a response that trickles, so the request runs on a thread that is
        abandoned at the deadline. `deadline` is on the clock of `monotonic`.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        attempt = 0
        while True:
            attempt += 1
            left = deadline - self._monotonic()
            if left <= 0:
                raise StoreUnavailable(f"DynamoDB store: no answer within {OPERATION_SECONDS:.0f} s")
            sent = self._threads.submit(getattr(self._client, operation), **request)
            try:
                answer: dict[str, Any] = sent.result(left)
                return answer
            except ClientError as error:
                with well_shaped():
                    problem = _failure(error.response)
                if not isinstance(problem, StoreUnavailable) or attempt == ATTEMPTS:
                    raise problem from error
            except (TimeoutError, CancelledError) as error:
                sent.cancel()
                raise StoreUnavailable(f"DynamoDB store: no answer within {OPERATION_SECONDS:.0f} s") from error
            except BotoCoreError as error:
                if not again or attempt == ATTEMPTS:
                    raise StoreUnavailable(f"DynamoDB store: no answer ({type(error).__name__})") from error
            except UNREADABLE as error:  # boto3 could not read the response
                raise StoreUnavailable(
                    f"DynamoDB store: a response has an unexpected shape ({type(error).__name__})"
                ) from None
            self._wait(attempt, deadline)

    def _wait(self, attempt: int, deadline: float) -> None:
        seconds = self._jitter() * FIRST_WAIT * 2 ** (attempt - 1)
        if self._monotonic() + seconds >= deadline:
            raise StoreUnavailable(f"DynamoDB store: throttled for {OPERATION_SECONDS:.0f} s")
        self._sleep(seconds)


def _client() -> DynamoDBClient:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
    )
    client: DynamoDBClient = boto3.client("dynamodb", config=config)
    return client


def _request(change: Change) -> dict[str, Any]:
    """The members of an UpdateItem or DeleteItem. They are the same inside a transaction."""
    if not isinstance(change, Delete):
        return update(change)
    request: dict[str, Any] = {"Key": key_attributes(change.key)}
    if change.if_version is not None:
        values: dict[str, Any] = {}
        request["ConditionExpression"] = condition(change.if_version, values)
        request["ExpressionAttributeNames"] = {"#version": "version"}
        if values:
            request["ExpressionAttributeValues"] = values
    return request


def _failure(response: Any) -> StoreError:
    """The error of the contract for an error of boto3. For a cancelled transaction, its reasons decide."""
    code, status = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
    if code != "TransactionCanceledException":
        return failure(code, response["Error"].get("Message", ""), status=status)
    reasons = {reason.get("Code", "None") for reason in response.get("CancellationReasons", ())} - {"None"}
    if "ConditionalCheckFailed" in reasons:
        return StoreConflict("DynamoDB store: an item does not have the expected version")
    if reasons and reasons <= THROTTLED | {"TransactionConflict", "ProvisionedThroughputExceeded"}:
        return StoreUnavailable(f"DynamoDB store: throttled ({', '.join(sorted(reasons))})")
    return StoreError(f"DynamoDB store: a transaction was cancelled: {', '.join(sorted(reasons)) or 'no reason given'}")
