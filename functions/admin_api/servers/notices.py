"""The notices of a server, in the same write as the server: what the webhook will hear of its end.

One notice waits at a time. The warning comes first, and puts the notice of the end in its place when it is sent
(functions/purge/notices.py). `lead` is how long before its expiry a server counts as expiring soon.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from functions.admin_api.servers.item import ServerItem
from functions.gateway.grants import is_live
from functions.stores.store import Change, Delete


def announced(server: ServerItem, lead: timedelta) -> list[Change]:
    """The changes for a server that is minted."""
    first = server.warning(lead) or server.ending()
    return [first.put()] if first is not None else []


def changed(before: ServerItem, after: ServerItem, lead: timedelta, now: datetime) -> list[Change]:
    """The changes for a server that gets another expiry, name or labels. The server itself tells a warning its name."""
    if after.expires_at != before.expires_at:
        puts = announced(after, lead)
        kept = {change.key for change in puts}
        return [*puts, *(change for change in withdrawn(before, lead, now) if change.key not in kept)]
    ending, warning = after.ending(), after.warning(lead)
    renamed = (after.name, after.labels) != (before.name, before.labels)
    return [ending.put()] if ending and renamed and (warning is None or warning.due <= now) else []


def withdrawn(server: ServerItem, lead: timedelta, now: datetime) -> list[Change]:
    """The changes for a server that is revoked. What has expired has ended, so that its notice stays."""
    notices = (server.warning(lead), server.ending()) if is_live(server, now) else ()
    return [Delete(notice.key) for notice in notices if notice is not None]
