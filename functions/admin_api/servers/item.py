"""The stored form of an MCP server, and how it is removed with everything that belongs to it.

A server is one item of its own, which lists its live tokens, and one grant for each of them
(functions/stores/README.md). A third item keeps its name unique in the account. The purge function reads this form too,
so this file imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.admin_api import names
from functions.gateway.grants import ServerConfig, epoch, read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.notice import Notice
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Key, Put


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token of a server by its digest; `expires_at` is the end of its grace, None for the present token."""

    digest: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServerItem:
    """What the control plane knows of one server.

    `labels`           words of the operator for finding servers, e.g. {"team": "support"}.
    `token_made_at`    when the present token was made.
    """

    id: str
    account_id: str
    name: str
    labels: Mapping[str, str]
    config: ServerConfig
    expires_at: datetime | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    tokens: tuple[LiveToken, ...]
    token_made_at: datetime
    version: int = 0

    def to_json(self) -> dict[str, Json]:
        """The body of the stored item."""
        return {
            "id": self.id,
            "account_id": self.account_id,
            "name": self.name,
            "labels": dict(self.labels),
            "config": self.config.to_json(),
            "expires_at": written(self.expires_at),
            "created_by": self.created_by,
            "created_at": write_time(self.created_at),
            "updated_at": write_time(self.updated_at),
            "tokens": [{"digest": token.digest, "expires_at": written(token.expires_at)} for token in self.tokens],
            "token_made_at": write_time(self.token_made_at),
        }

    @classmethod
    def from_item(cls, item: Item) -> ServerItem:
        """Inverse of `to_json`."""
        body = item.body
        return cls(
            id=body["id"],
            account_id=body["account_id"],
            name=body["name"],
            labels=body["labels"],
            config=ServerConfig.from_json(body["config"]),
            expires_at=_read(body["expires_at"]),
            created_by=body["created_by"],
            created_at=read_time(body["created_at"]),
            updated_at=read_time(body["updated_at"]),
            tokens=tuple(LiveToken(token["digest"], _read(token["expires_at"])) for token in body["tokens"]),
            token_made_at=read_time(body["token_made_at"]),
            version=item.version,
        )

    def put(self, if_version: int) -> Put:
        """The change that writes this item."""
        return Put(layout.server(self.account_id, self.id), self.to_json(), epoch(self.expires_at), if_version)

    def put_account(self) -> Put:
        """The change that writes which account the server belongs to."""
        return Put(layout.server_account(self.id), {"account_id": self.account_id}, epoch(self.expires_at))

    @property
    def name_key(self) -> Key:
        """The key of the item that keeps the name unique."""
        return layout.server_name(self.account_id, self.name)

    def warning(self, lead: timedelta) -> Notice | None:
        """What the webhook hears `lead` before the expiry; None for a server whose whole life is shorter."""
        if self.expires_at is None or self.expires_at - lead <= self.created_at:
            return None
        soon = self.expires_at - lead
        return Notice("server.expires_soon", self.id, soon, self._told(self.expires_at), soon)

    def ending(self) -> Notice | None:
        """What the webhook hears at the expiry; None for a server without one."""
        if self.expires_at is None:
            return None
        return Notice("server.expired", self.id, self.expires_at, self._told(self.expires_at), self.expires_at)

    def _told(self, expires_at: datetime) -> dict[str, Json]:
        return {
            "mcp_server_id": self.id,
            "name": self.name,
            "integrated_account_id": self.account_id,
            "labels": dict(self.labels),
            "expires_at": write_time(expires_at),
        }

    def removal(self, named: Item | None) -> list[Change]:
        """The changes that remove the server with its tokens, its last use and its names, unless it was changed
        meanwhile. `named` is the item at `name_key`. The notice of its end stays."""
        changes: list[Change] = [Delete(layout.server(self.account_id, self.id), if_version=self.version)]
        changes += [Delete(layout.token(token.digest)) for token in self.tokens]
        changes += [Delete(layout.use(self.id)), Delete(layout.server_account(self.id))]
        return [*changes, *names.release(named, self.id)]


def written(moment: datetime | None) -> str | None:
    """A time as JSON; None = never."""
    return None if moment is None else write_time(moment)


def _read(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)
