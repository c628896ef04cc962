"""The stored form of a trust: its entry in the list of all trusts, and the item that an identity token leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.admin_api import names
from functions.admin_api.api_tokens.mint_limits import MintLimits
from functions.gateway.grants import digest, read_time, write_time
from functions.gateway.json_text import Json
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Key, Put


@dataclass(frozen=True, slots=True)
class TrustItem:
    """A trust. `version` is that of the list entry, which guards both items."""

    id: str
    name: str
    issuer: str
    audience: str
    claims: Mapping[str, Sequence[str]]
    account_ids: tuple[str, ...]
    mint: MintLimits
    created_at: datetime
    updated_at: datetime
    version: int = 0

    def to_json(self) -> dict[str, Json]:
        """The body of both items."""
        return {
            "id": self.id,
            "name": self.name,
            "issuer": self.issuer,
            "audience": self.audience,
            "claims": {name: list(values) for name, values in self.claims.items()},
            "account_ids": list(self.account_ids),
            "mint": self.mint.to_json(),
            "created_at": write_time(self.created_at),
            "updated_at": write_time(self.updated_at),
        }

    @classmethod
    def from_item(cls, item: Item) -> TrustItem:
        """Inverse of `to_json`."""
        body = item.body
        return cls(
            id=body["id"],
            name=body["name"],
            issuer=body["issuer"],
            audience=body["audience"],
            claims=body["claims"],
            account_ids=tuple(body["account_ids"]),
            mint=MintLimits.from_json(body["mint"]),
            created_at=read_time(body["created_at"]),
            updated_at=read_time(body["updated_at"]),
            version=item.version,
        )

    @property
    def name_key(self) -> Key:
        """The key of the item that keeps the name unique."""
        return layout.trust_name(self.name)

    def puts(self, if_version: int) -> list[Change]:
        """The changes that write both items. A new trust (`if_version` 0) takes its audience, which must be free."""
        return [
            Put(layout.trust(self.id), self.to_json(), if_version=if_version),
            Put(by_audience(self.audience), self.to_json(), if_version=None if if_version else 0),
        ]

    def removal(self, named: Item | None) -> list[Change]:
        """The changes that remove the trust and free its name and its audience, unless the trust was changed meanwhile.
        `named` is the item at `name_key`."""
        gone: list[Change] = [
            Delete(layout.trust(self.id), if_version=self.version),
            Delete(by_audience(self.audience)),
        ]
        return [*gone, *names.release(named, self.id)]


def by_audience(audience: str) -> Key:
    """The key of the item that an identity token with this audience leads to."""
    return layout.trusted_audience(digest(audience))
