"""Integrated accounts: connected with a proved credential that never comes out again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.api_tokens.root import bootstrap
from functions.admin_api.app import create_app
from functions.gateway.grants import handle, write_time
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Put
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream
from tool_catalog import compiled_file

NEW_KEY = "m0-another-key-that-must-stay-hidden"


def connect(upstream: ScriptedUpstream, **more: Any) -> dict[str, Any]:
    return {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url, **more}


def test_connecting_proves_the_credential_and_learns_the_context(plane: Plane, upstream: ScriptedUpstream) -> None:
    answer = plane.call("POST", "/integrated-account", connect(upstream, name="Production"))
    assert answer.status_code == 201
    account = answer.json()
    assert account.pop("id").startswith("acc_")
    assert account == {
        "integration": "mem0",
        "name": "Production",
        "base_url": upstream.url,
        "context": {"org_id": "org_1", "project_id": "proj_1"},
        "status": "active",
        "status_since": None,
        "created_at": write_time(START),
        "updated_at": write_time(START),
    }
    [probe] = upstream.received
    assert (probe.verb, probe.path, probe.headers["authorization"]) == ("GET", "/v1/ping/", f"Token {API_KEY}")


def test_an_id_is_short_prefixed_and_lower_case(plane: Plane, account: str) -> None:
    prefix, _, rest = account.partition("_")
    assert (prefix, len(rest)) == ("acc", 16)
    assert set(rest) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_a_chosen_id_is_kept_and_taken_only_once(plane: Plane, upstream: ScriptedUpstream) -> None:
    assert plane.ok("POST", "/integrated-account", connect(upstream, id="mem0_acc_12345"))["id"] == "mem0_acc_12345"
    error = plane.refused("POST", "/integrated-account", connect(upstream, id="mem0_acc_12345"), status=409)
    assert error["message"] == "there is already an account mem0_acc_12345; PATCH it, or choose another id"


def test_the_given_context_goes_before_the_one_found(plane: Plane, upstream: ScriptedUpstream) -> None:
    account = plane.ok("POST", "/integrated-account", connect(upstream, context={"project_id": "proj_mine"}))
    assert account["context"] == {"org_id": "org_1", "project_id": "proj_mine"}


def test_nothing_that_is_stored_or_answered_holds_the_credential(plane: Plane, account: str) -> None:
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})
    answers = [plane.call("GET", path).text for path in ("/integrated-account", f"/integrated-account/{account}")]
    plane.store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = b"".join(path.read_bytes() for path in plane.folder.iterdir() if path.is_file())
    assert b"mem0" in stored
    for secret in (API_KEY, server["token"], plane.root):
        assert secret.encode() not in stored
        assert not any(secret in answer for answer in answers)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({},
         "2 problems: integration is missing; it is required: the API that the account belongs to, e.g. mem0; "
         'credentials is missing; it is required: the credential fields of the integration, e.g. {"api_key": "..."}'),
        ({"integration": "mem", "credentials": {}}, 'there is no integration "mem"; did you mean "mem0"? valid: mem0'),
        ({"integration": "salesforce", "credentials": {}}, 'there is no integration "salesforce"; valid: mem0'),
        ({"integration": "mem0", "credentials": {}},
         "credentials.api_key is missing; it is required: API key of a Mem0 project, from the Mem0 dashboard under "
         "API keys."),
        ({"integration": "mem0", "credentials": {"apikey": "x"}},
         '2 problems: credentials.apikey: unknown key; did you mean "api_key"? valid: api_key; credentials.api_key '
         "is missing; it is required: API key of a Mem0 project, from the Mem0 dashboard under API keys."),
        ({"integration": "mem0", "credentials": {"api_key": 5}}, "credentials.api_key must be a non-empty string"),
        ({"integration": "mem0", "credentials": {"api_key": f"{API_KEY}\n"}},
         "credentials.api_key starts or ends with a space or a line break; remove it"),
        ({"integration": "mem0", "credentials": {"api_key": "schlüssel"}},
         "credentials.api_key holds characters that a header cannot carry; it must be printable ASCII"),
        ({"integration": "mem0", "credentials": "m0-x"}, "credentials is not valid; it must be an object"),
        ({"integration": "mem0", "credential": {"api_key": "x"}, "credentials": {"api_key": "x"}},
         'credential: unknown key; did you mean "credentials"? '
         "valid: integration, name, credentials, context, base_url, id"),
        ({"integration": "mem0", "credentials": {"api_key": "x"}, "context": {"orgid": "o"}},
         'context.orgid: unknown key; did you mean "org_id"? valid: org_id, project_id'),
        ({"integration": "mem0", "credentials": {"api_key": "x"}, "context": {"org_id": ""}},
         'context.org_id is ""; it must be a string of 1 to 500 characters'),
        ({"integration": "mem0", "credentials": {"api_key": "x"}, "name": ""},
         "name is empty; it needs at least one character"),
        ({"integration": "mem0", "credentials": {"api_key": "x"}, "name": "n" * 201},
         "name has 201 characters; at most 200 are allowed"),
        ({"integration": "mem0", "credentials": {"api_key": "x"}, "name": 5}, "name is 5; it must be a string"),
        ({"integration": "mem0", "credentials": {"api_key": "x"}, "id": "../x"},
         'id is "../x"; an id has 1 to 64 letters, digits, - and _, and starts with a letter or a digit'),
        ({"integration": "mem0", "credentials": {"api_key": "x"}, "base_url": "ftp://api.mem0.ai"},
         'base_url is "ftp://api.mem0.ai"; it must start with https:// or http:// and a host'),
    ],
)  # fmt: skip
def test_a_body_that_connects_nothing_is_told_what_is_wrong(plane: Plane, body: Any, message: str) -> None:
    error = plane.refused("POST", "/integrated-account", body, status=400)
    assert error["message"] == message
    assert plane.ok("GET", "/integrated-account")["result"] == []


def test_a_credential_that_the_upstream_rejects_is_refused_without_being_repeated(
    plane: Plane, upstream: ScriptedUpstream
) -> None:
    """The upstream's own text holds the key; ours does not."""
    body = connect(upstream) | {"credentials": {"api_key": NEW_KEY}}
    error = plane.refused("POST", "/integrated-account", body, status=400)
    host = upstream.url.removeprefix("http://")
    assert error["message"] == (
        f"credentials: Mem0 rejected them (GET {host}/v1/ping/ returned 401); check the value, and that it belongs to "
        "this API"
    )
    assert error["details"] == {"upstream_status": 401, "upstream_said": '{"detail": "Invalid token ***"}'}
    assert NEW_KEY not in json.dumps(error)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((500, {}, b'{"detail": "oops"}'),
         "the credential could not be verified: GET {host}/v1/ping/ returned 500; nothing was saved. "
         "Check base_url, or retry when the upstream is healthy"),
        ((404, {"Content-Type": "text/html"}, b"<html>no</html>"),
         "the credential could not be verified: GET {host}/v1/ping/ returned 404; nothing was saved. "
         "Check base_url, or retry when the upstream is healthy"),
        ((302, {"Location": "https://evil.example/"}, b""),
         "the credential could not be verified: GET {host}/v1/ping/ returned 302; nothing was saved. "
         "Check base_url, or retry when the upstream is healthy"),
        ((200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>hello</html>"),
         "the credential could not be verified: GET {host}/v1/ping/ returned 200 with text/html, not JSON; nothing was "
         "saved. Check that base_url is an address of Mem0"),
    ],
)  # fmt: skip
def test_a_probe_that_proves_nothing_saves_nothing(
    plane: Plane, upstream: ScriptedUpstream, answer: tuple[int, dict[str, str], bytes], message: str
) -> None:
    upstream.answers["GET", "/v1/ping/"] = answer
    error = plane.refused("POST", "/integrated-account", connect(upstream), status=502)
    assert error["message"] == message.format(host=upstream.url.removeprefix("http://"))
    if answer[0] != 200:
        said = {"upstream_said": '{"detail": "oops"}'} if answer[0] == 500 else {}
        assert error["details"] == {"upstream_status": answer[0], **said}
    assert plane.ok("GET", "/integrated-account")["result"] == []


