"""MCP servers: minted once, changed for every token at once, dead at the second they should be."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.names import NAME_RULE
from functions.admin_api.servers.contract import Config, ServerCreate, ServerUpdate
from functions.admin_api.servers.schedules import NoSchedules
from functions.admin_api.servers.service import Servers
from functions.gateway.errors import Conflict
from functions.gateway.grants import TOKEN, is_live, write_time
from functions.purge.purge import purge
from functions.stores import layout
from functions.stores.store import Delete, Put
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream
from tests.patience import STUCK_SECONDS
from tool_catalog import compiled_file

AUDIT_SERVER = {
    "name": "Mem0 Audit Agent Server",
    "config": {"methods": ["read", "write", "custom"], "tags": ["memories", "projects", "events"]},
    "expires_at": "2026-12-31T23:59:59Z",
}
"""A body that clients of the same paths elsewhere send."""


def mint(plane: Plane, account: str, **body: Any) -> Any:
    return plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s", **body})


def test_a_minted_server_shows_its_token_and_url_once(plane: Plane, account: str) -> None:
    answer = plane.call("POST", f"/integrated-account/{account}/mcp", AUDIT_SERVER)
    assert answer.status_code == 201
    server = answer.json()
    token, tool_count = server.pop("token"), server.pop("tool_count")
    assert TOKEN.fullmatch(token)
    assert server.pop("url") == f"https://postern.example/mcp/{token}"
    assert server.pop("id").startswith("srv_")
    assert tool_count > 3
    assert server == {
        "name": "Mem0 Audit Agent Server",
        "integrated_account_id": account,
        "labels": {},
        "config": {
            "methods": ["read", "write", "custom"],
            "tags": ["memories", "projects", "events"],
            "profile": "full",
            "output_schemas": "full",
            "views": "declared",
            "require_api_token_auth": False,
            "oauth": True,
            "pins": {},
            "write_ids": {},
            "fixed": {},
            "defaults": {},
            "strict": False,
            "rate_limit": None,
            "confirm": [],
            "confirm_by": "code",
        },
        "not_fixed": {},
        "expires_at": "2026-12-31T23:59:59Z",
        "created_by": "tok_root",
        "created_at": write_time(START),
        "updated_at": write_time(START),
        "last_used_at": None,
        "token_made_at": write_time(START),
        "previous_token_expires_at": None,
    }
    shown = plane.ok("GET", f"/integrated-account/{account}/mcp/{answer.json()['id']}")
    assert not {"token", "url"} & shown.keys()
    assert token not in json.dumps(plane.ok("GET", f"/integrated-account/{account}/mcp"))


def test_the_data_plane_finds_everything_a_call_needs_under_the_token(plane: Plane, account: str) -> None:
    scope = {"user_id": "usr_98765"}
    minted = mint(plane, account, config={"methods": ["read"], "pins": scope, "require_api_token_auth": True})
    server = plane.behind(minted["token"])
    assert server is not None
    assert (server.id, server.account.id, server.account.integration) == (minted["id"], account, "mem0")
    assert (server.config.methods, server.config.pins) == (("read",), scope)
    assert server.config.require_api_token_auth is True
    assert server.account.context == {"org_id": "org_1", "project_id": "proj_1"}
    assert dict(plane.opened(minted["token"])) == {"api_key": API_KEY}


@pytest.mark.parametrize("body", [{}, {"config": {}}, {"config": None}, {"config": {"methods": [], "tags": None}}])
def test_a_server_without_filters_shows_what_needs_no_pin(plane: Plane, account: str, body: Any) -> None:
    every = plane.ok("GET", f"/integrated-account/{account}/tools")["result"]
    assert mint(plane, account, **body)["tool_count"] == len(every)


@pytest.mark.parametrize("seconds", [1, 0.001, 59, 3600])
def test_any_future_expiry_is_taken_and_is_exact(plane: Plane, account: str, seconds: float) -> None:
    expires_at = START + timedelta(seconds=seconds)
    minted = mint(plane, account, expires_at=write_time(expires_at))
    server = plane.behind(minted["token"])
    assert server is not None
    assert is_live(server, expires_at - timedelta(microseconds=1))
    assert not is_live(server, expires_at)
    [item] = plane.store.query(layout.servers(account))
    assert item.expires_at is not None
    assert 0 <= item.expires_at - expires_at.timestamp() < 1
    assert plane.schedules.at == {minted["id"]: expires_at}


def test_an_offset_in_expires_at_is_understood_and_answered_in_utc(plane: Plane, account: str) -> None:
    assert mint(plane, account, expires_at="2027-01-01T00:59:59+01:00")["expires_at"] == "2026-12-31T23:59:59Z"


NOT_A_TIME = "write it in UTC, e.g. 2026-12-31T23:59:59Z, or null for never"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": ""}, "name is empty; it needs at least one character"),
        ({"name": " s"}, f'name is " s"; {NAME_RULE}'),
        ({"name": "-"}, f'name is "-"; {NAME_RULE}'),
        ({"name": "s", "expires_at": "2026-11-21T12:00:00Z"},
         "expires_at is 2026-11-21T12:00:00Z, which is not in the future (it is 2026-11-21T12:00:00Z now); "
         "give a later time in UTC, or null for never"),
        ({"name": "s", "expires_at": "soon"}, f'expires_at is "soon"; it is not an ISO 8601 time; {NOT_A_TIME}'),
        ({"name": "s", "expires_at": "2026-12-31T23:59:59"},
         f'expires_at is "2026-12-31T23:59:59"; it has no offset from UTC; {NOT_A_TIME}'),
        ({"name": "s", "expires_at": "9999-12-31T23:59:59-23:59"},
         f'expires_at is "9999-12-31T23:59:59-23:59"; it is not an ISO 8601 time; {NOT_A_TIME}'),
        ({"name": "s", "expires_at": 1798761599},
         "expires_at is 1798761599; it must be an ISO 8601 time in UTC, e.g. 2026-12-31T23:59:59Z, or null for never"),
        ({"name": "s", "expiry": "x"},
         'expiry: unknown key; did you mean "expires_at"? valid: name, labels, config, expires_at'),
        ({"name": "s", "config": {"metods": []}},
         'config.metods: unknown key; did you mean "methods"? '
         "valid: methods, tags, profile, output_schemas, "
         "views, require_api_token_auth, oauth, pins, write_ids, fixed, defaults, strict, rate_limit, "
         "confirm, confirm_by"),
        ({"name": "s", "config": {"methods": "read"}}, 'config.methods is "read"; it must be a list'),
        ({"name": "s", "config": {"methods": [1]}}, "config.methods.0 is 1; it must be a string"),
        ({"name": "s", "config": {"require_api_token_auth": "yes"}},
         'config.require_api_token_auth is "yes"; it must be true or false'),
        ({"name": "s", "config": {"pins": {"user_id": "*"}}},
         'config.pins.user_id is "*"; a pin is the id of one entity: 1 to 256 printable characters, '
         'not the wildcard "*"'),
        ({"name": "s", "config": {"pins": {"user_id": " "}}},
         'config.pins.user_id is " "; it is empty; a pin is the id of one entity: 1 to 256 printable characters, '
         'not the wildcard "*"'),
        ({"name": "s", "config": {"pins": {"user_id": "x" * 257}}},
         f'config.pins.user_id is "{"x" * 80}..."; it has 257 characters; a pin is the id of one entity: '
         '1 to 256 printable characters, not the wildcard "*"'),
        ({"name": "s", "config": {"fixed": {"*": {"rerank": "x" * 20_000}}}},
         "config has 20,261 bytes as JSON; at most 16,384 are allowed"),
        ({"name": "s", "config": {"fixed": {"*": {"rerank": True}}, "defaults": {"*": {"rerank": False}}}},
         'config: "rerank" of * is both in fixed and in defaults; a fixed argument needs no default'),
    ],
)  # fmt: skip
def test_a_bad_body_mints_nothing_and_is_told_why(plane: Plane, account: str, body: Any, message: str) -> None:
    assert plane.refused("POST", f"/integrated-account/{account}/mcp", body, status=400)["message"] == message
    assert plane.ok("GET", f"/integrated-account/{account}/mcp")["result"] == []


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"methods": ["raed"]}, ['config.methods: "raed" is unknown', 'did you mean "read"?']),
        ({"tags": ["memory"]}, ['config.tags: "memory" is unknown', 'did you mean "memories" or "']),
        ({"pins": {"userid": "u"}}, ['config.pins: "userid" is unknown', 'did you mean "user_id"?']),
        ({"fixed": {"*": {"reranc": True}}}, ['config.fixed.*: no argument "reranc"', 'did you mean "rerank"?']),
        ({"methods": ["raed"], "tags": ["memory"]}, ["2 problems: ", '"raed" is unknown', '"memory" is unknown']),
    ],
)
def test_a_config_that_names_what_does_not_exist_hears_the_nearest_that_does(
    plane: Plane, account: str, config: Any, parts: list[str]
) -> None:
    for path, body in (("mcp", {"name": "s", "config": config}), ("mcp/preview", {"config": config})):
        message = plane.refused("POST", f"/integrated-account/{account}/{path}", body, status=400)["message"]
        assert all(part in message for part in parts), message


def test_filters_that_match_no_tool_are_refused_with_what_exists(plane: Plane, account: str) -> None:
    body = {"name": "s", "config": {"methods": ["bulk_update"], "tags": ["events"]}}
    error = plane.refused("POST", f"/integrated-account/{account}/mcp", body, status=400)
    assert error["message"] == "methods and tags match no tool together; a tool must pass both"
    assert "read" in error["details"]["methods"]
    assert "events" in error["details"]["tags"]
    assert "mem_0_memories_bulk_update" in [tool["name"] for tool in error["details"]["tools"]]


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_servers_of_an_unknown_account_are_not_found(plane: Plane, verb: str) -> None:
    body = {"name": "s"} if verb == "POST" else None
    error = plane.refused(verb, "/integrated-account/acc_x/mcp", body, status=404)
    assert error["message"] == 'there is no integrated account "acc_x"; GET /integrated-account lists them'


def test_a_listing_pages_through_live_servers_only(plane: Plane, account: str) -> None:
    lasting = {mint(plane, account, name=f"lasting {number}")["id"] for number in range(5)}
    for number in range(6):
        mint(plane, account, name=f"brief {number}", expires_at=write_time(START + timedelta(seconds=30)))
    plane.clock.advance(seconds=30)
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = plane.ok("GET", f"/integrated-account/{account}/mcp", params=query)
        assert len(page["result"]) <= 2
        seen += [server["id"] for server in page["result"]]
        if page["next_cursor"] is None:
            break
        query["next_cursor"] = page["next_cursor"]
    assert seen == sorted(lasting)


def test_a_server_is_gone_from_the_second_of_its_expiry(plane: Plane, account: str) -> None:
    server_id = mint(plane, account, expires_at=write_time(START + timedelta(seconds=30)))["id"]
    path = f"/integrated-account/{account}/mcp/{server_id}"
    plane.clock.advance(seconds=29)
    plane.ok("GET", path)
    plane.clock.advance(seconds=1)
    for verb, body in (("GET", None), ("PATCH", {"expires_at": None}), ("DELETE", None)):
        error = plane.refused(verb, path, body, status=404)
        assert error["message"] == (
            f'account "{account}" has no live MCP server "{server_id}"; '
            "GET /integrated-account/ACCOUNT_ID/mcp lists the servers of an account"
        )
    plane.refused("POST", f"{path}/rotate", status=404)


def test_last_use_is_shown(plane: Plane, account: str) -> None:
    server_id = mint(plane, account)["id"]
    plane.store.write([Put(layout.use(server_id), {"last_used_at": "2026-11-21T11:59:00Z"})])
    assert plane.ok("GET", f"/integrated-account/{account}/mcp/{server_id}")["last_used_at"] == "2026-11-21T11:59:00Z"
    [listed] = plane.ok("GET", f"/integrated-account/{account}/mcp")["result"]
    assert listed["last_used_at"] == "2026-11-21T11:59:00Z"


def test_a_changed_config_is_merged_key_by_key_and_holds_for_the_token_at_once(plane: Plane, account: str) -> None:
    minted = mint(plane, account, config={"methods": ["read"], "tags": ["memories"], "pins": {"user_id": "u"}})
    path = f"/integrated-account/{account}/mcp/{minted['id']}"
    changed = plane.ok("PATCH", path, {"name": "New", "config": {"methods": ["write"]}})
    assert changed["name"] == "New"
    assert (changed["config"]["methods"], changed["config"]["tags"]) == (["write"], ["memories"])
    assert changed["config"]["pins"] == {"user_id": "u"}
    server = plane.behind(minted["token"])
    assert server is not None
    assert (server.name, server.config.methods, server.config.tags) == ("New", ("write",), ("memories",))
    assert plane.ok("PATCH", path, {"config": {"tags": None}})["config"]["tags"] == []


def test_changed_pins_replace_all_pins(plane: Plane, account: str) -> None:
    minted = mint(plane, account, config={"pins": {"user_id": "u", "run_id": "r"}})
    path = f"/integrated-account/{account}/mcp/{minted['id']}"
    assert plane.ok("PATCH", path, {"config": {"pins": {"user_id": "v"}}})["config"]["pins"] == {"user_id": "v"}


def test_a_change_that_would_leave_no_tool_changes_nothing(plane: Plane, account: str) -> None:
    minted = mint(plane, account, config={"methods": ["bulk_update"]})
    path = f"/integrated-account/{account}/mcp/{minted['id']}"
    error = plane.refused("PATCH", path, {"name": "New", "config": {"tags": ["events"]}}, status=400)
    assert "methods and tags match no tool" in error["message"]
    assert plane.ok("GET", path)["name"] == "s"


def test_expiry_can_be_moved_and_taken_away(plane: Plane, account: str) -> None:
    soon, later = START + timedelta(minutes=1), START + timedelta(hours=1)
    minted = mint(plane, account, expires_at=write_time(soon))
    path = f"/integrated-account/{account}/mcp/{minted['id']}"
    assert plane.ok("PATCH", path, {"expires_at": write_time(later)})["expires_at"] == write_time(later)
    assert plane.schedules.at == {minted["id"]: later}
    plane.clock.advance(minutes=30)
    server = plane.behind(minted["token"])
    assert server is not None
    assert server.expires_at == later
    assert plane.ok("PATCH", path, {"name": "kept"})["expires_at"] == write_time(later)
    assert plane.ok("PATCH", path, {"expires_at": None})["expires_at"] is None
    assert plane.schedules.at == {}
    [item] = plane.store.get([layout.server(account, minted["id"])])
    assert item is not None
    assert item.expires_at is None


def test_an_expiry_cannot_be_moved_into_the_past(plane: Plane, account: str) -> None:
    path = f"/integrated-account/{account}/mcp/{mint(plane, account)['id']}"
    error = plane.refused("PATCH", path, {"expires_at": "2020-01-01T00:00:00Z"}, status=400)
    assert "which is not in the future" in error["message"]


def test_rotating_kills_the_present_token_and_keeps_everything_else(plane: Plane, account: str) -> None:
    minted = mint(plane, account, config={"methods": ["read"]}, expires_at="2026-12-31T23:59:59Z")
    rotated = plane.ok("POST", f"/integrated-account/{account}/mcp/{minted['id']}/rotate")
    assert rotated["token"] != minted["token"]
    assert rotated["url"] == f"https://postern.example/mcp/{rotated['token']}"
    assert rotated["previous_token_expires_at"] == write_time(START)
    assert (rotated["id"], rotated["config"], rotated["expires_at"]) == (
        minted["id"],
        minted["config"],
        minted["expires_at"],
    )
    assert plane.behind(minted["token"]) is None
    assert plane.opened(rotated["token"])["api_key"] == API_KEY


def test_a_rotated_token_lives_on_through_its_grace_and_not_a_moment_longer(plane: Plane, account: str) -> None:
    minted = mint(plane, account)
    path = f"/integrated-account/{account}/mcp/{minted['id']}"
    rotated = plane.ok("POST", f"{path}/rotate", {"grace_seconds": 300})
    ends = START + timedelta(seconds=300)
    assert rotated["previous_token_expires_at"] == write_time(ends)
    old, new = plane.behind(minted["token"]), plane.behind(rotated["token"])
    assert old is not None
    assert new is not None
    assert (old.expires_at, new.expires_at) == (ends, None)
    assert plane.opened(minted["token"])["api_key"] == API_KEY
    plane.ok("PATCH", path, {"config": {"methods": ["read"]}, "expires_at": "2027-01-01T00:00:00Z"})
    old = plane.behind(minted["token"])
    assert old is not None
    assert (old.config.methods, old.expires_at) == (("read",), ends)
    plane.clock.advance(seconds=300)
    plane.ok("PATCH", path, {"name": "later"})
    assert plane.behind(minted["token"]) is None


def test_grace_never_outlives_the_server(plane: Plane, account: str) -> None:
    ends = START + timedelta(seconds=60)
    minted = mint(plane, account, expires_at=write_time(ends))
    rotated = plane.ok("POST", f"/integrated-account/{account}/mcp/{minted['id']}/rotate", {"grace_seconds": 3600})
    assert rotated["previous_token_expires_at"] == write_time(ends)
    old = plane.behind(minted["token"])
    assert old is not None
    assert old.expires_at == ends


def test_only_so_many_tokens_are_alive_at_once(plane: Plane, account: str) -> None:
    path = f"/integrated-account/{account}/mcp/{mint(plane, account)['id']}/rotate"
    for _ in range(9):
        plane.ok("POST", path, {"grace_seconds": 600})
        plane.clock.advance(seconds=1)
    error = plane.refused("POST", path, {"grace_seconds": 600}, status=409)
    assert "which is the limit; the next one ends at 2026-11-21T12:10:00Z. Wait, or rotate" in error["message"]
    plane.ok("POST", path)
    plane.clock.advance(seconds=600)
    plane.ok("POST", path, {"grace_seconds": 600})


@pytest.mark.parametrize("grace", [-1, 604_801, 1.5, "60", None])
def test_a_grace_that_is_no_number_of_seconds_is_refused(plane: Plane, account: str, grace: Any) -> None:
    path = f"/integrated-account/{account}/mcp/{mint(plane, account)['id']}/rotate"
    message = plane.refused("POST", path, {"grace_seconds": grace}, status=400)["message"]
    assert message.startswith(f"grace_seconds is {json.dumps(grace)}; it must be a whole number")


def test_what_a_fixed_argument_cannot_reach_is_named_until_strict_hides_it(plane: Plane, account: str) -> None:
    config = {"methods": ["list", "search"], "tags": ["memories"], "fixed": {"*": {"top_k": 5}}}
    servers = f"/integrated-account/{account}/mcp"
    missed = {"top_k": ["list_all_mem_0_memories", "list_all_mem_0_memory_history"]}
    assert plane.ok("POST", f"{servers}/preview", {"config": config})["not_fixed"] == missed
    minted = mint(plane, account, config=config)
    assert minted["not_fixed"] == missed
    changed = plane.ok("PATCH", f"{servers}/{minted['id']}", {"config": {"strict": True}})
    assert (changed["not_fixed"], changed["tool_count"]) == ({}, minted["tool_count"] - 2)
    server = plane.behind(minted["token"])
    assert server is not None
    assert server.config.strict is True
    strict = plane.ok("POST", f"{servers}/preview", {"config": {**config, "strict": True}})
    assert "list_all_mem_0_memories" not in [tool["name"] for tool in strict["tools"]]
    refused = plane.refused("PATCH", f"{servers}/{minted['id']}", {"config": {"fixed": None}}, status=400)
    assert refused["message"].startswith('config.strict has no effect without config.fixed."*"')


def test_a_preview_shows_the_tools_and_keeps_nothing(plane: Plane, account: str) -> None:
    body = {"config": {"methods": ["delete"], "tags": ["memories"]}}
    preview = plane.ok("POST", f"/integrated-account/{account}/mcp/preview", body)
    assert preview["tool_count"] == len(preview["tools"])
    [tool] = [tool for tool in preview["tools"] if tool["resource"] == "memories"]
    assert tool["title"]
    assert tool["tokens"] == compiled_file.load("mem0").tools[tool["name"]].tokens
    assert preview["tokens"] == sum(tool["tokens"] for tool in preview["tools"])
    assert tool | {"title": "", "tokens": 0} == {
        "name": "delete_a_mem_0_memory_by_id",
        "title": "",
        "resource": "memories",
        "method": "delete",
        "access": "write",
        "destructive": True,
        "tags": ["memories"],
        "tokens": 0,
    }
    assert plane.ok("GET", f"/integrated-account/{account}/mcp")["result"] == []


def test_a_profile_is_kept_and_a_preview_says_what_it_costs(plane: Plane, account: str) -> None:
    servers = f"/integrated-account/{account}/mcp"
    minted = mint(plane, account, config={"profile": "core", "output_schemas": "none"})
    server = plane.behind(minted["token"])
    assert server is not None
    assert (server.config.profile, server.config.output_schemas) == ("core", "none")
    facts = plane.ok("GET", "/integration/mem0")
    assert minted["tool_count"] == facts["core_tool_count"] == 12
    assert facts["profiles"] == list(facts["tokens"]) == ["core", "full", "discovery"]
    costs = {
        profile: plane.ok("POST", f"{servers}/preview", {"config": {"profile": profile}})
        for profile in ("core", "full", "discovery")
    }
    assert costs["core"]["tokens"] == facts["tokens"]["core"] <= 4_500
    assert costs["discovery"]["tokens"] <= 400
    assert costs["discovery"]["tool_count"] == costs["full"]["tool_count"]
    pinned = {"profile": "core", "pins": {"user_id": "usr_1"}}
    assert plane.ok("POST", f"{servers}/preview", {"config": pinned})["tokens"] < costs["core"]["tokens"]
    back = plane.ok("PATCH", f"{servers}/{minted['id']}", {"config": {"profile": None}})
    assert (back["config"]["profile"], back["config"]["output_schemas"]) == ("full", "none")


def test_deleting_a_server_kills_all_its_tokens_and_says_how_many(plane: Plane, account: str) -> None:
    minted = mint(plane, account, expires_at="2026-12-31T23:59:59Z")
    path = f"/integrated-account/{account}/mcp/{minted['id']}"
    rotated = plane.ok("POST", f"{path}/rotate", {"grace_seconds": 60})
    plane.store.write([Put(layout.use(minted["id"]), {"last_used_at": "2026-11-21T11:59:00Z"})])
    assert plane.ok("DELETE", path) == {
        "id": minted["id"],
        "name": "s",
        "integrated_account_id": account,
        "labels": {},
        "removed": {"tokens": 2},
    }
    assert plane.behind(minted["token"]) is None
    assert plane.behind(rotated["token"]) is None
    assert plane.store.get([layout.use(minted["id"])]) == [None]
    assert plane.schedules.at == {}
    plane.refused("DELETE", path, status=404)


def test_a_server_is_found_under_its_own_account_only(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    other = plane.ok("POST", "/integrated-account", body)["id"]
    server_id = mint(plane, account)["id"]
    plane.refused("GET", f"/integrated-account/{other}/mcp/{server_id}", status=404)
    plane.refused("DELETE", f"/integrated-account/{other}/mcp/{server_id}", status=404)


# Two at once.


@pytest.fixture
def servers(plane: Plane) -> Servers:
    """The same servers without HTTP in between, for several threads."""
    draw = iter(range(10**9))
    keys = LocalKeys(plane.folder / "keys" / "account.key", lambda n: bytes(n))

    def random(n: int) -> bytes:
        return next(draw).to_bytes(8, "big").rjust(n, b"\x01")

    accounts = AccountLookup(plane.store, {"mem0": compiled_file.load("mem0")}, keys)
    return Servers(plane.store, accounts, NoSchedules(), clock=plane.clock, random=random, lead=timedelta(hours=24))


def test_changes_at_the_same_time_all_arrive(plane: Plane, account: str, servers: Servers) -> None:
    server_id = mint(plane, account)["id"]
    changes = [
        ServerUpdate(name="together"),
        ServerUpdate(config=Config(methods=["read"])),
        ServerUpdate(config=Config(tags=["memories"])),
    ]
    workers = [threading.Thread(target=servers.update, args=(account, server_id, change)) for change in changes]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(STUCK_SECONDS)
    server = servers.view(account, server_id)
    assert (server.name, server.config.methods, server.config.tags) == ("together", ["read"], ["memories"])


def test_a_change_that_is_always_beaten_is_a_conflict(
    plane: Plane, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_id = mint(plane, account)["id"]
    key = layout.server(account, server_id)
    write = plane.store.write

    def beaten(changes: Any) -> None:
        [item] = plane.store.get([key])
        assert item is not None
        write([Put(key, item.body)])
        write(changes)

    monkeypatch.setattr(plane.store, "write", beaten)
    error = plane.refused("PATCH", f"/integrated-account/{account}/mcp/{server_id}", {"name": "x"}, status=409)
    assert error["message"] == (
        f"server {server_id} is being changed by other requests at this moment; read it again and repeat the change"
    )


def test_a_server_minted_while_its_account_changes_gets_the_change(
    plane: Plane, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is changed after the mint has read it and before the mint is written."""
    write = plane.store.write

    def change_account_first(changes: Any) -> None:
        monkeypatch.setattr(plane.store, "write", write)
        [item] = plane.store.get([layout.account(account)])
        assert item is not None
        moved = replace(AccountItem.from_item(item), base_url="http://127.0.0.1:9/moved")
        write(moved.puts(if_version=item.version))
        write(changes)

    monkeypatch.setattr(plane.store, "write", change_account_first)
    server = plane.behind(mint(plane, account)["token"])
    assert server is not None
    assert server.account.base_url == "http://127.0.0.1:9/moved"


