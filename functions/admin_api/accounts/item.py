"""The stored form of an integrated account: an item that lists it, and copies of what its calls read.

All are written together, under the version of the first. The credential is in the copies too, so that no grant holds
it: a change of an account writes five items, however many servers the account has.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.gateway import credentials
from functions.gateway.grants import GrantedAccount, ServerConfig, Target, read_time, write_time
from functions.gateway.json_text import Json
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Put


@dataclass(frozen=True, slots=True)
class AccountItem:
    """One integrated account.

    `handle`   the characters with which all tokens of its servers begin (gateway/grants.py).
    `given`, `found`  context from the operator, and from the probe; the operator's values go first.
    `credential_changed_at`  Ignore a `needs_reauth` state older than this: it concerns the previous credential.
    `proved`   the probe has verified the present credential.
    `version`  the stored item's version.
    """

    id: str
    handle: str
    integration: str
    name: str
    base_url: str
    given: Mapping[str, str]
    found: Mapping[str, str]
    sealed_credential: bytes = field(repr=False)
    wrapped_data_key: bytes = field(repr=False)
    credential_changed_at: datetime
    created_at: datetime
    updated_at: datetime
    proved: bool = False
    version: int = 0

    @property
    def context(self) -> dict[str, str]:
        """Values for path parameters, as calls use them."""
        return {**self.found, **self.given}

    def granted(self) -> GrantedAccount:
        """What its grants have in common."""
        return GrantedAccount(self.id, self.integration, self.base_url, self.context, self.sealed_credential)

    def puts(self, if_version: int) -> list[Change]:
        """The changes that write the account, unless it was changed meanwhile (0 = unless it exists, or its handle is
        another account's)."""
        called, new = self.granted().to_json(), 0 if if_version == 0 else None
        return [
            Put(layout.account(self.id), self.to_json(), if_version=if_version),
            *(Put(key, called, if_version=new) for key in layout.granted_accounts(self.handle)),
        ]

    def removal(self) -> list[Change]:
        """The changes that remove the account and its state, unless it was changed meanwhile. From then on no token of
        its servers opens anything."""
        return [
            Delete(layout.account(self.id), if_version=self.version),
            *map(Delete, layout.granted_accounts(self.handle)),
            Delete(layout.account_state(self.id)),
        ]

    def target(self, data_key: bytes) -> Target:
        """What a call of this account needs, with nothing pinned or hidden. Raises credentials.SealError."""
        opened = credentials.open_credential(self.sealed_credential, data_key, self.id)
        return Target(self.id, self.integration, self.base_url, self.context, ServerConfig(), opened)

    def to_json(self) -> dict[str, Json]:
        """The body of the stored item."""
        return {
            "id": self.id,
            "handle": self.handle,
            "integration": self.integration,
            "name": self.name,
            "base_url": self.base_url,
            "given": dict(self.given),
            "found": dict(self.found),
            "sealed_credential": base64.b64encode(self.sealed_credential).decode(),
            "wrapped_data_key": base64.b64encode(self.wrapped_data_key).decode(),
            "credential_changed_at": write_time(self.credential_changed_at),
            "created_at": write_time(self.created_at),
            "updated_at": write_time(self.updated_at),
            "proved": self.proved,
        }

    @classmethod
    def from_item(cls, item: Item) -> AccountItem:
        """Inverse of `to_json`."""
        body = item.body
        times = {name: read_time(body[name]) for name in ("credential_changed_at", "created_at", "updated_at")}
        boxes = {name: base64.b64decode(body[name]) for name in ("sealed_credential", "wrapped_data_key")}
        members: dict[str, Any] = {**body, **times, **boxes}
        return cls(**members, version=item.version)