def test_an_upstream_that_is_down_saves_nothing(plane: Plane, upstream: ScriptedUpstream) -> None:
    upstream.close()
    error = plane.refused("POST", "/integrated-account", connect(upstream), status=502)
    host = upstream.url.removeprefix("http://")
    assert error["message"] == f"no connection to {host} (refused or unreachable); nothing was done"
    assert plane.ok("GET", "/integrated-account")["result"] == []


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "0177.0.0.1"])
def test_a_name_that_resolves_into_a_private_network_is_refused(tmp_path: Path, host: str) -> None:
    """Spellings that no parser of addresses takes, and every resolver does."""
    settings = Settings(state_dir=str(tmp_path))
    store = SqliteStore(tmp_path / "postern.sqlite")
    root = bootstrap(store, START, random.Random(1).randbytes)
    keys = LocalKeys(tmp_path / "account.key", random.Random(2).randbytes)
    app = create_app(settings, store, {"mem0": compiled_file.load("mem0")}, keys, Sender(settings))
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": f"https://{host}"}
    with TestClient(app, headers={"authorization": f"Bearer {root}"}) as client:
        answer = client.post("/integrated-account", json=body)
    store.close()
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        f"base_url: {host} resolves to an address that is not on the public internet, and credentials are not sent "
        "there; use the API's public https address (a deployment for tests can allow it with "
        "POSTERN_PRIVATE_UPSTREAMS=true)"
    )


