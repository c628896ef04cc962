"""The data plane's half of the DynamoDB store: one read before a call, one small write after it, and no SDK.

boto3 costs a cold start 150 ms and every read another 0.5 ms; http.client and a hand-made signature cost 20 and 0.1.
What is left out with it is left out on purpose: nothing here waits or retries, except that a read goes out again, once,
when a kept connection turns out to be dead. A caller who is told to come back in a second is better off than one whose
function sleeps.

How an item lies in the table (README.md) is written here too, because both halves need it.
"""

from __future__ import annotations

import http.client
import select
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from functions.gateway import json_text
from functions.stores.sigv4 import Credentials, Signer
from functions.stores.store import (
    Change,
    Item,
    Key,
    Put,
    StoreConflict,
    StoreError,
    StoreUnavailable,
    check_keys,
    encode,
)

CONNECT_SECONDS = 1.0
"""Longest wait for a connection. DynamoDB in the same region answers the handshake in a few ms."""

READ_SECONDS = 2.0
"""Longest wait for an answer; a GetItem that needs longer is an outage."""

IDLE_SECONDS = 50.0
"""A connection unused for longer is closed and made anew: the far side may have dropped it without our noticing."""

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "ThrottlingError",
    }
)
"""Error codes that mean "slower", in answers and in the reasons of a cancelled transaction."""

UNAVAILABLE = frozenset(
    {"InternalServerError", "InternalFailure", "ServiceUnavailable", "TransactionInProgressException"}
)
"""Error codes that mean "not now"; all but the last come with a 5xx status."""

_NAMES = {"#body": "body", "#version": "version", "#expires_at": "expires_at"}


