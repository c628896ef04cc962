"""The stored form of an API token: the item that proves it, and its entry in the list of all API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.admin_api import names
from functions.gateway.grants import ApiToken, epoch
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Key, Put


@dataclass(frozen=True, slots=True)
class ApiTokenItem:
    """An API token with the digest of its secret. `version` is that of the list entry, which guards both items."""

    token: ApiToken
    digest: str
    version: int = 0

    @property
    def expires_at(self) -> datetime | None:
        """None = never."""
        return self.token.expires_at

    @classmethod
    def from_item(cls, item: Item) -> ApiTokenItem:
        """Inverse of the list entry in `puts`."""
        return cls(ApiToken.from_json(item.body), item.body["digest"], item.version)

    @property
    def name_key(self) -> Key:
        """The key of the item that keeps the name unique."""
        return layout.api_token_name(self.token.name)

    def puts(self, if_version: int) -> list[Change]:
        """The changes that write the list entry and the item that proves the token."""
        body, expires_at = self.token.to_json(), epoch(self.token.expires_at)
        return [
            Put(layout.api_token_entry(self.token.id), {**body, "digest": self.digest}, expires_at, if_version),
            Put(layout.api_token(self.digest), body, expires_at),
        ]

    def removal(self, named: Item | None) -> Sequence[Change]:
        """The changes that remove the token and free its name, unless the token was changed meanwhile. `named` is the
        item at `name_key`."""
        entry = layout.api_token_entry(self.token.id)
        gone: list[Change] = [Delete(entry, if_version=self.version), Delete(layout.api_token(self.digest))]
        return [*gone, *names.release(named, self.token.id)]
