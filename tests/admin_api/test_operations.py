"""The table of operations: which API tokens each admits, and that none stops the event loop."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, get_args

import httpx
import pytest

from functions.admin_api.accounts.keys import LocalKeys
from functions.admin_api.api_tokens.contract import Scope
from functions.admin_api.app import create_app
from functions.admin_api.operations import OPERATIONS, Operation
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.stores.store import Change, Item, Key, Store
from tests.admin_api.conftest import API_KEY, Plane, ScriptedUpstream
from tool_catalog.catalog import Catalog

ADMITTED = {
    "getMe": "read call mint connect manage",
    "listIntegrations": "read manage",
    "getIntegration": "read manage",
    "connectAccount": "manage",
    "listAccounts": "read manage",
    "getAccount": "read manage",
    "updateAccount": "manage",
    "deleteAccount": "manage",
    "listTools": "read call manage",
    "createServer": "mint manage",
    "createServers": "mint manage",
    "changeServers": "manage",
    "listServers": "read manage",
    "previewServer": "read mint manage",
    "getServer": "read manage",
    "updateServer": "manage",
    "deleteServer": "mint manage",
    "rotateServer": "manage",
    "createApiToken": "manage",
    "listApiTokens": "read manage",
    "getApiToken": "read manage",
    "revokeApiToken": "manage",
    "createTrust": "manage",
    "listTrusts": "read manage",
    "getTrust": "read manage",
    "updateTrust": "manage",
    "removeTrust": "manage",
    "listCalls": "read manage",
    "makeSnippets": "read call mint connect manage",
    "showApproval": "call manage",
    "approveCall": "call manage",
    "listConsents": "read manage",
    "endConsent": "manage",
    "createSignInLink": "read call mint manage",
    "signIn": "",
    **{
        f"{verb}Proxy{item}": "call manage"
        for verb in ("get", "post", "put", "patch", "delete")
        for item in ("", "Item")
    },
}
"""Operation -> the scopes that admit a token to it."""

BY_NAME = {operation.name: operation for operation in OPERATIONS}


def test_every_operation_is_in_the_table_of_scopes() -> None:
    assert set(BY_NAME) == set(ADMITTED)


@pytest.mark.parametrize("scope", get_args(Scope))
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.scopes], ids=lambda operation: operation.name)
def test_a_token_is_admitted_by_its_scope_and_by_nothing_else(plane: Plane, operation: Operation, scope: str) -> None:
    limits = {"mint": {"max_lifetime_seconds": 60}} if scope == "mint" else {}
    token = plane.ok("POST", "/api-token", {"name": "t", "scopes": [scope], **limits})["token"]
    path = re.sub(r"\{\w+\}", "x", operation.path)
    for _ in range(3):
        answer = plane.call(operation.verb.upper(), path, token=token)
        if scope in ADMITTED[operation.name].split():
            assert answer.status_code != 403, answer.text
        else:
            assert answer.status_code == 403
            needed = " or ".join(ADMITTED[operation.name].split())
            assert answer.json()["message"].endswith(f"has the scope {scope}; this operation needs the scope {needed}")


def test_scopes_add_up(plane: Plane) -> None:
    token = plane.ok("POST", "/api-token", {"name": "t", "scopes": ["read", "call"]})["token"]
    plane.ok("GET", "/integrated-account", token=token)
    assert plane.call("GET", "/proxy/memories?integrated_account_id=x", token=token).status_code == 404
    error = plane.refused("POST", "/api-token", {"name": "t", "scopes": ["manage"]}, token=token, status=403)
    assert error["message"].endswith("has the scope read and call; this operation needs the scope manage")


class Watched:
    """A store that notes on which thread each of its operations ran."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.threads: list[int] = []

    def get(self, keys: Sequence[Key]) -> list[Item | None]:
        self.threads.append(threading.get_ident())
        return self._store.get(keys)

    def write(self, changes: Sequence[Change]) -> None:
        self.threads.append(threading.get_ident())
        self._store.write(changes)

    def query(self, partition: str, **more: Any) -> list[Item]:
        self.threads.append(threading.get_ident())
        return self._store.query(partition, **more)


def test_no_operation_waits_for_the_store_or_the_keys_on_the_event_loop(
    plane: Plane, upstream: ScriptedUpstream, settings: Settings, catalogs: dict[str, Catalog]
) -> None:
    watched = Watched(plane.store)
    used: list[int] = []

    class Keys(LocalKeys):
        def wrap(self, data_key: bytes, account_id: str) -> bytes:
            used.append(threading.get_ident())
            return super().wrap(data_key, account_id)

        def unwrap(self, wrapped: bytes, account_id: str) -> bytes:
            used.append(threading.get_ident())
            return super().unwrap(wrapped, account_id)

    draw: Callable[[int], bytes] = iter_bytes()
    served: set[tuple[str, str]] = set()

    async def every_operation() -> None:
        sender = Sender(settings)
        keys = Keys(plane.folder / "keys" / "account.key", draw)
        app = create_app(settings, watched, catalogs, keys, sender, clock=plane.clock, random=draw)
        transport = httpx.ASGITransport(app)
        headers = {"authorization": f"Bearer {plane.root}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="https://postern.example", headers=headers
        ) as client:

            async def ask(verb: str, path: str, body: Any = None, **more: Any) -> Any:
                answer = await client.request(verb, path, json=body, **more)
                assert answer.status_code < 300 or path.startswith("/proxy"), answer.text
                served.add((verb, path))
                return answer.json()

            account = {"integration": "mem0", "credentials": {"api_key": API_KEY}, "base_url": upstream.url, "id": "a"}
            await ask("POST", "/integrated-account", account)
            await ask("PATCH", "/integrated-account/a", {"base_url": f"{upstream.url}/", "name": "n"})
            for path in ("", "/a", "/a/tools", "/a/mcp"):
                await ask("GET", f"/integrated-account{path}")
            server = await ask("POST", "/integrated-account/a/mcp", {"name": "s", "expires_at": "2026-12-31T23:59:59Z"})
            mine = f"/integrated-account/a/mcp/{server['id']}"
            await ask("POST", "/integrated-account/a/mcp/preview", {})
            await ask("GET", mine)
            await ask("PATCH", mine, {"name": "t"})
            await ask("POST", f"{mine}/rotate", {"grace_seconds": 5})
            await ask("DELETE", mine)
            token = await ask("POST", "/api-token", {"name": "t", "scopes": ["call"], "account_ids": ["a"]})
            await ask("GET", "/api-token")
            await ask("GET", f"/api-token/{token['id']}")
            await ask("DELETE", f"/api-token/{token['id']}")
            await ask("GET", "/log")
            keyed = {"idempotency-key": "k"}
            await ask("DELETE", "/proxy/memories/x?integrated_account_id=a", headers=keyed)
            await ask("GET", "/proxy/memories/x?integrated_account_id=a")
            await ask("DELETE", "/integrated-account/a")
        await sender.close()

    asyncio.run(every_operation())
    assert len(served) > 15
    assert len(watched.threads) > 50
    assert len(used) > 3
    assert threading.get_ident() not in {*watched.threads, *used}


def iter_bytes() -> Callable[[int], bytes]:
    """Bytes that are never the same twice."""
    numbers = iter(range(10**9))
    return lambda n: next(numbers).to_bytes(8, "big").rjust(n, b"\x01")
