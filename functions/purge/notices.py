"""Sends the webhook what is due: servers that expire soon or have expired, accounts that need a new credential.

The notices wait in the store in the order of their time (gateway/notice.py), written with the server or the refused
call they tell of. A round reads the first of them that are due, and nothing else: what it costs does not depend on how
many servers there are. It claims a notice before it sends it, so that two rounds at once send it once, and a round
that dies loses nothing: the notice comes again when its wait is over. `webhook.py` sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.admin_api.accounts.item import AccountItem
from functions.admin_api.servers.item import ServerItem
from functions.gateway.grants import epoch, read_time, write_time
from functions.gateway.json_text import Json
from functions.gateway.notice import Notice, due_before
from functions.stores import layout
from functions.stores.store import Change, Delete, Item, Key, Put, Store, StoreConflict

logger = logging.getLogger(__name__)

AT_MOST = 50
"""Notices of one round. What is true of each is read in one `get`, which takes 100 keys."""

AT_ONCE = 10
"""Notices that are sent at the same time: with the longest wait for each, a round takes 25 s."""

ATTEMPTS = 8
"""Attempts of one notice. With the waits between them, the last one comes about four hours after the first."""

FIRST_WAIT = timedelta(minutes=2)
"""Before the second attempt. Each further wait is twice the previous one."""

SILENCE = timedelta(days=7)
"""How long the webhook hears nothing more of a credential of which it has heard that the upstream refuses it."""

UNREADABLE = (KeyError, TypeError, ValueError)
"""What an item raises that another version wrote, or a hand."""

Claim = list[Change]
"""The changes by which a round takes a notice out of the place where it waits."""

Send = Callable[[Notice], Awaitable[bool]]
"""Sends a notice; True when the receiver took it."""


@dataclass(frozen=True, slots=True)
class Round:
    """How far a round came.

    `sent`       notices that the receiver took; `refused` those that it did not take this time.
    `withdrawn`  notices that no longer hold, that are too old, or of which all attempts failed.
    `reached`    every notice that was due before this time was looked at.
    `remain`     others are due: another round continues.
    """

    sent: int
    refused: int
    withdrawn: int
    reached: datetime
    remain: bool


async def rounds_of(store: Store, send: Send, now: datetime, time_left: Callable[[], bool]) -> Round:
    """Rounds until nothing is due, or until there is no `time_left` for one more. Raises StoreError."""
    all_of_it = await round_of(store, send, now)
    while all_of_it.remain and time_left():
        one = await round_of(store, send, now)
        all_of_it = replace(
            one,
            sent=all_of_it.sent + one.sent,
            refused=all_of_it.refused + one.refused,
            withdrawn=all_of_it.withdrawn + one.withdrawn,
        )
    return all_of_it


async def round_of(store: Store, send: Send, now: datetime) -> Round:
    """Send the first notices that are due. Raises StoreError; the next round sends what this one did not reach."""
    due, remain = await asyncio.to_thread(_due, store, now)
    claims, withdrawn = await asyncio.to_thread(_claims, store, due, now)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(claim: Claim, notice: Notice) -> bool | None:
        async with turns:
            if not await asyncio.to_thread(_written, store, claim):
                return None  # another process sends it
            taken = await send(notice)
            if taken or notice.attempts == ATTEMPTS:
                await asyncio.to_thread(_written, store, [notice.removal()])
            return taken

    outcomes = await asyncio.gather(*(one(*claim) for claim in claims), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    reached = due[-1].next_at if remain and due else now
    return Round(outcomes.count(True), outcomes.count(False), withdrawn, reached, remain)


def _due(store: Store, now: datetime) -> tuple[list[Notice], bool]:
    """The first AT_MOST notices that are due, in order, and whether there are others."""
    items: list[Item] = []
    for partition in layout.NOTICE_PARTITIONS:
        items += store.query(partition, before=due_before(now), limit=AT_MOST + 1)
    items.sort(key=lambda item: item.key.sort)
    notices = [notice for item in items[:AT_MOST] if (notice := _read(store, item)) is not None]
    return notices, len(items) > AT_MOST


def _read(store: Store, item: Item) -> Notice | None:
    """The notice in an item. None for one that cannot be read, which is taken out: it must not hold up the others."""
    try:
        return Notice.from_item(item)
    except UNREADABLE as error:
        logger.error("a notice cannot be read, and is given up: %s", type(error).__name__)
        _written(store, [Delete(item.key)])
        return None


def _claims(store: Store, due: Sequence[Notice], now: datetime) -> tuple[list[tuple[Claim, Notice]], int]:
    """The notices to send, each with its claim. Takes the others out of the store, and returns their number."""
    keys = list(dict.fromkeys(key for notice in due for key in _about(notice)))
    known = dict(zip(keys, store.get(keys), strict=True)) if keys else {}
    claims: list[tuple[Claim, Notice]] = []
    void: list[Claim] = []
    for notice in due:
        try:
            claim, claimed = _claim(notice, known, now)
        except UNREADABLE as error:
            logger.error("notice %s is about what cannot be read, and is given up: %s", notice.id, type(error).__name__)
            claim, claimed = [notice.removal()], None
        if claimed is None:
            void.append(claim)
        else:
            claims.append((claim, claimed))
    if void and not _written(store, [change for claim in void for change in claim]):
        for claim in void:  # another process has taken one of them out
            _written(store, claim)
    return claims, len(void)


def _about(notice: Notice) -> list[Key]:
    """The items that say whether the notice still holds."""
    match notice.type:
        case "server.expires_soon":
            return [layout.server(str(notice.data["integrated_account_id"]), notice.subject)]
        case "server.expired":
            return []  # it holds for good, and the server may have been purged
        case "account.needs_new_credential":
            return [layout.account(notice.subject), layout.noticed(notice.subject)]


def _claim(notice: Notice, known: Mapping[Key, Item | None], now: datetime) -> tuple[Claim, Notice | None]:
    """The changes that claim a notice, and the notice as it is then sent; None = it is only to be taken out."""
    void: Claim = [notice.removal()]
    if notice.attempts == ATTEMPTS or notice.kept_until <= now:
        return void, None
    match notice.type:
        case "server.expires_soon":
            [server] = [known[key] for key in _about(notice)]
            return _claim_warning(notice, server, now)
        case "server.expired":
            return _again(notice, now)
        case "account.needs_new_credential":
            account, noticed = [known[key] for key in _about(notice)]
            return _claim_of_account(notice, account, noticed, now)


def _claim_warning(notice: Notice, item: Item | None, now: datetime) -> tuple[Claim, Notice | None]:
    """A warning leaves the notice of the end in its place, with what the server is called by now."""
    void: Claim = [notice.removal()]
    expires_at = read_time(str(notice.data["expires_at"]))
    if expires_at <= now:
        late = replace(notice, type="server.expired", due=expires_at, next_at=expires_at)
        return [*void, late.put()] if notice.attempts == 0 else void, None
    server = ServerItem.from_item(item) if item is not None else None
    if server is None or server.expires_at != expires_at:
        return void, None
    claim, claimed = _again(notice, now)
    ending = server.ending()
    return [*claim, ending.put()] if ending and notice.attempts == 0 else claim, claimed


def _claim_of_account(
    notice: Notice, item: Item | None, noticed: Item | None, now: datetime
) -> tuple[Claim, Notice | None]:
    """One for each credential, however often the upstream refuses it."""
    void: Claim = [notice.removal()]
    account = AccountItem.from_item(item) if item is not None else None
    if account is None or notice.due < account.credential_changed_at:
        return void, None
    if notice.attempts:
        return _again(notice, now)
    credential: dict[str, Json] = {"credential_changed_at": write_time(account.credential_changed_at)}
    if noticed is not None and noticed.body == credential and (noticed.expires_at or 0) > int(now.timestamp()):
        return void, None
    since: dict[str, Json] = {
        "integrated_account_id": account.id,
        "name": account.name,
        "since": write_time(notice.due),
    }
    claim, claimed = _again(replace(notice, data=since), now)
    version = noticed.version if noticed is not None else 0
    return [*claim, Put(layout.noticed(account.id), credential, epoch(now + SILENCE), if_version=version)], claimed


def _again(notice: Notice, now: datetime) -> tuple[Claim, Notice]:
    """The notice with one attempt more, in the place where it waits for the attempt after that."""
    wait = FIRST_WAIT * 2**notice.attempts
    claimed = replace(notice, attempts=notice.attempts + 1, next_at=now + wait, version=1)
    return [notice.removal(), claimed.put(if_version=0)], claimed


def _written(store: Store, changes: Sequence[Change]) -> bool:
    try:
        store.write(changes)
    except StoreConflict:
        return False
    return True
