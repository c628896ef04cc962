"""The key patterns of the roles' policies: wide enough for what the functions do, and not an item wider."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.servers.item import LiveToken, ServerItem
from functions.gateway.audit import Audit
from functions.gateway.call_limits import CallRate
from functions.gateway.grants import ServerConfig, write_time
from functions.gateway.log_entry import KeptCalls
from functions.gateway.notice import Notice
from functions.log_subscriber.subscriber import Batch, kept, note_freshness
from functions.mcp_endpoint.methods import Methods
from functions.purge.notices import round_of
from functions.purge.purge import purge
from functions.stores import layout
from functions.stores.sqlite import SqliteStore
from functions.stores.store import Change, Delete, Item, Key, Put, Store
from tests.infra import template
from tests.log_subscriber.test_subscriber import delivery
from tests.mcp_endpoint.endpoint import Bench, CannedSender, modern, post


def granting(role: str, action: str, partition: str) -> str | None:
    """The pattern of the role's policies that allows this; None = it is not allowed."""
    for statement in template.statements(template.load(), role):
        if action in template.actions(statement):
            condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
            for pattern in condition.get("dynamodb:LeadingKeys", ["*"]):
                if fnmatchcase(partition, pattern):
                    return str(pattern)
    return None


class Guarded:
    """A store behind a role: what DynamoStore or LightDynamoStore would ask AWS for must be allowed."""

    def __init__(self, store: Store, role: str) -> None:
        self._store = store
        self._role = role
        self.used: set[str] = set()

    def _check(self, action: str, partition: str) -> None:
        pattern = granting(self._role, action, partition)
        assert pattern is not None, f"{self._role} may not {action} on {partition}"
        self.used.add(pattern)

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        for key in keys:
            self._check("dynamodb:BatchGetItem", key.partition)
        return self._store.get(keys)

    def write(self, changes: Sequence[Change]) -> None:
        for change in changes:
            action = "DeleteItem" if isinstance(change, Delete) else "UpdateItem"
            self._check(f"dynamodb:{action}", change.key.partition)
        self._store.write(changes)

    def query(self, partition: str, **bounds: Any) -> list[Item]:
        self._check("dynamodb:Query", partition)
        return self._store.query(partition, **bounds)


EVERY_KEY = [
    layout.account("acc_1"),
    Key(layout.servers("acc_1")),
    layout.server_name("acc_1", "s"),
    layout.server_account("srv_1"),
    layout.account_name("a"),
    layout.api_token_name("t"),
    layout.token("d"),
    layout.granted_accounts("handle-1")[0],
    layout.api_token("d"),
    layout.api_token_entry("tok_1"),
    layout.consent("tok_1", "c"),
    layout.consent_entry("srv_1", "c"),
    layout.oauth_client("c"),
    layout.oauth_code("d"),
    layout.oauth_request("d"),
    layout.oauth_mark("register"),
    layout.use("srv_1"),
    layout.call_mark("srv_1"),
    layout.confirmation("srv_1", "d"),
    layout.account_state("acc_1"),
    Key(layout.log("acc_1", 3, "2026-11-21")),
    layout.log_day("acc_1", 3, "2026-11-21"),
    layout.LOG_FRESHNESS,
    layout.idempotency("acc_1", "d"),
    Key(layout.notices("srv_1")),
    layout.noticed("acc_1"),
]


