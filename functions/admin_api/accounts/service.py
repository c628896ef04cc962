"""Integrated accounts: connect with a probe that proves the credential, list, get, change, delete.

Credentials go in and never come out. They are sealed under the account's data key, which stays the same for the
account's life: its servers hold it under their tokens, so a changed credential reaches them without any token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from functions.admin_api.accounts import contract
from functions.admin_api.accounts.checks import check_base_url, check_context, check_credential, check_resolves
from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.keys import Keys
from functions.admin_api.accounts.probe import probe
from functions.admin_api.conflicts import settle
from functions.admin_api.contract import Page
from functions.admin_api.ids import ID, new_id
from functions.gateway import credentials
from functions.gateway.credentials import KEY_BYTES
from functions.gateway.errors import Conflict, Invalid, NotFound
from functions.gateway.grants import read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.settings import Settings
from functions.gateway.upstream import Sender
from functions.gateway.wording import did_you_mean, shown
from functions.stores import layout
from functions.stores.store import Delete, Item, Put, Store, StoreConflict
from tool_catalog.catalog import Catalog


class Accounts:
    """`catalogs` are the integrations there are; `clock` gives the present in UTC, `random(n)` n random bytes."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        catalogs: Mapping[str, Catalog],
        keys: Keys,
        sender: Sender,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._store = store
        self._catalogs = catalogs
        self._keys = keys
        self._sender = sender
        self._clock = clock
        self._random = random

    async def create(self, body: contract.AccountCreate) -> contract.Account:
        """Prove the credential, then keep it sealed. Raises Invalid, Conflict (the id is taken), ProbeFailed."""
        catalog = self._catalogs.get(body.integration)
        if catalog is None:
            hint = did_you_mean(body.integration, sorted(self._catalogs))
            raise Invalid(f"no integration {shown(body.integration)}{hint}")
        credential = check_credential(catalog, body.credentials)
        given = check_context(catalog, body.context)
        base_url = await self._base_url(catalog, body.base_url)
        account_id = body.id or new_id("acc", self._random)
        if body.id:
            self._check_free(body.id)
        found = await probe(self._sender, catalog, base_url, credential)
        data_key = self._random(KEY_BYTES)
        now = self._clock()
        account = AccountItem(
            id=account_id,
            integration=catalog.integration,
            name=body.name or catalog.label,
            base_url=base_url,
            given=given,
            found=found,
            sealed_credential=credentials.seal_credential(credential, data_key, account_id, self._random),
            wrapped_data_key=self._keys.wrap(data_key, account_id),
            credential_changed_at=now,
            created_at=now,
            updated_at=now,
        )
        try:
            self._store.write([Put(layout.account(account_id), account.to_json(), if_version=0)])
        except StoreConflict:
            raise _taken(account_id) from None
        return self._view(account, None)

    def page(self, only: Sequence[str], limit: int, after: str | None) -> Page[contract.Account]:
        """Accounts in order of id; `only` these when it is not empty."""
        if only:
            chosen = sorted(account_id for account_id in only if after is None or account_id > after)[: limit + 1]
            items = [item for item in self._store.get([layout.account(account_id) for account_id in chosen]) if item]
        else:
            items = self._store.query(layout.ACCOUNTS, after=after, limit=limit + 1)
        shown = [AccountItem.from_item(item) for item in items[:limit]]
        states = self._store.get([layout.account_state(account.id) for account in shown])
        return Page[contract.Account](
            result=[self._view(account, state) for account, state in zip(shown, states, strict=True)],
            next_cursor=shown[-1].id if len(items) > limit else None,
        )

    def ids(self) -> list[str]:
        """Ids of all accounts, in order."""
        ids: list[str] = []
        while True:
            items = self._store.query(layout.ACCOUNTS, after=ids[-1] if ids else None, limit=100)
            ids += [item.key.sort for item in items]
            if len(items) < 100:
                return ids

    def view(self, account_id: str) -> contract.Account:
        """One account. Raises NotFound."""
        account = self.load(account_id)
        [state] = self._store.get([layout.account_state(account_id)])
        return self._view(account, state)

    def load(self, account_id: str) -> AccountItem:
        """The stored record. Raises NotFound."""
        [item] = self._store.get([layout.account(account_id)]) if ID.fullmatch(account_id) else [None]
        if item is None:
            raise NotFound(f"no integrated account {shown(account_id)}; GET /integrated-account lists them")
        return AccountItem.from_item(item)

    def catalog(self, account: AccountItem) -> Catalog:
        """The catalogue of an account's integration. Raises Conflict when this deployment no longer has it."""
        catalog = self._catalogs.get(account.integration)
        if catalog is None:
            raise Conflict(
                f"account {account.id} is of integration {account.integration}, which this deployment does not have; "
                f"it has: {', '.join(sorted(self._catalogs)) or 'none'}"
            )
        return catalog

    def data_key(self, account: AccountItem) -> bytes:
        """The account's data key, opened. Raises KeyFailure or Unavailable."""
        return self._keys.unwrap(account.wrapped_data_key, account.id)

    async def update(self, account_id: str, body: contract.AccountUpdate) -> AccountItem:
        """Change what the body names. A new credential or base URL is proved by the probe first.

        The caller brings the account's servers up to date after (`Servers.account_changed`).
        """
        account = self.load(account_id)
        catalog = self.catalog(account)
        given = body.model_fields_set
        credential = check_credential(catalog, body.credentials) if "credentials" in given else None
        changed_context = check_context(catalog, body.context, removable=True)
        base_url = await self._base_url(catalog, body.base_url) if "base_url" in given else account.base_url
        if credential is None and urlsplit(base_url)[:2] != urlsplit(account.base_url)[:2]:
            raise Invalid("base_url: to change the host, send credentials in the same request")
        data_key = self.data_key(account) if credential is not None or base_url != account.base_url else b""
        found = account.found
        if data_key:
            proved = credential or credentials.open_credential(account.sealed_credential, data_key, account_id)
            found = await probe(self._sender, catalog, base_url, proved)

        def change() -> AccountItem:
            current = self.load(account_id)
            if (current.base_url, current.wrapped_data_key) != (account.base_url, account.wrapped_data_key):
                raise Conflict(f"account {account_id} was changed at the same moment; read it again and repeat")
            now = self._clock()
            context: dict[str, Json] = {**current.given, **changed_context}
            changed = replace(
                current,
                name=body.name or current.name,
                base_url=base_url,
                given={name: value for name, value in context.items() if value is not None},
                found=found if data_key else current.found,
                updated_at=now,
            )
            if credential is not None:
                sealed = credentials.seal_credential(credential, data_key, account_id, self._random)
                changed = replace(changed, sealed_credential=sealed, credential_changed_at=now)
            self._store.write([Put(layout.account(account_id), changed.to_json(), if_version=current.version)])
            return replace(changed, version=current.version + 1)

        return settle(f"account {account_id}", change)

    def delete(self, account_id: str) -> bool:
        """Remove the account and its state; False when there was none. Its servers are the caller's next step, and
        the one that is left to do when a deletion was interrupted."""
        if not ID.fullmatch(account_id):
            return False
        key = layout.account(account_id)
        [item] = self._store.get([key])
        self._store.write([Delete(key), Delete(layout.account_state(account_id))])
        return item is not None

    def _check_free(self, account_id: str) -> None:
        """Raises Conflict when there is such an account, or servers that an interrupted deletion left behind."""
        if self._store.get([layout.account(account_id)]) != [None]:
            raise _taken(account_id)
        if self._store.query(layout.servers(account_id), limit=1):
            raise Conflict(
                f"servers of a deleted account {account_id} are left; remove them with "
                f"DELETE /integrated-account/{account_id}"
            )

    def _view(self, account: AccountItem, state: Item | None) -> contract.Account:
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
            status="needs_reauth" if since else "active",
            status_since=write_time(since) if since else None,
            created_at=write_time(account.created_at),
            updated_at=write_time(account.updated_at),
        )

    async def _base_url(self, catalog: Catalog, given: str | None) -> str:
        """The base URL to use, normalised. Raises Invalid for one that credentials must not be sent to."""
        if given is None:
            return catalog.base_url
        base_url = check_base_url(given, private=self._settings.private_upstreams)
        if not self._settings.private_upstreams:
            await check_resolves(base_url)
        return base_url


def _taken(account_id: str) -> Conflict:
    return Conflict(f"there is an account {account_id} already; PATCH it, or choose another id")