def test_a_server_minted_while_its_account_is_deleted_is_taken_back(
    plane: Plane, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = plane.store.write

    def delete_account_first(changes: Any) -> None:
        monkeypatch.setattr(plane.store, "write", write)
        write([Delete(layout.account(account))])
        write(changes)

    monkeypatch.setattr(plane.store, "write", delete_account_first)
    plane.refused("POST", f"/integrated-account/{account}/mcp", {"name": "s"}, status=404)
    assert plane.store.query(layout.servers(account)) == []


# By name.


def test_a_server_is_found_by_its_name_in_every_operation(plane: Plane, account: str) -> None:
    made = mint(plane, account, name="Audit agent / 1")
    mint(plane, account, name="another")
    path = f"/integrated-account/{account}/mcp/Audit%20agent%20%2F%201"
    by_name = f"/integrated-account/{account}/mcp/another"
    assert plane.ok("GET", by_name)["name"] == "another"
    assert plane.call("GET", path).status_code == 404, "a slash parts the path"
    plane.ok("PATCH", f"/integrated-account/{account}/mcp/{made['id']}", {"name": "Audit agent"})
    path = f"/integrated-account/{account}/mcp/Audit%20agent"
    assert plane.ok("GET", path)["id"] == made["id"]
    assert plane.ok("PATCH", path, {"config": {"methods": ["read"]}})["id"] == made["id"]
    rotated = plane.ok("POST", f"{path}/rotate", {"grace_seconds": 0})
    assert plane.behind(made["token"]) is None
    assert plane.behind(rotated["token"]) is not None
    gone = plane.ok("DELETE", path)
    assert (gone["id"], gone["removed"]) == (made["id"], {"tokens": 1})
    plane.refused("GET", path, status=404)
    entries = plane.ok("GET", "/log", params={"kind": "decision", "mcp_server_id": made["id"]})["result"]
    assert sorted(entry["action"] for entry in entries) == [
        "createServer", "deleteServer", "rotateServer", "updateServer", "updateServer",
    ]  # fmt: skip


def test_a_name_that_a_live_server_of_the_account_has_is_a_conflict(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    first, other = mint(plane, account, name="twin"), mint(plane, account, name="other")
    taken = f'account {account} already has a server {first["id"]} with the name "twin"; choose another name'
    path = f"/integrated-account/{account}/mcp"
    for _ in range(3):
        assert plane.refused("POST", path, {"name": "twin"}, status=409)["message"] == taken
        assert plane.refused("PATCH", f"{path}/other", {"name": "twin"}, status=409)["message"] == taken
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    elsewhere = plane.ok("POST", "/integrated-account", body)["id"]
    twin = mint(plane, elsewhere, name="twin")
    for verb, change in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        error = plane.refused(verb, "/integrated-account/-/mcp/twin", change, status=409)
        wheres = [f"{one['id']} of account {one['integrated_account_id']}" for one in (first, twin)]
        assert error["message"].startswith('2 MCP servers have the name "twin"; use an id: ')
        assert all(where in error["message"] for where in wheres)
    plane.ok("DELETE", f"{path}/{first['id']}")
    assert plane.ok("GET", "/integrated-account/-/mcp/twin")["id"] == twin["id"]
    assert plane.ok("PATCH", f"{path}/{other['id']}", {"name": "twin"})["name"] == "twin"


def test_an_id_goes_before_a_name_and_an_expired_server_has_no_name(plane: Plane, account: str) -> None:
    first = mint(plane, account, name="s")
    path = f"/integrated-account/{account}/mcp/{first['id']}"
    assert plane.ok("GET", path)["name"] == "s"
    body = {"name": first["id"]}
    error = plane.refused("POST", f"/integrated-account/{account}/mcp", body, status=409)
    assert error["message"] == f'the name "{first["id"]}" is the id of another server; choose another name'
    brief = mint(plane, account, name="brief", expires_at=write_time(START + timedelta(seconds=5)))
    plane.refused("POST", f"/integrated-account/{account}/mcp", {"name": "brief"}, status=409)
    plane.clock.advance(seconds=5)
    plane.refused("GET", f"/integrated-account/{account}/mcp/brief", status=404)
    again = mint(plane, account, name="brief")
    assert again["id"] != brief["id"]
    plane.ok("DELETE", path)
    second = mint(plane, account, name=first["id"])
    assert plane.ok("GET", path)["id"] == second["id"]


def test_a_server_without_a_name_is_named_by_its_id(plane: Plane, account: str) -> None:
    path = f"/integrated-account/{account}/mcp"
    for _ in range(3):
        made = plane.ok("POST", path, {})
        assert made["name"] == made["id"]


def test_the_purge_of_an_expired_server_leaves_its_name_to_the_server_that_took_it(plane: Plane, account: str) -> None:
    ends = write_time(START + timedelta(seconds=5))
    old = mint(plane, account, name="agent", expires_at=ends)
    plane.clock.advance(seconds=5)
    new = mint(plane, account, name="agent")
    event = {"account_id": account, "server_id": old["id"], "expires_at": ends}
    assert purge(event, plane.store, plane.clock.now) == "purged"
    assert plane.ok("GET", f"/integrated-account/{account}/mcp/agent")["id"] == new["id"]
    plane.refused("POST", f"/integrated-account/{account}/mcp", {"name": "agent"}, status=409)


def test_an_extended_server_keeps_its_name_for_as_long_as_it_lives(plane: Plane, account: str) -> None:
    made = mint(plane, account, name="agent", expires_at=write_time(START + timedelta(seconds=5)))
    plane.ok("PATCH", f"/integrated-account/{account}/mcp/{made['id']}", {"expires_at": None})
    [named] = plane.store.get([layout.server_name(account, "agent")])
    assert named is not None
    assert named.expires_at is None


def test_of_servers_that_want_one_name_at_once_one_gets_it(plane: Plane, account: str, servers: Servers) -> None:
    ends: list[str] = []

    def want() -> None:
        try:
            servers.create(account, ServerCreate(name="one"), Operator("tok_x", ("manage",)), "https://x/mcp")
            ends.append("minted")
        except Conflict:
            ends.append("conflict")

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["conflict"] * 7 + ["minted"]
    assert len(plane.ok("GET", f"/integrated-account/{account}/mcp")["result"]) == 1
