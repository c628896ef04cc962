"""What the webhook is to hear: servers that expire soon or have expired, accounts that need a new credential.

Each notice is an item of its own (functions/stores/README.md), written before it is sent, so that it is sent at least
once and no more often than its attempts. A notice of a server that was revoked, or whose expiry was moved, is withdrawn
while it waits. `webhook.py` sends.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.servers.item import ServerItem
from functions.gateway.grants import epoch, read_time, write_time
from functions.gateway.json_text import Json
from functions.stores import layout
from functions.stores.partition import every_item
from functions.stores.store import Delete, Item, Key, Put, Store, StoreConflict

MAX_SENT = 20
"""Notices that one round sends: with the longest wait for each, a round stays within the time of a function."""

ATTEMPTS = 8
"""Attempts of one notice. With the waits between them, the last one comes about four hours after the first."""

FIRST_WAIT = timedelta(minutes=2)
"""Before the second attempt. Each further wait is twice the previous one."""

KEPT = timedelta(days=7)
"""How long a notice is kept. Its event is not noted again before; an account that still needs a credential is then."""

Type = Literal["server.expires_soon", "server.expired", "account.needs_new_credential"]
State = Literal["waiting", "sent", "given_up"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. `data` is what the receiver gets. `due` is when the event happens, `next_at` when to send it next."""

    type: Type
    subject: str
    due: datetime
    data: Mapping[str, Json]
    next_at: datetime
    attempts: int = 0
    state: State = "waiting"
    version: int = 0

    @property
    def key(self) -> Key:
        """One notice for each event of a subject at a time."""
        return Key(layout.NOTICES, f"{self.type}#{self.subject}#{write_time(self.due)}")

    @property
    def id(self) -> str:
        """The id of the message: the same for every attempt."""
        return f"msg_{hashlib.sha256(self.key.sort.encode()).hexdigest()[:32]}"

    def put(self) -> Put:
        """The change that writes it, unless it was changed meanwhile."""
        body: dict[str, Json] = {
            "type": self.type,
            "subject": self.subject,
            "due": write_time(self.due),
            "data": dict(self.data),
            "next_at": write_time(self.next_at),
            "attempts": self.attempts,
            "state": self.state,
        }
        return Put(self.key, body, epoch(max(self.due, self.next_at) + KEPT), if_version=self.version)

    @classmethod
    def from_item(cls, item: Item) -> Notice:
        """Inverse of `put`."""
        times = {name: read_time(item.body[name]) for name in ("due", "next_at")}
        return cls(**{**item.body, **times}, version=item.version)


Send = Callable[[Notice], Awaitable[bool]]
"""Sends a notice; True when the receiver took it."""


async def round_of(store: Store, send: Send, now: datetime, lead: timedelta) -> int:
    """Note what is new, withdraw what is void, send what is due, and return how many were taken.

    `lead`  how long before its expiry a server counts as expiring soon.
    """
    due = await asyncio.to_thread(_due, store, now, lead)
    taken = 0
    for notice in due[:MAX_SENT]:
        wait = FIRST_WAIT * 2**notice.attempts
        claimed = replace(notice, attempts=notice.attempts + 1, next_at=now + wait)
        if not await asyncio.to_thread(_written, store, claimed):
            continue  # another process sends it
        ended = await send(claimed)
        taken += ended
        if ended or claimed.attempts == ATTEMPTS:
            after = replace(claimed, state="sent" if ended else "given_up", version=claimed.version + 1)
            await asyncio.to_thread(_written, store, after)
    return taken


def _due(store: Store, now: datetime, lead: timedelta) -> list[Notice]:
    """The notices to send now, in the order of the table. Writes the new ones, and removes the void ones."""
    known = {notice.key: notice for notice in map(Notice.from_item, every_item(store, layout.NOTICES))}
    for notice in _new(store, now, lead):
        if notice.key not in known and _written(store, notice):
            known[notice.key] = replace(notice, version=1)
    due = []
    for notice in known.values():
        if notice.state != "waiting":
            continue
        if _is_void(store, notice, now):
            store.write([Delete(notice.key)])
        elif notice.due <= now and notice.next_at <= now:
            due.append(notice)
    return due


def _new(store: Store, now: datetime, lead: timedelta) -> Iterator[Notice]:
    """The notices that follow from what the table holds."""
    for account in map(AccountItem.from_item, every_item(store, layout.ACCOUNTS)):
        [state] = store.get([layout.account_state(account.id)])
        if state is not None and state.body.get("status") == "needs_reauth":
            since = read_time(state.body["at"])
            if since >= account.credential_changed_at:
                yield _of_account(account, since)
        for server in map(ServerItem.from_item, every_item(store, layout.servers(account.id))):
            if server.expires_at is not None and server.expires_at <= now + lead:
                yield from _of_server(server, server.expires_at, lead)


def _of_account(account: AccountItem, since: datetime) -> Notice:
    data: dict[str, Json] = {"integrated_account_id": account.id, "name": account.name, "since": write_time(since)}
    # One for each credential, however often the upstream has refused it.
    return Notice("account.needs_new_credential", account.id, account.credential_changed_at, data, since)


def _of_server(server: ServerItem, expires_at: datetime, lead: timedelta) -> Iterator[Notice]:
    data: dict[str, Json] = {
        "mcp_server_id": server.id,
        "name": server.name,
        "integrated_account_id": server.account_id,
        "labels": dict(server.labels),
        "expires_at": write_time(expires_at),
    }
    soon = expires_at - lead
    if soon > server.created_at:  # a server with a shorter life needs no warning
        yield Notice("server.expires_soon", server.id, soon, data, soon)
    yield Notice("server.expired", server.id, expires_at, data, expires_at)


def _is_void(store: Store, notice: Notice, now: datetime) -> bool:
    """True when the server of a notice no longer ends at that time, or the account has another credential."""
    if notice.type == "account.needs_new_credential":
        [item] = store.get([layout.account(notice.subject)])
        return item is None or item.body["credential_changed_at"] != write_time(notice.due)
    if now >= read_time(str(notice.data["expires_at"])):
        return False  # it has expired, so that its item may be gone
    [item] = store.get([layout.server(str(notice.data["integrated_account_id"]), notice.subject)])
    return item is None or item.body["expires_at"] != notice.data["expires_at"]


def _written(store: Store, notice: Notice) -> bool:
    try:
        store.write([notice.put()])
    except StoreConflict:
        return False
    return True
