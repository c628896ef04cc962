"""The store in AWS: one DynamoDB table, through boto3, for the control plane and the purge function.

The data plane uses `dynamodb_light.py` instead. This store retries when it is throttled, with full jitter, because the
request of an operator may take a second. The retries of boto3 are off, so this file holds the only retry policy.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from functions.stores.dynamodb_items import (
    THROTTLED,
    condition,
    failure,
    key_attributes,
    to_item,
    update,
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
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 6
"""Attempts of one operation before StoreUnavailable. The waits between them are 1.6 s at most, 0.8 s on average."""

FIRST_WAIT = 0.05
"""Upper bound of the first wait, in seconds. Each further bound is twice the previous one."""

CONNECT_SECONDS, READ_SECONDS = 2, 5
"""Longest waits for a connection and for a response."""


class DynamoStore:
    """The Store contract (store.py) on the table `table`. Several threads may use it.

    `client`  a boto3 DynamoDB client whose retries are off; None makes one from the environment.
    `sleep`   waits that many seconds. `jitter` returns a number in [0, 1).
    """

    def __init__(
        self,
        table: str,
        *,
        client: DynamoDBClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._client = client or _client()
        self._sleep = sleep
        self._jitter = jitter

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store."""
        check_keys("DynamoDB", keys)
        found: dict[Key, Item] = {}
        pending = [key_attributes(key) for key in dict.fromkeys(keys)]
        fruitless = 0
        while pending:
            request = {self._table: {"Keys": pending, "ConsistentRead": True}}
            answer = self._call("batch_get_item", again=True, RequestItems=request)
            items = [to_item(attributes) for attributes in answer["Responses"].get(self._table, ())]
            found |= {item.key: item for item in items}
            pending = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            # Keys are left when the response is full (16 MB): ask for them at once. When throttled, no item came: wait.
            if pending and not items:
                fruitless += 1
                if fruitless == ATTEMPTS:
                    raise StoreUnavailable("DynamoDB store: throttled (unprocessed keys)")
                self._wait(fruitless)
        return [found.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        """See Store. Several changes are a TransactWriteItems (4 MB at most). One is an UpdateItem or DeleteItem,
        at half the price. After a StoreUnavailable, the changes may or may not have been written."""
        check_changes("DynamoDB", changes)
        requests = [(isinstance(change, Delete), {"TableName": self._table, **_request(change)}) for change in changes]
        if len(requests) == 1:
            (is_delete, request) = requests[0]
            self._call("delete_item" if is_delete else "update_item", again=False, **request)
        elif requests:
            operations = [{"Delete" if is_delete else "Update": request} for is_delete, request in requests]
            self._call("transact_write_items", again=False, TransactItems=operations)

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
        if limit < 1:
            raise StoreError(f"DynamoDB store: limit {limit} in a query; at least 1")
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
        while True:
            page = {**request, "Limit": limit - len(items)}
            if last:
                page["ExclusiveStartKey"] = last
            answer = self._call("query", again=True, **page)
            items += [to_item(attributes) for attributes in answer["Items"]]
            last = answer.get("LastEvaluatedKey")
            if not last or len(items) >= limit:
                return items

    def _call(self, operation: str, *, again: bool, **request: Any) -> dict[str, Any]:
        """One operation, retried while DynamoDB throttles it and, with `again`, when there is no response."""
        from botocore.exceptions import BotoCoreError, ClientError

        attempt = 0
        while True:
            attempt += 1
            try:
                answer: dict[str, Any] = getattr(self._client, operation)(**request)
                return answer
            except ClientError as error:
                problem = _failure(error.response)
                if not isinstance(problem, StoreUnavailable) or attempt == ATTEMPTS:
                    raise problem from error
            except BotoCoreError as error:
                if not again or attempt == ATTEMPTS:
                    raise StoreUnavailable(f"DynamoDB store: no answer ({type(error).__name__})") from error
            self._wait(attempt)

    def _wait(self, attempt: int) -> None:
        self._sleep(self._jitter() * FIRST_WAIT * 2 ** (attempt - 1))


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
