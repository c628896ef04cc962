"""Many servers of one account, put straight into a store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from functions.admin_api.servers import notices
from functions.admin_api.servers.item import LiveToken, ServerItem
from functions.gateway.grants import ServerConfig
from functions.stores.store import Change, Put, Store

LEAD = timedelta(hours=24)
"""How long before their expiry the webhook hears of the servers: as the settings have it."""

CHANGES_AT_ONCE = 100
"""Most changes of one write."""


def seed_servers(store: Store, account_id: str, count: int, now: datetime, *, lives: timedelta | None = None) -> None:
    """Servers `srv_seed00000` and on, each with its name; they end after `lives`."""
    changes: list[Change] = []
    for number in range(count):
        server = ServerItem(
            id=f"srv_seed{number:05}",
            account_id=account_id,
            name=f"seed-{number}",
            labels={"team": "seed"},
            config=ServerConfig(),
            expires_at=None if lives is None else now + lives,
            created_by="tok_root",
            created_at=now,
            updated_at=now,
            tokens=(LiveToken(f"{number:064}", None),),
            token_made_at=now,
        )
        changes += [server.put(if_version=0), server.put_account(), Put(server.name_key, {"id": server.id})]
        changes += notices.announced(server, LEAD)
    write_all(store, changes)


def write_all(store: Store, changes: Sequence[Change]) -> None:
    """Write the changes, as many at once as a store takes."""
    for start in range(0, len(changes), CHANGES_AT_ONCE):
        store.write(changes[start : start + CHANGES_AT_ONCE])