def test_a_listing_pages_through_every_account_once(plane: Plane, upstream: ScriptedUpstream) -> None:
    made = {plane.ok("POST", "/integrated-account", connect(upstream))["id"] for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "2", **({"next_cursor": cursor} if cursor else {})}
        page = plane.ok("GET", "/integrated-account", params=query)
        seen += [account["id"] for account in page["result"]]
        cursor = page["next_cursor"]
    assert seen == sorted(made)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", 'query: limit is "0"; it must be a whole number from 1 to 100'),
        ("limit=101", 'query: limit is "101"; it must be a whole number from 1 to 100'),
        ("limit=ten", 'query: limit is "ten"; it must be a whole number from 1 to 100'),
        ("limits=1", 'query: unknown parameter "limits"; did you mean "limit"? valid: limit, next_cursor'),
        (
            "next_cursor=%2F",
            'query: next_cursor is "/", which this listing did not return; leave it out to start from the first page',
        ),
    ],
)
def test_a_bad_page_request_is_told_what_is_valid(plane: Plane, query: str, message: str) -> None:
    assert plane.refused("GET", f"/integrated-account?{query}", status=400)["message"] == message


@pytest.mark.parametrize("account_id", ["acc_nothing", "x" * 3000, "..", "a%2Fb", "%F0%9F%97%9D"])
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_an_unknown_account_is_not_found(plane: Plane, verb: str, account_id: str) -> None:
    answer = plane.call(verb, f"/integrated-account/{account_id}")
    assert answer.status_code == 404
    assert len(answer.json()["message"]) < 250


