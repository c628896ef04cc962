"""How often each operation asks the store: a table that a change must not make worse without being seen.

A round trip is one `get`, `query` or `write` of the store contract: one request to DynamoDB. What a request costs must
not depend on how many servers an account has, or how many accounts a deployment has, beyond the bounds that are named
in the code.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.admin_api.log.service import READS
from functions.gateway.grants import write_time
from functions.gateway.log_entry import KeptCalls
from functions.gateway.notice import Notice
from functions.gateway.settings import Settings
from functions.mcp_endpoint.app import Endpoint
from functions.mcp_endpoint.methods import Methods
from functions.purge.notices import AT_MOST, round_of
from functions.stores import layout
from functions.stores.store import Change, Item, Key, Put
from tests.admin_api.conftest import API_KEY, START, Plane, ScriptedUpstream
from tests.admin_api.seeding import seed_servers, write_all
from tests.gateway.test_audit import CALL
from tests.mcp_endpoint.endpoint import CannedSender, modern, post

GOLDEN = Path(__file__).parents[1] / "golden"
NEW_KEY = "m0-the-next-live-key-that-must-stay-hidden"

SERVERS = 5_000
"""Servers of the large account: fifty times what one read returns."""

ACCOUNTS = 1_000
"""Accounts of the large deployment."""


class Trips:
    """Counts the round trips of a store."""

    def __init__(self, plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = self.writes = 0
        get, query, write = plane.store.get, plane.store.query, plane.store.write

        def counted_get(keys: Sequence[Key]) -> list[Item | None]:
            self.reads += 1
            return get(keys)

        def counted_query(partition: str, **bounds: Any) -> list[Item]:
            self.reads += 1
            return query(partition, **bounds)

        def counted_write(changes: Sequence[Change]) -> None:
            self.writes += 1
            write(changes)

        monkeypatch.setattr(plane.store, "get", counted_get)
        monkeypatch.setattr(plane.store, "query", counted_query)
        monkeypatch.setattr(plane.store, "write", counted_write)

    @contextmanager
    def of(self, table: dict[str, str], operation: str) -> Iterator[None]:
        """Enter the round trips of this block into the table."""
        self.reads = self.writes = 0
        yield
        table[operation] = f"{self.reads:>5} {self.writes:>6}"


def seed_accounts(plane: Plane, account_id: str, count: int) -> list[str]:
    """Accounts straight into the store: copies of this one."""
    [item] = plane.store.get([layout.account(account_id)])
    assert item is not None
    ids = [f"acc_seed{number:05}" for number in range(count)]
    write_all(plane.store, [Put(layout.account(id), {**item.body, "id": id, "name": id}) for id in ids])
    return ids


def seed_log(plane: Plane, account_ids: Sequence[str], days: int) -> None:
    """One call of each account on each of the last days."""
    calls = KeptCalls(plane.store, 30)
    for number, account_id in enumerate(account_ids):
        for day in range(days):
            time = START - timedelta(days=day, seconds=number)
            calls.keep(replace(CALL, time=time, request_id=f"r{number}", account_id=account_id, server_id="").to_json())


@pytest.fixture
def trips(plane: Plane, account: str, monkeypatch: pytest.MonkeyPatch) -> Trips:
    return Trips(plane, monkeypatch)


def continued(plane: Plane, verb: str, path: str, cursor: str | None) -> int:
    """How many more requests with the cursor it takes until nothing is left."""
    requests = 0
    while cursor is not None:
        cursor = plane.ok(verb, path, params={"next_cursor": cursor})["next_cursor"]
        requests += 1
    return requests


def test_each_operation_makes_as_many_round_trips_as_the_table_says(
    plane: Plane, upstream: ScriptedUpstream, account: str, settings: Settings, trips: Trips
) -> None:
    upstream.valid_keys.add(NEW_KEY)
    table: dict[str, str] = {}
    connect = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url, "id": "large"}
    plane.ok("POST", "/integrated-account", {**connect, "name": "Large"})
    seed_servers(plane.store, "large", SERVERS, START)
    large, small = "/integrated-account/large", f"/integrated-account/{account}"

    with trips.of(table, "connect an account"):
        plane.ok("POST", "/integrated-account", {**connect, "id": "third", "name": "Third"})
    with trips.of(table, "list accounts"):
        plane.ok("GET", "/integrated-account")
    with trips.of(table, "get an account"):
        plane.ok("GET", small)
    with trips.of(table, "mint a server"):
        minted = plane.ok("POST", f"{small}/mcp", {"name": "one"})
    with trips.of(table, "mint 40 servers in one request"):
        plane.ok("POST", f"{small}/mcp/bulk-create", {"name": "many", "count": 40})
    with trips.of(table, "list 100 servers of 5,000"):
        plane.ok("GET", f"{large}/mcp", params={"limit": "100"})
    with trips.of(table, "get a server by id"):
        plane.ok("GET", f"{large}/mcp/srv_seed00042")
    with trips.of(table, "get a server by name"):
        plane.ok("GET", f"{large}/mcp/seed-42")
    with trips.of(table, "change a server's config"):
        plane.ok("PATCH", f"{small}/mcp/{minted['id']}", {"config": {"methods": ["read"]}})
    with trips.of(table, "extend a server"):
        plane.ok("PATCH", f"{small}/mcp/{minted['id']}", {"expires_at": write_time(START + timedelta(days=9))})
    with trips.of(table, "rotate a server's token"):
        minted = plane.ok("POST", f"{small}/mcp/{minted['id']}/rotate")
    with trips.of(table, "rotate the credential of an account with 41 servers"):
        plane.ok("PATCH", small, {"credentials": {"api_key": NEW_KEY}})
    with trips.of(table, "rotate the credential of an account with 5,000 servers"):
        plane.ok("PATCH", large, {"credentials": {"api_key": NEW_KEY}})
    with trips.of(table, "rename an account with 5,000 servers"):
        plane.ok("PATCH", large, {"name": "Larger"})

    endpoint = Endpoint(
        settings=settings, store=plane.store, methods=Methods(settings, CannedSender()), clock=plane.clock
    )
    with trips.of(table, "MCP: list tools"):
        assert post(endpoint, minted["token"], modern("tools/list")).status == 200
    search = {"query": "tea", "filters": {"user_id": "usr_1"}}
    with trips.of(table, "MCP: call a tool"):
        call = modern("tools/call", {"name": "mem_0_memories_search", "arguments": search})
        assert post(endpoint, minted["token"], call).status == 200
    with trips.of(table, "MCP: an unknown token"):
        assert post(endpoint, "A" * 43, modern("tools/list")).status == 404

    with trips.of(table, "revoke a server"):
        plane.ok("DELETE", f"{small}/mcp/{minted['id']}")
    everything = {"action": "label", "set_labels": {"a": "b"}, "all": True}
    with trips.of(table, "label 50 servers of 5,000 in one request"):
        assert plane.ok("POST", f"{large}/mcp/bulk", everything)["done"] == 50
    with trips.of(table, "make an API token"):
        token = plane.ok("POST", "/api-token", {"name": "ci", "scopes": ["manage"]})
    with trips.of(table, "revoke an API token"):
        plane.ok("DELETE", f"/api-token/{token['id']}")
    with trips.of(table, "delete an account with 41 servers"):
        plane.ok("DELETE", small)
    with trips.of(table, "delete an account with 5,000 servers: the first request"):
        part = plane.ok("DELETE", large)
    with trips.of(table, "delete an account with 5,000 servers: the others, in all"):
        requests = continued(plane, "DELETE", large, part["next_cursor"])
    assert requests == 49
    assert plane.store.query(layout.servers("large"), limit=1) == []

    _check(table, "round_trips.txt")


def test_servers_are_found_in_bounded_requests_among_many_accounts_and_behind_many_expired_ones(
    plane: Plane, account: str, trips: Trips
) -> None:
    table: dict[str, str] = {}
    seed_accounts(plane, account, ACCOUNTS)
    small = f"/integrated-account/{account}/mcp"
    made = plane.ok("POST", small, {"name": "one"})
    with trips.of(table, "get a server by id, in any of 1,000 accounts"):
        assert plane.ok("GET", f"/integrated-account/-/mcp/{made['id']}")["id"] == made["id"]
    with trips.of(table, "get a server by name, in any of 1,000 accounts"):
        assert plane.ok("GET", "/integrated-account/-/mcp/one")["id"] == made["id"]
    named = {"action": "label", "set_labels": {"a": "b"}, "servers": [made["id"], "one", *map(str, range(48))]}
    with trips.of(table, "label 50 named servers, in any of 1,000 accounts"):
        assert plane.ok("POST", "/integrated-account/-/mcp/bulk", named)["failed"] == 48

    def page(query: dict[str, str], path: str = "/integrated-account/-/mcp") -> Any:
        return plane.ok("GET", path, params=query)

    with trips.of(table, "list the servers of 1,000 accounts: the first page"):
        first = page({})
    with trips.of(table, "list the servers of 1,000 accounts: all pages"):
        found, cursor, requests = list(first["result"]), first["next_cursor"], 1
        while cursor is not None:
            one = page({"next_cursor": cursor})
            found, cursor, requests = found + one["result"], one["next_cursor"], requests + 1
    assert [server["id"] for server in found] == [made["id"]]
    table["... requests for it"] = f"{requests:>5}"

    seed_servers(plane.store, account, 4_900, START, lives=timedelta(seconds=5))
    plane.clock.advance(seconds=10)
    with trips.of(table, "list behind 4,900 expired servers that nothing has purged"):
        behind = page({}, small)
    assert [server["id"] for server in behind["result"]] == [made["id"]]
    _check(table, "round_trips_finding.txt")


def test_the_log_of_many_accounts_is_read_in_bounded_requests(plane: Plane, account: str, trips: Trips) -> None:
    table: dict[str, str] = {}
    seeded = seed_accounts(plane, account, ACCOUNTS)
    with trips.of(table, "log of 1,000 accounts, 31 days without a call"):
        assert plane.ok("GET", "/log")["next_cursor"] is None
    seed_log(plane, seeded, days=2)
    with trips.of(table, "log of one of 1,000 accounts, two calls in 31 days"):
        page = plane.ok("GET", "/log", params={"integrated_account_id": seeded[7]})
    assert (len(page["result"]), page["next_cursor"]) == (2, None)
    with trips.of(table, "log of 1,000 accounts, two calls of each: a page of 25"):
        assert len(plane.ok("GET", "/log")["result"]) == 25
    seen: list[tuple[str, str]] = []
    query: dict[str, str] = {"limit": "100"}
    most = requests = 0
    with trips.of(table, "log of 1,000 accounts, two calls of each: all pages of 100"):
        reads = 0
        while True:
            page = plane.ok("GET", "/log", params=query)
            most, reads, requests = max(most, trips.reads - reads), trips.reads, requests + 1
            seen += [(entry["account_id"], entry["time"]) for entry in page["result"]]
            if page["next_cursor"] is None:
                break
            assert "2026-10-21" < page["reached"]["day"] <= "2026-11-21"
            query["next_cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 2 * ACCOUNTS
    assert most <= READS + 3, "one request is bounded: beside the log, the API token, the freshness and the account"
    table["... requests for it"] = f"{requests:>5}"
    table["... most reads of one request"] = f"{most:>5}"
    _check(table, "round_trips_log.txt")


def multiply(plane: Plane, times: int) -> int:
    """So many servers and notices for each seeded one, straight in the file: the store would take minutes. Returns the
    number of notices."""

    def copies(number: int) -> Iterator[tuple[str, str, str, int]]:
        for partition, sort, body, expires_at in seeded:
            new = f"srv_{number}"
            subject = f"{new}{sort.rpartition('srv_seed')[2]}"
            place = layout.notices(subject) if partition.startswith("NOTICES#") else partition
            yield place, sort.replace("srv_seed", new), body.replace("srv_seed", new), expires_at

    with closing(sqlite3.connect(plane.store.path)) as file, file:
        seeded = file.execute(
            "SELECT partition, sort, body, expires_at FROM items "
            "WHERE (partition LIKE 'SERVERS#%' OR partition LIKE 'NOTICES#%') AND sort LIKE '%srv_seed_____'"
        ).fetchall()
        for number in range(1, times):
            file.executemany("INSERT INTO items VALUES (?, ?, ?, ?, 1)", copies(number))
        [count] = file.execute("SELECT count(*) FROM items WHERE partition LIKE 'NOTICES#%'").fetchone()
        return int(count)


def test_a_round_of_notices_reads_what_is_due_however_many_servers_there_are(
    plane: Plane, account: str, trips: Trips
) -> None:
    table: dict[str, str] = {}
    seed_servers(plane.store, account, SERVERS, START, lives=timedelta(days=90))

    def ten_due(operation: str) -> None:
        ends = {"expires_at": write_time(plane.clock.now + timedelta(minutes=1))}
        plane.ok("POST", f"/integrated-account/{account}/mcp/bulk-create", {"name": operation, "count": 10, **ends})
        plane.clock.advance(minutes=1)
        with trips.of(table, operation):
            came = asyncio.run(round_of(plane.store, taking, plane.clock.now))
        assert (came.sent, came.remain) == (10, False)

    async def taking(_: Notice) -> bool:
        return True

    with trips.of(table, "notices: none of 5,000 servers is due"):
        assert asyncio.run(round_of(plane.store, taking, plane.clock.now)).sent == 0
    ten_due("notices: ten of 5,000 servers are due")
    assert multiply(plane, 20) == 20 * SERVERS
    ten_due("notices: ten of 100,000 servers are due")
    plane.clock.now = START + timedelta(days=89)
    with trips.of(table, "notices: 50 of 100,000 servers are warned of in one round"):
        came = asyncio.run(round_of(plane.store, taking, plane.clock.now))
    assert (came.sent, came.remain) == (AT_MOST, True)
    _check(table, "round_trips_notices.txt")


def _check(table: dict[str, str], name: str) -> None:
    lines = [f"{operation:<64} {trips}" for operation, trips in table.items()]
    text = "\n".join([f"{'operation':<64} reads writes", *lines, ""])
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text(), (
        "round trips changed; UPDATE_GOLDEN=1 writes them, then look at the diff"
    )