class DynamoReads:
    """`get` and `write` of the Store contract on table `table`, for one thread at a time.

    `environment`  AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, as Lambda sets them;
                   AWS_ENDPOINT_URL_DYNAMODB or AWS_ENDPOINT_URL name another endpoint (a local stand-in).
    `utc_now`      the clock of the signature; `monotonic` the one of idle connections, in seconds.
    Raises StoreError naming the variable that is missing.
    """

    def __init__(
        self,
        table: str,
        environment: Mapping[str, str],
        *,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        missing = [
            name for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environment.get(name)
        ]
        if missing:
            raise StoreError(f"DynamoDB store: {', '.join(missing)} not set; Lambda sets them, a laptop must")
        region = environment["AWS_REGION"]
        endpoint = (
            environment.get("AWS_ENDPOINT_URL_DYNAMODB")
            or environment.get("AWS_ENDPOINT_URL")
            or f"https://dynamodb.{region}.{'amazonaws.com.cn' if region.startswith('cn-') else 'amazonaws.com'}"
        )
        self._table = table
        self._endpoint = urlsplit(endpoint)
        self._signer = Signer(
            Credentials(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                environment.get("AWS_SESSION_TOKEN") or None,
            ),
            region,
            "dynamodb",
        )
        self._utc_now = utc_now
        self._monotonic = monotonic
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        """See Store. One key is one GetItem, more are one BatchGetItem; keys that DynamoDB leaves unprocessed make the
        whole read StoreUnavailable."""
        check_keys("DynamoDB", keys)
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return []
        found: dict[Key, Item] = {}
        if len(wanted) == 1:
            request = {"TableName": self._table, "Key": key_attributes(wanted[0]), "ConsistentRead": True}
            answer = self._send("GetItem", request, again=True)
            if "Item" in answer:
                found[wanted[0]] = to_item(answer["Item"])
        else:
            of_table = {"Keys": [key_attributes(key) for key in wanted], "ConsistentRead": True}
            answer = self._send("BatchGetItem", {"RequestItems": {self._table: of_table}}, again=True)
            if answer.get("UnprocessedKeys"):
                raise StoreUnavailable("DynamoDB store: throttled (unprocessed keys)")
            for attributes in answer["Responses"].get(self._table, ()):
                item = to_item(attributes)
                found[item.key] = item
        return [found.get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        """See Store, for one Put. Several changes would be a transaction and a Delete another permission; the data
        plane needs neither. After a StoreUnavailable it may have been written."""
        match changes:
            case [Put() as put]:
                self._send("UpdateItem", {"TableName": self._table, **update(put)}, again=False)
            case _:
                raise StoreError("DynamoDB store: the data plane writes one Put at a time, and nothing else")

    def close(self) -> None:
        """Close the connection; the next operation makes another."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, operation: str, request: dict[str, Any], *, again: bool) -> dict[str, Any]:
        """One operation. `again`: it may be sent twice, so a connection that dies under it is replaced once."""
        body = json_text.encode(request)
        headers = self._signer.headers(self._endpoint.netloc, f"DynamoDB_20120810.{operation}", body, self._utc_now())
        kept = self._is_alive()
        try:
            try:
                status, answer = self._exchange(body, headers)
            except (OSError, http.client.BadStatusLine) as error:
                if isinstance(error, TimeoutError) or not (kept and again):
                    raise
                self.close()
                status, answer = self._exchange(body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise StoreUnavailable(
                f"DynamoDB store: no answer from {self._endpoint.netloc} ({type(error).__name__})"
            ) from error
        if status == 200:
            decoded: dict[str, Any] = json_text.decode_lenient(answer)
            return decoded
        raise failure(*_read_error(status, answer), status=status)

    def _is_alive(self) -> bool:
        """Whether there is a kept connection that is worth using; one that is not is closed.

        An idle connection that has something to read was closed by the far side.
        """
        if self._connection is None:
            return False
        sock = self._connection.sock
        idle = self._monotonic() - self._used_at
        if sock is None or idle > IDLE_SECONDS or select.select([sock], [], [], 0)[0]:
            self.close()
            return False
        return True

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        self._used_at = self._monotonic()
        return response.status, answer

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._endpoint.hostname or "", self._endpoint.port
        if self._endpoint.scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        else:
            import ssl

            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=context)
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        return connection


def key_attributes(key: Key) -> dict[str, Any]:
    """A key as DynamoDB attributes."""
    return {"pk": {"S": key.partition}, "sk": {"S": key.sort}}


def to_item(attributes: Mapping[str, Any]) -> Item:
    """An item from its DynamoDB attributes."""
    expires_at = attributes.get("expires_at")
    return Item(
        Key(attributes["pk"]["S"], attributes["sk"]["S"]),
        json_text.decode_lenient(attributes["body"]["S"]),
        int(expires_at["N"]) if expires_at else None,
        int(attributes["version"]["N"]),
    )


def update(put: Put) -> dict[str, Any]:
    """The members of an UpdateItem that carries `put` out: an update and not a put, because only it can count the
    version up without reading it first."""
    values: dict[str, Any] = {":body": {"S": encode("DynamoDB", put.body)}, ":zero": {"N": "0"}, ":one": {"N": "1"}}
    assignments = "#body = :body, #version = if_not_exists(#version, :zero) + :one"
    if put.expires_at is None:
        expression = f"SET {assignments} REMOVE #expires_at"
    else:
        expression = f"SET {assignments}, #expires_at = :expires_at"
        values[":expires_at"] = {"N": str(put.expires_at)}
    request = {
        "Key": key_attributes(put.key),
        "UpdateExpression": expression,
        "ExpressionAttributeNames": dict(_NAMES),
        "ExpressionAttributeValues": values,
    }
    if put.if_version is not None:
        request["ConditionExpression"] = condition(put.if_version, values)
    return request


def condition(if_version: int, values: dict[str, Any]) -> str:
    """The condition expression "the item is at this version"; adds what it compares with to `values`."""
    if if_version == 0:
        return "attribute_not_exists(#version)"
    values[":if_version"] = {"N": str(if_version)}
    return "#version = :if_version"


def failure(code: str, message: str, *, status: int = 400) -> StoreError:
    """The contract's error for one of DynamoDB's. `message` is DynamoDB's own; it names tables and rules, no values."""
    if code == "ConditionalCheckFailedException":
        return StoreConflict("DynamoDB store: an item is not at the version that was asked for")
    if code in THROTTLED:
        return StoreUnavailable(f"DynamoDB store: throttled ({code})")
    if code in UNAVAILABLE or status >= 500:
        return StoreUnavailable(f"DynamoDB store: {code} (status {status})")
    if code == "ResourceNotFoundException":
        return StoreError("DynamoDB store: there is no such table; POSTERN_TABLE names it, in AWS_REGION")
    return StoreError(f"DynamoDB store: {code}: {message}")


def _read_error(status: int, answer: bytes) -> tuple[str, str]:
    """Code and message of an error answer, which is JSON unless something between us and DynamoDB made it."""
    try:
        decoded = json_text.decode_lenient(answer)
        return decoded["__type"].rpartition("#")[2], decoded.get("message") or decoded.get("Message") or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {status}", "the answer is not DynamoDB's"
