"""Integrated accounts: connect with a probe that proves the credential, list, get, change, delete.

Credentials go in and never come out. They are sealed under the account's data key, which stays the same for the
account's life. The account's servers hold that key under their tokens, and every call reads the account's own item, so
a change reaches all of its servers at once (item.py).

The deletion of an account carries over to its servers and API tokens. This file owns that cascade. One request removes
a bounded number of them; repeating the request continues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool

from functions.admin_api import names
from functions.admin_api.accounts import contract
from functions.admin_api.accounts.checks import check_context, check_credential
from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.lookup import AccountLookup, no_account
from functions.admin_api.accounts.probe import probe
from functions.admin_api.api_tokens.service import ApiTokens
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import Page
from functions.admin_api.ids import ID, new_id
from functions.admin_api.servers.service import Servers
from functions.admin_api.trusts.service import Trusts
from functions.gateway import credentials
from functions.gateway.addresses import check_base_url, check_resolves
from functions.gateway.credentials import KEY_BYTES, Credential
from functions.gateway.errors import Conflict, Invalid
from functions.gateway.grants import mint_handle, read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.waits.resolver import RESOLVER
from functions.gateway.wording import shown
from functions.stores import layout
from functions.stores.store import Item, Put, Store
from tool_catalog.catalog import Catalog

CURSOR = "~"
"""How the cursor of a deletion begins; the last API token that was looked at is behind it. No id begins so."""


@dataclass(frozen=True, slots=True)
class Proved:
    """What is known of a new account once its probe has succeeded."""

    catalog: Catalog
    credential: Credential
    base_url: str
    given: Mapping[str, str]
    found: Mapping[str, str]


class Accounts:
    """`clock` gives the present in UTC, `random(n)` n random bytes.

    `connect` and `update` wait for the upstream on the event loop and run what blocks in a thread; all other methods
    block.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        lookup: AccountLookup,
        servers: Servers,
        api_tokens: ApiTokens,
        trusts: Trusts,
        sender: Sender,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._store = store
        self._lookup = lookup
        self._servers = servers
        self._api_tokens = api_tokens
        self._trusts = trusts
        self._sender = sender
        self._clock = clock
        self._random = random

    async def connect(self, body: contract.AccountCreate) -> contract.Account:
        """Prove the credential, then keep it sealed. Raises Invalid, Conflict (the id is taken), ProbeFailed."""
        catalog = self._lookup.integration(body.integration)
        credential = check_credential(catalog, body.credentials)
        given = check_context(catalog, body.context)
        base_url = await self._base_url(catalog, body.base_url)
        if body.id:
            await run_in_threadpool(self._check_free, body.id)
        found = await self._probe(catalog, base_url, credential)
        return await run_in_threadpool(self._add, body, Proved(catalog, credential, base_url, given, found))

    def page(self, only: Sequence[str], limit: int, after: str | None) -> Page[contract.Account]:
        """Accounts in order of id. A non-empty `only` names the ones to list."""
        if only:
            chosen = sorted(account_id for account_id in only if after is None or account_id > after)[: limit + 1]
            items = [item for item in self._store.get([layout.account(account_id) for account_id in chosen]) if item]
        else:
            items = self._store.query(layout.ACCOUNTS, after=after, limit=limit + 1)
        listed = [AccountItem.from_item(item) for item in items[:limit]]
        states = self._store.get([layout.account_state(account.id) for account in listed])
        return Page[contract.Account](
            result=[_view(account, state) for account, state in zip(listed, states, strict=True)],
            next_cursor=listed[-1].id if len(items) > limit else None,
        )

    def view(self, account_id: str) -> contract.Account:
        """One account. Raises NotFound."""
        account = self._lookup.load(account_id)
        [state] = self._store.get([layout.account_state(account_id)])
        return _view(account, state)

    async def update(self, account_id: str, body: contract.AccountUpdate) -> contract.Account:
        """Change what the body names, for every server of the account at once.

        The probe proves a new credential or base URL first. Raises NotFound, Invalid, Conflict, ProbeFailed.
        """
        account = await run_in_threadpool(self._lookup.load, account_id)
        catalog = self._lookup.catalog(account)
        given = body.model_fields_set
        credential = check_credential(catalog, body.credentials) if "credentials" in given else None
        context = check_context(catalog, body.context, removable=True)
        base_url = await self._base_url(catalog, body.base_url) if "base_url" in given else account.base_url
        if credential is None and urlsplit(base_url)[:2] != urlsplit(account.base_url)[:2]:
            raise Invalid("base_url: a change of the host needs credentials in the same request")
        data_key, found = b"", None
        if credential is not None or base_url != account.base_url:
            data_key = await run_in_threadpool(self._lookup.data_key, account)
            proved = credential or credentials.open_credential(account.sealed_credential, data_key, account_id)
            found = await self._probe(catalog, base_url, proved)

        def edit(current: AccountItem) -> AccountItem:
            if (current.base_url, current.wrapped_data_key) != (account.base_url, account.wrapped_data_key):
                raise Conflict(f"account {account_id} was changed at the same moment; read it again and repeat")
            now = self._clock()
            merged: dict[str, Json] = {**current.given, **context}
            changed = replace(
                current,
                name=body.name or current.name,
                base_url=base_url,
                given={name: value for name, value in merged.items() if value is not None},
                found=current.found if found is None else found,
                updated_at=now,
            )
            if credential is None:
                return changed
            sealed = credentials.seal_credential(credential, data_key, account_id, self._random)
            proved = catalog.probe is not None
            return replace(changed, sealed_credential=sealed, credential_changed_at=now, proved=proved)

        return await run_in_threadpool(self._change, account_id, edit)

    def delete(self, account_id: str, cursor: str | None) -> contract.RemovedAccount:
        """Remove the account, then its servers, then what trusts and API tokens say of it.

        The account goes first: no token of its servers opens anything from then on, and nothing new can be minted under
        it. One request removes a bounded number of servers and reads a bounded number of API tokens; `cursor` is the
        `next_cursor` of the request before. A request without one finishes an interrupted deletion, too.

        Raises NotFound, Invalid, Conflict.
        """
        after = _position(cursor)
        known = ID.fullmatch(account_id) is not None
        existed = settle(f"account {account_id}", lambda: self._remove(account_id)) if known else False
        servers, remain = self._servers.account_removed(account_id) if known else ([], False)
        trusts: list[str] = []
        api_tokens: list[str] = []
        next_cursor = CURSOR if remain else None
        if known and not remain:
            trusts = self._trusts.account_removed(account_id)
            api_tokens, reached = self._api_tokens.account_removed(account_id, after)
            next_cursor = CURSOR + reached if reached is not None else None
        if not (existed or servers or trusts or api_tokens or next_cursor or cursor):
            raise no_account(account_id)
        return contract.RemovedAccount(
            id=account_id,
            removed={"mcp_servers": servers, "api_tokens": api_tokens, "trusts": trusts},
            next_cursor=next_cursor,
        )

    def _check_free(self, account_id: str) -> None:
        """Raises Conflict for the id of an account, and for one whose interrupted deletion left servers behind."""
        if self._store.get([layout.account(account_id), layout.account_name(account_id)]) != [None, None]:
            raise _taken(account_id)
        if self._store.query(layout.servers(account_id), limit=1):
            raise Conflict(
                f"servers of the deleted account {account_id} still exist; remove them with "
                f"DELETE /integrated-account/{account_id}"
            )

    def _add(self, body: contract.AccountCreate, proved: Proved) -> contract.Account:
        account_id = body.id or new_id("acc", self._random)
        data_key = self._random(KEY_BYTES)
        now = self._clock()
        sealed = credentials.seal_credential(proved.credential, data_key, account_id, self._random)
        wrapped = self._lookup.wrapped(data_key, account_id)

        def add() -> AccountItem:
            if body.id:
                self._check_free(body.id)
            account = AccountItem(
                id=account_id,
                handle=mint_handle(self._random),
                integration=proved.catalog.integration,
                name=body.name or self._free_name(proved.catalog.label),
                base_url=proved.base_url,
                given=proved.given,
                found=proved.found,
                sealed_credential=sealed,
                wrapped_data_key=wrapped,
                credential_changed_at=now,
                created_at=now,
                updated_at=now,
                proved=proved.catalog.probe is not None,
            )
            self._store.write([*account.puts(if_version=0), self._take_name(account.name, account_id)])
            return account

        return _view(settle(f"account {account_id}", add), None)

    def _take_name(self, name: str, account_id: str) -> Put:
        """The change that gives the name to the account. Raises Conflict when another account has it, or has it as its
        id."""
        keys = [layout.account(name)] if ID.fullmatch(name) and name != account_id else []
        named, *others = self._store.get([layout.account_name(name), *keys])
        if names.holder(named) not in ("", account_id) or any(others):
            raise Conflict(f"there is already an account with the name {shown(name)}; choose another name")
        return names.take(layout.account_name(name), named, account_id)

    def _free_name(self, label: str) -> str:
        """The label, or the first of `label 2`, `label 3` that no account has."""
        number = 1
        while True:
            name = label if number == 1 else f"{label} {number}"
            if self._store.get([layout.account_name(name)]) == [None]:
                return name
            number += 1

    def _change(self, account_id: str, edit: Callable[[AccountItem], AccountItem]) -> contract.Account:
        def change() -> None:
            current = self._lookup.load(account_id)
            after = edit(current)
            changes = after.puts(if_version=current.version)
            if after.name != current.name:
                [named] = self._store.get([layout.account_name(current.name)])
                changes += [self._take_name(after.name, account_id), *names.release(named, account_id)]
            self._store.write(changes)

        settle(f"account {account_id}", change)
        return self.view(account_id)

    def _remove(self, account_id: str) -> bool:
        """Remove the account and its state; False when there was no account."""
        [item] = self._store.get([layout.account(account_id)])
        if item is None:
            return False
        account = AccountItem.from_item(item)
        [named] = self._store.get([layout.account_name(account.name)])
        self._store.write([*account.removal(), *names.release(named, account_id)])
        return True

    async def _base_url(self, catalog: Catalog, given: str | None) -> str:
        """The base URL to use, normalised. Raises Invalid for one to which credentials must not be sent."""
        if given is None:
            return catalog.base_url
        base_url = check_base_url(given, private=self._settings.private_upstreams)
        if not self._settings.private_upstreams:
            await check_resolves(base_url, RESOLVER)
        return base_url

    async def _probe(self, catalog: Catalog, base_url: str, credential: Credential) -> dict[str, str]:
        return await probe(self._sender, catalog, base_url, credential)


def _view(account: AccountItem, state: Item | None) -> contract.Account:
    refused = state is not None and state.body.get("status") == "needs_reauth"
    since = read_time(state.body["at"]) if state is not None and refused else None
    if since is not None and since < account.credential_changed_at:
        since = None
    return contract.Account(
        id=account.id,
        integration=account.integration,
        name=account.name,
        base_url=account.base_url,
        context=account.context,
        status="needs_reauth" if since else "active" if account.proved else "unverified",
        status_since=write_time(since) if since else None,
        created_at=write_time(account.created_at),
        updated_at=write_time(account.updated_at),
    )


def _position(cursor: str | None) -> str | None:
    """The API token behind which a deletion continues. Raises Invalid for a cursor of something else."""
    if cursor is None or cursor == CURSOR:
        return None
    after = cursor.removeprefix(CURSOR)
    if after == cursor or not ID.fullmatch(after):
        raise Invalid("next_cursor: no answer to this request returned it; leave it out to start again")
    return after


def _taken(account_id: str) -> Conflict:
    return Conflict(f"there is already an account {account_id}; PATCH it, or choose another id")
