"""The stored form of an integrated account."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.gateway import credentials
from functions.gateway.grants import ServerConfig, Target, read_time, write_time
from functions.gateway.json_text import Json
from functions.stores.store import Item


@dataclass(frozen=True, slots=True)
class AccountItem:
    """One integrated account.

    `given`, `found`  context from the operator, and from the probe; the operator's values go first.
    `credential_changed_at`  Ignore a `needs_reauth` state older than this: it concerns the previous credential.
    `proved`   the probe has verified the present credential.
    `version`  the stored item's version; servers note which version they copied.
    """

    id: str
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

    def target(self, data_key: bytes) -> Target:
        """What a call of this account needs, with nothing pinned or hidden. Raises credentials.SealError."""
        opened = credentials.open_credential(self.sealed_credential, data_key, self.id)
        return Target(self.id, self.integration, self.base_url, self.context, ServerConfig(), opened)

    def to_json(self) -> dict[str, Json]:
        """The body of the stored item."""
        return {
            "id": self.id,
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
