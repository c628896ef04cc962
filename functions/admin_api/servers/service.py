"""MCP servers: mint, list, get, change, rotate, preview, delete.

A server is a control record and one item for each live token (functions/stores/README.md). They are written together
under the control record's version, and whoever writes reads the control record first and the account after it: so a
change of the account that came in between is either in the copy or makes the write try again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.service import Accounts
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import Page
from functions.admin_api.ids import ID, new_id
from functions.admin_api.servers import contract
from functions.admin_api.servers.item import LiveToken, ServerItem, epoch, written
from functions.admin_api.servers.schedules import Scheduler
from functions.gateway import json_text, selection
from functions.gateway.credentials import seal, token_key
from functions.gateway.errors import Conflict, Invalid, NotFound, invalid
from functions.gateway.grants import Grant, ServerConfig, digest, mint_token, write_time
from functions.gateway.json_text import Json
from functions.gateway.wording import shown
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Put, Store

MAX_LIVE_TOKENS = 10
"""Live tokens of one server: the present one and those whose grace still runs."""


class Servers:
    """`clock` gives the present in UTC, `random(n)` n random bytes."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
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
        self, account_id: str, body: contract.ServerCreate, created_by: str, mcp_url: str
    ) -> contract.MintedServer:
        """Mint a server. `mcp_url` is what minted URLs start with. Raises NotFound, Invalid."""
        account = self._accounts.load(account_id)
        config = _config(body.config, ServerConfig())
        selection.check(self._accounts.catalog(account), config)
        now = self._clock()
        _check_future(body.expires_at, now)
        token = mint_token(self._random)
        control = ServerItem(
            id=new_id("srv", self._random),
            account_id=account_id,
            name=body.name,
            config=config,
            expires_at=body.expires_at,
            created_by=created_by,
            created_at=now,
            updated_at=now,
            tokens=(LiveToken(digest(token), None),),
            account_version=account.version,
        )
        sealed_data_key = self._sealed_data_key(account, token)
        self._store.write(
            [_put_control(control, 0), _put_token(control, account, control.tokens[0], sealed_data_key, if_version=0)]
        )
        if control.expires_at is not None:
            self._scheduler.put(control.id, account_id, control.expires_at)
        self._follow_account(control)
        return self._minted(account, control, token, mcp_url, None)

    def page(self, account_id: str, limit: int, after: str | None) -> Page[contract.McpServer]:
        """Live servers of an account in order of id. Raises NotFound when there is no such account."""
        account = self._accounts.load(account_id)
        now = self._clock()
        found: list[ServerItem] = []
        while True:
            items = self._store.query(layout.servers(account_id), after=after, limit=limit + 1)
            found += [control for control in map(ServerItem.from_item, items) if _is_live(control, now)]
            if len(found) > limit or len(items) <= limit:
                break
            after = items[-1].key.sort
        listed = found[:limit]
        uses = self._store.get([layout.use(control.id) for control in listed])
        return Page[contract.McpServer](
            result=[self._view(account, control, use) for control, use in zip(listed, uses, strict=True)],
            next_cursor=listed[-1].id if len(found) > limit else None,
        )

    def view(self, account_id: str, server_id: str) -> contract.McpServer:
        """One live server. Raises NotFound."""
        control = self._load(account_id, server_id)
        [use] = self._store.get([layout.use(server_id)])
        return self._view(self._accounts.load(account_id), control, use)

    def update(self, account_id: str, server_id: str, body: contract.ServerUpdate) -> contract.McpServer:
        """Change what the body names, for every live token at once. Raises NotFound, Invalid, Conflict."""
        given = body.model_fields_set
        now = self._clock()
        if "expires_at" in given:
            _check_future(body.expires_at, now)

        def edit(control: ServerItem, account: AccountItem) -> ServerItem:
            config = control.config
            if "config" in given:
                config = _config(body.config, config)
                selection.check(self._accounts.catalog(account), config)
            return replace(
                control,
                name=body.name or control.name,
                config=config,
                expires_at=body.expires_at if "expires_at" in given else control.expires_at,
                updated_at=now,
            )

        control = self._change(account_id, server_id, edit)
        if "expires_at" in given:
            if control.expires_at is None:
                self._scheduler.delete(server_id)
            else:
                self._scheduler.put(server_id, account_id, control.expires_at)
        return self.view(account_id, server_id)

    def rotate(self, account_id: str, server_id: str, grace_seconds: int, mcp_url: str) -> contract.MintedServer:
        """Give the server a new token; the present one dies now or when its grace ends. Raises NotFound, Conflict."""
        now = self._clock()
        token = mint_token(self._random)
        grace_ends = now + timedelta(seconds=grace_seconds)

        def edit(control: ServerItem, _: AccountItem) -> ServerItem:
            present, *in_grace = control.tokens
            kept = [replace(present, expires_at=grace_ends), *in_grace] if grace_seconds else in_grace
            if len(kept) >= MAX_LIVE_TOKENS:
                ends = min(old.expires_at for old in kept if old.expires_at)
                raise Conflict(
                    f"{MAX_LIVE_TOKENS} tokens of server {server_id} are alive already, the most there may be; the "
                    f"next one ends at {write_time(ends)}. Wait, or rotate with grace_seconds 0"
                )
            return replace(control, tokens=(LiveToken(digest(token), None), *kept), updated_at=now)

        control = self._change(account_id, server_id, edit, new_token=token)
        account = self._accounts.load(account_id)
        previous_ends = _earlier(grace_ends, control.expires_at) if grace_seconds else now
        return self._minted(account, control, token, mcp_url, previous_ends)

    def preview(self, account_id: str, body: contract.Preview) -> contract.ServerPreview:
        """What a server with this config would show; nothing is kept. Raises NotFound, Invalid."""
        account = self._accounts.load(account_id)
        tools = selection.check(self._accounts.catalog(account), _config(body.config, ServerConfig()))
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
        )

    def delete(self, account_id: str, server_id: str) -> contract.RemovedServer:
        """Remove the server with all its tokens; they are dead when this returns. Raises NotFound, Conflict."""
        now = self._clock()

        def remove() -> int:
            control = self._load(account_id, server_id)
            self._remove(control)
            return sum(token.expires_at is None or now < token.expires_at for token in control.tokens)

        tokens = settle(f"server {server_id}", remove)
        self._scheduler.delete(server_id)
        return contract.RemovedServer(id=server_id, removed={"tokens": tokens})

    def account_changed(self, account_id: str) -> None:
        """Bring every server of the account up to date with it. Repeating it is harmless and finishes what was
        interrupted."""
        for control in self._all(account_id):
            try:
                self._change(account_id, control.id, lambda current, _: current)
            except NotFound:
                continue  # deleted or expired meanwhile

    def account_removed(self, account_id: str) -> list[str]:
        """Remove every server of the account, expired ones too; the ids of the live ones. Repeating it finishes what
        was interrupted."""
        now = self._clock()
        removed = []
        for control in self._all(account_id):
            server_id = control.id

            def remove(server_id: str = server_id) -> bool:
                [item] = self._store.get([layout.server(account_id, server_id)])
                if item is not None:
                    self._remove(ServerItem.from_item(item))
                return item is not None

            if settle(f"server {server_id}", remove) and _is_live(control, now):
                removed.append(server_id)
            self._scheduler.delete(server_id)
        return removed

    def _remove(self, control: ServerItem) -> None:
        changes: list[Change] = [Delete(layout.server(control.account_id, control.id), if_version=control.version)]
        changes += [Delete(layout.token(token.digest)) for token in control.tokens]
        self._store.write([*changes, Delete(layout.use(control.id))])

    def _all(self, account_id: str) -> list[ServerItem]:
        controls: list[ServerItem] = []
        while True:
            after = controls[-1].id if controls else None
            items = self._store.query(layout.servers(account_id), after=after, limit=100)
            controls += map(ServerItem.from_item, items)
            if len(items) < 100:
                return controls

    def _load(self, account_id: str, server_id: str) -> ServerItem:
        known = ID.fullmatch(account_id) and ID.fullmatch(server_id)
        [item] = self._store.get([layout.server(account_id, server_id)]) if known else [None]
        control = ServerItem.from_item(item) if item is not None else None
        if control is None or not _is_live(control, self._clock()):
            raise NotFound(
                f"no MCP server {shown(server_id)} on account {shown(account_id)} (an expired one is gone); "
                f"GET /integrated-account/ACCOUNT_ID/mcp lists them"
            )
        return control

    def _change(
        self,
        account_id: str,
        server_id: str,
        edit: Callable[[ServerItem, AccountItem], ServerItem],
        new_token: str = "",
    ) -> ServerItem:
        """Write the edited control record and every token item, in one step, with what the account holds now."""

        def change() -> ServerItem:
            before = self._load(account_id, server_id)
            account = self._accounts.load(account_id)
            now = self._clock()
            live = tuple(token for token in before.tokens if token.expires_at is None or now < token.expires_at)
            after = replace(edit(replace(before, tokens=live), account), account_version=account.version)
            old = self._store.get([layout.token(token.digest) for token in before.tokens])
            sealed = {item.key: Grant.from_json(item.body).sealed_data_key for item in old if item is not None}
            if new_token:
                sealed[layout.token(digest(new_token))] = self._sealed_data_key(account, new_token)
            kept = {layout.token(token.digest): token for token in after.tokens}
            changes: list[Change] = [_put_control(after, before.version)]
            changes += [_put_token(after, account, token, sealed[key]) for key, token in kept.items() if key in sealed]
            changes += [Delete(item.key) for item in old if item is not None and item.key not in kept]
            self._store.write(changes)
            return replace(after, version=before.version + 1)

        return settle(f"server {server_id}", change)

    def _follow_account(self, control: ServerItem) -> None:
        """Catch up with an account that was changed or removed while the server was made."""
        try:
            if self._accounts.load(control.account_id).version != control.account_version:
                self._change(control.account_id, control.id, lambda current, _: current)
        except NotFound:
            self.delete(control.account_id, control.id)
            raise

    def _sealed_data_key(self, account: AccountItem, token: str) -> bytes:
        return seal(self._accounts.data_key(account), token_key(token), account.id, self._random)

    def _view(self, account: AccountItem, control: ServerItem, use: Item | None) -> contract.McpServer:
        return contract.McpServer(
            id=control.id,
            name=control.name,
            integrated_account_id=control.account_id,
            config=contract.ServerConfigView(**control.config.to_json()),
            expires_at=written(control.expires_at),
            tool_count=len(selection.visible(self._accounts.catalog(account), control.config)),
            created_by=control.created_by,
            created_at=write_time(control.created_at),
            updated_at=write_time(control.updated_at),
            last_used_at=use.body["last_used_at"] if use is not None else None,
        )

    def _minted(
        self, account: AccountItem, control: ServerItem, token: str, mcp_url: str, previous_ends: datetime | None
    ) -> contract.MintedServer:
        return contract.MintedServer(
            **self._view(account, control, None).model_dump(),
            token=token,
            url=f"{mcp_url}/{token}",
            previous_token_expires_at=written(previous_ends),
        )


