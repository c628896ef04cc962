"""The stored form of an MCP server: the control plane's item, and one item for each live token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from functions.gateway.grants import ServerConfig, read_time, write_time
from functions.gateway.json_text import Json
from functions.stores.store import Item


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token of a server by its digest; `expires_at` is the end of its grace, None for the present one."""

    digest: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServerItem:
    """The control plane's record of one server. `account_version`: of the account that the token items copied."""

    id: str
    account_id: str
    name: str
    config: ServerConfig
    expires_at: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    tokens: tuple[LiveToken, ...]
    account_version: int
    version: int = 0

    def to_json(self) -> dict[str, Json]:
        """The body of the stored item."""
        return {
            "id": self.id,
            "account_id": self.account_id,
            "name": self.name,
            "config": self.config.to_json(),
            "expires_at": written(self.expires_at),
            "created_by": self.created_by,
            "created_at": write_time(self.created_at),
            "updated_at": write_time(self.updated_at),
            "tokens": [{"digest": token.digest, "expires_at": written(token.expires_at)} for token in self.tokens],
            "account_version": self.account_version,
        }

    @classmethod
    def from_item(cls, item: Item) -> ServerItem:
        """Inverse of `to_json`."""
        body = item.body
        return cls(
            id=body["id"],
            account_id=body["account_id"],
            name=body["name"],
            config=ServerConfig.from_json(body["config"]),
            expires_at=moment(body["expires_at"]),
            created_by=body["created_by"],
            created_at=read_time(body["created_at"]),
            updated_at=read_time(body["updated_at"]),
            tokens=tuple(LiveToken(token["digest"], moment(token["expires_at"])) for token in body["tokens"]),
            account_version=body["account_version"],
            version=item.version,
        )


def epoch(moment: datetime | None) -> int | None:
    """Whole seconds, never before the moment: the store must not remove what is still alive."""
    return None if moment is None else math.ceil(moment.timestamp())


def written(moment: datetime | None) -> str | None:
    return None if moment is None else write_time(moment)


def moment(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)
