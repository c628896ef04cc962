"""The log of calls: newest first, filtered, paged, across accounts and days."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.stores import layout
from functions.stores.store import Key, Put
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream

MEMORY = "7d3a1d2e-0000-4000-8000-000000000001"


def keep(plane: Plane, account: str, number: int, time: datetime, **more: Any) -> str:
    """One record as the audit writes it."""
    text = time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    record = {"time": text, "request_id": f"r{number:04}", "account_id": account, "status": 200, "tool": "t", **more}
    id = f"r{number:04}"
    shard = layout.log_shard(id)
    listed = Put(layout.log_day(account, shard, text[:10]), {})
    plane.store.write([listed, Put(Key(layout.log(account, shard, text[:10]), f"{text}#{id}"), record)])
    return id


def ids(plane: Plane, **query: Any) -> list[str]:
    seen: list[str] = []
    params = {name: str(value) for name, value in query.items()}
    while True:
        page = plane.ok("GET", "/log", params=params)
        seen += [record["request_id"] for record in page["result"]]
        if page["next_cursor"] is None:
            return seen
        params["next_cursor"] = page["next_cursor"]


def test_a_proxy_call_leaves_one_record_without_values(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (200, {}, b'{"id": "x", "memory": "private"}')
    plane.call(
        "GET", f"/proxy/memories/{MEMORY}", params={"integrated_account_id": account},
        headers={"user-agent": "my-agent/1.2 (linux)"},
    )  # fmt: skip
    [record] = plane.ok("GET", "/log")["result"]
    assert record["time"] == "2026-11-21T12:00:00.000Z"
    assert {name: record[name] for name in ("plane", "server_id", "account_id", "tool", "method", "access")} == {
        "plane": "proxy",
        "server_id": "",
        "account_id": account,
        "tool": "get_single_mem_0_memory_by_id",
        "method": "get",
        "access": "read",
    }
    assert (record["outcome"], record["status"], record["upstream_status"]) == ("ok", 200, 200)
    assert record["principal"] == "tok_root"
    assert (record["client_name"], record["client_version"]) == ("my-agent", "1.2")
    [line] = plane.lines.getvalue().splitlines()
    assert record.items() <= json.loads(line).items()
    for secret in (API_KEY, plane.root, MEMORY, "private"):
        assert secret not in line
        assert secret not in json.dumps(record)


def test_a_failed_call_is_logged_with_its_status(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (429, {}, b"{}")
    for path in (f"/proxy/memories/{MEMORY}", "/proxy/memories/not-a-uuid"):
        plane.call("GET", path, params={"integrated_account_id": account})
    assert [(r["outcome"], r["error"]) for r in plane.ok("GET", "/log?status=429")["result"]] == [
        ("error", "UpstreamRefused")
    ]
    [refused] = plane.ok("GET", "/log?status=400")["result"]
    assert (refused["error"], refused["upstream_status"], refused["upstream_requests"]) == ("WrongArguments", None, 0)


def test_the_cause_of_a_failure_is_in_the_entry_and_not_in_the_answer(
    plane: Plane, upstream: ScriptedUpstream, account: str
) -> None:
    upstream.answers["GET", f"/v1/memories/{MEMORY}/"] = (200, {"content-encoding": "gzip"}, b"not gzip")
    answer = plane.call("GET", f"/proxy/memories/{MEMORY}", params={"integrated_account_id": account})
    [entry] = plane.ok("GET", "/log")["result"]
    assert (entry["error"], entry["detail"]) == ("UpstreamUnreadable", "BadCoding")
    assert entry["detail"] not in answer.text


def test_records_of_several_days_come_newest_first_each_once(plane: Plane, account: str) -> None:
    expected = [keep(plane, account, number, START - timedelta(hours=number)) for number in range(30)]
    for limit in (1, 7, 30, 100):
        assert ids(plane, limit=limit) == expected


def test_two_accounts_are_merged_by_time(plane: Plane, upstream: ScriptedUpstream, account: str) -> None:
    body = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url}
    other = plane.ok("POST", "/integrated-account", body)["id"]
    expected = [
        keep(plane, (account, other)[number % 2], number, START - timedelta(minutes=number)) for number in range(300)
    ]
    assert ids(plane, limit=17) == expected
    assert ids(plane, integrated_account_id=other, limit=100) == expected[1::2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "404"}, ["r0001"]),
        ({"tool_name": "u"}, ["r0002"]),
        ({"mcp_server_id": "srv_1", "status": "200"}, ["r0003"]),
        ({"upstream_status": "null"}, ["r0004"]),
        ({"request_id": "r0000"}, ["r0000"]),
        ({"status": "500"}, []),
        ({"created_at[gt]": "2026-11-21T11:57:00Z"}, ["r0000", "r0001", "r0002"]),
        ({"created_at[lt]": "2026-11-21T11:57:00Z"}, ["r0004"]),
        ({"created_at[gt]": "2026-11-21T12:57:00+01:00", "status": "404"}, ["r0001"]),
    ],
)
def test_records_are_filtered(plane: Plane, account: str, query: dict[str, str], expected: list[str]) -> None:
    special: list[dict[str, Any]] = [
        {"upstream_status": 1},
        {"status": 404, "upstream_status": 1},
        {"tool": "u", "upstream_status": 1},
        {"server_id": "srv_1", "upstream_status": 1},
        {"upstream_status": None},
    ]
    for number, more in enumerate(special):
        keep(plane, account, number, START - timedelta(minutes=number), **more)
    assert ids(plane, **query) == expected


def test_a_rare_record_in_a_long_log_is_found_by_following_cursors(plane: Plane, account: str) -> None:
    """One request reads only so much; its cursor goes on from there, though nothing was found yet."""
    changes = []
    for number in range(10_500):
        text = (START - timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
        record = {"time": text, "request_id": f"r{number:04}", "status": 404 if number == 10_400 else 200}
        shard = layout.log_shard(f"r{number:04}")
        changes.append(Put(Key(layout.log(account, shard, text[:10]), f"{text}#r{number:04}"), record))
    changes += [Put(layout.log_day(account, shard, "2026-11-21"), {}) for shard in range(layout.LOG_SHARDS)]
    for start in range(0, len(changes), 100):
        plane.store.write(changes[start : start + 100])
    first = plane.ok("GET", "/log?status=404")
    assert first["result"] == []
    assert first["next_cursor"] is not None
    assert ids(plane, status=404) == ["r10400"]
    assert len(ids(plane, limit=100)) == 10_500


def test_the_log_of_a_deleted_account_can_still_be_read_by_its_id(plane: Plane, account: str) -> None:
    keep(plane, account, 1, START)
    plane.ok("DELETE", f"/integrated-account/{account}")
    assert ids(plane) == []
    assert ids(plane, integrated_account_id=account) == ["r0001"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("stauts=200", 'query: unknown parameter "stauts"; did you mean "status"?'),
        ("limit=1000", 'query: limit is "1000"; it must be a whole number from 1 to 100'),
        (
            "created_at[gt]=yesterday",
            'query: created_at[gt] is "yesterday"; write a time in UTC, e.g. 2026-12-31T23:59:59Z',
        ),
        (
            "next_cursor=abc",
            "query: this listing did not return this next_cursor; leave it out to start from the newest entry",
        ),
        ("next_cursor=WzEsMl0", "query: this listing did not return this next_cursor"),
        (
            "integrated_account_id=a%23b",
            'query: integrated_account_id is "a#b"; there is no account of this name and no log entry of one',
        ),
    ],
)
def test_a_bad_query_is_told_what_is_valid(plane: Plane, query: str, message: str) -> None:
    assert plane.refused("GET", f"/log?{query}", status=400)["message"].startswith(message)