def test_a_new_name_and_context_need_no_probe(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    plane.clock.advance(hours=1)
    changed = plane.ok("PATCH", f"/integrated-account/{account}", {"name": "New", "context": {"org_id": "org_2"}})
    assert (changed["name"], changed["context"]) == ("New", {"org_id": "org_2", "project_id": "proj_1"})
    assert changed["updated_at"] == "2026-11-21T13:00:00Z"
    removed = plane.ok("PATCH", f"/integrated-account/{account}", {"context": {"org_id": None}})
    assert removed["context"] == {"org_id": "org_1", "project_id": "proj_1"}
    assert len(upstream.received) == 1


def test_a_changed_credential_is_proved_and_reaches_every_token_of_every_server(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.valid_keys.add(NEW_KEY)
    tokens = []
    for n in range(3):
        server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": f"s{n}"})
        rotated = plane.ok("POST", f"/integrated-account/{account}/mcp/{server['id']}/rotate", {"grace_seconds": 60})
        tokens += [server["token"], rotated["token"]]
    assert {plane.opened(token)["api_key"] for token in tokens} == {API_KEY}
    plane.ok("PATCH", f"/integrated-account/{account}", {"credentials": {"api_key": NEW_KEY}})
    assert upstream.received[-1].headers["authorization"] == f"Token {NEW_KEY}"
    assert {plane.opened(token)["api_key"] for token in tokens} == {NEW_KEY}


def test_every_copy_of_what_calls_read_changes_and_ends_with_the_account(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.valid_keys.add(NEW_KEY)
    token = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "one"})["token"]
    keys = layout.granted_accounts(handle(token))
    seen: set[str] = set()
    changes: list[dict[str, Any]] = [{}, {"credentials": {"api_key": NEW_KEY}}, {"context": {"org_id": "other"}}]
    for change in changes:
        plane.ok("PATCH", f"/integrated-account/{account}", {"name": f"named {len(seen)}", **change})
        copies = {json.dumps(item.body, sort_keys=True) for item in plane.store.get(keys) if item is not None}
        assert len(copies) == 1
        seen |= copies
    assert len(seen) == 3
    plane.ok("DELETE", f"/integrated-account/{account}")
    assert plane.store.get(keys) == [None] * layout.ACCOUNT_COPIES


def test_a_credential_that_fails_the_probe_changes_nothing(plane: Plane, account: str) -> None:
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})
    body = {"name": "New", "credentials": {"api_key": NEW_KEY}}
    plane.refused("PATCH", f"/integrated-account/{account}", body, status=400)
    assert plane.ok("GET", f"/integrated-account/{account}")["name"] == "Mem0"
    assert plane.opened(server["token"])["api_key"] == API_KEY


def test_another_host_needs_the_credential_again(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    """Else whoever may change an account could have its credential sent to a host of their own."""
    elsewhere = {"base_url": "http://127.0.0.1:9"}
    error = plane.refused("PATCH", f"/integrated-account/{account}", elsewhere, status=400)
    assert error["message"] == "base_url: a change of the host needs credentials in the same request"
    assert len(upstream.received) == 1


def test_a_new_path_on_the_same_host_is_proved_with_the_kept_credential(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.answers["GET", "/eu/v1/ping/"] = (200, {}, b'{"org_id": "org_eu", "project_id": "proj_eu"}')
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})
    changed = plane.ok("PATCH", f"/integrated-account/{account}", {"base_url": f"{upstream.url}/eu/"})
    assert (changed["base_url"], changed["context"]["org_id"]) == (f"{upstream.url}/eu", "org_eu")
    assert upstream.received[-1].headers["authorization"] == f"Token {API_KEY}"
    behind = plane.behind(server["token"])
    assert behind is not None
    assert (behind.account.base_url, behind.account.context["org_id"]) == (f"{upstream.url}/eu", "org_eu")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"nam": "x"}, 'nam: unknown key; did you mean "name"? valid: name, credentials, context, base_url'),
        ({"name": None}, "name is null; it must be a string"),
        ({"credentials": None}, "credentials is not valid; it must be an object"),
        ({"integration": "mem0"}, "integration: unknown key; valid: name, credentials, context, base_url"),
        ([], "the request body is a list; it must be a JSON object"),
    ],
)
def test_a_bad_change_is_told_what_is_wrong(plane: Plane, account: str, body: Any, message: str) -> None:
    assert plane.refused("PATCH", f"/integrated-account/{account}", body, status=400)["message"] == message


