"""What can be connected, and what an API token may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.admin_api.operations import OPERATIONS
from functions.gateway.grants import write_time
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream
from tool_catalog import compiled_file
from tool_catalog.catalog import Catalog


@pytest.fixture
def catalogs() -> dict[str, Catalog]:
    """Mem0, and an integration without a probe."""
    mem0 = compiled_file.load("mem0")
    return {"mem0": mem0, "plain": replace(mem0, integration="plain", label="Plain", probe=None)}


def connect(plane: Plane, integration: str, base_url: str) -> Any:
    body = {"integration": integration, "credentials": {"api_key": API_KEY}, "base_url": base_url}
    return plane.ok("POST", "/integrated-account", body)


def test_every_integration_is_listed_with_the_fields_that_connect_it(plane: Plane) -> None:
    listed = plane.ok("GET", "/integration")["result"]
    assert [entry["name"] for entry in listed] == ["mem0", "plain"]
    mem0 = listed[0]
    assert mem0 == plane.ok("GET", "/integration/mem0")
    assert (mem0["label"], mem0["verifies_credentials"], listed[1]["verifies_credentials"]) == ("Mem0", True, False)
    [field] = mem0["credentials"]
    assert (field["name"], field["required"], field["secret"], field["example"]) == ("api_key", True, True, "m0-...")
    assert field["description"]
    assert [entry["name"] for entry in mem0["context"]] == ["org_id", "project_id"]
    assert "user_id" in mem0["pinnable"]
    assert {"list", "search"} <= set(mem0["methods"])
    assert mem0["tool_count"] == len(compiled_file.load("mem0").tools)


def test_an_unknown_integration_is_not_found_with_the_nearest_name(plane: Plane) -> None:
    for _ in range(3):
        error = plane.refused("GET", "/integration/mem1", status=404)
        assert error["message"] == 'there is no integration "mem1"; did you mean "mem0"? valid: mem0, plain'


def test_an_account_that_no_probe_verified_is_unverified(plane: Plane, upstream: ScriptedUpstream) -> None:
    assert connect(plane, "mem0", upstream.url)["status"] == "active"
    account = connect(plane, "plain", upstream.url)
    assert account["status"] == "unverified"
    path = f"/integrated-account/{account['id']}"
    assert plane.ok("GET", path)["status"] == "unverified"
    assert plane.ok("PATCH", path, {"credentials": {"api_key": "another"}})["status"] == "unverified"
    assert [entry["status"] for entry in plane.ok("GET", "/integrated-account")["result"]].count("unverified") == 1
    assert not upstream.received[1:], "an integration without a probe was asked"


def test_a_refused_call_of_an_unverified_account_needs_a_new_credential(
    plane: Plane, upstream: ScriptedUpstream
) -> None:
    account = connect(plane, "plain", upstream.url)["id"]
    upstream.valid_keys = set()
    plane.clock.advance(seconds=1)
    plane.call("GET", "/proxy/memories/7d3a1d2e-0000-4000-8000-000000000001", params={"integrated_account_id": account})
    assert plane.ok("GET", f"/integrated-account/{account}")["status"] == "needs_reauth"


@pytest.mark.parametrize("scope", ["read", "call", "mint", "connect", "manage"])
def test_me_says_which_operations_a_token_admits_to(plane: Plane, scope: str) -> None:
    expires_at = write_time(START + timedelta(hours=1))
    limits = {"methods": ["read"], "tags": [], "pins": {}, "max_lifetime_seconds": 60} if scope == "mint" else None
    body = {"name": "mine", "scopes": [scope], "expires_at": expires_at, "mint": limits}
    made = plane.ok("POST", "/api-token", body)
    me = plane.ok("GET", "/me", token=made["token"])
    assert me["mint"] == made["mint"] == limits
    assert {name: me[name] for name in ("id", "name", "scopes", "account_ids", "expires_at")} == {
        "id": made["id"], "name": "mine", "scopes": [scope], "account_ids": [], "expires_at": expires_at,
    }  # fmt: skip
    for operation in OPERATIONS:
        path = operation.path.replace("{", "").replace("}", "")
        refused = plane.call(operation.verb.upper(), path, token=made["token"]).status_code == 403
        assert refused is (operation.name not in me["operations"])


def test_me_of_a_limited_token_leaves_out_what_is_for_tokens_without_limits(
    plane: Plane, upstream: ScriptedUpstream
) -> None:
    account = connect(plane, "mem0", upstream.url)["id"]
    token = plane.ok("POST", "/api-token", {"name": "t", "scopes": ["manage"], "account_ids": [account]})["token"]
    me = plane.ok("GET", "/me", token=token)
    assert me["account_ids"] == [account]
    assert {"connectAccount", "createApiToken", "listApiTokens"}.isdisjoint(me["operations"])
    assert {"createServer", "listAccounts"} <= set(me["operations"])
    root = plane.ok("GET", "/me")
    assert (root["id"], root["name"], root["expires_at"]) == ("tok_root", "root", None)
    assert set(root["operations"]) == {operation.name for operation in OPERATIONS}
