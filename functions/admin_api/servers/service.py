"""MCP servers: mint, list, get, change, rotate, preview, revoke.

A server is one item, and one grant for each live token (item.py). They are written together under the item's version.
A writer always reads the server before the account: a change of the account that came in between is then either in the
grants, or it makes the write try again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.api_tokens.operator import Operator
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import Page
from functions.admin_api.expiry import check_future
from functions.admin_api.ids import ID, new_id
from functions.admin_api.partitions import every_item, live_page
from functions.admin_api.servers import config_check, contract
from functions.admin_api.servers.item import LiveToken, ServerItem, written
from functions.admin_api.servers.schedules import Scheduler
from functions.gateway import forced, selection
from functions.gateway.credentials import seal, token_key
from functions.gateway.errors import Conflict, Invalid, NotFound, invalid
from functions.gateway.grants import Grant, ServerConfig, digest, epoch, is_live, mint_token, write_time
from functions.gateway.json_text import Json, size
from functions.gateway.wording import one_of, shown
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Put, Store

MAX_LIVE_TOKENS = 10
"""Live tokens of one server: the present one, and those in their grace."""


class Servers:
    """`clock` gives the present in UTC, `random(n)` n random bytes."""

    def __init__(
        self,
        store: Store,
        accounts: AccountLookup,
        scheduler: Scheduler,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._scheduler = scheduler
        self._clock = clock
        self._random = random

    def create(
        self, account_id: str, body: contract.ServerCreate, operator: Operator, mcp_url: str
    ) -> contract.MintedServer:
        """Mint a server for this operator. `mcp_url` is what minted URLs start with.

        Raises NotFound, Invalid, and Forbidden for a server beyond the limits of the operator.
        """
        account = self._accounts.load(account_id)
        config = _config(body.config, ServerConfig())
        config_check.check(self._accounts.catalog(account), config)
        now = self._clock()
        check_future(body.expires_at, now)
        if operator.mint_limits is not None:
            operator.mint_limits.check(self._accounts.catalog(account), config, body.expires_at, now)
        token = mint_token(self._random)
        server = ServerItem(
            id=new_id("srv", self._random),
            account_id=account_id,
            name=body.name,
            config=config,
            expires_at=body.expires_at,
            created_by=operator.id,
            created_at=now,
            updated_at=now,
            tokens=(LiveToken(digest(token), None),),
            account_version=account.version,
        )
        sealed_data_key = self._sealed_data_key(account, token)
        self._store.write(
            [server.put(if_version=0), _put_grant(server, account, server.tokens[0], sealed_data_key, if_version=0)]
        )
        if server.expires_at is not None:
            self._scheduler.put(server.id, account_id, server.expires_at)
        self._follow_account(server)
        return self._minted(account, server, token, mcp_url, None)

    def page(self, account_id: str, limit: int, after: str | None) -> Page[contract.McpServer]:
        """Live servers of an account in order of id. Raises NotFound when there is no such account."""
        account = self._accounts.load(account_id)
        partition = layout.servers(account_id)
        listed, more = live_page(
            self._store, partition, ServerItem.from_item, now=self._clock(), limit=limit, after=after
        )
        uses = self._store.get([layout.use(server.id) for server in listed])
        return Page[contract.McpServer](
            result=[self._view(account, server, use) for server, use in zip(listed, uses, strict=True)],
            next_cursor=listed[-1].id if more else None,
        )

    def view(self, account_id: str, named: str) -> contract.McpServer:
        """One live server by its id or name. Raises NotFound, Conflict."""
        server_id = self._id_of(account_id, named)
        server = self._load(account_id, server_id)
        [use] = self._store.get([layout.use(server_id)])
        return self._view(self._accounts.load(account_id), server, use)

    def update(self, account_id: str, named: str, body: contract.ServerUpdate) -> contract.ConfiguredServer:
        """Change what the body names, for every live token at once. Raises NotFound, Invalid, Conflict."""
        server_id = self._id_of(account_id, named)
        given = body.model_fields_set
        now = self._clock()
        if "expires_at" in given:
            check_future(body.expires_at, now)

        def edit(server: ServerItem, account: AccountItem) -> ServerItem:
            config = server.config
            if "config" in given:
                config = _config(body.config, config)
                config_check.check(self._accounts.catalog(account), config)
            return replace(
                server,
                name=body.name or server.name,
                config=config,
                expires_at=body.expires_at if "expires_at" in given else server.expires_at,
                updated_at=now,
            )

        server = self._change(account_id, server_id, edit)
        if "expires_at" in given:
            if server.expires_at is None:
                self._scheduler.delete(server_id)
            else:
                self._scheduler.put(server_id, account_id, server.expires_at)
        [use] = self._store.get([layout.use(server_id)])
        return self._configured(self._accounts.load(account_id), server, use)

    def rotate(self, account_id: str, named: str, grace_seconds: int, mcp_url: str) -> contract.MintedServer:
        """Give the server a new token. The present one stops working now, or when its grace ends.

        Raises NotFound, Conflict.
        """
        server_id = self._id_of(account_id, named)
        now = self._clock()
        token = mint_token(self._random)
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
            return replace(server, tokens=(LiveToken(digest(token), None), *kept), updated_at=now)

        server = self._change(account_id, server_id, edit, new_token=token)
        account = self._accounts.load(account_id)
        previous_ends = _earlier(grace_ends, server.expires_at) if grace_seconds else now
        return self._minted(account, server, token, mcp_url, previous_ends)

    def preview(self, account_id: str, body: contract.Preview) -> contract.ServerPreview:
        """What a server with this config would show; nothing is kept. Raises NotFound, Invalid."""
        account = self._accounts.load(account_id)
        config = _config(body.config, ServerConfig())
        tools = config_check.check(self._accounts.catalog(account), config)
        return contract.ServerPreview(
            tool_count=len(tools),
            tools=[
                contract.ToolSummary(
                    name=tool.name,
                    title=tool.definition.get("title", tool.name),
                    resource=tool.resource,
                    method=tool.method,
                    access=tool.access,
                    destructive=tool.destructive,
                    tags=list(tool.tags),
                )
                for tool in tools
            ],
            not_fixed=forced.unreached(tools, config),
        )

    def delete(self, account_id: str, named: str) -> contract.RemovedServer:
        """Remove the server with all its tokens, which are dead when this returns. Raises NotFound, Conflict."""
        server_id = self._id_of(account_id, named)
        now = self._clock()

        def remove() -> int:
            server = self._load(account_id, server_id)
            self._store.write(server.removal())
            return sum(is_live(token, now) for token in server.tokens)

        tokens = settle(f"server {server_id}", remove)
        self._scheduler.delete(server_id)
        return contract.RemovedServer(id=server_id, removed={"tokens": tokens})

    def account_changed(self, account_id: str) -> None:
        """Bring every server of the account up to date with it. It can be repeated after an interruption."""
        for item in every_item(self._store, layout.servers(account_id)):
            try:
                self._refresh(account_id, item.key.sort)
            except NotFound:
                continue  # deleted or expired meanwhile

    def account_removed(self, account_id: str) -> list[str]:
        """Remove every server of the account, expired ones too, and return the ids of the live ones. It can be repeated
        after an interruption."""
        now = self._clock()
        removed = []
        for item in every_item(self._store, layout.servers(account_id)):
            server_id = item.key.sort
            was_live = settle(f"server {server_id}", partial(self._remove, account_id, server_id, now))
            self._scheduler.delete(server_id)
            if was_live:
                removed.append(server_id)
        return removed

    def _remove(self, account_id: str, server_id: str, now: datetime) -> bool:
        """Remove a server if it is still there; True when it was live."""
        [item] = self._store.get([layout.server(account_id, server_id)])
        if item is None:
            return False
        server = ServerItem.from_item(item)
        self._store.write(server.removal())
        return is_live(server, now)

    def _id_of(self, account_id: str, named: str) -> str:
        """The id of the live server that has this id, otherwise of the only one that has this name.

        Raises NotFound, and Conflict for a name that several servers have.
        """
        now = self._clock()
        if ID.fullmatch(account_id) and ID.fullmatch(named):
            [item] = self._store.get([layout.server(account_id, named)])
            if item is not None and is_live(ServerItem.from_item(item), now):
                return named
        servers = map(ServerItem.from_item, every_item(self._store, layout.servers(account_id)))
        ids = [server.id for server in servers if server.name == named and is_live(server, now)]
        if len(ids) > 1:
            raise Conflict(
                f"{len(ids)} MCP servers of account {shown(account_id)} have the name {shown(named)}; use an id: "
                f"{one_of(ids)}"
            )
        if not ids:
            raise _no_server(account_id, named)
        return ids[0]

    def _load(self, account_id: str, server_id: str) -> ServerItem:
        known = ID.fullmatch(account_id) and ID.fullmatch(server_id)
        [item] = self._store.get([layout.server(account_id, server_id)]) if known else [None]
        server = ServerItem.from_item(item) if item is not None else None
        if server is None or not is_live(server, self._clock()):
            raise _no_server(account_id, server_id)
        return server

    def _change(
        self,
        account_id: str,
        server_id: str,
        edit: Callable[[ServerItem, AccountItem], ServerItem],
        new_token: str = "",
    ) -> ServerItem:
        """Write the edited server and all its grants in one step, with what the account holds now."""

        def change() -> ServerItem:
            before = self._load(account_id, server_id)
            account = self._accounts.load(account_id)
            now = self._clock()
            live = tuple(token for token in before.tokens if is_live(token, now))
            after = replace(edit(replace(before, tokens=live), account), account_version=account.version)
            old = self._store.get([layout.token(token.digest) for token in before.tokens])
            sealed = {item.key: Grant.from_json(item.body).sealed_data_key for item in old if item is not None}
            if new_token:
                sealed[layout.token(digest(new_token))] = self._sealed_data_key(account, new_token)
            kept = {layout.token(token.digest): token for token in after.tokens}
            changes: list[Change] = [after.put(if_version=before.version)]
            changes += [_put_grant(after, account, token, sealed[key]) for key, token in kept.items() if key in sealed]
            changes += [Delete(item.key) for item in old if item is not None and item.key not in kept]
            self._store.write(changes)
            return replace(after, version=before.version + 1)

        return settle(f"server {server_id}", change)

    def _refresh(self, account_id: str, server_id: str) -> None:
        """Write the grants of a server again, with what the account holds now."""
        self._change(account_id, server_id, lambda server, _: server)

    def _follow_account(self, server: ServerItem) -> None:
        """Catch up with an account that was changed or removed while the server was minted."""
        try:
            if self._accounts.load(server.account_id).version != server.account_version:
                self._refresh(server.account_id, server.id)
        except NotFound:
            self.delete(server.account_id, server.id)
            raise

    def _sealed_data_key(self, account: AccountItem, token: str) -> bytes:
        return seal(self._accounts.data_key(account), token_key(token), account.id, self._random)

    def _view(self, account: AccountItem, server: ServerItem, use: Item | None) -> contract.McpServer:
        return contract.McpServer(
            id=server.id,
            name=server.name,
            integrated_account_id=server.account_id,
            config=contract.ServerConfigView(**server.config.to_json()),
            expires_at=written(server.expires_at),
            tool_count=len(selection.visible(self._accounts.catalog(account), server.config)),
            created_by=server.created_by,
            created_at=write_time(server.created_at),
            updated_at=write_time(server.updated_at),
            last_used_at=use.body["last_used_at"] if use is not None else None,
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


def _no_server(account_id: str, named: str) -> NotFound:
    return NotFound(
        f"account {shown(account_id)} has no live MCP server {shown(named)}; "
        "GET /integrated-account/ACCOUNT_ID/mcp lists the servers of an account"
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
        account_id=account.id,
        integration=account.integration,
        base_url=account.base_url,
        context=account.context,
        config=server.config,
        created_at=server.created_at,
        expires_at=expires_at,
        sealed_credential=account.sealed_credential,
        sealed_data_key=sealed_data_key,
    )
    return Put(layout.token(token.digest), grant.to_json(), expires_at=epoch(expires_at), if_version=if_version)


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min((moment for moment in (first, second) if moment is not None), default=None)
