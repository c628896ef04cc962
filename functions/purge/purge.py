"""Removes an expired server from the table, within a minute of its expiry.

Safety does not depend on it: every request compares `expires_at` with the clock, and the TTL of the table removes what
this function misses. It only has to be harmless. It may run twice, late, or for a server that was extended meanwhile,
and must never remove a live server.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from functions.gateway.grants import read_time, write_time
from functions.stores import layout
from functions.stores.store import Delete, Store, StoreConflict, StoreUnavailable

ATTEMPTS = 5
"""Attempts of one removal. Each reads again, because a conflict means that the server was just changed."""

Outcome = Literal["purged", "kept", "gone"]


class TooEarly(Exception):
    """The event came before the expiry it was scheduled for. Lambda repeats it after one and after two minutes."""


def purge(event: Mapping[str, Any], store: Store, now: datetime) -> Outcome:
    """Carry out the event `{"account_id", "server_id", "expires_at"}`. `expires_at` is ISO 8601, from the schedule.

    purged  the server had expired: its item, its tokens and its last use were removed in one write.
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
        expires_at = read_time(item.body["expires_at"]) if item.body["expires_at"] else None
        if expires_at is None or now < expires_at:
            if expires_at == scheduled_for:
                raise TooEarly(f"server {server_id} expires at {write_time(expires_at)}, it is {write_time(now)}")
            return "kept"
        tokens = [Delete(layout.token(token["digest"])) for token in item.body["tokens"]]
        try:
            store.write([Delete(item.key, if_version=item.version), *tokens, Delete(layout.use(server_id))])
        except StoreConflict:
            continue
        return "purged"
    raise StoreUnavailable(f"server {server_id} is being changed by other requests at this moment")
