"""A new credential of an account with many servers, on the real runtime with a short limit: one request is enough.

Written server by server, 250 servers were never done within these 10 seconds.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from functions.admin_api.api_tokens.root import bootstrap
from functions.gateway.credentials import token_key
from functions.gateway.grants import Grant, keys_of
from functions.stores.dynamodb import DynamoStore
from tests.admin_api.seeding import seed_servers
from tests.aws import standins
from tests.aws.conftest import Built
from tests.aws.lambda_runtime import Running, http_event, running
from tests.mcp_endpoint.endpoint import Request

pytestmark = pytest.mark.aws

SECONDS = 10
"""Time limit of the function."""

SERVERS = 500
"""Twice as many as were too many. The round trips are the same for 5,000 (tests/golden/round_trips.txt)."""


def ask(function: Running, root: str, verb: str, path: str, body: Any) -> Any:
    lines = [("authorization", f"Bearer {root}"), ("content-type", "application/json")]
    answer = function.invoke(http_event("function_url", verb, path, Request(lines, json.dumps(body).encode())))
    assert answer["statusCode"] in (200, 201), answer
    return json.loads(answer["body"])


def test_a_new_credential_holds_for_every_server_after_one_short_request(
    built: Built, upstream: str, tmp_path: Path
) -> None:
    with standins.table(standins.ministack()) as (client, name):
        store = DynamoStore(name, client=client)
        root = bootstrap(store, datetime.now(UTC), secrets.token_bytes)
        assert root is not None
        variables = {
            "AWS_ENDPOINT_URL": standins.ministack(),
            "POSTERN_STORE": "dynamodb",
            "POSTERN_TABLE": name,
            "POSTERN_STATE_DIR": str(tmp_path),
            "POSTERN_PRIVATE_UPSTREAMS": "true",
        }
        folder = built.function("admin_api")
        with running(folder, "functions.admin_api.handler.handler", SECONDS, **variables) as function:
            connect = {"integration": "mem0", "credentials": {"api_key": "m0-first-key"}, "base_url": upstream}
            account_id = ask(function, root, "POST", "/integrated-account", connect)["id"]
            token = ask(function, root, "POST", f"/integrated-account/{account_id}/mcp", {"name": "live"})["token"]
            seed_servers(store, account_id, SERVERS, datetime.now(UTC))
            for key in ("m0-second-key", "m0-third-key", "m0-fourth-key"):
                change = {"credentials": {"api_key": key}}
                ask(function, root, "PATCH", f"/integrated-account/{account_id}", change)
                grant, account = store.get(keys_of(token))
                assert grant is not None
                assert account is not None
                assert Grant.from_json(grant.body, account.body).target(token_key(token)).credential["api_key"] == key
