"""Removes an expired server from the table, within a minute of its expiry.

Nothing depends on it for safety: every request compares `expires_at` with the clock, and the table's TTL removes what
this misses. So it only has to be harmless: it may run twice, late, or for a server that was extended in between, and
then removes nothing that is alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from functions.gateway.grants import read_time, write_time
from functions.stores import layout
from functions.stores.store import Delete, Store, StoreConflict, StoreUnavailable

ATTEMPTS = 5
"""Tries of one removal; each reads afresh, because a conflict means that somebody just changed the server."""

Outcome = Literal["purged", "kept", "gone"]


class TooEarly(Exception):
    """Run before the expiry that it was scheduled for. Lambda repeats the event, one and then two minutes later."""


def purge(event: Mapping[str, Any], store: Store, now: datetime) -> Outcome:
    """Carry out `{"account_id", "server_id", "expires_at"}`, the last in ISO 8601 as the schedule was made.

    purged  the server had expired: its control record, tokens and last use are removed, all at once.
    kept    its expiry was moved, or taken away; a later schedule is in charge.
    gone    somebody removed it already.

    Raises ValueError for another event, TooEarly, and StoreUnavailable.
    """
    try:
        account_id, server_id = event["account_id"], event["server_id"]
        scheduled_for = read_time(event["expires_at"])
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ValueError(
            f'not an event of a schedule ({type(problem).__name__}: {problem}); valid: {{"account_id": "acc_...", '
            '"server_id": "srv_...", "expires_at": "2026-12-31T23:59:59Z"}'
        ) from problem
    for _ in range(ATTEMPTS):
        [record] = store.get([layout.server(account_id, server_id)])
        if record is None:
            return "gone"
        expires_at = read_time(record.body["expires_at"]) if record.body["expires_at"] else None
        if expires_at is None or now < expires_at:
            if expires_at == scheduled_for:
                raise TooEarly(f"server {server_id} expires at {write_time(expires_at)}, it is {write_time(now)}")
            return "kept"
        tokens = [Delete(layout.token(token["digest"])) for token in record.body["tokens"]]
        try:
            store.write([Delete(record.key, if_version=record.version), *tokens, Delete(layout.use(server_id))])
        except StoreConflict:
            continue
        return "purged"
    raise StoreUnavailable(f"server {server_id} is being changed by others at the same moment")
