"""How the other subjects reach an account: its stored form, its catalogue and its data key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from functions.admin_api import names
from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.accounts.keys import Keys
from functions.admin_api.ids import ID
from functions.gateway.errors import Conflict, Invalid, NotFound, invalid
from functions.gateway.wording import did_you_mean, shown
from functions.stores import layout
from functions.stores.store import Store
from tool_catalog.catalog import Catalog


class AccountLookup:
    """`catalogs` maps the name of each integration to its catalogue."""

    def __init__(self, store: Store, catalogs: Mapping[str, Catalog], keys: Keys) -> None:
        self._store = store
        self._catalogs = catalogs
        self._keys = keys

    def load(self, account_id: str) -> AccountItem:
        """The stored item. Raises NotFound."""
        [item] = self._store.get([layout.account(account_id)]) if ID.fullmatch(account_id) else [None]
        if item is None:
            raise no_account(account_id)
        return AccountItem.from_item(item)

    def several(self, account_ids: Collection[str]) -> dict[str, AccountItem]:
        """The stored items of those of the accounts that exist, by id; at most 100."""
        items = self._store.get([layout.account(account_id) for account_id in account_ids])
        return {item.key.sort: AccountItem.from_item(item) for item in items if item is not None}

    def id_of(self, named: str) -> str:
        """The id of the account that has this id, otherwise of the one that has this name; the text itself when there
        is none, because the deletion of an account that is gone already can be finished by its id."""
        keys = [layout.account(named)] if ID.fullmatch(named) else []
        *accounts, name = self._store.get([*keys, layout.account_name(named)]) if named else [None]
        return named if any(accounts) or name is None else names.holder(name)

    def integration(self, name: str) -> Catalog:
        """The catalogue of the integration of that name. Raises Invalid."""
        if name not in self._catalogs:
            raise Invalid(f"there is no integration {shown(name)}{did_you_mean(name, sorted(self._catalogs))}")
        return self._catalogs[name]

    def catalogs_of(self, account_ids: Collection[str]) -> list[Catalog]:
        """The catalogues of these accounts, as far as this deployment has them; of all integrations for no account."""
        if not account_ids:
            return list(self._catalogs.values())
        integrations = {account.integration for account in self.several(account_ids).values()}
        return [catalog for name, catalog in self._catalogs.items() if name in integrations]

    def tool_names(self) -> list[str]:
        """Names of the tools of all integrations."""
        return sorted({name for catalog in self._catalogs.values() for name in catalog.tools})

    def catalog(self, account: AccountItem) -> Catalog:
        """The catalogue of the account's integration. Raises Conflict when this deployment no longer has it."""
        catalog = self._catalogs.get(account.integration)
        if catalog is None:
            raise Conflict(
                f"account {account.id} belongs to the integration {account.integration}, which this deployment lacks; "
                f"it has: {', '.join(sorted(self._catalogs)) or 'none'}"
            )
        return catalog

    def data_key(self, account: AccountItem) -> bytes:
        """The account's data key, unwrapped. Raises KeyFailure or Unavailable."""
        return self._keys.unwrap(account.wrapped_data_key, account.id)

    def wrapped(self, data_key: bytes, account_id: str) -> bytes:
        """A new data key as it may be stored. Raises KeyFailure or Unavailable."""
        return self._keys.wrap(data_key, account_id)


def check_known(store: Store, account_ids: Sequence[str]) -> None:
    """Raises Invalid for an account that does not exist: somebody could connect one with that id later."""
    accounts = store.get([layout.account(account_id) for account_id in account_ids]) if account_ids else []
    problems = [
        f"account_ids.{index}: there is no integrated account {shown(account_id)}; GET /integrated-account lists them"
        for index, (account_id, item) in enumerate(zip(account_ids, accounts, strict=True))
        if item is None
    ]
    if problems:
        raise invalid(problems)


def no_account(account_id: str) -> NotFound:
    """The error for an id that no account has."""
    return NotFound(f"there is no integrated account {shown(account_id)}; GET /integrated-account lists them")
