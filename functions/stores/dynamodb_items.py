"""How an item is stored in DynamoDB (see README.md), and what its errors mean. Both DynamoDB stores use this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from functions.gateway import json_text
from functions.stores.store import (
    Item,
    Key,
    Put,
    StoreConflict,
    StoreError,
    StoreUnavailable,
    encode,
)

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "ThrottlingError",
    }
)
"""Error codes of throttling, in responses and in the reasons of a cancelled transaction."""

UNAVAILABLE = frozenset(
    {"InternalServerError", "InternalFailure", "ServiceUnavailable", "TransactionInProgressException"}
)
"""Error codes of a temporary failure. All but the last have a 5xx status."""

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading a response raises that is not DynamoDB's."""

_NAMES = {"#body": "body", "#version": "version", "#expires_at": "expires_at"}


def key_attributes(key: Key) -> dict[str, Any]:
    """A key as DynamoDB attributes."""
    return {"pk": {"S": key.partition}, "sk": {"S": key.sort}}


def to_item(attributes: Mapping[str, Any]) -> Item:
    """An item from its DynamoDB attributes."""
    expires_at = attributes.get("expires_at")
    body = json_text.decode_lenient(attributes["body"]["S"])
    if not isinstance(body, dict):
        raise TypeError("a body is an object")
    return Item(
        Key(attributes["pk"]["S"], attributes["sk"]["S"]),
        body,
        int(expires_at["N"]) if expires_at else None,
        int(attributes["version"]["N"]),
    )


@contextmanager
def well_shaped() -> Iterator[None]:
    """Reading a response of DynamoDB, or what a proxy in between made of it. Raises StoreUnavailable for another shape.

    The error names no value of the response: it may be an item.
    """
    try:
        yield
    except UNREADABLE as error:
        raise StoreUnavailable(f"DynamoDB store: a response has an unexpected shape ({type(error).__name__})") from None


def update(put: Put) -> dict[str, Any]:
    """The members of an UpdateItem that carries out `put`. A PutItem could not increase the version without a read."""
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
    """The condition expression "the item has this version". Adds the value to compare with to `values`."""
    if if_version == 0:
        return "attribute_not_exists(#version)"
    values[":if_version"] = {"N": str(if_version)}
    return "#version = :if_version"


def failure(code: str, message: str, *, status: int = 400) -> StoreError:
    """The error of the contract for an error of DynamoDB. `message` names tables and rules, never values."""
    if code == "ConditionalCheckFailedException":
        return StoreConflict("DynamoDB store: an item does not have the expected version")
    if code in THROTTLED:
        return StoreUnavailable(f"DynamoDB store: throttled ({code})")
    if code in UNAVAILABLE or status >= 500:
        return StoreUnavailable(f"DynamoDB store: {code} (status {status})")
    if code == "ResourceNotFoundException":
        return StoreError("DynamoDB store: the table does not exist; check POSTERN_TABLE and AWS_REGION")
    return StoreError(f"DynamoDB store: {code}: {message}")
