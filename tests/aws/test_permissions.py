"""The roles' own policies, enforced: which operations each function may do on the table.

The stand-in knows actions, but not the condition on leading keys; that half is in tests/infra/test_permissions.py.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.stores.dynamodb import DynamoStore
from functions.stores.dynamodb_light import LightDynamoStore
from functions.stores.store import Delete, Key, Put, StoreError
from tests.aws import standins
from tests.infra import template

pytestmark = pytest.mark.aws


@functools.cache
def strict() -> str:
    """A stand-in that checks signatures and policies."""
    return standins.start_ministack(AUTH="true")


@contextmanager
def acting_as(role: str) -> Iterator[tuple[str, dict[str, str], Any]]:
    """A table, keys of a user who has the DynamoDB statements of `role` on it, and the owner's client."""
    endpoint = strict()
    iam = standins.client("iam", endpoint)
    with standins.table(endpoint) as (owner, name):
        arn = owner.describe_table(TableName=name)["Table"]["TableArn"]
        granted = [
            {**statement, "Resource": arn}
            for statement in template.statements(template.load(), role)
            if any(action.startswith("dynamodb:") for action in template.actions(statement))
        ]
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": granted})
        iam.put_user_policy(UserName=name, PolicyName="table", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        yield name, keys, owner


@contextmanager
def client_of(keys: dict[str, str]) -> Iterator[Any]:
    client = standins.client("dynamodb", strict(), **keys)
    yield client
    client.close()


def data_plane(table: str, keys: dict[str, str]) -> LightDynamoStore:
    return LightDynamoStore(
        table,
        {
            "AWS_REGION": standins.REGION,
            "AWS_ENDPOINT_URL": strict(),
            "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
        },
    )


def test_the_data_plane_reads_by_key_and_updates_and_nothing_else() -> None:
    with acting_as("McpEndpointRole") as (table, keys, _):
        half = data_plane(table, keys)
        assert half.get([Key("TOKEN#1")]) == [None]
        assert half.get([Key("TOKEN#1"), Key("API_TOKEN#1")]) == [None, None]
        half.write([Put(Key("CALLS#srv_1"), {"n": 1})])
        half.close()
        with client_of(keys) as client:
            store = DynamoStore(table, client=client)
            with pytest.raises(StoreError, match="AccessDenied"):
                store.query("LOG#acc_1#2026-11-21")
            with pytest.raises(StoreError, match="AccessDenied"):
                store.write([Delete(Key("CALLS#srv_1"))])
            for refused in (client.scan, client.describe_table, client.delete_table):
                with pytest.raises(ClientError, match="AccessDenied"):
                    refused(TableName=table)


def test_the_log_subscriber_reads_by_key_and_updates_and_nothing_else() -> None:
    with acting_as("LogSubscriberRole") as (table, keys, _):
        half = data_plane(table, keys)
        assert half.get([Key("USE#srv_1")]) == [None]
        for key in (Key("USE#srv_1"), Key("STATE#acc_1"), Key("LOG#acc_1#2026-11-21", "x")):
            half.write([Put(key, {"n": 1}, if_version=0)])
        half.close()
        with client_of(keys) as client:
            store = DynamoStore(table, client=client)
            with pytest.raises(StoreError, match="AccessDenied"):
                store.query("LOG#acc_1#2026-11-21")
            with pytest.raises(StoreError, match="AccessDenied"):
                store.write([Delete(Key("LOG#acc_1#2026-11-21", "x"))])


def test_the_purge_function_reads_by_key_and_deletes_and_nothing_else() -> None:
    with acting_as("PurgeRole") as (table, keys, owner), client_of(keys) as client:
        DynamoStore(table, client=owner).write([Put(Key("SERVERS#acc_1", "srv_1"), {}), Put(Key("TOKEN#1"), {})])
        store = DynamoStore(table, client=client)
        assert store.get([Key("SERVERS#acc_1", "srv_1")]) != [None]
        record = Delete(Key("SERVERS#acc_1", "srv_1"), if_version=1)
        store.write([record, Delete(Key("TOKEN#1")), Delete(Key("USE#srv_1"))])
        with pytest.raises(StoreError, match="AccessDenied"):
            store.write([Put(Key("TOKEN#2"), {})])
        with pytest.raises(StoreError, match="AccessDenied"):
            store.query("SERVERS#acc_1")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.scan(TableName=table)


def test_the_control_plane_does_everything_but_scan_and_change_the_table() -> None:
    with acting_as("AdminApiRole") as (table, keys, _), client_of(keys) as client:
        store = DynamoStore(table, client=client)
        store.write([Put(Key("ACCOUNTS", "acc_1"), {}, if_version=0), Put(Key("TOKEN#1"), {})])
        assert len(store.query("ACCOUNTS")) == 1
        store.write([Delete(Key("ACCOUNTS", "acc_1"), if_version=1), Delete(Key("TOKEN#1"))])
        assert store.get([Key("ACCOUNTS", "acc_1")]) == [None]
        for refused in (client.scan, client.delete_table):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused(TableName=table)
