"""MCP servers: mint, list, get, change, rotate, preview, revoke.

A server is one item, and one grant for each live token (item.py). They are written together under the item's version.
A grant holds nothing of its account but the id, so that a change of the account changes no server.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from functions.admin_api import names
from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.lookup import AccountLookup, no_account
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import Page
from functions.admin_api.expiry import check_future
from functions.admin_api.ids import ID, new_id
from functions.admin_api.servers import config_check, contract, notices
from functions.admin_api.servers.finding import Finding, Wanted, no_server
from functions.admin_api.servers.item import LiveToken, ServerItem, written
from functions.admin_api.servers.schedules import Scheduler
from functions.gateway import discovery, forced, model_tokens, selection
from functions.gateway.credentials import seal, token_key
from functions.gateway.errors import Conflict, Forbidden, Invalid, invalid
from functions.gateway.grants import Grant, ServerConfig, digest, epoch, is_live, mint_token, write_time
from functions.gateway.json_text import Json, size
from functions.gateway.prepared import prepare
from functions.gateway.wording import shown
from functions.stores import layout
from functions.stores.store import MAX_CHANGES_PER_WRITE, Change, Delete, Item, Put, Store, StoreConflict

MAX_LIVE_TOKENS = 10
"""Live tokens of one server: the present one, and those in their grace."""

REMOVED_AT_ONCE = 100
"""Servers of a deleted account that one request removes: on AWS each costs some 30 ms for its schedule, and an answer
is due within 30 s."""


@dataclass(frozen=True, slots=True)
class Minting:
    """What the servers of one request have in common, checked."""

    account: AccountItem
    config: ServerConfig
    labels: Mapping[str, str]
    expires_at: datetime | None
    created_by: str
    now: datetime
    data_key: bytes = field(repr=False)


class Servers:
    """`clock` gives the present in UTC, `random(n)` n random bytes. `lead` is how long before its expiry the webhook
    hears of a server."""

    def __init__(
        self,
        store: Store,
        accounts: AccountLookup,
        scheduler: Scheduler,
        *,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
        lead: timedelta,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self.finding = Finding(store, clock)
        self._scheduler = scheduler
        self._clock = clock
        self._random = random
        self._lead = lead

    def create(
        self, account_id: str, body: contract.ServerCreate, operator: Operator, mcp_url: str
    ) -> contract.MintedServer:
        """Mint a server for this operator. `mcp_url` is what minted URLs start with.

        Raises NotFound, Invalid, Conflict for a name that a live server of the account has, and Forbidden for a server
        beyond the limits of the operator.
        """
        minting = self.minting(account_id, body, operator)
        return self.mint(minting, body.name, mcp_url)

    def minting(
        self, account_id: str, body: contract.ServerCreate | contract.ServersCreate, operator: Operator
    ) -> Minting:
        """What every server of this request has. Raises NotFound, Invalid, Forbidden."""
        account = self._accounts.load(account_id)
        catalog = self._accounts.catalog(account)
        config = _config(body.config, ServerConfig())
        config_check.check(catalog, config)
        now = self._clock()
        check_future(body.expires_at, now)
        if operator.mint_limits is not None:
            operator.mint_limits.check(catalog, config, body.expires_at, now, who=operator.called, kind=operator.kind)
        data_key = self._accounts.data_key(account)
        return Minting(account, config, body.labels, body.expires_at, operator.id, now, data_key)

    def mint(self, minting: Minting, name: str | None, mcp_url: str) -> contract.MintedServer:
        """One server. Without a name, its id is its name. Raises Conflict for a name that a live server has."""
        account, token = minting.account, mint_token(self._random, minting.account.handle)
        server_id = new_id("srv", self._random)
        server = ServerItem(
            id=server_id,
            account_id=account.id,
            name=name or server_id,
            labels=minting.labels,
            config=minting.config,
            expires_at=minting.expires_at,
            created_by=minting.created_by,
            created_at=minting.now,
            updated_at=minting.now,
            tokens=(LiveToken(digest(token), None),),
            token_made_at=minting.now,
        )
        sealed_data_key = seal(minting.data_key, token_key(token), account.id, self._random)
        grant = _put_grant(server, account, server.tokens[0], sealed_data_key, if_version=0)
        first: list[Change] = [server.put(if_version=0), server.put_account(), grant]
        first += notices.announced(server, self._lead)
        settle(f"the name {shown(server.name)}", lambda: self._store.write([*first, self._take_name(server)]))
        if server.expires_at is not None:
            self._scheduler.put(server.id, account.id, server.expires_at)
        self._check_owner(server, account)
        return self._minted(account, server, token, mcp_url, None)

    def page(
        self, account_ids: Sequence[str], wanted: Wanted, limit: int, cursor: str | None
    ) -> Page[contract.McpServer]:
        """Live servers of these accounts (empty = all) in order of account and id. Raises NotFound for a single account
        that does not exist."""
        if len(account_ids) == 1:
            self._accounts.load(account_ids[0])
        found = self.finding.page(account_ids, wanted, cursor, limit)
        uses = self._store.get([layout.use(server.id) for server in found.servers])
        owners = self._accounts.several({server.account_id for server in found.servers})
        return Page[contract.McpServer](
            result=[
                self._view(owners[server.account_id], server, use)
                for server, use in zip(found.servers, uses, strict=True)
                if server.account_id in owners  # an account whose deletion was interrupted
            ],
            next_cursor=found.next_cursor,
        )

    def view(self, account_id: str, named: str) -> contract.McpServer:
        """One live server by its id or name. Raises NotFound, Conflict."""
        server_id = self.finding.id_of(account_id, named)
        server, account, use = self._load(account_id, server_id)
        return self._view(account, server, use)

    def update(self, account_id: str, named: str, body: contract.ServerUpdate) -> contract.ConfiguredServer:
        """Change what the body names, for every live token at once. Raises NotFound, Invalid, Conflict."""
        server_id = self.finding.id_of(account_id, named)
        given = body.model_fields_set
        now = self._clock()
        if "expires_at" in given:
            check_future(body.expires_at, now)

        def edit(server: ServerItem, account: AccountItem) -> ServerItem:
            config = server.config
            labels = {**server.labels, **body.labels}
            if "config" in given:
                config = _config(body.config, config)
                config_check.check(self._accounts.catalog(account), config)
            return replace(
                server,
                name=body.name or server.name,
                labels={key: value for key, value in labels.items() if value is not None},
                config=config,
                expires_at=body.expires_at if "expires_at" in given else server.expires_at,
                updated_at=now,
            )

        server, account, use = self._change(account_id, server_id, edit)
        if "expires_at" in given:
            if server.expires_at is None:
                self._scheduler.delete(server_id)
            else:
                self._scheduler.put(server_id, account_id, server.expires_at)
        return self._configured(account, server, use)

    def rotate(self, account_id: str, named: str, grace_seconds: int, mcp_url: str) -> contract.MintedServer:
        """Give the server a new token. The present one stops working now, or when its grace ends.

        Raises NotFound, Conflict.
        """
        server_id = self.finding.id_of(account_id, named)
        now = self._clock()
        token = mint_token(self._random, self._accounts.load(account_id).handle)
        grace_ends = now + timedelta(seconds=grace_seconds)

        def edit(server: ServerItem, _: AccountItem) -> ServerItem:
            present, *in_grace = server.tokens
            kept = [replace(present, expires_at=grace_ends), *in_grace] if grace_seconds else in_grace
            if len(kept) >= MAX_LIVE_TOKENS:
                ends = min(old.expires_at for old in kept if old.expires_at)
                raise Conflict(
                    f"server {server_id} already has {MAX_LIVE_TOKENS} live tokens, which is the limit; the next one "
                    f"ends at {write_time(ends)}. Wait, or rotate with grace_seconds 0"
                )
            return replace(server, tokens=(LiveToken(digest(token), None), *kept), token_made_at=now, updated_at=now)

        server, account, _ = self._change(account_id, server_id, edit, new_token=token)
        previous_ends = _earlier(grace_ends, server.expires_at) if grace_seconds else now
        return self._minted(account, server, token, mcp_url, previous_ends)

    def preview(self, account_id: str, body: contract.Preview) -> contract.ServerPreview:
        """What a server with this config would show; nothing is kept. Raises NotFound, Invalid."""
        account = self._accounts.load(account_id)
        config = _config(body.config, ServerConfig())
        tools = config_check.check(self._accounts.catalog(account), config)
        tokens = [model_tokens.of_tool(prepare(tool, config).definition) for tool in tools]
        return contract.ServerPreview(
            tool_count=len(tools),
            tokens=discovery.tokens(tools) if config.profile == "discovery" else sum(tokens),
            tools=[
                contract.ToolSummary(
                    name=tool.name,
                    title=tool.definition.get("title", tool.name),
                    resource=tool.resource,
                    method=tool.method,
                    access=tool.access,
                    destructive=tool.destructive,
                    tags=list(tool.tags),
                    tokens=cost,
                )
                for tool, cost in zip(tools, tokens, strict=True)
            ],
            not_fixed=forced.unreached(tools, config),
        )

    def delete(self, account_id: str, named: str, minted_by: str | None = None) -> contract.RemovedServer:
        """Remove the server with all its tokens, which are dead when this returns. `minted_by`: only a server of this
        operator; None = of anybody. Raises NotFound, Conflict, Forbidden."""
        server_id = self.finding.id_of(account_id, named)
        now = self._clock()

        def remove() -> ServerItem:
            server, _, _ = self._load(account_id, server_id)
            if minted_by not in (None, server.created_by):
                raise Forbidden(
                    f"server {server.id} was minted by {shown(server.created_by)}; {minted_by} may revoke only the "
                    "servers that it minted"
                )
            self._remove_item(server)
            return server

        server = settle(f"server {server_id}", remove)
        self._scheduler.delete(server_id)
        return contract.RemovedServer(
            id=server_id,
            name=server.name,
            integrated_account_id=account_id,
            labels=dict(server.labels),
            removed={"tokens": sum(is_live(token, now) for token in server.tokens)},
        )

    def account_removed(self, account_id: str) -> tuple[list[str], bool]:
        """Remove servers of a deleted account, expired ones too: at most REMOVED_AT_ONCE. Returns the ids of those that
        were live, and whether others remain."""
        now = self._clock()
        items = self._store.query(layout.servers(account_id), limit=REMOVED_AT_ONCE + 1)
        servers = [ServerItem.from_item(item) for item in items[:REMOVED_AT_ONCE]]
        named = self._store.get([server.name_key for server in servers]) if servers else []
        part: list[ServerItem] = []
        changes: list[Change] = []
        for server, name in zip(servers, named, strict=True):
            removal = self._removal(server, name)
            if len(changes) + len(removal) > MAX_CHANGES_PER_WRITE:
                self._remove_together(part, changes)
                part, changes = [], []
            part.append(server)
            changes += removal
        self._remove_together(part, changes)
        for server in servers:
            self._scheduler.delete(server.id)
        return [server.id for server in servers if is_live(server, now)], len(items) > REMOVED_AT_ONCE

    def _remove_together(self, servers: Sequence[ServerItem], changes: Sequence[Change]) -> None:
        """Remove these servers in one write or, when one of them was just changed, one by one."""
        try:
            self._store.write(changes)
        except StoreConflict:
            for server in servers:
                settle(f"server {server.id}", partial(self._remove, server.account_id, server.id))

    def _remove(self, account_id: str, server_id: str) -> None:
        """Remove a server if it is still there."""
        [item] = self._store.get([layout.server(account_id, server_id)])
        if item is not None:
            self._remove_item(ServerItem.from_item(item))

    def _remove_item(self, server: ServerItem) -> None:
        [named] = self._store.get([server.name_key])
        self._store.write(self._removal(server, named))

    def _removal(self, server: ServerItem, named: Item | None) -> list[Change]:
        return [*server.removal(named), *notices.withdrawn(server, self._lead, self._clock())]

    def _take_name(self, server: ServerItem) -> Put:
        """The change that gives the server its name, or moves the expiry of the name. Raises Conflict when another live
        server of the account has the name, or has it as its id."""
        key, now = server.name_key, self._clock()
        [named] = self._store.get([key])
        ids = {names.holder(named), server.name} - {"", server.id}
        others = [layout.server(server.account_id, other) for other in sorted(ids) if ID.fullmatch(other)]
        for item in self._store.get(others):
            if item is not None and is_live(other := ServerItem.from_item(item), now):
                raise Conflict(
                    f"account {server.account_id} already has a server {other.id} with the name {shown(server.name)}; "
                    "choose another name"
                    if other.name == server.name
                    else f"the name {shown(server.name)} is the id of another server; choose another name"
                )
        return names.take(key, named, server.id, server.expires_at)

    def _load(self, account_id: str, server_id: str) -> tuple[ServerItem, AccountItem, Item | None]:
        """A live server, its account, and the item of its last use, in one read. Raises NotFound."""
        known = ID.fullmatch(account_id) and ID.fullmatch(server_id)
        keys = [layout.server(account_id, server_id), layout.account(account_id), layout.use(server_id)]
        item, account, use = self._store.get(keys) if known else (None, None, None)
        server = ServerItem.from_item(item) if item is not None else None
        if server is None or account is None or not is_live(server, self._clock()):
            raise no_server(account_id, server_id)
        return server, AccountItem.from_item(account), use

    def _change(
        self,
        account_id: str,
        server_id: str,
        edit: Callable[[ServerItem, AccountItem], ServerItem],
        new_token: str = "",
    ) -> tuple[ServerItem, AccountItem, Item | None]:
        """Write the edited server and all its grants in one step. Returns what `_load` does."""

        def change() -> tuple[ServerItem, AccountItem, Item | None]:
            before, account, use = self._load(account_id, server_id)
            now = self._clock()
            live = tuple(token for token in before.tokens if is_live(token, now))
            after = edit(replace(before, tokens=live), account)
            old = self._store.get([layout.token(token.digest) for token in before.tokens])
            sealed = {item.key: base64.b64decode(item.body["sealed_data_key"]) for item in old if item is not None}
            if new_token:
                sealed[layout.token(digest(new_token))] = self._sealed_data_key(account, new_token)
            kept = {layout.token(token.digest): token for token in after.tokens}
            changes: list[Change] = [after.put(if_version=before.version)]
            changes += [_put_grant(after, account, token, sealed[key]) for key, token in kept.items() if key in sealed]
            changes += [Delete(item.key) for item in old if item is not None and item.key not in kept]
            if (after.name, after.expires_at) != (before.name, before.expires_at):
                changes += [self._take_name(after), after.put_account()]
            changes += notices.changed(before, after, self._lead, now)
            if after.name != before.name:
                [named] = self._store.get([before.name_key])
                changes += names.release(named, server_id)
            self._store.write(changes)
            return replace(after, version=before.version + 1), account, use

        return settle(f"server {server_id}", change)

    def _check_owner(self, server: ServerItem, account: AccountItem) -> None:
        """Take back a server whose account was removed while the server was minted. Raises NotFound."""
        [item] = self._store.get([layout.account(account.id)])
        if item is None or AccountItem.from_item(item).handle != account.handle:
            settle(f"server {server.id}", partial(self._remove, account.id, server.id))
            self._scheduler.delete(server.id)
            raise no_account(account.id)

    def _sealed_data_key(self, account: AccountItem, token: str) -> bytes:
        return seal(self._accounts.data_key(account), token_key(token), account.id, self._random)

    def _view(self, account: AccountItem, server: ServerItem, use: Item | None) -> contract.McpServer:
        return contract.McpServer(
            id=server.id,
            name=server.name,
            integrated_account_id=server.account_id,
            labels=dict(server.labels),
            config=contract.ServerConfigView(**server.config.to_json()),
            expires_at=written(server.expires_at),
            tool_count=len(selection.visible(self._accounts.catalog(account), server.config)),
            created_by=server.created_by,
            created_at=write_time(server.created_at),
            updated_at=write_time(server.updated_at),
            last_used_at=use.body["last_used_at"] if use is not None else None,
            token_made_at=write_time(server.token_made_at),
        )

    def _configured(self, account: AccountItem, server: ServerItem, use: Item | None) -> contract.ConfiguredServer:
        tools = selection.visible(self._accounts.catalog(account), server.config)
        return contract.ConfiguredServer(
            **self._view(account, server, use).model_dump(), not_fixed=forced.unreached(tools, server.config)
        )

    def _minted(
        self, account: AccountItem, server: ServerItem, token: str, mcp_url: str, previous_ends: datetime | None
    ) -> contract.MintedServer:
        return contract.MintedServer(
            **self._configured(account, server, None).model_dump(),
            token=token,
            url=f"{mcp_url}/{token}",
            previous_token_expires_at=written(previous_ends),
        )


def _config(body: contract.Config | None, before: ServerConfig) -> ServerConfig:
    """The config with the keys of the body in place of those before; null is a key's default. Raises Invalid."""
    changed: Mapping[str, Json] = body.model_dump(exclude_unset=True) if body is not None else {}
    config = ServerConfig.from_json({**before.to_json(), **changed})
    length = size(config.to_json())
    if length > contract.MAX_CONFIG_BYTES:
        raise Invalid(f"config has {length:,} bytes as JSON; at most {contract.MAX_CONFIG_BYTES:,} are allowed")
    both = [
        f'config: "{argument}" of {tool} is both in fixed and in defaults; a fixed argument needs no default'
        for tool, arguments in config.fixed.items()
        for argument in arguments
        if argument in config.defaults.get(tool, {})
    ]
    if both:
        raise invalid(both)
    return config


def _put_grant(
    server: ServerItem, account: AccountItem, token: LiveToken, sealed_data_key: bytes, if_version: int | None = None
) -> Put:
    expires_at = _earlier(token.expires_at, server.expires_at)
    grant = Grant(
        id=server.id,
        name=server.name,
        account=account.granted(),
        config=server.config,
        created_at=server.created_at,
        expires_at=expires_at,
        sealed_data_key=sealed_data_key,
        labels=server.labels,
    )
    return Put(layout.token(token.digest), grant.to_json(), expires_at=epoch(expires_at), if_version=if_version)


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min((moment for moment in (first, second) if moment is not None), default=None)