def test_an_upstream_that_refused_the_credential_shows_until_a_new_one_is_proved(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.valid_keys = {NEW_KEY}
    plane.clock.advance(minutes=5)
    plane.refused(
        "GET",
        "/proxy/memories/7d3a1d2e-0000-4000-8000-000000000001",
        params={"integrated_account_id": account},
        status=401,
    )
    shown = plane.ok("GET", f"/integrated-account/{account}")
    assert (shown["status"], shown["status_since"]) == ("needs_reauth", "2026-11-21T12:05:00Z")
    assert plane.ok("GET", "/integrated-account")["result"] == [shown]
    plane.clock.advance(minutes=5)
    mended = plane.ok("PATCH", f"/integrated-account/{account}", {"credentials": {"api_key": NEW_KEY}})
    assert (mended["status"], mended["status_since"]) == ("active", None)


def test_deleting_an_account_removes_its_servers_and_its_api_tokens_and_says_so(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    other = plane.ok("POST", "/integrated-account", connect(upstream))["id"]
    minted = [plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": f"s{n}"}) for n in range(3)]
    kept = plane.ok("POST", f"/integrated-account/{other}/mcp", {"name": "kept"})
    only = plane.ok("POST", "/api-token", {"name": "a", "scopes": ["connect"], "account_ids": [account]})
    both = plane.ok("POST", "/api-token", {"name": "b", "scopes": ["manage"], "account_ids": [account, other]})
    answer = plane.ok("DELETE", f"/integrated-account/{account}")
    assert answer == {
        "id": account,
        "removed": {
            "mcp_servers": sorted(server["id"] for server in minted),
            "api_tokens": [only["id"]],
            "trusts": [],
        },
        "next_cursor": None,
    }
    assert all(plane.behind(server["token"]) is None for server in minted)
    assert plane.behind(kept["token"]) is not None
    assert plane.ok("GET", f"/api-token/{both['id']}")["account_ids"] == [other]
    plane.refused("GET", f"/integrated-account/{account}", status=404)
    plane.refused("DELETE", f"/integrated-account/{account}", status=404)
    plane.refused("GET", f"/integrated-account/{account}", token=both["token"], status=403)
    assert plane.ok("GET", f"/integrated-account/{other}", token=both["token"])["id"] == other


def test_a_deletion_that_was_interrupted_is_finished_by_repeating_it(plane: Plane, upstream: ScriptedUpstream) -> None:
    plane.ok("POST", "/integrated-account", connect(upstream, id="mine"))
    server = plane.ok("POST", "/integrated-account/mine/mcp", {"name": "s"})
    [item] = plane.store.get([layout.account("mine")])
    assert item is not None
    plane.store._writer.execute("DELETE FROM items WHERE partition = 'ACCOUNTS'")
    error = plane.refused("POST", "/integrated-account", connect(upstream, id="mine"), status=409)
    assert error["message"] == (
        "servers of the deleted account mine still exist; remove them with DELETE /integrated-account/mine"
    )
    assert plane.ok("DELETE", "/integrated-account/mine")["removed"]["mcp_servers"] == [server["id"]]
    assert plane.behind(server["token"]) is None
    plane.ok("POST", "/integrated-account", connect(upstream, id="mine"))


def test_many_servers_follow_a_changed_account_and_go_with_it(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    """More than one write and one listing page can hold."""
    upstream.valid_keys.add(NEW_KEY)
    tokens = [plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": str(n)})["token"] for n in range(120)]
    plane.ok("PATCH", f"/integrated-account/{account}", {"credentials": {"api_key": NEW_KEY}})
    assert {plane.opened(token)["api_key"] for token in tokens} == {NEW_KEY}
    part = plane.ok("DELETE", f"/integrated-account/{account}")
    assert all(plane.behind(token) is None for token in tokens), "the first request did not kill every URL"
    rest = plane.ok("DELETE", f"/integrated-account/{account}?next_cursor={part['next_cursor']}")
    assert len({*part["removed"]["mcp_servers"], *rest["removed"]["mcp_servers"]}) == 120
    assert rest["next_cursor"] is None
    assert plane.store.query(layout.servers(account), limit=1) == []


def test_a_record_that_changes_between_reading_and_writing_is_read_again(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    """Another operator renames the account while this one's credential is being proved."""
    upstream.valid_keys.add(NEW_KEY)
    key = layout.account(account)

    def rename() -> None:
        [item] = plane.store.get([key])
        assert item is not None
        plane.store.write([Put(key, {**item.body, "name": "Renamed meanwhile"}, if_version=item.version)])

    upstream.before_answer = rename
    changed = plane.ok("PATCH", f"/integrated-account/{account}", {"credentials": {"api_key": NEW_KEY}})
    assert changed["name"] == "Renamed meanwhile"
