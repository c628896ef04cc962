"""Who did it: every decision is in the log with its principal, and no value is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from functions.admin_api.log.export import COLUMNS
from functions.admin_api.log.query import Position
from functions.admin_api.operations import OPERATIONS
from functions.gateway.json_text import Json
from functions.stores import layout
from functions.stores.store import Change, StoreUnavailable
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream
from tests.admin_api.test_call_log import keep

SECOND = {"user-agent": "my-script/2.0 (linux)"}


NOTHING: Json = {"result": [], "next_cursor": None, "reached": None, "freshness": None}


def decisions(plane: Plane, **query: str) -> list[Any]:
    """Decisions, oldest first."""
    found: list[Any] = []
    params = {"kind": "decision", **query}
    while True:
        page = plane.ok("GET", "/log", params=params)
        found += page["result"]
        if page["next_cursor"] is None:
            return found[::-1]
        params["next_cursor"] = page["next_cursor"]


def short(entry: Any) -> tuple[str, str, int]:
    return entry["action"], entry["outcome"], entry["status"]


def test_every_decision_is_logged_with_its_principal_and_without_values(
    plane: Plane, upstream: ScriptedUpstream
) -> None:
    made = plane.ok("POST", "/api-token", {"name": "deployer", "scopes": ["manage"]})
    mine = made["token"]
    plane.clock.advance(seconds=1)
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url, "id": "acc_1"}
    plane.ok("POST", "/integrated-account", body, token=mine, headers=SECOND)
    plane.clock.advance(seconds=1)
    plane.ok("PATCH", "/integrated-account/acc_1", {"credentials": {"api_key": API_KEY}, "name": "n"}, token=mine)
    plane.clock.advance(seconds=1)
    config = {"methods": ["read"], "pins": {"user_id": "very-private-user"}}
    server = plane.ok("POST", "/integrated-account/acc_1/mcp", {"name": "s", "config": config}, token=mine)
    path = f"/integrated-account/acc_1/mcp/{server['id']}"
    for verb, at, more in (
        ("PATCH", path, {"expires_at": None, "config": {"tags": ["memories"]}}),
        ("POST", f"{path}/rotate", {"grace_seconds": 5}),
        ("DELETE", path, None),
    ):
        plane.clock.advance(seconds=1)
        plane.ok(verb, at, more, token=mine)
    plane.clock.advance(seconds=1)
    plane.ok("DELETE", "/integrated-account/acc_1", token=mine)
    plane.clock.advance(seconds=1)
    plane.ok("DELETE", f"/api-token/{made['id']}")
    entries = decisions(plane)
    assert [(entry["action"], entry["principal"], entry["changed"]) for entry in entries] == [
        ("createApiToken", "tok_root", ["name", "scopes"]),
        ("connectAccount", made["id"], ["base_url", "credentials", "id", "integration"]),
        ("updateAccount", made["id"], ["credentials", "name"]),
        ("createServer", made["id"], ["config.methods", "config.pins", "name"]),
        ("updateServer", made["id"], ["config.tags", "expires_at"]),
        ("rotateServer", made["id"], ["grace_seconds"]),
        ("deleteServer", made["id"], []),
        ("deleteAccount", made["id"], []),
        ("revokeApiToken", "tok_root", []),
    ]
    assert [entry["server_id"] for entry in entries[3:7]] == [server["id"]] * 4
    assert {entry["account_id"] for entry in entries[1:8]} == {"acc_1"}
    assert entries[0]["api_token_id"] == entries[-1]["api_token_id"] == made["id"]
    assert (entries[1]["client_name"], entries[1]["client_version"]) == ("my-script", "2.0")
    assert {(entry["kind"], entry["outcome"]) for entry in entries} == {("decision", "ok")}
    lines = plane.decision_lines.getvalue()
    assert [json.loads(line) for line in lines.splitlines()] == entries
    for secret in (API_KEY, plane.root, mine, server["token"], "very-private-user", "deployer"):
        assert secret not in lines


def test_every_operation_that_changes_something_is_a_decision() -> None:
    changing = [operation for operation in OPERATIONS if not {"read", "call"} & set(operation.scopes)]
    # Every token may make a link, with its own rights; who may run a tool may approve that it is run.
    others = {"createSignInLink", "approveCall"}
    assert {operation.name for operation in changing} | others == {
        operation.name for operation in OPERATIONS if operation.logs == "decision"
    }


def test_a_refused_decision_a_refused_preview_and_a_refused_token_are_logged(plane: Plane, account: str) -> None:
    reader = plane.ok("POST", "/api-token", {"name": "r", "scopes": ["read"]})
    servers = f"/integrated-account/{account}/mcp"
    before = len(decisions(plane))
    for _ in range(3):
        plane.clock.advance(seconds=1)
        plane.refused("POST", servers, {"name": "s", "config": {"methods": ["raed"]}}, status=400)
        plane.clock.advance(seconds=1)
        plane.refused("POST", f"{servers}/preview", {"config": {"methods": ["raed"]}}, status=400)
        plane.clock.advance(seconds=1)
        plane.refused("POST", servers, {"name": "s"}, token=reader["token"], status=403)
        plane.clock.advance(seconds=1)
        plane.refused("GET", "/integrated-account", token="pst_" + "x" * 43, status=401)
        plane.ok("POST", f"{servers}/preview", {"config": {"methods": ["read"]}})
        plane.refused("GET", f"{servers}/srv_none", status=404)
    entries = decisions(plane)[before:]
    assert [(*short(entry), entry["error"], entry["principal"]) for entry in entries] == [
        ("createServer", "refused", 400, "Invalid", "tok_root"),
        ("previewServer", "refused", 400, "Invalid", "tok_root"),
        ("createServer", "refused", 403, "Forbidden", reader["id"]),
        ("listAccounts", "refused", 401, "Unauthenticated", ""),
    ] * 3
    assert "x" * 43 not in json.dumps(entries)


def test_unknown_callers_cost_one_entry_a_second_which_counts_the_others(plane: Plane) -> None:
    for _ in range(3):
        for _ in range(40):
            plane.refused("GET", "/integrated-account", token="nonsense", status=401)
        plane.clock.advance(seconds=1)
    plane.refused("GET", "/api-token", token="nonsense", status=401)
    assert [(short(entry), entry["repeated"]) for entry in decisions(plane, outcome="refused")] == [
        (("listAccounts", "refused", 401), 0),
        (("listAccounts", "refused", 401), 39),
        (("listAccounts", "refused", 401), 39),
        (("listApiTokens", "refused", 401), 39),
    ]


def test_text_in_a_path_that_is_not_an_id_is_not_logged(plane: Plane) -> None:
    plane.refused("DELETE", "/integrated-account/my secret", status=404)
    plane.refused("DELETE", f"/api-token/{'s' * 65}", status=404)
    assert [(entry["account_id"], entry["api_token_id"]) for entry in decisions(plane)] == [("", "")] * 2


def test_a_decision_that_cannot_be_logged_is_carried_out_and_the_loss_is_reported(
    plane: Plane, account: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = plane.store.write

    def full(changes: Sequence[Change]) -> None:
        if any(change.key.partition.startswith("DECISIONS#") for change in changes):
            raise StoreUnavailable("throttled")
        write(changes)

    monkeypatch.setattr(plane.store, "write", full)
    for number in range(3):
        plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": f"s{number}"})
    assert "a decision could not be kept in the log: createServer by tok_root: throttled" in caplog.messages
    assert plane.decision_lines.getvalue().count('"action":"createServer"') == 3


def test_a_limited_token_sees_the_decisions_of_its_accounts_alone(plane: Plane, account: str) -> None:
    plane.clock.advance(seconds=1)
    plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})
    plane.clock.advance(seconds=1)
    limited = {"name": "t", "scopes": ["read"], "account_ids": [account]}
    token = plane.ok("POST", "/api-token", limited)["token"]
    seen = plane.ok("GET", "/log?kind=decision", token=token)["result"]
    assert [entry["action"] for entry in seen] == ["createServer", "connectAccount"]
    assert {entry["account_id"] for entry in seen} == {account}
    assert [entry["action"] for entry in decisions(plane)] == ["connectAccount", "createServer", "createApiToken"]


def test_calls_and_decisions_are_merged_by_time(plane: Plane, account: str) -> None:
    for number in range(6):
        plane.clock.advance(seconds=2)
        plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": f"s{number}"})
        keep(plane, account, number, plane.clock.now)
    kinds = [entry.get("action", "call") for entry in plane.ok("GET", "/log?kind=all&limit=100")["result"]]
    assert kinds in (
        ["call", "createServer"] * 6 + ["connectAccount"],
        ["createServer", "call"] * 6 + ["connectAccount"],
    )
    assert len(plane.ok("GET", "/log")["result"]) == 6


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"action": "createServer"}, ["createServer"]),
        ({"principal": "tok_root", "status": "201"}, ["connectAccount", "createServer"]),
        ({"outcome": "refused"}, ["updateServer"]),
        ({"principal": "tok_nobody"}, []),
        ({"error": "NotFound"}, ["updateServer"]),
    ],
)
def test_decisions_are_filtered(plane: Plane, account: str, query: dict[str, str], expected: list[str]) -> None:
    plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})
    plane.refused("PATCH", f"/integrated-account/{account}/mcp/srv_x", {"name": "t"}, status=404)
    assert sorted(entry["action"] for entry in decisions(plane, **query)) == expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("outcome=failed", 'query: outcome is "failed"; valid: ok, error, refused'),
        ("status=4xx", 'query: status is "4xx"; it must be a whole number from 100 to 599'),
        ("status=7", 'query: status is "7"; it must be a whole number from 100 to 599'),
        ("upstream_status=none", 'query: upstream_status is "none"; it must be a whole number from 100 to 599'),
        ("access=reads", 'query: access is "reads"; did you mean "read"? valid: read, write'),
        ("plane=rest", 'query: plane is "rest"; valid: mcp, proxy'),
        ("kind=calls", 'query: kind is "calls"; did you mean "call"? valid: call, decision, all'),
        ("format=xml", 'query: format is "xml"; valid: json, jsonl, csv'),
        ("action=mintServer", 'query: action is "mintServer"; valid: getMe, '),
        ("action=listServer", 'query: action is "listServer"; did you mean "listServers"'),
        ("outcome=ok&outcome=error", "query: outcome is given 2 times; give it once"),
        ("mcp_server_id=srv_none",
         'query: mcp_server_id is "srv_none"; there is no MCP server of this name and no log entry of one'),
        ("integrated_account_id=acc_none",
         'query: integrated_account_id is "acc_none"; there is no account of this name and no log entry of one'),
        ("tool_name=mem_0_memories_serch",
         'query: tool_name is "mem_0_memories_serch"; there is no tool of this name and no log entry of one; did you '
         'mean "mem_0_memories_search"'),
        ("created_at[gt]=2026-11-21T12:00:00Z&created_at[lt]=2026-11-21T11:00:00Z",
         "query: created_at[gt] is 2026-11-21T12:00:00Z and created_at[lt] is 2026-11-21T11:00:00Z; no time is after "),
    ],
)  # fmt: skip
def test_a_query_that_nothing_can_match_is_refused(plane: Plane, account: str, query: str, message: str) -> None:
    assert plane.refused("GET", f"/log?{query}", status=400)["message"].startswith(message)


def test_a_query_that_only_happens_to_match_nothing_is_empty(plane: Plane, account: str) -> None:
    server = plane.ok("POST", f"/integrated-account/{account}/mcp", {"name": "s"})["id"]
    keep(plane, account, 1, START, server_id="srv_revoked", tool="tool_of_an_older_catalogue")
    for query in (
        "status=599", f"mcp_server_id={server}", "tool_name=mem_0_memories_search", "principal=tok_x",
        f"integrated_account_id={account}&status=500",
    ):  # fmt: skip
        assert plane.ok("GET", f"/log?{query}") == NOTHING
    for query in ("mcp_server_id=srv_revoked", "tool_name=tool_of_an_older_catalogue"):
        assert len(plane.ok("GET", f"/log?{query}")["result"]) == 1


def test_a_range_in_the_far_future_or_past_costs_no_reads(plane: Plane, account: str) -> None:
    for query in ("created_at[lt]=9999-01-01T00:00:00Z", "created_at[gt]=0001-01-01T00:00:00Z"):
        assert plane.ok("GET", f"/log?{query}") == NOTHING
    forged = Position(START.date().replace(year=9000), None).cursor()
    assert plane.ok("GET", f"/log?next_cursor={forged}")["next_cursor"] is None


def test_the_log_is_exported_as_json_lines(plane: Plane, account: str) -> None:
    for number in range(250):
        keep(plane, account, number, START)
    rows: list[Any] = []
    cursor = None
    while True:
        more: dict[str, str] = {"next_cursor": cursor} if cursor else {}
        answer = plane.call("GET", "/log", params={"format": "jsonl", "kind": "all", "limit": "100", **more})
        assert answer.headers["content-type"] == "application/jsonl"
        rows += [json.loads(line) for line in answer.text.splitlines()]
        cursor = answer.headers.get("next-cursor")
        if cursor is None:
            break
    whole = plane.ok("GET", "/log?kind=all&limit=100")["result"]
    assert rows[:100] == whole
    assert len(rows) == 251
    assert len({row["request_id"] for row in rows}) == 251


def test_the_log_is_exported_as_csv_that_no_spreadsheet_takes_for_formulas(plane: Plane, account: str) -> None:
    keep(plane, account, 1, START, client_name='=HYPERLINK("http://x")', upstream_status=None, duration_ms=1.5)
    answer = plane.call("GET", "/log?format=csv&kind=all")
    assert answer.headers["content-type"].startswith("text/csv")
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert tuple(header) == COLUMNS
    by_name = [dict(zip(header, row, strict=True)) for row in rows]
    call = next(row for row in by_name if row["tool"] == "t")
    assert call["client_name"] == '\'=HYPERLINK("http://x")'
    assert (call["status"], call["upstream_status"], call["duration_ms"]) == ("200", "", "1.5")
    made = next(row for row in by_name if row["action"])
    assert (made["action"], made["principal"]) == ("connectAccount", "tok_root")
    assert made["changed"] == "base_url credentials integration"


def test_every_member_of_an_entry_has_a_column(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    plane.clock.advance(seconds=1)
    plane.call("GET", "/proxy/memories/x", params={"integrated_account_id": account})
    entries = plane.ok("GET", "/log?kind=all")["result"]
    assert [entry["kind"] for entry in entries] == ["call", "decision"]
    assert {name for entry in entries for name in entry} <= set(COLUMNS)


def test_the_data_plane_may_not_write_where_decisions_are() -> None:
    assert not layout.decisions("2026-11-21").startswith(("LOG#", "USE#", "STATE#"))
