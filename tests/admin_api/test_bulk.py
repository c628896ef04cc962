"""Many servers at once: what is missing is minted, what is selected is changed, and a repeated request does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from functions.admin_api.servers.bulk import STEPS
from functions.gateway.grants import write_time
from functions.stores.store import Change, Put, StoreUnavailable
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream

LATER = write_time(START + timedelta(days=30))


def servers(account: str, more: str = "") -> str:
    return f"/integrated-account/{account}/mcp{more}"


def mint(plane: Plane, account: str, name: str, **body: Any) -> Any:
    return plane.ok("POST", servers(account), {"name": name, **body})


def fleet(plane: Plane, account: str, count: int, **body: Any) -> Any:
    return plane.ok("POST", servers(account, "/bulk-create"), {"name": "agent", "count": count, **body})


def names(plane: Plane, account: str, **query: str) -> list[str]:
    return [server["name"] for server in plane.ok("GET", servers(account), params={"limit": "100", **query})["result"]]


@pytest.fixture
def second(plane: Plane, upstream: ScriptedUpstream, account: str) -> str:
    """Id of another account."""
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url, "name": "Second"}
    account_id: str = plane.ok("POST", "/integrated-account", body)["id"]
    return account_id


# Minting.


def test_forty_servers_take_one_request_and_each_url_opens_its_own(plane: Plane, account: str) -> None:
    made = fleet(plane, account, 40, labels={"team": "support"}, config={"methods": ["read"]}, expires_at=LATER)
    assert (made["minted"], made["kept"], made["next_number"]) == (40, 0, None)
    assert [entry["name"] for entry in made["result"]] == [f"agent-{number}" for number in range(1, 41)]
    for entry in made["result"]:
        grant = plane.behind(entry["token"])
        assert grant is not None
        assert (grant.id, grant.name, grant.labels) == (entry["id"], entry["name"], {"team": "support"})
        assert entry["url"].endswith(f"/mcp/{entry['token']}")
        plane.opened(entry["token"])
    assert set(plane.schedules.at) == {entry["id"] for entry in made["result"]}


def test_a_repeated_request_mints_only_what_is_missing(plane: Plane, account: str) -> None:
    made = fleet(plane, account, 5)["result"]
    plane.ok("DELETE", servers(account, "/agent-3"))
    again = fleet(plane, account, 7)
    assert (again["minted"], again["kept"]) == (3, 4)
    outcomes = {entry["name"]: entry["outcome"] for entry in again["result"]}
    assert [name for name, outcome in outcomes.items() if outcome == "minted"] == ["agent-3", "agent-6", "agent-7"]
    kept = again["result"][0]
    assert (kept["id"], kept["token"], kept["url"]) == (made[0]["id"], None, None)
    assert plane.behind(made[0]["token"]) is not None
    assert fleet(plane, account, 7)["minted"] == 0


def test_a_request_ends_after_its_steps_and_goes_on_from_its_number(plane: Plane, account: str) -> None:
    first = fleet(plane, account, STEPS + 10)
    assert (first["minted"], first["next_number"]) == (STEPS, STEPS + 1)
    second = fleet(plane, account, STEPS + 10, from_number=first["next_number"])
    assert (second["minted"], second["kept"], second["next_number"]) == (10, 0, None)
    assert len(names(plane, account)) == STEPS + 10


def test_what_was_minted_before_a_failure_is_in_the_answer(
    plane: Plane, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, minted = plane.store.write, [0]

    def failing(changes: Sequence[Change]) -> None:
        if any(isinstance(change, Put) and change.key.partition.startswith("SERVERS#") for change in changes):
            minted[0] += 1
            if minted[0] == 4:
                raise StoreUnavailable("throttled")
        write(changes)

    monkeypatch.setattr(plane.store, "write", failing)
    broken = fleet(plane, account, 6)
    assert (broken["minted"], broken["next_number"]) == (3, 4)
    assert all(plane.behind(entry["token"]) for entry in broken["result"])
    rest = fleet(plane, account, 6, from_number=broken["next_number"])
    assert (rest["minted"], rest["next_number"]) == (3, None)
    minted[0] = 3
    plane.refused("POST", servers(account, "/bulk-create"), {"name": "other", "count": 2}, status=503)


def test_a_mint_token_mints_many_within_its_limits(plane: Plane, account: str) -> None:
    limits = {"methods": ["read"], "max_lifetime_seconds": 3600}
    body = {"name": "ci", "scopes": ["mint"], "account_ids": [account], "mint": limits}
    token = plane.ok("POST", "/api-token", body)["token"]
    path = servers(account, "/bulk-create")
    asked = {"name": "ci", "count": 3}
    plane.refused("POST", path, asked, token=token, status=403)
    within = {**asked, "config": {"methods": ["read"]}, "expires_at": write_time(START + timedelta(hours=1))}
    assert plane.ok("POST", path, within, token=token)["minted"] == 3
    plane.refused("POST", servers("-", "/bulk"), {"action": "revoke", "all": True}, token=token, status=403)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "a", "count": 0}, "count is 0; it must be a whole number from 1 to 1000"),
        ({"name": "a", "count": 1001}, "count is 1001; it must be a whole number from 1 to 1000"),
        ({"name": " a", "count": 2}, "name: a name must not hold control characters, start or end with a space"),
        ({"name": "a", "count": 2, "labels": {"te am": "x"}}, 'labels is {"te am": "x"}; "te am": "x" is not a label'),
        ({"name": "a", "count": 2, "config": {"methods": ["raed"]}}, 'config.methods: "raed" is unknown'),
    ],
)
def test_a_bad_request_for_many_mints_nothing(plane: Plane, account: str, body: Any, message: str) -> None:
    for _ in range(3):
        error = plane.refused("POST", servers(account, "/bulk-create"), body, status=400)
        assert error["message"].startswith(message)
    assert names(plane, account) == []


# Labels and where to look.


def test_servers_are_found_by_their_labels_in_one_account_and_in_all(plane: Plane, account: str, second: str) -> None:
    mint(plane, account, "a", labels={"team": "support", "env": "prod"})
    mint(plane, account, "b", labels={"team": "support"})
    mint(plane, second, "c", labels={"team": "sales", "env": "prod"})
    mint(plane, second, "d")
    assert sorted(names(plane, account, label="team=support")) == ["a", "b"]
    assert sorted(names(plane, "-", label="env")) == ["a", "c"]
    assert names(plane, "-", label="env=prod,team=sales") == ["c"]
    assert sorted(names(plane, "-")) == ["a", "b", "c", "d"]
    assert names(plane, "-", label="team=nobody") == []
    error = plane.refused("GET", servers("-"), params={"label": "team==x"}, status=400)
    assert error["message"].startswith('query: label has "team==x"; write KEY=VALUE or KEY')


def test_labels_are_merged_and_reach_the_grant(plane: Plane, account: str) -> None:
    made = mint(plane, account, "a", labels={"team": "support", "env": "prod"})
    path = servers(account, "/a")
    changed = plane.ok("PATCH", path, {"labels": {"env": None, "tier": "1"}})
    assert changed["labels"] == {"team": "support", "tier": "1"}
    grant = plane.behind(made["token"])
    assert grant is not None
    assert grant.labels == {"team": "support", "tier": "1"}


def test_a_list_pages_over_accounts(plane: Plane, account: str, second: str) -> None:
    for number in range(3):
        mint(plane, account, f"a{number}", labels={"x": str(number)})
        mint(plane, second, f"b{number}")
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = plane.ok("GET", servers("-"), params=query)
        assert len(page["result"]) <= 2
        seen += [server["name"] for server in page["result"]]
        if page["next_cursor"] is None:
            break
        query["next_cursor"] = page["next_cursor"]
    assert sorted(seen) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    for cursor in ("x", "~", "a~", "~b", "a~b~c"):
        plane.refused("GET", servers("-"), params={"next_cursor": cursor}, status=400)


def test_servers_that_expire_soon_are_found(plane: Plane, account: str) -> None:
    for name, hours in (("soon", 23), ("edge", 24), ("later", 25)):
        mint(plane, account, name, expires_at=write_time(START + timedelta(hours=hours)))
    mint(plane, account, "never")
    assert sorted(names(plane, account, expires_within="24h")) == ["edge", "soon"]
    assert sorted(names(plane, "-", expires_within="1d2h")) == ["edge", "later", "soon"]
    error = plane.refused("GET", servers(account), params={"expires_within": "24"}, status=400)
    assert error["message"] == (
        'query: expires_within is "24"; it is not a duration; write a whole number and a unit, e.g. 90s, 15m, 2h or 7d'
    )


def test_an_id_needs_no_account(plane: Plane, account: str, second: str) -> None:
    made = mint(plane, second, "a")
    for _ in range(3):
        assert plane.ok("GET", servers("-", f"/{made['id']}"))["integrated_account_id"] == second
    assert plane.ok("PATCH", servers("-", "/a"), {"name": "b"})["name"] == "b"
    assert plane.ok("POST", servers("-", f"/{made['id']}/rotate"))["token"] != made["token"]
    assert plane.ok("DELETE", servers("-", "/b"))["integrated_account_id"] == second
    error = plane.refused("DELETE", servers("-", "/b"), status=404)
    assert error["message"].startswith(
        'this deployment has no live MCP server "b"; GET /integrated-account/-/mcp lists'
    )
    error = plane.refused("POST", servers("-"), {"name": "x"}, status=400)
    assert error["message"] == 'this operation needs one account; give its id or name in place of "-"'
    entry = plane.ok("GET", "/log?kind=decision&action=deleteServer&outcome=ok")["result"][0]
    assert (entry["account_id"], entry["server_id"]) == (second, made["id"])


def test_an_account_is_found_by_its_name(plane: Plane, account: str, second: str) -> None:
    assert plane.ok("GET", "/integrated-account/Second")["id"] == second
    assert plane.ok("POST", servers("Second"), {"name": "x"})["integrated_account_id"] == second
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "name": "Second"}
    for _ in range(3):
        error = plane.refused("PATCH", f"/integrated-account/{account}", {"name": "Second"}, status=409)
        assert error["message"] == 'there is already an account with the name "Second"; choose another name'
    assert plane.ok("PATCH", "/integrated-account/Second", {"name": "Other"})["id"] == second
    plane.refused("GET", "/integrated-account/Second", status=404)
    assert plane.ok("PATCH", f"/integrated-account/{account}", {"name": "Second"})["id"] == account
    plane.ok("DELETE", "/integrated-account/Second")
    plane.refused("GET", f"/integrated-account/{account}", status=404)
    assert body["name"] not in [entry["name"] for entry in plane.ok("GET", "/integrated-account")["result"]]


def test_accounts_without_names_are_numbered(plane: Plane, upstream: ScriptedUpstream) -> None:
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    made = [plane.ok("POST", "/integrated-account", body)["name"] for _ in range(3)]
    assert made[1:] == [f"{made[0]} 2", f"{made[0]} 3"]


def test_an_api_token_is_found_by_its_name_and_has_it_alone(plane: Plane) -> None:
    made = plane.ok("POST", "/api-token", {"name": "desk", "scopes": ["read"]})
    for name in ("desk", made["id"], "root"):
        error = plane.refused("POST", "/api-token", {"name": name, "scopes": ["read"]}, status=409)
        assert error["message"] == f'there is already an API token with the name "{name}"; choose another name'
    assert plane.ok("GET", "/api-token/desk")["id"] == made["id"]
    assert plane.ok("DELETE", "/api-token/desk") == {"id": made["id"], "name": "desk"}
    plane.refused("GET", "/api-token/desk", status=404)
    plane.ok(
        "POST", "/api-token", {"name": "desk", "scopes": ["read"], "expires_at": write_time(START.replace(day=22))}
    )
    plane.clock.advance(days=2)
    plane.ok("POST", "/api-token", {"name": "desk", "scopes": ["read"]})


def test_a_token_limited_to_accounts_sees_those_alone_by_name_and_by_dash(
    plane: Plane, account: str, second: str
) -> None:
    mint(plane, account, "mine")
    foreign = mint(plane, second, "foreign")
    token = plane.ok("POST", "/api-token", {"name": "t", "scopes": ["manage"], "account_ids": [account]})["token"]
    listed = plane.ok("GET", servers("-"), token=token)["result"]
    assert [server["name"] for server in listed] == ["mine"]
    plane.refused("GET", servers("-", f"/{foreign['id']}"), token=token, status=404)
    plane.refused("GET", servers("Second", "/foreign"), token=token, status=403)
    plane.refused("GET", servers("No such account", "/foreign"), token=token, status=403)
    revoked = plane.ok("POST", servers("-", "/bulk"), {"action": "revoke", "all": True}, token=token)
    assert [entry["name"] for entry in revoked["result"]] == ["mine"]
    assert names(plane, "-") == ["foreign"]


# Changing.


def change(plane: Plane, account: str = "-", **body: Any) -> Any:
    return plane.ok("POST", servers(account, "/bulk"), body)


def test_selected_servers_are_revoked_and_the_others_live(plane: Plane, account: str, second: str) -> None:
    gone = [mint(plane, where, "a", labels={"team": "support"}) for where in (account, second)]
    kept = mint(plane, account, "b")
    for expected in (2, 0, 0):
        answer = change(plane, action="revoke", labels=["team=support"])
        assert (answer["done"], answer["failed"], answer["next_cursor"]) == (expected, 0, None)
    assert [plane.behind(server["token"]) for server in gone] == [None, None]
    assert plane.behind(kept["token"]) is not None


def test_named_servers_that_are_gone_count_as_unchanged_and_unknown_ones_stop_nothing(
    plane: Plane, account: str
) -> None:
    fleet(plane, account, 3, expires_at=write_time(START + timedelta(hours=1)))
    answer = change(plane, account, action="revoke", servers=["agent-1", "nobody", "agent-3"])
    assert [entry["outcome"] for entry in answer["result"]] == ["done", "unchanged", "done"]
    later = {"expires_at": LATER}
    answer = change(plane, account, action="extend", servers=["nobody", "agent-2"], **later)
    assert [(entry["outcome"], entry["status"]) for entry in answer["result"]] == [("failed", 404), ("done", 200)]
    assert answer["result"][0]["message"].startswith('this deployment has no live MCP server "nobody"')


def test_extending_never_shortens_a_life(plane: Plane, account: str) -> None:
    mint(plane, account, "short", expires_at=write_time(START + timedelta(hours=1)))
    mint(plane, account, "long", expires_at=write_time(START + timedelta(days=90)))
    mint(plane, account, "never")
    for outcomes in ({"short": "done"}, {"short": "unchanged"}, {"short": "unchanged"}):
        answer = change(plane, account, action="extend", all=True, expires_at=LATER)
        assert {entry["name"]: entry["outcome"] for entry in answer["result"]} == {
            "long": "unchanged", "never": "unchanged", **outcomes,
        }  # fmt: skip
    assert plane.ok("GET", servers(account, "/short"))["expires_at"] == LATER
    assert plane.ok("GET", servers(account, "/never"))["expires_at"] is None


def test_a_rotation_that_is_repeated_with_its_time_makes_no_token_twice(plane: Plane, account: str) -> None:
    made = fleet(plane, account, 3)["result"]
    plane.clock.advance(minutes=1)
    first = change(plane, account, action="rotate", all=True)
    assert first["done"] == 3
    assert all(plane.behind(entry["token"]) is None for entry in made)
    assert all(plane.behind(entry["token"]) for entry in first["result"])
    plane.clock.advance(minutes=1)
    again = change(plane, account, action="rotate", all=True, tokens_before=first["tokens_before"])
    assert (again["done"], again["unchanged"]) == (0, 3)
    assert all(entry["token"] is None for entry in again["result"])
    assert all(plane.behind(entry["token"]) for entry in first["result"])


def test_a_bulk_change_goes_on_from_its_cursor(plane: Plane, account: str) -> None:
    count = STEPS + 7
    fleet(plane, account, count)
    fleet(plane, account, count, from_number=STEPS + 1)
    first = change(plane, account, action="label", all=True, set_labels={"team": "x"})
    assert first["done"] == STEPS
    second = change(plane, account, action="label", all=True, set_labels={"team": "x"}, cursor=first["next_cursor"])
    assert (second["done"], second["next_cursor"]) == (7, None)
    assert len(names(plane, account, label="team=x")) == count
    listed = [f"agent-{number}" for number in range(1, count + 1)]
    first = change(plane, account, action="revoke", servers=listed)
    assert (first["done"], first["next_cursor"]) == (STEPS, str(STEPS))
    second = change(plane, account, action="revoke", servers=listed, cursor=first["next_cursor"])
    assert (second["done"], second["next_cursor"]) == (7, None)
    body = {"action": "revoke", "servers": listed, "cursor": "999"}
    plane.refused("POST", servers(account, "/bulk"), body, status=400)


def test_each_changed_server_has_an_entry_in_the_log_with_who_did_it(plane: Plane, account: str) -> None:
    token = plane.ok("POST", "/api-token", {"name": "desk", "scopes": ["manage"]})
    body = {"name": "agent", "count": 3, "labels": {"team": "support"}}
    made = plane.ok("POST", servers(account, "/bulk-create"), body, token=token["token"])["result"]
    plane.clock.advance(seconds=1)
    body = {"action": "revoke", "labels": ["team=support"]}
    plane.ok("POST", servers("-", "/bulk"), body, token=token["token"])
    query = {"kind": "decision", "principal": "desk", "label": "team=support", "limit": "100"}
    entries = plane.ok("GET", "/log", params=query)["result"]
    assert sorted((entry["action"], entry["server_id"]) for entry in entries) == sorted(
        (action, server["id"]) for action in ("createServer", "deleteServer") for server in made
    )
    assert all(entry["labels"] == {"team": "support"} for entry in entries)
    assert plane.ok("GET", "/log", params={**query, "label": "team=sales"})["result"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"action": "revoke"}, "say which servers in exactly one way: servers, labels or all; given: none"),
        ({"action": "revoke", "all": True, "labels": ["a"]},
         "say which servers in exactly one way: servers, labels or all; given: labels, all"),
        ({"action": "extend", "all": True}, 'expires_at: the action "extend" needs it'),
        ({"action": "revoke", "all": True, "expires_at": LATER}, 'expires_at: the action "extend" needs it'),
        ({"action": "label", "all": True}, 'set_labels: the action "label" needs it'),
        ({"action": "revoke", "all": True, "grace_seconds": 5}, "grace_seconds and tokens_before belong to the action"),
        ({"action": "revok", "all": True}, 'action is "revok"; did you mean "revoke"?'),
        ({"action": "revoke", "labels": ["a=b=c"]}, 'labels has "a=b=c"; write KEY=VALUE or KEY'),
        ({"action": "extend", "all": True, "expires_at": "2020-01-01T00:00:00Z"}, "expires_at is 2020-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_an_unclear_bulk_change_changes_nothing(plane: Plane, account: str, body: Any, message: str) -> None:
    mint(plane, account, "a")
    for _ in range(3):
        assert plane.refused("POST", servers("-", "/bulk"), body, status=400)["message"].startswith(message)
    assert names(plane, account) == ["a"]