def allowed(role: str, action: str) -> set[str]:
    """Partitions of every kind of item on which the role may do this."""
    return {key.partition for key in EVERY_KEY if granting(role, action, key.partition)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def test_the_data_plane_may_do_all_that_it_does_and_uses_all_that_it_may(store: SqliteStore) -> None:
    guarded = Guarded(store, "McpEndpointRole")
    bench = Bench(store)
    lines = io.StringIO()
    audit = Audit(bench.settings, None, lines)
    for sender in (CannedSender(), CannedSender(401, {"detail": "Invalid token"})):
        bench.sender = sender
        methods = Methods(bench.settings, sender, audit, shared=guarded, confirmations=guarded)
        app = replace(bench, store=guarded).endpoint(methods)
        token = bench.mint(
            require_api_token_auth=True,
            rate_limit=CallRate(60, 10),
            confirm=("destructive",),
            confirm_by="person",
        )
        api_token = bench.issue_api_token()
        second = ("authorization", f"Bearer {api_token}")
        assert post(app, token, modern("tools/list").adding(second)).status == 200
        arguments = {"query": "tea", "filters": {"user_id": "usr_1"}}
        search = modern("tools/call", {"name": "mem_0_memories_search", "arguments": arguments})
        assert post(app, token, search.adding(second)).status == 200
        bench.clock.move(seconds=1)
        delete = {"id": "9f1c2b7e-4a51-4a6e-9d4e-2f6f6c1c7a10"}
        refused = modern("tools/call", {"name": "delete_a_mem_0_memory_by_id", "arguments": delete})
        assert b"A person must approve" in post(app, token, refused.adding(second)).body
        bench.clock.move(minutes=2)
    last = replace(bench, store=guarded).endpoint()
    token = bench.mint(require_api_token_auth=True)
    access = ("authorization", f"Bearer {bench.issue_access_token()}")
    assert post(last, token, modern("tools/list").adding(access)).status == 200
    assert guarded.used == {"TOKEN#*", "ACCOUNT#*", "API_TOKEN#*", "CALLS#*", "CONFIRM#*", "CONSENT#*", "API_TOKENS"}
    subscriber = Guarded(store, "LogSubscriberRole")
    assert kept(delivery(*lines.getvalue().splitlines()), KeptCalls(subscriber, 30)).stored == 4
    note_freshness(Batch(4, 0, 0, bench.clock.now, bench.clock.now), subscriber, bench.clock.now)
    assert subscriber.used == {"USE#*", "STATE#*", "NOTICES#*", "LOG#*", "LOG_DAYS#*", "LOG_FRESHNESS"}


def test_the_data_plane_may_touch_no_other_kind_of_item() -> None:
    reads = {
        "TOKEN#d",
        "ACCOUNT#handle-1#0",
        "API_TOKEN#d",
        "CALLS#srv_1",
        "CONFIRM#srv_1#d",
        "CONSENT#tok_1",
        "API_TOKENS",
    }
    writes = {"CALLS#srv_1", "CONFIRM#srv_1#d"}
    assert allowed("McpEndpointRole", "dynamodb:GetItem") == reads
    assert allowed("McpEndpointRole", "dynamodb:BatchGetItem") == reads
    assert allowed("McpEndpointRole", "dynamodb:UpdateItem") == writes
    for action in ("PutItem", "DeleteItem", "Query", "Scan", "BatchWriteItem", "ConditionCheckItem"):
        assert allowed("McpEndpointRole", f"dynamodb:{action}") == set()


def test_the_log_subscriber_may_touch_no_other_kind_of_item() -> None:
    assert allowed("LogSubscriberRole", "dynamodb:BatchGetItem") == {"USE#srv_1", "STATE#acc_1"}
    assert allowed("LogSubscriberRole", "dynamodb:GetItem") == {"USE#srv_1", "STATE#acc_1"}
    assert allowed("LogSubscriberRole", "dynamodb:UpdateItem") == {
        *(
            "USE#srv_1",
            "STATE#acc_1",
            layout.notices("srv_1"),
            "LOG#acc_1#3#2026-11-21",
            "LOG_DAYS#2026-11-21",
            "LOG_FRESHNESS",
        )
    }
    for action in ("PutItem", "DeleteItem", "Query", "Scan", "BatchWriteItem", "ConditionCheckItem"):
        assert allowed("LogSubscriberRole", f"dynamodb:{action}") == set()


def test_the_policy_of_notices_allows_all_that_a_round_does_and_nothing_else(store: SqliteStore) -> None:
    guarded = Guarded(store, "NoticesPolicy")
    bench = Bench(store)
    now, seen = bench.clock.now, []
    account = AccountItem("acc_1", "handle-1", "mem0", "a", "https://api.example.com", {}, {}, b"", b"", now, now, now)
    tokens = (LiveToken("d", None),)
    server = ServerItem("srv_1", "acc_1", "s", {}, ServerConfig(), now, "tok_root", now, now, tokens, now, 1)
    later = replace(server, id="srv_2", name="later", expires_at=now + timedelta(hours=1))
    store.write([Put(layout.account("acc_1"), account.to_json())])
    store.write([server.put(if_version=0), later.put(if_version=0)])
    warning, ending = later.warning(timedelta(hours=1)), server.ending()
    assert warning is None
    warning = replace(later, created_at=now - timedelta(days=1)).warning(timedelta(hours=1))
    refused = Notice("account.needs_new_credential", "acc_1", now, {}, now)
    for notice in (warning, ending, refused):
        assert notice is not None
        store.write([notice.put()])

    async def send(notice: Notice) -> bool:
        seen.append(notice.type)
        return True

    came = asyncio.run(round_of(guarded, send, now))
    assert (came.sent, came.withdrawn, came.remain) == (3, 0, False)
    store.write([refused.put()])
    assert asyncio.run(round_of(guarded, send, now)).withdrawn == 1
    assert sorted(seen) == ["account.needs_new_credential", "server.expired", "server.expires_soon"]
    assert guarded.used == {"ACCOUNTS", "SERVERS#*", "NOTICES#*", "NOTICED#*"}
    own = {layout.notices("srv_1"), layout.noticed("acc_1").partition}
    assert allowed("NoticesPolicy", "dynamodb:UpdateItem") == own
    assert allowed("NoticesPolicy", "dynamodb:DeleteItem") == own
    assert allowed("NoticesPolicy", "dynamodb:Query") == {layout.notices("srv_1")}
    for action in ("GetItem", "PutItem", "Scan"):
        assert allowed("NoticesPolicy", f"dynamodb:{action}") == set()


def test_the_purge_function_may_do_all_that_it_does_and_touch_nothing_else(store: SqliteStore) -> None:
    guarded = Guarded(store, "PurgeRole")
    bench = Bench(store)
    expired, made = bench.clock.now - timedelta(seconds=1), bench.clock.now - timedelta(hours=1)
    server = ServerItem(
        "srv_1", "acc_1", "s", {}, ServerConfig(), expired, "tok_root", made, made, (LiveToken("d", None),), made, 1
    )
    store.write([server.put(if_version=0), Put(layout.token("d"), {}), Put(server.name_key, {"id": "srv_1"})])
    event = {"account_id": "acc_1", "server_id": "srv_1", "expires_at": write_time(expired)}
    assert purge(event, guarded, bench.clock.now) == "purged"
    assert allowed("PurgeRole", "dynamodb:BatchGetItem") == {"SERVERS#acc_1", "SERVER_NAMES#s"}
    assert allowed("PurgeRole", "dynamodb:DeleteItem") == {
        "SERVERS#acc_1",
        "SERVER_NAMES#s",
        "SERVER_ACCOUNT#srv_1",
        "TOKEN#d",
        "USE#srv_1",
    }
    for action in ("GetItem", "UpdateItem", "PutItem", "Query", "Scan"):
        assert allowed("PurgeRole", f"dynamodb:{action}") == set()