def _config(body: contract.Config | None, before: ServerConfig) -> ServerConfig:
    """`before` with the keys of the body over it; null is a key's default. Raises Invalid."""
    changed: Mapping[str, Json] = body.model_dump(exclude_unset=True) if body is not None else {}
    config = ServerConfig.from_json({**before.to_json(), **changed})
    document = config.to_json()
    size = json_text.size(document)
    if size > contract.MAX_CONFIG_BYTES:
        raise Invalid(f"config: {size:,} bytes as JSON; at most {contract.MAX_CONFIG_BYTES:,} are taken")
    both = [
        f'config: "{argument}" of {tool} is in fixed and in defaults; a fixed argument needs no default'
        for tool, arguments in config.fixed.items()
        for argument in arguments
        if argument in config.defaults.get(tool, {})
    ]
    if both:
        raise invalid(both)
    return config


def _check_future(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise Invalid(
            f"expires_at is {write_time(expires_at)}, which is not in the future (it is {write_time(now)} now); "
            "give a later time in UTC, or null for never"
        )


def _put_control(control: ServerItem, if_version: int) -> Put:
    key = layout.server(control.account_id, control.id)
    return Put(key, control.to_json(), expires_at=epoch(control.expires_at), if_version=if_version)


def _put_token(
    control: ServerItem, account: AccountItem, token: LiveToken, sealed_data_key: bytes, if_version: int | None = None
) -> Put:
    expires_at = _earlier(token.expires_at, control.expires_at)
    server = Grant(
        id=control.id,
        name=control.name,
        account_id=account.id,
        integration=account.integration,
        base_url=account.base_url,
        context=account.context,
        config=control.config,
        created_at=control.created_at,
        expires_at=expires_at,
        sealed_credential=account.sealed_credential,
        sealed_data_key=sealed_data_key,
    )
    return Put(layout.token(token.digest), server.to_json(), expires_at=epoch(expires_at), if_version=if_version)


def _is_live(control: ServerItem, now: datetime) -> bool:
    return control.expires_at is None or now < control.expires_at


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min((moment for moment in (first, second) if moment is not None), default=None)
