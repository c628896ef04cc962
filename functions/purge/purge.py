"""Removes an expired server from the table, within a minute of its expiry.

Safety does not depend on it: every request compares `expires_at` with the clock, and the TTL of the table removes what
this function misses. It only has to be harmless. It may run twice, late, or for a server that was extended meanwhile,
and must never remove a live server.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from functions.admin_api.servers.item import ServerItem
from functions.gateway.grants import is_live, read_time, write_time
from functions.stores import layout
from functions.stores.store import Store, StoreConflict, StoreUnavailable

ATTEMPTS = 5
"""Attempts of one removal. Each reads again, because a conflict means that the server was just changed."""

Outcome = Literal["purged", "kept", "gone"]


class TooEarly(Exception):
    """The event came before the expiry it was scheduled for. Lambda repeats it after one and after two minutes."""


def purge(event: Mapping[str, Any], store: Store, now: datetime) -> Outcome:
    """Carry out the event `{"account_id", "server_id", "expires_at"}`. `expires_at` is ISO 8601, from the schedule.

    purged  the server had expired: its item, its tokens, its last use and its name were removed in one write.
    kept    the expiry was changed or removed, so a later schedule is responsible.
    gone    the server was already removed.

    Raises ValueError for any other event, TooEarly, and StoreUnavailable.
    """
    try:
        account_id, server_id = event["account_id"], event["server_id"]
        scheduled_for = read_time(event["expires_at"])
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ValueError(
            f'not the event of a schedule ({type(problem).__name__}: {problem}); valid: {{"account_id": "acc_...", '
            '"server_id": "srv_...", "expires_at": "2026-12-31T23:59:59Z"}'
        ) from problem
    for _ in range(ATTEMPTS):
        [item] = store.get([layout.server(account_id, server_id)])
        if item is None:
            return "gone"
        server = ServerItem.from_item(item)
        if is_live(server, now):
            if server.expires_at == scheduled_for:
                raise TooEarly(
                    f"server {server_id} expires at {write_time(scheduled_for)}; it is {write_time(now)} now"
                )
            return "kept"
        try:
            [named] = store.get([server.name_key])
            store.write(server.removal(named))
        except StoreConflict:
            continue
        return "purged"
    raise StoreUnavailable(f"server {server_id} is being changed by other requests at this moment")
